//! GUID partition tables (UEFI Specification 2.10, section 5.3). Pure: the bytes of the disk in, partitions out.

use std::fmt;

/// No table with more entries is read; the specification's usual number is 128.
const MOST_ENTRIES: u32 = 1024;
/// An entry is at least 128 bytes, and 128 * 2^n.
const ENTRY_SIZES: std::ops::RangeInclusive<u32> = 128..=4096;

/// A partition, in the disk's logical blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    /// Its number, from 1.
    pub number: u32,
    /// Its first block.
    pub first: u64,
    /// How many blocks.
    pub blocks: u64,
}

/// Why a table cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// A check sum is wrong: of the header or of the entries.
    Checksum(&'static str),
    /// A field has a value that cannot be.
    Field(&'static str),
    /// The disk ends before it.
    Short,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Checksum(of) => write!(f, "GPT: wrong check sum of the {of}"),
            Fault::Field(field) => write!(f, "GPT: {field} cannot be"),
            Fault::Short => write!(f, "GPT: the disk ends before its table does"),
        }
    }
}

impl std::error::Error for Fault {}

/// The header: where the entries are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// First block of the entries.
    pub entries_block: u64,
    /// How many entries, used or not.
    pub count: u32,
    /// Bytes of one.
    pub size: u32,
    crc: u32,
}

impl Header {
    /// Bytes of all entries together.
    pub fn entries_bytes(&self) -> u64 {
        u64::from(self.count) * u64::from(self.size)
    }
}

/// Reads the header from `block`, which is block `at` of the disk: 1, or its last one for the backup. None if there is no
/// GPT.
///
/// # Errors
/// There is one, but it cannot be used.
pub fn header(block: &[u8], at: u64) -> Result<Option<Header>, Fault> {
    if !block.starts_with(b"EFI PART") {
        return Ok(None);
    }
    let length = u32_at(block, 12).ok_or(Fault::Short)? as usize;
    let mut bytes = match block.get(..length) {
        Some(bytes) if length >= 92 => bytes.to_vec(),
        _ => return Err(Fault::Field("header size")),
    };
    let crc = u32_at(&bytes, 16).ok_or(Fault::Short)?;
    if let Some(field) = bytes.get_mut(16..20) {
        field.fill(0); // the sum is made with its own field as zero
    }
    if crc32fast::hash(&bytes) != crc {
        return Err(Fault::Checksum("header"));
    }
    let header = Header {
        entries_block: u64_at(&bytes, 72).ok_or(Fault::Short)?,
        count: u32_at(&bytes, 80).ok_or(Fault::Short)?,
        size: u32_at(&bytes, 84).ok_or(Fault::Short)?,
        crc: u32_at(&bytes, 88).ok_or(Fault::Short)?,
    };
    if u64_at(&bytes, 24) != Some(at) {
        return Err(Fault::Field("its own place"));
    }
    if header.count > MOST_ENTRIES {
        return Err(Fault::Field("number of entries"));
    }
    if !ENTRY_SIZES.contains(&header.size) || !header.size.is_power_of_two() {
        return Err(Fault::Field("entry size"));
    }
    Ok(Some(header))
}

/// The partitions in `entries`, which are [`Header::entries_bytes`] long, on a disk of `disk` blocks.
///
/// # Errors
/// The check sum is wrong, or a partition is not on the disk.
pub fn partitions(header: &Header, entries: &[u8], disk: u64) -> Result<Vec<Partition>, Fault> {
    if entries.len() as u64 != header.entries_bytes() {
        return Err(Fault::Short);
    }
    if crc32fast::hash(entries) != header.crc {
        return Err(Fault::Checksum("entries"));
    }
    let mut found = Vec::new();
    for (number, entry) in (1..).zip(entries.chunks_exact(header.size as usize)) {
        let kind = entry.get(..16).ok_or(Fault::Short)?;
        if kind.iter().all(|byte| *byte == 0) {
            continue; // not in use
        }
        let first = u64_at(entry, 32).ok_or(Fault::Short)?;
        let last = u64_at(entry, 40).ok_or(Fault::Short)?;
        if first > last || last >= disk {
            return Err(Fault::Field("a partition's range"));
        }
        found.push(Partition { number, first, blocks: last - first + 1 });
    }
    Ok(found)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header block and entries with the partitions (first, last) of the cases.
    fn table(ranges: &[(u64, u64)]) -> (Vec<u8>, Vec<u8>) {
        let mut entries = vec![0u8; 128 * 128];
        for (entry, (first, last)) in entries.chunks_exact_mut(128).zip(ranges) {
            entry[0] = 0xaf;
            entry[32..40].copy_from_slice(&first.to_le_bytes());
            entry[40..48].copy_from_slice(&last.to_le_bytes());
        }
        let mut block = vec![0u8; 512];
        block[..8].copy_from_slice(b"EFI PART");
        block[12..16].copy_from_slice(&92u32.to_le_bytes());
        block[24..32].copy_from_slice(&1u64.to_le_bytes());
        block[72..80].copy_from_slice(&2u64.to_le_bytes());
        block[80..84].copy_from_slice(&128u32.to_le_bytes());
        block[84..88].copy_from_slice(&128u32.to_le_bytes());
        block[88..92].copy_from_slice(&crc32fast::hash(&entries).to_le_bytes());
        sign(&mut block);
        (block, entries)
    }

    fn sign(block: &mut [u8]) {
        block[16..20].fill(0);
        let crc = crc32fast::hash(&block[..92]);
        block[16..20].copy_from_slice(&crc.to_le_bytes());
    }

    fn read(block: &[u8], entries: &[u8], disk: u64) -> Result<Vec<Partition>, Fault> {
        partitions(&header(block, 1)?.unwrap(), entries, disk)
    }

    #[test]
    fn partitions_by_their_numbers() {
        let (block, entries) = table(&[(0, 0), (2048, 4095)]);
        let found = read(&block, &entries, 10_000).unwrap();
        assert_eq!(found[0], Partition { number: 1, first: 0, blocks: 1 });
        assert_eq!(found[1], Partition { number: 2, first: 2048, blocks: 2048 });
        assert_eq!(header(&[0u8; 512], 1), Ok(None));
        assert_eq!(header(b"", 1), Ok(None));
    }

    #[test]
    fn what_is_damaged_is_refused() {
        let (good, entries) = table(&[(2048, 4095)]);
        assert_eq!(read(&good, &entries, 4095), Err(Fault::Field("a partition's range")));
        assert_eq!(read(&good, &entries[1..], 10_000), Err(Fault::Short));
        let mut other = entries.clone();
        other[40] ^= 1;
        assert_eq!(read(&good, &other, 10_000), Err(Fault::Checksum("entries")));
        let (block, backwards) = table(&[(10, 9)]);
        assert_eq!(read(&block, &backwards, 10_000), Err(Fault::Field("a partition's range")));
        let mut block = good.clone();
        block[80] ^= 1;
        assert_eq!(header(&block, 1), Err(Fault::Checksum("header")));
        assert_eq!(header(&good, 2), Err(Fault::Field("its own place")));
        for (at, value, field) in [(80, u32::MAX, "number of entries"), (84, 100, "entry size")] {
            let mut block = good.clone();
            block[at..at + 4].copy_from_slice(&value.to_le_bytes());
            sign(&mut block);
            assert_eq!(header(&block, 1), Err(Fault::Field(field)));
        }
        let mut block = good;
        block[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(header(&block, 1), Err(Fault::Field("header size")));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(tail: Vec<u8>, entries: Vec<u8>, disk: u64) {
            let mut block = b"EFI PART".to_vec();
            block.extend(tail);
            if let Ok(Some(header)) = header(&block, 1) {
                let _ = partitions(&header, &entries, disk);
            }
        }

        #[test]
        fn any_entries_are_read_or_refused(noise: Vec<u8>, disk: u64) {
            let (mut block, mut entries) = table(&[]);
            let length = noise.len().min(entries.len());
            entries[..length].copy_from_slice(&noise[..length]);
            block[88..92].copy_from_slice(&crc32fast::hash(&entries).to_le_bytes());
            sign(&mut block);
            for partition in read(&block, &entries, disk).into_iter().flatten() {
                assert!(partition.first + partition.blocks <= disk);
            }
        }
    }
}
