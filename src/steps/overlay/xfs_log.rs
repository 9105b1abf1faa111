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
            let headers = (first..).zip(bytes.chunks_exact(BLOCK)).filter(|(_, block)| block.starts_with(&MAGIC));
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
