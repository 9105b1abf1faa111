//! The LUKS1 header: 592 bytes at the start of the disk, and what they say (LUKS1 on-disk format specification 1.2.3,
//! chapter 4, figures 4 to 6).

use std::io::{Read, Seek};

use crate::error::{Code, Error, Result};

use super::af::STRIPES;
use super::bytes::{PRIMARY, be16, be32, is_uuid, read_at, text};
use super::cipher::{Cipher, SECTOR};
use super::hash::Hash;
use super::kdf::{Kdf, MOST_ITERATIONS};
use super::metadata::{Digest, Keyslot, Metadata, Priority, Segment, Size};

/// The header's size in bytes.
pub const SIZE: usize = 592;
/// How many keyslots there are.
const KEYSLOTS: u32 = 8;
const KEYSLOTS_AT: usize = 208;
const KEYSLOT: usize = 48;
/// The mark of a keyslot in use. Any other says that it is not.
const ENABLED: u32 = 0x00ac_71f3;

/// The header as it is written, nothing judged yet but that it is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The name of the cipher and that of its mode: `aes`, `xts-plain64`.
    pub cipher: (String, String),
    /// The hash of keyslots, their stripes and the digest.
    pub hash: String,
    /// Where the data starts, in sectors of 512 bytes; 0 in a detached header of a whole disk.
    pub payload: u32,
    /// The volume key's size, in bytes.
    pub key_size: u32,
    /// What the volume key must give.
    pub digest: [u8; 20],
    /// The digest's salt.
    pub salt: [u8; 32],
    /// The digest's rounds.
    pub iterations: u32,
    /// The UUID in its usual form, 36 characters.
    pub uuid: String,
    /// The keyslots, by number.
    pub keyslots: Vec<(u32, Slot)>,
}

impl Header {
    /// The keyslots in use.
    pub fn in_use(&self) -> impl Iterator<Item = &(u32, Slot)> {
        self.keyslots.iter().filter(|(_, slot)| slot.in_use)
    }
}

/// A keyslot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// There is a key in it.
    pub in_use: bool,
    /// The rounds of its PBKDF2.
    pub iterations: u32,
    /// Its salt.
    pub salt: [u8; 32],
    /// Where its stripes are, in sectors of 512 bytes.
    pub material: u32,
    /// How many there are.
    pub stripes: u32,
}

/// Reads the header of `disk`. `name` is the disk's, for errors.
///
/// # Errors
/// [`Code::LuksHeader`]: it is no whole LUKS1 header. [`Code::Io`].
pub fn read(disk: &mut (impl Read + Seek), name: &str) -> Result<Header> {
    let mut bytes = [0; SIZE];
    let header = match read_at(disk, name, 0, &mut bytes)? {
        true => parse(&bytes),
        false => Err("the disk ends within it".into()),
    };
    header.map_err(|what| broken(name, what))
}

fn broken(name: &str, what: String) -> Error {
    Error::new(Code::LuksHeader, name).because(what)
}

/// The header that `bytes` begin with. Pure.
///
/// # Errors
/// What is wrong with it. LUKS1 has no checksum over its header, so only what can be none is found.
pub fn parse(bytes: &[u8]) -> std::result::Result<Header, String> {
    let cut = || "it is cut".to_owned();
    if !bytes.starts_with(PRIMARY) || be16(bytes, 6) != Some(1) {
        return Err("nothing on it looks like one".into());
    }
    let word = |at, what: &str| text(bytes, at, 32).ok_or_else(|| format!("its {what} has no name"));
    let number = |at| be32(bytes, at).ok_or_else(cut);
    let mut keyslots = Vec::new();
    for (id, at) in (0..KEYSLOTS).zip((KEYSLOTS_AT..).step_by(KEYSLOT)) {
        keyslots.push((
            id,
            Slot {
                in_use: number(at)? == ENABLED,
                iterations: number(at + 4)?,
                salt: field(bytes, at + 8).ok_or_else(cut)?,
                material: number(at + 40)?,
                stripes: number(at + 44)?,
            },
        ));
    }
    Ok(Header {
        cipher: (word(8, "cipher")?, word(40, "cipher's mode")?),
        hash: word(72, "hash")?,
        payload: number(104)?,
        key_size: number(108)?,
        digest: field(bytes, 112).ok_or_else(cut)?,
        salt: field(bytes, 132).ok_or_else(cut)?,
        iterations: number(164)?,
        uuid: text(bytes, 168, 40).filter(|uuid| is_uuid(uuid)).ok_or("it has no UUID")?,
        keyslots,
    })
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// The cipher with its mode, in one word as LUKS2 has it: `aes-xts-plain64`.
pub fn cipher(header: &Header) -> String {
    let (cipher, mode) = &header.cipher;
    format!("{cipher}-{mode}")
}

/// What `header`, which is of the disk `name`, says. Pure.
///
/// # Errors
/// [`Code::LuksHeader`]: it breaks the format. [`Code::LuksUnsupported`]: it asks for something that is not done
/// here; the cause names it. A keyslot with costs out of bounds is no error: it is skipped.
pub fn metadata(header: &Header, name: &str) -> Result<Metadata> {
    let unsupported = |what: String| Error::new(Code::LuksUnsupported, name).because(what);
    let cipher = Cipher::from_name(&cipher(header)).map_err(unsupported)?;
    let hash = Hash::from_name(&header.hash).map_err(unsupported)?;
    let key_size = header.key_size as usize;
    if !cipher.takes_key_of(key_size) {
        return Err(unsupported(format!("{} with a key of {key_size} bytes", cipher.name())));
    }
    if !(1..=MOST_ITERATIONS).contains(&header.iterations) {
        return Err(broken(name, format!("its digest has {} iterations", header.iterations)));
    }
    let mut keyslots = std::collections::BTreeMap::new();
    let mut skipped = std::collections::BTreeMap::new();
    for (id, slot) in &header.keyslots {
        // There is no checksum: one bad keyslot, in use or not, says that this is not what cryptsetup wrote.
        let place = area(slot, header.payload, key_size)
            .map_err(|what| broken(name, format!("keyslot {id}: {what}")))?;
        let kdf = Kdf::Pbkdf2 { hash, iterations: slot.iterations, salt: slot.salt.to_vec() };
        let excess = if slot.iterations == 0 { Some("no iterations".into()) } else { kdf.excess() };
        match excess {
            _ if !slot.in_use => (),
            Some(excess) => _ = skipped.insert(*id, excess),
            None => {
                let keyslot = Keyslot {
                    priority: Priority::Normal,
                    key_size,
                    af_hash: hash,
                    area_offset: place.0,
                    area_size: place.1,
                    cipher,
                    area_key_size: key_size,
                    kdf,
                };
                keyslots.insert(*id, keyslot);
            }
        }
    }
    let digest = Digest {
        keyslots: (0..KEYSLOTS).collect(),
        hash,
        iterations: header.iterations,
        salt: header.salt.to_vec(),
        digest: header.digest.to_vec(),
    };
    Ok(Metadata {
        keyslots,
        skipped,
        digests: [(0, digest)].into(),
        segment: Segment {
            id: 0,
            offset: u64::from(header.payload) * SECTOR as u64,
            size: Size::Dynamic,
            iv_tweak: 0,
            sector_size: SECTOR as u32,
            cipher,
        },
        flags: Vec::new(),
    })
}

/// Where the stripes of a keyslot are and how many bytes they have, whole sectors.
fn area(slot: &Slot, payload: u32, key_size: usize) -> std::result::Result<(u64, usize), String> {
    if slot.stripes != STRIPES as u32 {
        return Err(format!("{} stripes", slot.stripes));
    }
    // A key of 64 bytes at most, so 250 KiB.
    let size = (key_size * STRIPES).next_multiple_of(SECTOR);
    let offset = u64::from(slot.material) * SECTOR as u64;
    // Behind a detached header of a whole disk there is no data.
    let end = if payload == 0 { u64::MAX } else { u64::from(payload) * SECTOR as u64 };
    if offset < SIZE as u64 || offset + size as u64 > end {
        return Err(format!("its area at sector {} is out of the header", slot.material));
    }
    Ok((offset, size))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::super::fixture::{UUID, luks1};
    use super::*;

    fn metadata_of(bytes: &[u8]) -> Result<Metadata> {
        metadata(&read(&mut Cursor::new(bytes), "disk sda")?, "disk sda")
    }

    /// The fixture with `by` at `at`.
    fn with(at: usize, by: &[u8]) -> Vec<u8> {
        let mut bytes = luks1();
        bytes[at..at + by.len()].copy_from_slice(by);
        bytes
    }

    #[test]
    fn a_header_is_read() {
        let header = parse(&luks1()).unwrap();
        assert_eq!((header.uuid.as_str(), cipher(&header).as_str()), (UUID, "aes-cbc-essiv:sha256"));
        let metadata = metadata(&header, "disk sda").unwrap();
        assert_eq!(
            metadata.segment,
            Segment {
                id: 0,
                offset: 4096 * 512,
                size: Size::Dynamic,
                iv_tweak: 0,
                sector_size: 512,
                cipher: Cipher::AesCbcEssivSha256,
            }
        );
        let keyslot = &metadata.keyslots[&0];
        assert_eq!((keyslot.area_offset, keyslot.area_size, keyslot.key_size), (4096, 128_000, 32));
        assert_eq!(metadata.keyslots.len(), 1);
        assert!(metadata.skipped.is_empty());
    }

    #[test]
    fn what_is_not_done_here_is_refused_by_name() {
        for (at, by, name) in [
            (8, &b"serpent\0"[..], "cipher \"serpent-cbc-essiv:sha256\""),
            (40, b"ecb\0", "cipher \"aes-ecb\""),
            (72, b"whirlpool\0", "hash \"whirlpool\""),
            (108, &[0, 0, 0, 48], "with a key of 48 bytes"),
            (108, &[255; 4], "with a key of 4294967295 bytes"),
        ] {
            let error = metadata_of(&with(at, by)).unwrap_err();
            assert_eq!(error.code(), Code::LuksUnsupported, "{name}");
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn what_breaks_the_format_is_refused() {
        for (at, by, what) in [
            (0, &b"KULS"[..], "nothing on it looks like one"),
            (8, &[b'a'; 32], "its cipher has no name"),
            (164, &[0; 4], "its digest has 0 iterations"),
            (164, &[255; 4], "its digest has 4294967295 iterations"),
            (168, b"../..", "it has no UUID"),
            (KEYSLOTS_AT + 40, &[0, 0, 0, 1], "keyslot 0: its area at sector 1 is out of the header"),
            (KEYSLOTS_AT + 40, &[0, 0, 15, 200], "keyslot 0: its area at sector 4040 is out of the header"),
            (KEYSLOTS_AT + 40, &[255; 4], "keyslot 0: its area at sector 4294967295 is out of the header"),
            (KEYSLOTS_AT + 44, &[0, 0, 0, 1], "keyslot 0: 1 stripes"),
            (KEYSLOTS_AT + 7 * KEYSLOT + 44, &[0; 4], "keyslot 7: 0 stripes"),
        ] {
            let error = metadata_of(&with(at, by)).unwrap_err();
            assert_eq!(error.code(), Code::LuksHeader, "{what}");
            assert!(error.to_string().ends_with(what), "{error}");
        }
        let error = metadata_of(&luks1()[..SIZE - 1]).unwrap_err();
        assert!(error.to_string().ends_with("the disk ends within it"), "{error}");
    }

    #[test]
    fn a_keyslot_that_cannot_be_used_is_skipped_with_its_reason() {
        let at = KEYSLOTS_AT;
        for (by, why) in [([0; 4], "no iterations"), ([255; 4], "4294967295 iterations")] {
            assert_eq!(metadata_of(&with(at + 4, &by)).unwrap().skipped[&0], why);
        }
        let metadata = metadata_of(&with(at, &[0; 4])).unwrap();
        assert!(metadata.keyslots.is_empty() && metadata.skipped.is_empty());
        // A detached header has no data behind it.
        let mut detached = with(at + 40, &[0, 0, 15, 200]);
        detached[104..108].fill(0);
        assert_eq!(metadata_of(&detached).unwrap().keyslots[&0].area_offset, 4040 * 512);
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..700)) {
            let mut bytes = bytes;
            let _ = metadata_of(&bytes);
            for (byte, good) in bytes.iter_mut().zip(b"LUKS\xba\xbe\0\x01") {
                *byte = *good;
            }
            let _ = metadata_of(&bytes);
        }

        #[test]
        fn no_mutation_goes_out_of_bounds(
            at in 8usize..SIZE,
            by in prop::collection::vec(any::<u8>(), 1..40),
        ) {
            let mut bytes = luks1();
            let end = (at + by.len()).min(SIZE);
            bytes[at..end].copy_from_slice(&by[..end - at]);
            if let Ok(metadata) = metadata_of(&bytes) {
                for keyslot in metadata.keyslots.values() {
                    prop_assert!(keyslot.cipher.takes_key_of(keyslot.area_key_size));
                    prop_assert!(keyslot.area_size <= 64 * STRIPES && keyslot.kdf.excess().is_none());
                }
            }
        }
    }
}
