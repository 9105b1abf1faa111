//! READ: the site's file, `site.toml`: its nodes, what they boot, and the networks between.
//!
//! [`file`] is the file as it is written. [`Site`] is what follows from it: every node with all that it gets from its
//! profile, its groups and its own entries, the last one that says something wins.

pub mod file;
pub mod nodeset;
pub mod plan;

use std::collections::BTreeMap;
use std::net::IpAddr;

use file::File;

/// A site: the file, and its nodes one by one.
///
/// Making it never fails on what the file means: a node that names a profile which is not there has what is left, and
/// [`crate::check`] says so.
#[derive(Debug, Clone, Default)]
pub struct Site {
    /// As it was written.
    pub file: File,
    /// Every node, by name.
    pub nodes: BTreeMap<String, Node>,
}

/// A node, with all that concerns it.
#[derive(Debug, Clone, Default)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// The profile.
    pub profile: Option<String>,
    /// The groups it is in, in the order of the file.
    pub groups: Vec<String>,
    /// What it boots: a key of `[images]`.
    pub image: Option<String>,
    /// Where its disk is: keys of `[servers]`.
    pub servers: Vec<String>,
    /// What it is to do when nobody has said otherwise.
    pub action: file::Action,
    /// The kernel command line, beyond what the boot itself needs.
    pub cmdline: String,
    /// Whether it gets `ip=` from iPXE's own lease.
    pub static_ip: bool,
    /// The system UUID of SMBIOS, lower case.
    pub uuid: Option<String>,
    /// Memory in bytes.
    pub memory: Option<u64>,
    /// By name.
    pub interfaces: BTreeMap<String, Interface>,
}

/// A network interface of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interface {
    /// Lower case with colons.
    pub mac: Option<String>,
    /// A key of `[links]`.
    pub link: Option<String>,
    /// Its address in each network, a key of `[networks]`; none: by DHCP.
    pub networks: BTreeMap<String, Option<IpAddr>>,
}

impl Site {
    /// The nodes that have this MAC: more than one is a mistake, which [`crate::check`] tells.
    pub fn by_mac<'a>(&'a self, mac: &'a str) -> impl Iterator<Item = &'a Node> {
        self.nodes.values().filter(move |node| {
            node.interfaces.values().any(|interface| interface.mac.as_deref() == Some(mac))
        })
    }

    /// The nodes that have this system UUID.
    pub fn by_uuid<'a>(&'a self, uuid: &'a str) -> impl Iterator<Item = &'a Node> {
        self.nodes.values().filter(move |node| node.uuid.as_deref() == Some(uuid))
    }
}
