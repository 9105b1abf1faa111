//! Whether two LUNs are paths to one disk.
//!
//! By their WWID they are what their servers say. By the UUID in their LUKS header they might be two images made from
//! one: so their size, their headers and some of their blocks must be the same, too.

use std::io;
use std::os::unix::fs::FileExt;

use sha2::{Digest, Sha256};

/// The first bytes of a disk, in which both copies of a LUKS2 header of the usual size are.
const HEADER: u64 = 64 * 1024;
/// Bytes of each other sample.
const BLOCK: u64 = 4096;
/// How many samples there are besides the header, the last block among them.
const SAMPLES: u64 = 8;
/// Where both versions of LUKS have the UUID, and its room.
const UUID: std::ops::Range<usize> = 168..208;

/// What a path says of its disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its WWID or, where that is not what the plan goes by, the UUID of its LUKS header.
    pub wwid: String,
    /// Its size in sectors of 512 bytes.
    pub sectors: u64,
    /// What was read of it; none: the WWID is enough.
    pub samples: Option<Samples>,
}

/// Digests of parts of a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Samples {
    header: [u8; 32],
    /// First byte of each block, and its digest.
    blocks: Vec<(u64, [u8; 32])>,
}

/// Reads the UUID of the LUKS header in `disk`, which has `sectors` of 512 bytes, and the samples.
///
/// # Errors
/// It cannot be read, or has no LUKS header.
pub fn read(disk: &impl FileExt, sectors: u64) -> io::Result<(String, Samples)> {
    let size = sectors.saturating_mul(512);
    let mut header = vec![0; usize::try_from(HEADER.min(size)).unwrap_or_default()];
    disk.read_exact_at(&mut header, 0)?;
    let uuid = luks_uuid(&header).ok_or_else(|| io::Error::other("it has no LUKS header with a UUID"))?;
    let mut block = [0; BLOCK as usize];
    let mut blocks = Vec::new();
    for start in starts(size) {
        disk.read_exact_at(&mut block, start)?;
        blocks.push((start, Sha256::digest(block).into()));
    }
    Ok((uuid, Samples { header: Sha256::digest(&header).into(), blocks }))
}

/// Where the blocks begin: evenly over the disk, the last one at its end.
fn starts(size: u64) -> Vec<u64> {
    let Some(last) = size.checked_sub(BLOCK) else {
        return Vec::new();
    };
    // No block lies across the border of sectors.
    (1..=SAMPLES)
        .map(|i| (u128::from(last) * u128::from(i) / u128::from(SAMPLES)) as u64 / 512 * 512)
        .collect()
}

/// The UUID of a LUKS header, of either version: both have it in the same place.
pub fn luks_uuid(header: &[u8]) -> Option<String> {
    let version = header.strip_prefix(b"LUKS\xba\xbe")?.first_chunk::<2>()?;
    if !matches!(u16::from_be_bytes(*version), 1 | 2) {
        return None;
    }
    let field = header.get(UUID)?;
    let end = field.iter().position(|byte| *byte == 0)?;
    let uuid = std::str::from_utf8(field.get(..end)?).ok()?;
    let is_uuid = !uuid.is_empty() && uuid.bytes().all(|c| c.is_ascii_hexdigit() || c == b'-');
    is_uuid.then(|| uuid.to_owned())
}

/// What differs between two paths that cannot lead to one disk; none: they can.
pub fn difference(one: &Identity, other: &Identity) -> Option<String> {
    if one.wwid != other.wwid {
        let what = if one.samples.is_some() { "LUKS UUIDs" } else { "WWIDs" };
        return Some(format!("they have different {what}, {} and {}", one.wwid, other.wwid));
    }
    if one.sectors != other.sectors {
        let sizes = format!("{} and {} sectors", one.sectors, other.sectors);
        return Some(format!("both are {}, but of {sizes}", one.wwid));
    }
    let (one_samples, other_samples) = (one.samples.as_ref()?, other.samples.as_ref()?);
    let part = if one_samples.header == other_samples.header {
        let mut pairs = one_samples.blocks.iter().zip(&other_samples.blocks);
        let ((start, _), _) = pairs.find(|(one, other)| one != other)?;
        format!("the blocks at byte {start}")
    } else {
        "the LUKS headers".into()
    };
    Some(format!("both have the LUKS UUID {}, but {part} differ", one.wwid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const UUID_TEXT: &str = "01234567-89ab-cdef-0123-456789abcdef";

    fn image(version: u16, size: usize) -> Vec<u8> {
        let mut bytes = vec![7; size];
        bytes[..6].copy_from_slice(b"LUKS\xba\xbe");
        bytes[6..8].copy_from_slice(&version.to_be_bytes());
        bytes[UUID].fill(0);
        bytes[UUID.start..UUID.start + 36].copy_from_slice(UUID_TEXT.as_bytes());
        bytes
    }

    fn identity(bytes: &[u8]) -> io::Result<Identity> {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(bytes, 0).unwrap();
        let sectors = bytes.len() as u64 / 512;
        let (wwid, samples) = read(&file, sectors)?;
        Ok(Identity { wwid, sectors, samples: Some(samples) })
    }

    #[test]
    fn the_uuid_stands_where_luks_has_it() {
        for version in [1, 2] {
            assert_eq!(identity(&image(version, 1 << 20)).unwrap().wwid, UUID_TEXT);
        }
        for broken in [image(3, 1 << 20), vec![0; 1 << 20], vec![], image(2, 208)[..200].to_vec()] {
            assert!(identity(&broken).is_err());
        }
        let mut open_end = image(2, 4096);
        open_end[UUID].fill(b'a');
        assert_eq!(luks_uuid(&open_end), None);
    }

    #[test]
    fn what_udev_reads_in_a_real_header_is_read_here() {
        // cryptsetup's own headers, of the LUKS step's tests.
        let one = Identity { wwid: "a".into(), sectors: 8, samples: None };
        assert_eq!(difference(&one, &one), None);
        let wwid = Identity { wwid: "b".into(), ..one.clone() };
        assert_eq!(difference(&one, &wwid).unwrap(), "they have different WWIDs, a and b");
        let size = Identity { sectors: 9, ..one.clone() };
        assert_eq!(difference(&one, &size).unwrap(), "both are a, but of 8 and 9 sectors");
    }

    #[test]
    fn two_images_of_one_uuid_are_told_apart() {
        let size = 1 << 20;
        let bytes = image(2, size);
        let one = identity(&bytes).unwrap();
        assert_eq!(difference(&one, &identity(&bytes).unwrap()), None);
        // Anywhere in the header, and in the last block.
        for (at, part) in [
            (4100, "the LUKS headers"),
            (HEADER as usize - 1, "the LUKS headers"),
            (size - 1, "the blocks at byte 1044480"),
        ] {
            let mut other = bytes.clone();
            other[at] ^= 1;
            let found = difference(&one, &identity(&other).unwrap()).unwrap();
            assert_eq!(found, format!("both have the LUKS UUID {UUID_TEXT}, but {part} differ"));
        }
        let mut longer = bytes.clone();
        longer.resize(size + 512, 7);
        assert!(difference(&one, &identity(&longer).unwrap()).unwrap().contains("sectors"));
    }

    #[test]
    fn blocks_lie_evenly_up_to_the_end() {
        assert_eq!(starts(1 << 20).last(), Some(&((1 << 20) - BLOCK)));
        assert_eq!(starts(1 << 20).len(), SAMPLES as usize);
        assert!(starts(4000).is_empty());
        assert_eq!(starts(u64::MAX).len(), SAMPLES as usize);
    }

    proptest! {
        #[test]
        fn any_header_is_survived(mut bytes in prop::collection::vec(any::<u8>(), 0..400), magic: bool) {
            if magic && bytes.len() > 8 {
                bytes[..8].copy_from_slice(b"LUKS\xba\xbe\0\x02");
            }
            if let Some(uuid) = luks_uuid(&bytes) {
                prop_assert!(uuid.len() < 40);
            }
        }
    }
}
