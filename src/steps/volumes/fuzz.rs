//! Fuzz targets of this folder; see [`crate::fuzz`].

use std::io;
use std::os::unix::fs::FileExt;

use super::gpt::Partition;
use super::mbr::{self, Table};
use super::partitions;

const BLOCK: usize = 512;

/// A disk that is as long as `data`.
pub struct Bytes<'a>(pub &'a [u8]);

impl FileExt for Bytes<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.0.get(offset..)).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(rest) {
            *to = *from;
        }
        Ok(length)
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }
}

/// A disk with a partition table of any kind.
pub fn table(data: &[u8]) {
    let blocks = (data.len() / BLOCK) as u64;
    if let Ok(Some(table)) = partitions::read(&Bytes(data), BLOCK as u64, blocks) {
        are_on_disk(&table.partitions, blocks);
    }
}

/// A GPT whose check sums are right.
pub fn gpt_signed(data: &[u8]) {
    let mut disk = data.to_vec();
    // The header's is over the one of the entries, which may be beyond the disk.
    let _ = sign_entries(&mut disk);
    let _ = sign_header(&mut disk);
    table(&disk);
}

fn sign_entries(disk: &mut [u8]) -> Option<()> {
    let first = number(disk, 72)?.checked_mul(BLOCK)?;
    let length = number(disk, 80)?.checked_mul(number(disk, 84)?)?;
    let crc = crc32fast::hash(disk.get(first..first.checked_add(length)?)?);
    put(disk, 88, crc)
}

fn sign_header(disk: &mut [u8]) -> Option<()> {
    put(disk, 16, 0)?;
    let crc = crc32fast::hash(disk.get(BLOCK..BLOCK.checked_add(number(disk, 12)?)?)?);
    put(disk, 16, crc)
}

/// The number at byte `at` of the header, in the second block.
fn number(disk: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(*disk.get(BLOCK + at..)?.first_chunk()?)).ok()
}

fn put(disk: &mut [u8], at: usize, number: u32) -> Option<()> {
    disk.get_mut(BLOCK + at..)?.first_chunk_mut::<4>()?.copy_from_slice(&number.to_le_bytes());
    Some(())
}

/// A disk of which each block could be a table of the MBR's kind.
pub fn mbr(data: &[u8]) {
    let blocks = (data.len() / BLOCK) as u64;
    let mut read = 0;
    let sector = |block: u64| {
        read += 1;
        let mut sector = [0; BLOCK];
        Bytes(data).read_exact_at(&mut sector, block * BLOCK as u64)?;
        if let Some(signature) = sector.last_chunk_mut() {
            *signature = [0x55, 0xaa];
        }
        Ok(sector)
    };
    if let Ok(Some(Table::Partitions(mut partitions))) = mbr::read(blocks, sector) {
        are_on_disk(&partitions, blocks);
        partitions.sort_by_key(|partition| partition.first);
        for pair in partitions.windows(2) {
            let [one, other] = pair else { return };
            assert!(one.first + one.blocks <= other.first, "{pair:?}");
        }
    }
    // The first sector and four chains.
    assert!(read <= 1 + 4 * 101);
}

fn are_on_disk(partitions: &[Partition], blocks: u64) {
    for partition in partitions {
        assert!(partition.number > 0 && partition.blocks > 0, "{partition:?}");
        assert!(
            partition.first.checked_add(partition.blocks).is_some_and(|end| end <= blocks),
            "{partition:?}"
        );
    }
}
