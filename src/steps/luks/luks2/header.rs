//! The two copies of the LUKS2 header: where they are, which one is whole, which one holds
//! (LUKS2 on-disk format specification 1.1, chapter 2).

use std::fmt;
use std::io::{Read, Seek};

use crate::error::{Code, Error, Result};

use super::super::bytes::{PRIMARY, be16, be64, is_uuid, read_at, text};
use super::super::hash::Hash;

/// The binary part, before the JSON text, in bytes.
pub const BINARY: usize = 4096;
/// The sizes a copy of the header may have, binary part and JSON area together. The second copy follows the first,
/// so these are also the places where it may be (table 1).
pub const SIZES: [u64; 9] =
    [0x4000, 0x8000, 0x1_0000, 0x2_0000, 0x4_0000, 0x8_0000, 0x10_0000, 0x20_0000, 0x40_0000];
const SECONDARY: &[u8] = b"SKUL\xba\xbe";
const CHECKSUM_AT: usize = 448;
const CHECKSUM: usize = 64;

/// One whole copy of the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// Its place on the disk, in bytes; 0 for the primary one.
    pub offset: u64,
    /// Its size in bytes, one of [`SIZES`].
    pub size: u64,
    /// Counts the changes of the header.
    pub sequence: u64,
    /// The UUID in its usual form, 36 characters.
    pub uuid: String,
    /// The name a person gave it; empty if none did.
    pub label: String,
    /// A second such name.
    pub subsystem: String,
    /// The JSON area up to its first NUL.
    pub json: Vec<u8>,
}

/// The header of a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The copy that holds.
    pub copy: Copy,
    /// What is wrong with the other one, if it matters, in words for a person.
    pub note: Option<String>,
}

/// Why there is no copy of the header in a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Damage {
    /// Nothing there looks like one.
    Absent,
    /// It is of another version of LUKS.
    Version(u16),
    /// It looks like one, and this is wrong with it.
    Broken(String),
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Damage::Absent => f.write_str("is not there"),
            Damage::Version(version) => write!(f, "has version {version}"),
            Damage::Broken(what) => write!(f, "is damaged ({what})"),
        }
    }
}

/// Reads the header that holds: of two whole copies the one with the higher sequence number. `name` is the disk's,
/// for errors.
///
/// # Errors
/// [`Code::LuksHeader`]: no copy is whole. [`Code::LuksUnsupported`]: another version of LUKS. [`Code::Io`].
pub fn read(disk: &mut (impl Read + Seek), name: &str) -> Result<Header> {
    let primary = read_copy(disk, name, 0)?;
    if let Err(Damage::Version(version)) = primary {
        return Err(Error::new(Code::LuksUnsupported, name).because(format!("LUKS version {version}")));
    }
    let places = match &primary {
        Ok(primary) => vec![primary.size],
        Err(_) => SIZES.to_vec(),
    };
    let mut secondary = Err(Damage::Absent);
    for place in places {
        let found = read_copy(disk, name, place)?;
        // Of several places the first whole copy counts, and else the first that looks like one.
        if found.is_ok() || secondary == Err(Damage::Absent) {
            secondary = found;
        }
        if secondary.is_ok() {
            break;
        }
    }
    choose(name, primary, secondary)
}

fn choose(
    name: &str,
    primary: std::result::Result<Copy, Damage>,
    secondary: std::result::Result<Copy, Damage>,
) -> Result<Header> {
    match (primary, secondary) {
        (Ok(primary), Ok(secondary)) if secondary.sequence > primary.sequence => Ok(Header {
            copy: secondary,
            note: Some("the primary LUKS header is older than the secondary one, which is used".into()),
        }),
        (Ok(primary), Ok(_)) => Ok(Header { copy: primary, note: None }),
        (Ok(primary), Err(damage)) => {
            Ok(Header { copy: primary, note: Some(format!("the secondary LUKS header {damage}")) })
        }
        (Err(damage), Ok(secondary)) => Ok(Header {
            copy: secondary,
            note: Some(format!("the primary LUKS header {damage}; the secondary one is used")),
        }),
        (Err(Damage::Absent), Err(Damage::Absent)) => {
            Err(Error::new(Code::LuksHeader, name).because("nothing on it looks like one"))
        }
        (Err(primary), Err(secondary)) => Err(Error::new(Code::LuksHeader, name)
            .because(format!("the primary one {primary}, the secondary one {secondary}"))),
    }
}

/// Reads the copy at `offset`: first the binary part, which tells how much there is.
fn read_copy(
    disk: &mut (impl Read + Seek),
    name: &str,
    offset: u64,
) -> Result<std::result::Result<Copy, Damage>> {
    let mut bytes = vec![0u8; BINARY];
    if !read_at(disk, name, offset, &mut bytes)? {
        return Ok(Err(Damage::Absent));
    }
    let size = match size(&bytes, offset) {
        // At most 4 MiB, the last of SIZES.
        Ok(size) => usize::try_from(size).unwrap_or(BINARY),
        Err(damage) => return Ok(Err(damage)),
    };
    bytes.resize(size, 0);
    if !read_at(disk, name, offset, &mut bytes)? {
        return Ok(Err(Damage::Broken("the disk ends within it".into())));
    }
    Ok(parse(&bytes, offset))
}

/// The size of the copy that `bytes`, from `offset` of the disk, begin.
fn size(bytes: &[u8], offset: u64) -> std::result::Result<u64, Damage> {
    let magic = if offset == 0 { PRIMARY } else { SECONDARY };
    if !bytes.starts_with(magic) {
        return Err(Damage::Absent);
    }
    match be16(bytes, 6) {
        Some(2) => (),
        Some(version) => return Err(Damage::Version(version)),
        None => return Err(Damage::Absent),
    }
    let size = be64(bytes, 8).unwrap_or(0);
    if !SIZES.contains(&size) || (offset != 0 && offset != size) {
        return Err(Damage::Broken(format!("its size is {size}")));
    }
    Ok(size)
}

/// The copy in `bytes`, all of it, from `offset` of the disk. Pure.
///
/// # Errors
/// What is wrong with it; its checksum covers every byte.
pub fn parse(bytes: &[u8], offset: u64) -> std::result::Result<Copy, Damage> {
    let broken = |what: &str| Damage::Broken(what.into());
    let size = size(bytes, offset)?;
    let bytes =
        usize::try_from(size).ok().and_then(|size| bytes.get(..size)).ok_or_else(|| broken("it is cut"))?;
    let (binary, json) = bytes.split_at_checked(BINARY).ok_or_else(|| broken("it is cut"))?;
    if be64(binary, 256) != Some(offset) {
        return Err(broken("it is not in the place it names"));
    }
    let hash = text(binary, 72, 32).ok_or_else(|| broken("its checksum has no name"))?;
    let hash = Hash::from_name(&hash).map_err(|hash| Damage::Broken(format!("its checksum is of {hash}")))?;
    // The checksum is over everything, with zeros in its own place.
    let (before, rest) = binary.split_at_checked(CHECKSUM_AT).ok_or_else(|| broken("it is cut"))?;
    let (checksum, after) = rest.split_at_checked(CHECKSUM).ok_or_else(|| broken("it is cut"))?;
    let sum = hash.of(&[before, &[0; CHECKSUM], after, json]);
    if checksum.get(..hash.size()) != Some(sum.as_slice()) {
        return Err(broken("its checksum is wrong"));
    }
    let uuid = text(binary, 168, 40).filter(|uuid| is_uuid(uuid)).ok_or_else(|| broken("it has no UUID"))?;
    Ok(Copy {
        offset,
        size,
        sequence: be64(binary, 16).unwrap_or(0),
        uuid,
        // They are for people and for udev; what is no text there is no reason to stop a boot.
        label: text(binary, 24, 48).unwrap_or_default(),
        subsystem: text(binary, 208, 48).unwrap_or_default(),
        json: json.split(|byte| *byte == 0).next().unwrap_or_default().to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::super::super::fixture::{UUID, copy, disk};
    use super::*;

    fn read_disk(bytes: &[u8]) -> Result<Header> {
        read(&mut Cursor::new(bytes), "disk sda")
    }

    #[test]
    fn the_primary_copy_holds_when_both_are_whole() {
        let header = read_disk(&disk("{}", 3, 3)).unwrap();
        assert_eq!(header.note, None);
        assert_eq!(
            header.copy,
            Copy {
                offset: 0,
                size: 0x4000,
                sequence: 3,
                uuid: UUID.into(),
                label: String::new(),
                subsystem: String::new(),
                json: b"{}".to_vec()
            }
        );
    }

    #[test]
    fn the_newer_copy_holds() {
        let header = read_disk(&disk("{}", 3, 4)).unwrap();
        assert_eq!((header.copy.offset, header.copy.sequence), (0x4000, 4));
        assert!(header.note.unwrap().contains("older"));
    }

    #[test]
    fn a_damaged_primary_copy_is_replaced_and_said() {
        for at in [0, 7, 8, 20, 200, 300, 448, 5000] {
            let mut bytes = disk("{}", 3, 3);
            bytes[at] ^= 0x10;
            match read_disk(&bytes) {
                Ok(header) => {
                    assert_eq!(header.copy.offset, 0x4000, "byte {at}");
                    assert!(header.note.unwrap().starts_with("the primary LUKS header "), "byte {at}");
                }
                // Byte 7 is the version.
                Err(error) => assert_eq!((at, error.code()), (7, Code::LuksUnsupported)),
            }
        }
    }

    #[test]
    fn a_damaged_secondary_copy_is_said() {
        let mut bytes = disk("{}", 3, 3);
        bytes[0x4000 + 450] ^= 1;
        let header = read_disk(&bytes).unwrap();
        assert_eq!(header.copy.offset, 0);
        assert_eq!(
            header.note.as_deref(),
            Some("the secondary LUKS header is damaged (its checksum is wrong)")
        );
    }

    #[test]
    fn the_secondary_copy_is_found_in_each_of_its_places() {
        for size in SIZES {
            let mut bytes = vec![0; size as usize];
            bytes.extend(copy("{}", 1, size, size));
            let header = read_disk(&bytes).unwrap();
            assert_eq!(header.copy.offset, size);
        }
    }

    #[test]
    fn what_is_no_header_is_said() {
        for bytes in [vec![], vec![0; 100], vec![0; 0x9000]] {
            let error = read_disk(&bytes).unwrap_err();
            assert_eq!(error.code(), Code::LuksHeader);
            assert!(error.to_string().contains("nothing on it looks like one"), "{error}");
        }
        let mut both = disk("{}", 3, 3);
        both[300] ^= 1;
        both[0x4000 + 300] ^= 1;
        let error = read_disk(&both).unwrap_err();
        assert!(error.to_string().contains("its checksum is wrong"), "{error}");
    }

    #[test]
    fn other_versions_are_refused_by_name() {
        let mut bytes = vec![0; 0x9000];
        bytes[..6].copy_from_slice(PRIMARY);
        bytes[7] = 3;
        let error = read_disk(&bytes).unwrap_err();
        assert_eq!(error.code(), Code::LuksUnsupported);
        assert!(error.to_string().ends_with("LUKS version 3"), "{error}");
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..6000), offset in any::<u64>()) {
            let _ = parse(&bytes, offset);
            let _ = read_disk(&bytes);
        }

        #[test]
        fn nothing_under_a_right_checksum_is_too_strange(
            at in 0usize..BINARY,
            by in prop::collection::vec(any::<u8>(), 1..20),
            offset in prop_oneof![Just(0), Just(0x4000), any::<u64>()],
        ) {
            let mut bytes = copy("{}", 1, 0, 0x4000);
            let end = (at + by.len()).min(BINARY);
            bytes[at..end].copy_from_slice(&by[..end - at]);
            bytes[CHECKSUM_AT..CHECKSUM_AT + CHECKSUM].fill(0);
            let sum = Hash::Sha256.of(&[&bytes]);
            bytes[CHECKSUM_AT..CHECKSUM_AT + 32].copy_from_slice(&sum);
            if let Ok(copy) = parse(&bytes, offset) {
                prop_assert!(SIZES.contains(&copy.size) && is_uuid(&copy.uuid));
            }
            let _ = read_disk(&bytes);
        }

        #[test]
        fn no_changed_byte_goes_unseen(at in 0usize..0x4000, change in 1u8..) {
            let mut bytes = copy("{\"a\":1}", 1, 0, 0x4000);
            bytes[at] ^= change;
            // Behind the sha256 the checksum's field has 32 bytes that mean nothing.
            prop_assert!(parse(&bytes, 0).is_err() || (CHECKSUM_AT + 32..CHECKSUM_AT + 64).contains(&at));
        }
    }
}
