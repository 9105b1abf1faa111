//! Fuzz targets of this folder; see [`crate::fuzz`].

use super::observe::{self, Figures};
use super::{template, xfs};

/// What is on the memory disk.
pub fn superblock(data: &[u8]) {
    let _ = template::blocks(data);
    let _ = xfs::is_ours(data);
}

/// What sysfs says of a disk.
pub fn sysfs(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = (Figures::parse(&text), observe::in_use(&text), observe::algorithms(&text));
}
