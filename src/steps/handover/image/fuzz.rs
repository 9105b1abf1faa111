//! Fuzz targets of this folder; see [`crate::fuzz`].

use super::device::{self, Presence};
use super::{Edited, crypttab as tab, fstab as table, native};

/// Some device of each kind.
fn presence(spec: &str) -> Presence {
    match device::path(spec).map(|path| path.len() % 3) {
        None => Presence::NoDevice,
        Some(0) => Presence::Absent,
        Some(1) => Presence::OfRoot,
        Some(_) => Presence::There,
    }
}

/// All that was there is there still, and what was made of it stays as it is.
fn settles(edited: &Edited, again: Edited, data: &[u8]) {
    assert!(edited.bytes.len() >= data.len());
    assert_eq!(&again.bytes, &edited.bytes);
    assert!(again.changes.is_empty(), "{:?}", again.changes);
}

/// The image's fstab.
pub fn fstab(data: &[u8]) {
    let facts = table::Facts { mounted: &["/", "/var"], device: &presence };
    let edited = table::rewrite(data, &facts);
    settles(&edited, table::rewrite(&edited.bytes, &facts), data);
}

/// The image's crypttab.
pub fn crypttab(data: &[u8]) {
    let edited = tab::rewrite(data, &presence);
    settles(&edited, tab::rewrite(&edited.bytes, &presence), data);
    let _ = tab::makes(data, "/dev/mapper/a");
}

/// A mount of the image's, as a unit.
pub fn mount_unit(data: &[u8]) {
    let _ = native::why_it_goes(&String::from_utf8_lossy(data), &["/", "/var"], &presence);
}
