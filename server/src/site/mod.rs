//! READ: the site's file, `site.toml`: its nodes, what they boot, and the networks between.
//!
//! [`mod@file`] is the file as it is written, [`aside`] the files that it names. [`Site`] is what follows from them: every
//! node with all that it gets from its profile, its groups and its own entries, the last one that says something wins.
//! [`plan`] makes of that what the node's agent gets.

pub mod aside;
pub(crate) mod cmdline;
pub mod file;
pub mod nodeset;
pub mod plan;
mod resolve;
pub mod signing;
pub mod variables;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::File as OpenFile;
use std::io::Read as _;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use aside::{Aside, Secrets};
use file::File;

use crate::error::{Error, Result};

/// No file that is read with the site is longer.
const LONGEST: u64 = 16 << 20;

/// A site: the file, and its nodes one by one.
///
/// Making it never fails on what the file means: a node that names a profile which is not there has what is left, and
/// [`crate::check`] says so.
#[derive(Debug, Clone, Default)]
pub struct Site {
    /// Where it was read from.
    pub path: PathBuf,
    /// The permissions of that file, `0o644`.
    pub mode: u32,
    /// As it was written.
    pub file: File,
    /// Every node, by name.
    pub nodes: BTreeMap<String, Node>,
    /// The members of each group, nodes or not.
    pub groups: BTreeMap<String, Vec<String>>,
    /// What was seen to be wrong while the nodes were made.
    pub remarks: Vec<Remark>,
    /// The secrets that the file names files of.
    pub secrets: Secrets,
    /// What boot plans are signed with.
    pub signer: signing::Signer,
    /// The files that it was made of, there or not: when one of them changes, so may the site.
    pub files: Vec<PathBuf>,
    /// Made when it is first asked.
    pub index: Index,
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
    /// Its entries in `[[nodes]]`, by their place there.
    pub entries: Vec<usize>,
    /// Where the values above come from, by the member's name: the last one that said something.
    pub origins: BTreeMap<&'static str, Origin>,
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

/// A table of the file that says something of a node, in the order in which they are put upon each other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// None: this program.
    BuiltIn,
    /// `[defaults]`
    Defaults,
    /// `[images.NAME]`
    Image(String),
    /// `[servers.NAME]`
    Server(String),
    /// `[profiles.NAME]`
    Profile(String),
    /// `[groups.NAME]`
    Group(String),
    /// `[[nodes]]` with these names, as far as they are shown
    Nodes(String),
}

impl Origin {
    /// `[[nodes]]` with these names. Every node has this several times, and a list of all nodes may be long.
    fn nodes(names: &str) -> Origin {
        Origin::Nodes(nodeset::shortened(names))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::BuiltIn => f.write_str("disklessd"),
            Origin::Defaults => f.write_str("defaults"),
            Origin::Image(name) => write!(f, "image {name}"),
            Origin::Server(name) => write!(f, "server {name}"),
            Origin::Profile(name) => write!(f, "profile {name}"),
            Origin::Group(name) => write!(f, "group {name}"),
            Origin::Nodes(names) => write!(f, "nodes {names}"),
        }
    }
}

/// Something that is wrong and that the nodes do not show any more: what could not be read is not in them. A name that
/// nothing is known of (a profile, an image, a network) is still there, so it is [`crate::check`] that tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// Which kind.
    pub problem: Problem,
    /// What it is about, `nodes ocean[1-1000] eth0`.
    pub object: String,
    /// What is wrong with it.
    pub message: String,
}

/// A kind of [`Remark`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Problem {
    /// A node set that is none, or names a group that is not there.
    NodeSet,
    /// Addresses, MACs or UUIDs that are neither one nor as many as there are nodes.
    Count,
    /// An address that is none.
    Address,
    /// A MAC that is none.
    Mac,
    /// A system UUID that is none.
    Uuid,
    /// An amount of memory that is none.
    Memory,
    /// A duration that is none.
    Duration,
    /// A group or an ethers(5) file does not know, or is the only one that knows, a node.
    Stranger,
    /// A file that the site's file names cannot be read, or has a line that is none of its format.
    SideFile,
    /// A variable that is none there.
    Variable,
    /// A member that has no meaning where it stands.
    Misplaced,
}

impl Site {
    /// The nodes that have this MAC (lower case with colons): more than one is a mistake, which [`crate::check`] tells.
    pub fn by_mac<'a>(&'a self, mac: &str) -> impl Iterator<Item = &'a Node> {
        self.found(self.index.of(self).mac.get(mac))
    }

    /// The nodes that have this system UUID (lower case).
    pub fn by_uuid<'a>(&'a self, uuid: &str) -> impl Iterator<Item = &'a Node> {
        self.found(self.index.of(self).uuid.get(uuid))
    }

    fn found<'a>(&'a self, names: Option<&'a Vec<String>>) -> impl Iterator<Item = &'a Node> {
        names.into_iter().flatten().filter_map(|name| self.nodes.get(name))
    }

    /// The names of a node set; `@NAME` is a group of the site, `@*` all of its nodes, and so is `@all` in a site that
    /// has no group of that name.
    ///
    /// # Errors
    /// As [`nodeset::expand`].
    pub fn expand(&self, text: &str) -> Result<Vec<String>> {
        let all = || self.nodes.keys().cloned().collect();
        nodeset::expand(text, &|group| match group {
            "*" => Some(all()),
            name => self.groups.get(name).cloned().or_else(|| (name == "all").then(all)),
        })
    }
}

/// Nodes by what they say of themselves.
#[derive(Debug, Clone, Default)]
pub struct Index(OnceLock<Maps>);

#[derive(Debug, Clone, Default)]
struct Maps {
    mac: HashMap<String, Vec<String>>,
    uuid: HashMap<String, Vec<String>>,
}

impl Index {
    fn of(&self, site: &Site) -> &Maps {
        self.0.get_or_init(|| {
            let mut maps = Maps::default();
            for (name, node) in &site.nodes {
                for mac in node.interfaces.values().filter_map(|interface| interface.mac.clone()) {
                    let known = maps.mac.entry(mac).or_default();
                    if known.last() != Some(name) {
                        known.push(name.clone());
                    }
                }
                if let Some(uuid) = node.uuid.clone() {
                    maps.uuid.entry(uuid).or_default().push(name.clone());
                }
            }
            maps
        })
    }
}

/// Reads the site's file, and all that it names and that is needed to make boot plans.
///
/// # Errors
/// [`Error::File`]: it cannot be read; [`Error::Site`]: it is not TOML, or has members that nobody knows.
pub fn read(path: &Path) -> Result<Site> {
    let (text, mode) = text(path).map_err(|source| Error::File { path: path.to_owned(), source })?;
    let file = File::parse(&text).map_err(|message| Error::Site { path: path.to_owned(), message })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let file = file.below(folder);
    let aside = Aside::read(&file, folder);
    let files = std::iter::once(path.to_owned()).chain(aside.files.iter().cloned()).collect();
    Ok(Site { path: path.to_owned(), mode, files, ..Site::of(file, aside) })
}

/// The text of a file, and its permissions.
fn text(path: &Path) -> std::io::Result<(String, u32)> {
    let file = OpenFile::open(path)?;
    let mode = file.metadata()?.permissions().mode() & 0o7777;
    let mut text = String::new();
    file.take(LONGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST {
        return Err(std::io::Error::other(format!("longer than {LONGEST} bytes")));
    }
    Ok((text, mode))
}

#[cfg(test)]
mod tests;
