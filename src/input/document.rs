//! The boot plan document: what a node is to boot. JSON, described for its writers in `docs/plan.md`.

use std::net::SocketAddr;

use serde::Deserialize;

use super::secret::Secret;

/// The boot plan of one node.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// `MAJOR.MINOR`; this agent knows major version 1.
    pub version: String,
    /// The node's name, for /etc/hostname of the new root.
    pub hostname: String,
    /// Where the disk is.
    pub iscsi: Iscsi,
    /// How it is opened.
    pub luks: Luks,
    /// What is mounted.
    pub overlay: Overlay,
}

/// The iSCSI disk.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Iscsi {
    /// This node's initiator name, its own alone.
    pub initiator: String,
    /// The target's name.
    pub target: String,
    /// `ADDRESS:PORT`, `[ADDRESS]:PORT` for IPv6. One, so far.
    pub portals: Vec<SocketAddr>,
    /// The LUN.
    #[serde(default)]
    pub lun: u64,
    /// The account at the target; none: no authentication.
    pub auth: Option<Chap>,
}

/// A CHAP account.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chap {
    /// The account's name.
    pub username: String,
    /// The account's secret.
    pub secret: Secret,
}

/// The encryption of the disk.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Luks {
    /// The map's name below /dev/mapper; its partitions are called NAME1, NAME2, ...
    #[serde(default = "luks_root")]
    pub name: String,
    /// Where the key is.
    pub key: KeySource,
}

fn luks_root() -> String {
    "luks_root".into()
}

/// Where a key is; its bytes are taken as they are, a newline at the end included.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum KeySource {
    /// A file in the initramfs.
    File(String),
    /// An HTTP URL.
    Url(String),
}

/// The writable layer and what is mounted under it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overlay {
    /// The size of the writable layer: bytes (`"2147483648"`, `"2G"`) or a share of the memory (`"50%"`).
    #[serde(default = "half")]
    pub size: String,
    /// The mount points, in any order; one must be `/`.
    pub mounts: Vec<Mount>,
}

fn half() -> String {
    "50%".into()
}

/// One overlay.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mount {
    /// Where in the new root.
    pub at: String,
    /// The read-only device below: `/dev/mapper/luks_root1`.
    pub lower: String,
    /// Its file system; none: found out.
    pub fs: Option<String>,
}
