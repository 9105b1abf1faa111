//! What is mounted.

use serde::Deserialize;

use crate::input::size::Size;

/// The smallest file system that mkfs.xfs makes since its version 5.19, in bytes.
pub const LEAST_XFS: u64 = 300 << 20;

/// The writable layer and what is mounted under it.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Overlay {
    /// The size of the writable layer: bytes (`"2147483648"`, `"2G"`) or a share of the memory (`"50%"`).
    #[serde(default = "half")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub size: Size,
    /// How the layer is compressed, in the kernel's words (`lzo-rle`, `zstd`, ...); none: as the kernel likes.
    pub algorithm: Option<String>,
    /// The memory that the layer may take, compressed; none: as much as there is.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub mem_limit: Option<Size>,
    /// The file system of the layer.
    #[serde(default)]
    pub fs: FileSystem,
    /// The mount points, in any order; one must be `/`.
    pub mounts: Vec<Mount>,
}

fn half() -> Size {
    Size::OfMemory(50)
}

/// The file system of the writable layer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum FileSystem {
    /// Made without a program.
    #[default]
    Ext4,
    /// Made by mkfs.xfs, which has to be in the initramfs.
    Xfs,
}

impl std::fmt::Display for FileSystem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            FileSystem::Ext4 => "ext4",
            FileSystem::Xfs => "xfs",
        })
    }
}

/// One overlay.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Mount {
    /// Where in the new root.
    pub at: String,
    /// The read-only device below: `/dev/mapper/luks_root1`.
    pub lower: String,
    /// Its file system; none: found out.
    pub fs: Option<String>,
    /// What becomes of it if it was not cleanly unmounted.
    #[serde(default)]
    pub unclean: Unclean,
}

/// What becomes of a file system that was not cleanly unmounted. Its journal cannot be replayed: nothing is written to
/// the image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Unclean {
    /// The boot stops.
    #[default]
    Refuse,
    /// It is mounted as it is: what is in the journal alone is missing, and what it would repair is not.
    Mount,
}
