//! Fuzz targets of this folder; see [`crate::fuzz`]. No key is derived: how long that takes is for the header to say.

use std::io::Cursor;

use super::af::STRIPES;
use super::describe::describe;
use super::hash::Hash;
use super::luks2::header::BINARY;
use super::table::map;
use super::volume::Volume;
use crate::sys::block::Disk;

/// The bytes of the binary part that are in use. So long is what stands before the JSON in the input of [`signed`].
const IN_USE: usize = 512;
/// Bytes of the copy that [`signed`] makes.
const SIZE: usize = 0x4000;

/// A disk, with a header of either version.
pub fn header(data: &[u8]) {
    open(data);
}

/// A LUKS2 header that was signed by whoever made it: the binary part, and behind it the JSON.
pub fn signed(data: &[u8]) {
    let (binary, json) = data.split_at_checked(IN_USE).unwrap_or((data, &[]));
    let mut bytes = vec![0; SIZE];
    put(&mut bytes, 0, binary);
    put(&mut bytes, BINARY, json);
    put(&mut bytes, 0, b"LUKS\xba\xbe\x00\x02");
    put(&mut bytes, 8, &(SIZE as u64).to_be_bytes());
    // Of the primary copy, and a check sum of this kind.
    put(&mut bytes, 256, &[0; 8]);
    put(&mut bytes, 72, b"sha256\0");
    put(&mut bytes, 448, &[0; 64]);
    let sum = Hash::Sha256.of(&[&bytes]);
    put(&mut bytes, 448, &sum);
    open(&bytes);
}

fn put(bytes: &mut [u8], at: usize, data: &[u8]) {
    for (to, from) in bytes.iter_mut().skip(at).zip(data) {
        *to = *from;
    }
}

fn open(disk: &[u8]) {
    let described = describe(&mut Cursor::new(disk), "disk sda");
    let Ok(volume) = Volume::read(&mut Cursor::new(disk), "disk sda") else { return };
    // What can be opened can be shown.
    assert!(described.is_ok_and(|described| described.problem.is_none()));
    let _ = volume.check_place(false);
    for keyslot in volume.candidates(None) {
        assert!(volume.metadata.keyslots.contains_key(&keyslot));
    }
    for keyslot in volume.metadata.keyslots.values() {
        assert!(keyslot.kdf.excess().is_none() && keyslot.key_size * STRIPES <= keyslot.area_size);
        assert!(keyslot.area_size <= 1 << 21 && keyslot.cipher.takes_key_of(keyslot.area_key_size));
    }
    let disk = Disk { name: "sda".into(), dev: (8, 0), sectors: 1 << 20 };
    if let Ok(map) = map("luks_root", &volume, 0, 64, &disk) {
        assert!(map.uuid.len() <= 128 && !map.uuid.contains(char::is_whitespace));
        for target in map.table {
            assert!(target.length <= disk.sectors && !target.params.contains(['\n', '\0']));
        }
    }
}
