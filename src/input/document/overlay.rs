//! What is mounted.

use serde::Deserialize;

use super::lower::Lowers;
use crate::input::size::Size;

/// The smallest file system that mkfs.xfs makes since its version 5.19, in bytes.
pub const LEAST_XFS: u64 = 300 << 20;
/// The smallest layer of any other kind, in bytes: twice what an empty ext4 takes.
pub const LEAST_LAYER: u64 = 16 << 20;
/// The percentages of a plan that has none.
const WATERMARKS: [u8; 3] = [70, 85, 95];

/// The writable layer and what is mounted under it.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Overlay {
    /// What the layer is in.
    #[serde(default)]
    pub backing: Backing,
    /// The size of the writable layer: bytes (`"2147483648"`, `"2G"`) or a share of the memory (`"50%"`); none: half of
    /// the memory.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub size: Option<Size>,
    /// How the layer is compressed, in the kernel's words (`lzo-rle`, `zstd`, ...); none: as the kernel likes.
    pub algorithm: Option<String>,
    /// The memory that the layer may take, compressed; none: as much as its size.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub mem_limit: Option<Size>,
    /// The layer may be larger than `mem_limit`, and than the node's memory: it is up to the data not to fill it.
    #[serde(default)]
    pub overcommit: bool,
    /// The file system of the layer, in zram; none: ext4.
    pub fs: Option<FileSystem>,
    /// Files that the layer can hold, in tmpfs; none: one for each 8 KiB.
    pub nr_inodes: Option<u64>,
    /// Percentages of the layer's space, inodes and memory that somebody is told of once they are passed.
    #[serde(default = "watermarks")]
    pub watermarks: Vec<u8>,
    /// The mount points, in any order; one must be `/`.
    pub mounts: Vec<Mount>,
}

fn watermarks() -> Vec<u8> {
    WATERMARKS.to_vec()
}

impl Overlay {
    /// `mounts` over a writable layer of which nothing else is said.
    pub fn over(mounts: Vec<Mount>) -> Overlay {
        Overlay {
            backing: Backing::Zram,
            size: None,
            algorithm: None,
            mem_limit: None,
            overcommit: false,
            fs: None,
            nr_inodes: None,
            watermarks: watermarks(),
            mounts,
        }
    }

    /// The size of the layer, before `mem_limit` is looked at.
    pub fn size(&self) -> Size {
        self.size.unwrap_or(Size::OfMemory(50))
    }
}

/// What the writable layer is in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Backing {
    /// A compressed disk in memory, with a file system on it.
    #[default]
    Zram,
    /// A file system in memory, not compressed; what is in it can be swapped out.
    Tmpfs,
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

impl FileSystem {
    /// The smallest layer with it, in bytes.
    pub fn least(self) -> u64 {
        match self {
            FileSystem::Ext4 => LEAST_LAYER,
            FileSystem::Xfs => LEAST_XFS,
        }
    }
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
    /// The read-only volume below, `/dev/mapper/luks_root1`, or several, the uppermost first.
    #[cfg_attr(test, schemars(with = "super::schema::Lowers"))]
    pub lower: Lowers,
    /// The file system of volumes that do not say their own; none: found out.
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
