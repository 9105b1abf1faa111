//! `site.toml`, as it is written. docs/site.md describes it; unknown members are refused.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
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
    /// Nodes that have something in common; in the order of the file, the last one wins.
    pub groups: IndexMap<String, Group>,
    /// Nodes, by node set; in the order of the file, the last one wins.
    pub nodes: Vec<Nodes>,
}

impl File {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// It is not TOML, or has a member that is unknown, missing, or of another type; the message says where.
    pub fn parse(text: &str) -> Result<File, String> {
        let read = toml::Deserializer::parse(text).map_err(|error| placed(text, None, &error))?;
        serde_path_to_error::deserialize(read)
            .map_err(|error| placed(text, Some(error.path().to_string()), error.inner()))
    }

    /// The same file with all its paths below `folder`, but those that are absolute.
    pub fn below(mut self, folder: &Path) -> File {
        let server = &mut self.server;
        if server.bundles.as_os_str().is_empty() {
            server.bundles = server.database.with_file_name("bundles");
        }
        let mut paths = vec![&mut server.database, &mut server.bundles];
        paths.extend(server.files.iter_mut().chain(&mut server.token_file).chain(&mut server.sign_key));
        let webhooks = self.webhooks.iter_mut();
        paths.extend(webhooks.flat_map(|webhook| webhook.token_file.iter_mut().chain(&mut webhook.ca_file)));
        paths.extend(self.images.values_mut().filter_map(|image| image.disk.as_mut()));
        let interfaces = self.nodes.iter_mut().flat_map(|nodes| nodes.interfaces.values_mut());
        paths.extend(interfaces.filter_map(|interface| interface.ethers.as_mut()));
        for path in paths {
            *path = folder.join(&path);
        }
        self
    }
}

/// An error with its line and member. What stands in that line is not quoted: it may be a secret.
fn placed(text: &str, member: Option<String>, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map(|before| format!("line {}: ", before.matches('\n').count() + 1));
    let member = member.filter(|member| member != ".").map(|member| format!("{member}: "));
    format!("{}{}{}", line.unwrap_or_default(), member.unwrap_or_default(), error.message())
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
    /// The folder of the bundles that nodes send; none: `bundles` beside the database.
    pub bundles: PathBuf,
    /// A bundle has no more MiB.
    pub bundle_mib: u32,
    /// So many bundles of a node are kept, the newest ones; at least one.
    pub bundles_of_node: u32,
    /// The folder of kernels and initramfs, served below `/files/`; none: they are elsewhere.
    pub files: Option<PathBuf>,
    /// The file with the operators' token; none: operators' calls are refused.
    pub token_file: Option<PathBuf>,
    /// Whether `/metrics` is for everybody; else it needs the operators' token.
    pub metrics_open: bool,
    /// A node that is on its way and says nothing for so long is silent: `90s`, `3m`.
    pub silent_after: String,
    /// Networks whose addresses may have boot plans, `10.1.0.0/16`; none: the site's own. An empty list lets everybody.
    pub plans_from: Option<Vec<String>>,
    /// The secret key that boot plans are signed with; none: they are not.
    pub sign_key: Option<PathBuf>,
    /// For how long a signed plan is valid: `24h`, `7d`.
    pub sign_for: String,
    /// Where nodes phone home.
    pub paths: Paths,
}

impl Default for Server {
    fn default() -> Server {
        Server {
            listen: vec!["[::]:32001".to_owned()],
            url: String::new(),
            database: PathBuf::from("disklessd.db"),
            bundles: PathBuf::new(),
            bundle_mib: 16,
            bundles_of_node: 10,
            files: None,
            token_file: None,
            metrics_open: false,
            silent_after: "3m".to_owned(),
            plans_from: None,
            sign_key: None,
            sign_for: "24h".to_owned(),
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
    /// The file with the CAs, in PEM form, that the server of an `https` URL is checked by.
    pub ca_file: Option<PathBuf>,
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
    pub plan: Part,
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
    pub plan: Part,
}

/// Declares what tables of the file are layers. Not by serde's `flatten`: of what is flattened an error has no place in
/// the file, and no member is refused.
macro_rules! layers {
    ($($(#[$doc:meta])* $member:ident: $type:ty,)*) => {
        /// What defaults, a profile, a group or nodes say. All of it may be left out.
        #[derive(Debug, Clone, Default, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct Layer { $($(#[$doc])* pub $member: $type,)* }

        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct GroupTable {
            nodes: String,
            $(#[serde(default)] $member: $type,)*
        }

        impl From<GroupTable> for Group {
            fn from(table: GroupTable) -> Group {
                Group { nodes: table.nodes, layer: Layer { $($member: table.$member,)* } }
            }
        }

        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct NodesTable {
            names: String,
            uuid: Option<String>,
            #[serde(default)]
            interfaces: BTreeMap<String, Interfaces>,
            $(#[serde(default)] $member: $type,)*
        }

        impl From<NodesTable> for Nodes {
            fn from(table: NodesTable) -> Nodes {
                let NodesTable { names, uuid, interfaces, .. } = table;
                Nodes { names, uuid, interfaces, layer: Layer { $($member: table.$member,)* } }
            }
        }
    };
}

layers! {
    /// A key of `[profiles]`; a profile has none.
    profile: Option<String>,
    /// A key of `[images]`.
    image: Option<String>,
    /// Keys of `[servers]`.
    servers: Option<Vec<String>>,
    /// What nodes do when nobody has said otherwise.
    action: Option<Action>,
    /// Words of the kernel command line: each replaces those of the same name.
    cmdline: Option<String>,
    /// Whether `ip=` comes from iPXE's own lease.
    static_ip: Option<bool>,
    /// Of a node, `256G`.
    memory: Option<String>,
    /// A part of the boot plan.
    plan: Part,
}

/// `[groups.NAME]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(from = "GroupTable")]
pub struct Group {
    /// A node set.
    pub nodes: String,
    /// What they have in common.
    pub layer: Layer,
}

/// `[[nodes]]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(from = "NodesTable")]
pub struct Nodes {
    /// A node set.
    pub names: String,
    /// The system UUIDs: one, or as many as there are nodes.
    pub uuid: Option<String>,
    /// By name.
    pub interfaces: BTreeMap<String, Interfaces>,
    /// What they have in common.
    pub layer: Layer,
}

/// A part of a boot plan, with variables in its strings ([`super::variables`]). It may hold secrets: `Debug` shows no
/// values.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct Part(pub toml::Table);

impl Deref for Part {
    type Target = toml::Table;

    fn deref(&self) -> &toml::Table {
        &self.0
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// `[nodes.interfaces.NAME]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Interfaces {
    /// The MACs: one, or as many as there are nodes.
    pub mac: Option<String>,
    /// A file in the format of ethers(5), for nodes without `mac`.
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
