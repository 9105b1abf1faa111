//! `site.toml`, as it is written. docs/site.md describes it; unknown members are refused.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The whole file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    /// This server.
    pub server: Server,
    /// Who is told of what nodes say.
    pub webhooks: Vec<Webhook>,
    /// IP networks.
    pub networks: BTreeMap<String, Network>,
    /// What interfaces are plugged into.
    pub links: BTreeMap<String, Link>,
    /// What nodes boot.
    pub images: BTreeMap<String, Image>,
    /// iSCSI servers.
    pub servers: BTreeMap<String, Storage>,
    /// What all nodes have, before their profile.
    pub defaults: Layer,
    /// Kinds of nodes.
    pub profiles: BTreeMap<String, Layer>,
    /// Nodes that have something in common. In the order of their names, the last one wins.
    pub groups: BTreeMap<String, Group>,
    /// Nodes, by node set; in the order of the file, the last one wins.
    pub nodes: Vec<Nodes>,
}

/// `[server]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Addresses and ports to listen on, `[::]:32001`.
    pub listen: Vec<String>,
    /// Where nodes reach it, `http://10.0.0.1:32001`.
    pub url: String,
    /// The database; relative paths are below the folder of the site's file, here and everywhere.
    pub database: PathBuf,
    /// The folder of kernels and initramfs, served below `/files/`; none: they are elsewhere.
    pub files: Option<PathBuf>,
    /// The file with the operators' token; none: operators' calls are refused.
    pub token_file: Option<PathBuf>,
    /// Whether `/metrics` is for everybody; else it needs the operators' token.
    pub metrics_open: bool,
    /// A node that is on its way and says nothing for so long is silent: `90s`, `3m`.
    pub silent_after: String,
    /// Where nodes phone home.
    pub paths: Paths,
}

impl Default for Server {
    fn default() -> Server {
        Server {
            listen: vec!["[::]:32001".to_owned()],
            url: String::new(),
            database: PathBuf::from("disklessd.db"),
            files: None,
            token_file: None,
            metrics_open: false,
            silent_after: "3m".to_owned(),
            paths: Paths::default(),
        }
    }
}

/// `[server.paths]`: a site that has told its images other paths keeps them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Paths {
    /// iPXE's GET, `?hostname=`.
    pub ipxe: String,
    /// cloud-init's POST.
    pub cloudinit: String,
    /// The same form from `diskless-report.service`, of an image without cloud-init.
    pub up: String,
}

impl Default for Paths {
    fn default() -> Paths {
        Paths {
            ipxe: "/phone_home/ipxe".to_owned(),
            cloudinit: "/phone_home/cloudinit".to_owned(),
            up: "/phone_home/up".to_owned(),
        }
    }
}

/// `[[webhooks]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Its name, in logs and in the database.
    pub name: String,
    /// Where to.
    pub url: String,
    /// Which triggers, `diskless.ipxe.phone_home`; none: all.
    #[serde(default)]
    pub triggers: Vec<String>,
    /// A header that says who we are, `St2-Api-Key`, with `token_file`.
    pub token_header: Option<String>,
    /// The file with its value.
    pub token_file: Option<PathBuf>,
}

/// `[networks.NAME]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// `10.1.0.0/16`
    pub address: String,
    /// Where nodes' addresses may be, `10.1.1.1-10.1.250.250`; none: anywhere in it.
    #[serde(default)]
    pub ranges: Vec<String>,
    /// The router.
    pub gateway: Option<String>,
    /// Name servers.
    #[serde(default)]
    pub dns: Vec<String>,
    /// Bytes.
    pub mtu: Option<u32>,
    /// Its tag on a trunk.
    pub vlan: Option<u16>,
    /// Addresses that DHCP gives to nodes without one of their own, `10.1.251.1-10.1.251.250`.
    pub pool: Option<String>,
}

/// `[links.NAME]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Link {
    /// Bytes; 1500 unless said.
    pub mtu: Option<u32>,
    /// The networks that may be on it.
    pub networks: Vec<String>,
    /// Whether it carries tagged networks (802.1Q).
    pub trunk: bool,
    /// Several cables as one.
    pub bond: Option<Bond>,
}

/// `[links.NAME.bond]`, in the words of the kernel's bonding driver.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bond {
    /// `802.3ad`, `active-backup`, …
    pub mode: String,
    /// `layer3+4`, …
    pub xmit_hash_policy: Option<String>,
    /// `slow` or `fast`.
    pub lacp_rate: Option<String>,
    /// Milliseconds.
    pub miimon: Option<u32>,
    /// Milliseconds.
    pub updelay: Option<u32>,
    /// Milliseconds.
    pub downdelay: Option<u32>,
    /// An interface.
    pub primary: Option<String>,
}

/// `[images.NAME]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Image {
    /// A file below `server.files`, or a URL.
    pub kernel: String,
    /// The same.
    pub initramfs: String,
    /// Of its kernel.
    pub cmdline: String,
    /// The image file itself, where this server can read it: only checks look at it.
    pub disk: Option<PathBuf>,
    /// What it puts into the boot plan: `luks`, `overlay`, …
    pub plan: toml::Table,
}

/// `[servers.NAME]`: an iSCSI server.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Storage {
    /// `HOST[:PORT]`
    pub portals: Vec<String>,
    /// The target of an image is this and the image's name.
    pub target_prefix: String,
    /// What it puts into the boot plan: `iscsi.auth`, …
    pub plan: toml::Table,
}

/// What defaults, a profile, a group or nodes say. All of it may be left out.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Layer {
    /// A key of `[profiles]`; a profile has none.
    pub profile: Option<String>,
    /// A key of `[images]`.
    pub image: Option<String>,
    /// Keys of `[servers]`.
    pub servers: Option<Vec<String>>,
    /// What nodes do when nobody has said otherwise.
    pub action: Option<Action>,
    /// Words of the kernel command line: each replaces those of the same name.
    pub cmdline: Option<String>,
    /// Whether `ip=` comes from iPXE's own lease.
    pub static_ip: Option<bool>,
    /// Of a node, `256G`.
    pub memory: Option<String>,
    /// A part of the boot plan; `${node}` and `${image}` are replaced in its strings.
    pub plan: toml::Table,
}

/// `[groups.NAME]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Group {
    /// A node set.
    pub nodes: String,
    /// What they have in common.
    #[serde(flatten)]
    pub layer: Layer,
}

/// `[[nodes]]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Nodes {
    /// A node set.
    pub names: String,
    /// The system UUIDs: one, or as many as there are nodes.
    pub uuid: Option<String>,
    /// By name.
    pub interfaces: BTreeMap<String, Interfaces>,
    /// What they have in common.
    #[serde(flatten)]
    pub layer: Layer,
}

/// `[nodes.interfaces.NAME]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Interfaces {
    /// MACs: one, or a file in the format of ethers(5) is named in `ethers`.
    pub mac: Option<String>,
    /// A file in the format of ethers(5).
    pub ethers: Option<PathBuf>,
    /// A key of `[links]`.
    pub link: Option<String>,
    /// A key of `[networks]` each, with the address: folded as the names are, `10.1.1.[1-100]`, or `dhcp`.
    pub networks: BTreeMap<String, String>,
}

/// What a node is to do when it asks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Boot its image.
    #[default]
    Boot,
    /// Boot, and stop in the initramfs before the switch to the new root.
    Trap,
    /// Boot into the initramfs's emergency shell, with nothing done.
    Rescue,
    /// Boot from its own disk.
    Local,
}
