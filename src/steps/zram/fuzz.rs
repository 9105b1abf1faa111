//! Fuzz targets of this folder; see [`crate::fuzz`].

use super::{template, xfs};

/// What is on the memory disk.
pub fn superblock(data: &[u8]) {
    let _ = template::blocks(data);
    let _ = xfs::is_ours(data);
}
