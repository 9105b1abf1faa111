//! Fuzz targets of this folder; see [`crate::fuzz`].

use super::probe::probe;
use super::utab::{Entry, marked};
use super::{journal, xfs_log};
use crate::steps::volumes::fuzz::Bytes;
use crate::steps::zram;

/// The first bytes of a device, of whatever type they are said to be.
pub fn superblock(data: &[u8]) {
    let found = probe(data);
    for kind in ["ext4", "xfs", "btrfs"].into_iter().chain(found) {
        let _ = journal::unclean(kind, data, &Bytes(data));
    }
    zram::fuzz::superblock(data);
}

/// A log of XFS, as long as `data`, with whole blocks.
pub fn xfs_log(data: &[u8]) {
    let blocks = u32::try_from(data.len() / 512).unwrap_or(u32::MAX);
    assert!(xfs_log::is_dirty(&Bytes(data), xfs_log::Log { offset: 0, blocks }).is_ok());
}

/// /proc/self/mountinfo.
pub fn mountinfo(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    assert!(super::mountinfo::parse(&text).len() <= text.lines().count());
}

/// libmount's table.
pub fn utab(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let entry = |source: &str, target: &str| Entry { source: source.into(), target: target.into() };
    let entries = [entry("overlay", "/"), entry("/dev/mapper/luks_root1", "/run/diskless/lower/root")];
    if let Some(table) = marked(&text, &entries) {
        assert_eq!(marked(&table, &entries), None, "{table:?}");
    }
}
