//! Fuzz targets of this folder; see [`crate::fuzz`].

use super::identify::luks_uuid;
use super::table::{Layout, states};
use super::wwid::wwid;

/// VPD pages: 0x83, and behind it 0x80.
pub fn pages(data: &[u8]) {
    let length =
        data.get(2..4).map_or(0, |bytes| bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)));
    let (page_83, page_80) = data.split_at_checked(length + 4).unwrap_or((data, &[]));
    if let Some(wwid) = wwid(Some(page_83), Some(page_80), "IET", "VIRTUAL-DISK") {
        // It becomes a map's name, and its UUID with `mpath-` before it.
        assert!(wwid.is_ascii() && !wwid.contains(['/', ' ']) && wwid.len() <= 121, "{wwid:?}");
    }
    let _ = luks_uuid(data);
}

/// What the kernel prints of a map.
pub fn table(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = states(&text);
    if let Some(layout) = Layout::parse(&text)
        && layout.handler.is_none()
        && !layout.groups.is_empty()
        && layout.groups.iter().all(|group| !group.is_empty())
    {
        assert_eq!(Layout::parse(&layout.params("service-time 0")), Some(layout));
    }
}
