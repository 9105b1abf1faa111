//! Fuzz targets of this folder; see [`crate::fuzz`].

use super::probe::probe;
use super::utab::{Entry, marked};
use crate::steps::zram;

/// The first bytes of a device.
pub fn superblock(data: &[u8]) {
    let _ = probe(data);
    zram::fuzz::superblock(data);
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
