//! Whether the log of an XFS has to be replayed, told by reading it: the file system was cleanly unmounted if the last
//! record of its log is an unmount record.
//!
//! The log is a ring of blocks of 512 bytes. The first word of each block is the cycle, the number of times that the ring
//! was gone through when it was written, but for the first block of a record, its header, where a magic number stands
//! there and the cycle behind it. So the log ends where the cycle falls by one. All numbers are big endian. After the
//! kernel's fs/xfs/libxfs/xfs_log_format.h and its search for the head and the tail (fs/xfs/xfs_log_recover.c); unlike
//! that, this one looks at no check sum: a record that was torn counts as one that was written.

use std::io;
use std::os::unix::fs::FileExt;

const BLOCK: usize = 512;
const MAGIC: [u8; 4] = [0xfe, 0xed, 0xba, 0xbe];
/// The longest record, and all that can be under way at once (XLOG_MAX_RECORD_BSIZE, XLOG_MAX_ICLOGS): what is written
/// last may be on the disk before what was written first.
const LONGEST_RECORD: u32 = (256 << 10) / BLOCK as u32;
const UNDER_WAY: u32 = 8 * LONGEST_RECORD;
/// A header takes a block for each so many bytes of its record (XLOG_HEADER_CYCLE_SIZE).
const PER_HEADER: u32 = 32 << 10;
/// No log is longer (XFS_MAX_LOG_BYTES).
const LONGEST: u64 = 2 << 30;
/// XLOG_UNMOUNT_TRANS
const UNMOUNT: u8 = 0x20;

/// Where the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// From the beginning of the device, in bytes.
    pub offset: u64,
    /// Its blocks of 512 bytes.
    pub blocks: u32,
}

/// The log that the superblock at the beginning of `start` names; none: it is on another device, or cannot be.
pub fn log(start: &[u8]) -> Option<Log> {
    let block_size = u64::from(u32_at(start, 4)?);
    let first = u64_at(start, 48)?;
    let (group_blocks, blocks) = (u64::from(u32_at(start, 84)?), u64::from(u32_at(start, 96)?));
    let group_bits = u32::from(*start.get(124)?);
    if first == 0 || !(512..=65536).contains(&block_size) || group_bits > 31 {
        return None;
    }
    // The number of an allocation group, and of a block in it.
    let (group, block) = (first >> group_bits, first & ((1 << group_bits) - 1));
    let offset = group.checked_mul(group_blocks)?.checked_add(block)?.checked_mul(block_size)?;
    let bytes = blocks.checked_mul(block_size).filter(|bytes| (1..=LONGEST).contains(bytes))?;
    offset.checked_add(bytes)?;
    Some(Log { offset, blocks: u32::try_from(bytes / BLOCK as u64).ok()? })
}

/// Whether `log` of the file system on `disk` has to be replayed; none: that cannot be told. Reads 2 MiB of it at most,
/// and a few blocks more.
///
/// # Errors
/// The disk cannot be read.
pub fn is_dirty(disk: &impl FileExt, log: Log) -> io::Result<Option<bool>> {
    if log.blocks < 2 {
        return Ok(None);
    }
    let ring = Ring { disk, log };
    let head = ring.head()?;
    let Some((record, head)) = ring.last_record(head)? else {
        return Ok(None);
    };
    let first = ring.block(ring.forward(record.at, record.header_blocks))?;
    // The number of operations, and the flags of the first one.
    let is_unmount = record.operations == 1 && first.get(9).is_some_and(|flags| flags & UNMOUNT != 0);
    Ok(Some(!(is_unmount && ring.forward(record.at, record.blocks()) == head)))
}

struct Ring<'a, D> {
    disk: &'a D,
    log: Log,
}

/// A record, by its header.
struct Record {
    /// The block of its header.
    at: u32,
    header_blocks: u32,
    data_blocks: u32,
    operations: u32,
}

impl Record {
    fn blocks(&self) -> u32 {
        self.header_blocks.saturating_add(self.data_blocks)
    }
}

impl<D: FileExt> Ring<'_, D> {
    fn read(&self, first: u32, count: u32) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count as usize * BLOCK];
        let offset = self.log.offset.saturating_add(u64::from(first) * BLOCK as u64);
        self.disk.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    fn block(&self, at: u32) -> io::Result<Vec<u8>> {
        self.read(at, 1)
    }

    fn cycle(&self, at: u32) -> io::Result<u32> {
        Ok(cycle(&self.block(at)?))
    }

    /// `count` blocks on from `at`, over the end of the ring.
    fn forward(&self, at: u32, count: u32) -> u32 {
        let blocks = u64::from(self.log.blocks);
        ((u64::from(at) + u64::from(count)) % blocks) as u32
    }

    /// The first of `count` blocks from `first` on that is of this cycle.
    fn find(&self, first: u32, count: u32, wanted: u32) -> io::Result<Option<u32>> {
        let bytes = self.read(first, count)?;
        let found = (first..).zip(bytes.chunks_exact(BLOCK)).find(|(_, block)| cycle(block) == wanted);
        Ok(found.map(|(at, _)| at))
    }

    /// The block behind the last that was written, before any that is missing; the number of blocks if that is the last.
    fn head(&self) -> io::Result<u32> {
        let blocks = self.log.blocks;
        let (first, last) = (self.cycle(0)?, self.cycle(blocks - 1)?);
        let (mut head, before) = match first == last {
            // The ring was gone through once more, to its very end.
            true => (blocks, last.wrapping_sub(1)),
            false => (self.first_of(last)?, last),
        };
        // What was under way may have holes: the log ends before the first.
        let count = blocks.min(UNDER_WAY);
        let hole = match head.checked_sub(count) {
            Some(start) => self.find(start, count, before)?,
            None => {
                let rest = count - head;
                match self.find(blocks - rest, rest, before.wrapping_sub(1))? {
                    Some(hole) => Some(hole),
                    None => self.find(0, head, before)?,
                }
            }
        };
        if let Some(hole) = hole {
            head = hole;
        }
        Ok(head)
    }

    /// The first block of the cycle of the last block.
    fn first_of(&self, last: u32) -> io::Result<u32> {
        let (mut before, mut from) = (0, self.log.blocks - 1);
        while from - before > 1 {
            let middle = before + (from - before) / 2;
            match self.cycle(middle)? == last {
                true => from = middle,
                false => before = middle,
            }
        }
        Ok(from)
    }

    /// The last record before `head` that is there as a whole, and the block behind it; none: there is no record.
    fn last_record(&self, head: u32) -> io::Result<Option<(Record, u32)>> {
        let head = self.forward(head, 0);
        let Some(record) = self.record_before(head)? else {
            return Ok(None);
        };
        if self.distance(record.at, head) == record.blocks() {
            return Ok(Some((record, head)));
        }
        // Of this one only a part is there.
        let head = record.at;
        Ok(self.record_before(head)?.map(|record| (record, head)))
    }

    /// How many blocks it is from `from` on to `to`.
    fn distance(&self, from: u32, to: u32) -> u32 {
        self.forward(to, self.log.blocks - from)
    }

    /// The last record that begins before `head`.
    fn record_before(&self, head: u32) -> io::Result<Option<Record>> {
        // A record, its header, and the header of a second one that is not whole.
        let mut left = self.log.blocks.min(2 * LONGEST_RECORD);
        let mut end = head;
        while left > 0 {
            let end_of_part = if end == 0 { self.log.blocks } else { end };
            let count = left.min(end_of_part);
            let first = end_of_part - count;
            let bytes = self.read(first, count)?;
            let headers =
                (first..).zip(bytes.chunks_exact(BLOCK)).filter(|(_, block)| block.starts_with(&MAGIC));
            if let Some((at, header)) = headers.last() {
                return Ok(record(at, header));
            }
            (left, end) = (left - count, first);
        }
        Ok(None)
    }
}

fn cycle(block: &[u8]) -> u32 {
    let at = if block.starts_with(&MAGIC) { 4 } else { 0 };
    u32_at(block, at).unwrap_or_default()
}

/// The record whose header is `header`, in block `at`; none if its length cannot be.
fn record(at: u32, header: &[u8]) -> Option<Record> {
    let (version, length) = (u32_at(header, 8)?, u32_at(header, 12)?);
    let (operations, size) = (u32_at(header, 40)?, u32_at(header, 320)?);
    let header_blocks =
        if version & 2 != 0 && size > PER_HEADER { size.div_ceil(PER_HEADER).min(LONGEST_RECORD) } else { 1 };
    let data_blocks = length.div_ceil(BLOCK as u32);
    (data_blocks <= LONGEST_RECORD).then_some(Record { at, header_blocks, data_blocks, operations })
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    /// A sector with a superblock and the log that it names, in a file that has both at their places.
    fn disk(deflated: &[u8]) -> (File, Log) {
        let bytes = miniz_oxide::inflate::decompress_to_vec(deflated).unwrap();
        let file = tempfile::tempfile().unwrap();
        let log = log(&bytes[..BLOCK]).unwrap();
        assert_eq!(bytes.len(), BLOCK + log.blocks as usize * BLOCK);
        file.write_all_at(&bytes[..BLOCK], 0).unwrap();
        file.write_all_at(&bytes[BLOCK..], log.offset).unwrap();
        (file, log)
    }

    macro_rules! disk {
        ($name:literal) => {
            disk(include_bytes!(concat!("../../../tests/data/xfs/", $name, ".deflate")))
        };
    }

    fn head(disk: &File, log: Log) -> u32 {
        Ring { disk, log }.head().unwrap()
    }

    /// Logs of mkfs.xfs and the kernel (`tests/data/xfs`).
    #[test]
    fn a_log_is_clean_if_its_last_record_says_so() {
        let cases = [
            (disk!("clean"), false),
            (disk!("dirty"), true),
            (disk!("wrapped-clean"), false),
            (disk!("wrapped-dirty"), true),
        ];
        for ((disk, log), dirty) in cases {
            assert_eq!(is_dirty(&disk, log).unwrap(), Some(dirty), "head {}", head(&disk, log));
        }
    }

    /// The cycle of a block, in its first word or behind the magic number there.
    fn set_cycle(disk: &File, log: Log, at: u32, cycle: u32) {
        let offset = log.offset + u64::from(at) * BLOCK as u64;
        let mut word = [0; 4];
        disk.read_exact_at(&mut word, offset).unwrap();
        let behind = if word == MAGIC { 4 } else { 0 };
        disk.write_all_at(&cycle.to_be_bytes(), offset + behind).unwrap();
    }

    #[test]
    fn the_log_ends_before_the_first_block_that_is_missing() {
        let (disk, log) = disk!("wrapped-clean");
        let end = head(&disk, log);
        assert!(end > 1000, "{end}");
        let ring = Ring { disk: &disk, log };
        let (last, before) = (ring.cycle(end - 1).unwrap(), ring.cycle(end).unwrap());
        assert_eq!(before, last - 1);
        // Written behind the unmount record, but for its first block: none of it counts.
        for at in end + 1..end + 40 {
            set_cycle(&disk, log, at, last);
        }
        assert_eq!((head(&disk, log), is_dirty(&disk, log).unwrap()), (end, Some(false)));
        // A block of the unmount record itself is missing.
        set_cycle(&disk, log, end - 1, before);
        assert_eq!((head(&disk, log), is_dirty(&disk, log).unwrap()), (end - 1, Some(true)));
    }

    #[test]
    fn a_record_that_is_not_whole_does_not_count() {
        let (disk, log) = disk!("clean");
        let end = head(&disk, log);
        // The header of a record of 2 KiB, and one of its blocks.
        let mut header = [0; BLOCK];
        header[..4].copy_from_slice(&MAGIC);
        for (at, value) in [(4, 1u32), (8, 2), (12, 2048), (40, 1), (320, 32 << 10)] {
            header[at..at + 4].copy_from_slice(&value.to_be_bytes());
        }
        disk.write_all_at(&header, log.offset + u64::from(end) * BLOCK as u64).unwrap();
        set_cycle(&disk, log, end + 1, 1);
        assert_eq!((head(&disk, log), is_dirty(&disk, log).unwrap()), (end + 2, Some(false)));
        for at in end + 2..end + 5 {
            set_cycle(&disk, log, at, 1);
        }
        assert_eq!((head(&disk, log), is_dirty(&disk, log).unwrap()), (end + 5, Some(true)));
    }

    #[test]
    fn what_is_no_log_is_not_judged() {
        let (disk, log) = disk!("clean");
        disk.write_all_at(&vec![0; log.blocks as usize * BLOCK], log.offset).unwrap();
        assert_eq!(is_dirty(&disk, log).unwrap(), None);
        assert_eq!(is_dirty(&disk, Log { blocks: 1, ..log }).unwrap(), None);
        assert!(is_dirty(&disk, Log { offset: u64::MAX - 1000, ..log }).is_err());
        let (_, good) = disk!("dirty");
        let mut start = include_bytes!("../../../tests/data/xfs/superblock").to_vec();
        assert!(super::log(&start).is_some_and(|log| log != good));
        for (at, value) in [(4, 0), (4, u32::MAX), (96, 0), (96, u32::MAX), (124, u32::MAX)] {
            let mut other = start.clone();
            other[at..at + 4].copy_from_slice(&value.to_be_bytes());
            assert_eq!(super::log(&other), None, "{at}");
        }
        // The log is on another device.
        start[48..56].fill(0);
        assert_eq!(super::log(&start), None);
        assert_eq!(super::log(&start[..100]), None);
    }

    proptest::proptest! {
        #[test]
        fn any_log_is_judged_or_not(
            words in proptest::collection::vec(0u8..4, 2..200), lengths: [u32; 4], blocks in 0u32..300
        ) {
            let disk = tempfile::tempfile().unwrap();
            for (at, word) in words.iter().enumerate() {
                let mut block = [*word; BLOCK];
                if *word == 3 {
                    block[..4].copy_from_slice(&MAGIC);
                    block[12..16].copy_from_slice(&(lengths[at % 4] % 300_000).to_be_bytes());
                    block[320..324].copy_from_slice(&lengths[(at + 1) % 4].to_be_bytes());
                }
                disk.write_all_at(&block, (at * BLOCK) as u64).unwrap();
            }
            let is_there = blocks as usize <= words.len();
            let judged = is_dirty(&disk, Log { offset: 0, blocks });
            assert!(!is_there || judged.is_ok());
        }
    }
}
