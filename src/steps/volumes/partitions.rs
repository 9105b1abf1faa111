//! The partition table of a disk, of whichever kind it is.

use std::os::unix::fs::FileExt;

use super::gpt::{self, Fault, Partition};
use super::mbr;

/// What a disk is divided into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The partitions.
    pub partitions: Vec<Partition>,
    /// It is the backup of a GPT; says what is wrong with the first one.
    pub damage: Option<String>,
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The GPT at the beginning of the disk, or its backup at the end if the first is damaged, or the MBR's table; none: there
/// is no table. The disk has `blocks` logical blocks of `block_size` bytes.
///
/// # Errors
/// The disk cannot be read, or there is a table that cannot be used.
pub fn read(disk: &impl FileExt, block_size: u64, blocks: u64) -> Result<Option<Table>, Cause> {
    let first = match read_gpt(disk, block_size, blocks, 1) {
        Ok(Some(partitions)) => return Ok(Some(Table { partitions, damage: None })),
        Ok(None) => match read_mbr(disk, block_size, blocks)? {
            None => return Ok(None),
            Some(mbr::Table::Partitions(partitions)) => return Ok(Some(Table { partitions, damage: None })),
            Some(mbr::Table::Protective) => mbr::Fault::NoGpt.to_string(),
        },
        Err(fault) => fault.to_string(),
    };
    match read_gpt(disk, block_size, blocks, blocks.saturating_sub(1)) {
        Ok(Some(partitions)) => Ok(Some(Table { partitions, damage: Some(first) })),
        Ok(None) => match other_size(disk, block_size) {
            Some(size) => Err(format!(
                "GPT: it counts in blocks of {size} bytes, and those of the disk have {block_size}"
            )
            .into()),
            None => Err(format!("{first}; there is no backup at the end of the disk").into()),
        },
        Err(backup) => Err(format!("{first}; its backup at the end of the disk: {backup}").into()),
    }
}

fn read_mbr(disk: &impl FileExt, block_size: u64, blocks: u64) -> Result<Option<mbr::Table>, Cause> {
    if blocks == 0 {
        return Ok(None);
    }
    mbr::read(blocks, |block: u64| {
        let mut bytes = [0; 512];
        disk.read_exact_at(&mut bytes, block.saturating_mul(block_size))?;
        Ok(bytes)
    })
}

fn read_gpt(
    disk: &impl FileExt,
    block_size: u64,
    blocks: u64,
    at: u64,
) -> Result<Option<Vec<Partition>>, Cause> {
    if at >= blocks {
        return Ok(None);
    }
    let mut block = vec![0; usize::try_from(block_size)?];
    disk.read_exact_at(&mut block, at.checked_mul(block_size).ok_or(Fault::Short)?)?;
    let Some(header) = gpt::header(&block, at)? else {
        return Ok(None);
    };
    let mut entries = vec![0; usize::try_from(header.entries_bytes())?];
    let offset = header.entries_block.checked_mul(block_size).ok_or(Fault::Short)?;
    disk.read_exact_at(&mut entries, offset)?;
    Ok(Some(gpt::partitions(&header, &entries, blocks)?))
}

/// The size of the blocks that a GPT at the beginning of the disk counts in, if it is not that of the disk: the image was
/// partitioned as a disk of other blocks.
fn other_size(disk: &impl FileExt, block_size: u64) -> Option<u64> {
    [512, 4096].into_iter().filter(|size| *size != block_size).find(|size| {
        let mut block = vec![0; *size as usize];
        disk.read_exact_at(&mut block, *size).is_ok() && matches!(gpt::header(&block, 1), Ok(Some(_)))
    })
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    /// A disk of `tests/data/partitions` as a file.
    fn disk(deflated: &[u8]) -> File {
        let file = tempfile::tempfile().unwrap();
        let bytes = miniz_oxide::inflate::decompress_to_vec(deflated).unwrap();
        file.write_all_at(&bytes, 0).unwrap();
        file
    }

    macro_rules! disk {
        ($name:literal) => {
            disk(include_bytes!(concat!("../../../tests/data/partitions/", $name, ".deflate")))
        };
    }

    /// Number, first block and count of blocks of each partition, and what is wrong with the first table.
    type Found = (Vec<(u32, u64, u64)>, Option<String>);

    fn read(disk: &File, block_size: u64) -> Result<Option<Found>, String> {
        let blocks = disk.metadata().unwrap().len() / block_size;
        let table = super::read(disk, block_size, blocks).map_err(|fault| fault.to_string())?;
        let numbers =
            |table: &Table| table.partitions.iter().map(|p| (p.number, p.first, p.blocks)).collect();
        Ok(table.map(|table| (numbers(&table), table.damage)))
    }

    /// Damages a byte.
    fn damage(disk: &File, at: u64) {
        let mut byte = [0];
        disk.read_exact_at(&mut byte, at).unwrap();
        disk.write_all_at(&[!byte[0]], at).unwrap();
    }

    #[test]
    fn tables_with_logical_partitions_by_parted_and_sfdisk() {
        let parted = vec![(1, 64, 192), (3, 3072, 929), (5, 600, 200), (6, 1000, 1000)];
        assert_eq!(read(&disk!("mbr"), 512), Ok(Some((parted, None))));
        let sfdisk = vec![(1, 16, 16), (2, 300, 212), (5, 40, 20), (6, 70, 50), (7, 130, 100)];
        assert_eq!(read(&disk!("mbr-4096"), 4096), Ok(Some((sfdisk, None))));
    }

    #[test]
    fn a_damaged_gpt_has_a_backup() {
        for (disk, block_size, expected) in [
            (disk!("gpt"), 512, vec![(1, 64, 192), (3, 1000, 1000)]),
            (disk!("gpt-4096"), 4096, vec![(1, 16, 32), (3, 100, 200)]),
        ] {
            let found = |damage: Option<&str>| Ok(Some((expected.clone(), damage.map(str::to_owned))));
            assert_eq!(read(&disk, block_size), found(None));
            let (end, header) = (disk.metadata().unwrap().len(), block_size);
            // Its partitions, then its header, then even its signature.
            damage(&disk, 2 * block_size + 40);
            assert_eq!(read(&disk, block_size), found(Some("GPT: wrong check sum of the entries")));
            damage(&disk, header + 40);
            assert_eq!(read(&disk, block_size), found(Some("GPT: wrong check sum of the header")));
            damage(&disk, header);
            let gone = mbr::Fault::NoGpt.to_string();
            assert_eq!(read(&disk, block_size), found(Some(&gone)));
            // Then there is nothing left.
            damage(&disk, end - block_size + 40);
            let both =
                format!("{gone}; its backup at the end of the disk: GPT: wrong check sum of the header");
            assert_eq!(read(&disk, block_size), Err(both));
            disk.write_all_at(&[0; 512], end - block_size).unwrap();
            assert_eq!(
                read(&disk, block_size),
                Err(format!("{gone}; there is no backup at the end of the disk"))
            );
            disk.write_all_at(&[0; 512], 0).unwrap();
            assert_eq!(read(&disk, block_size), Ok(None));
        }
    }

    #[test]
    fn blocks_of_another_size_are_told() {
        let error = read(&disk!("gpt"), 4096).unwrap_err();
        assert_eq!(error, "GPT: it counts in blocks of 512 bytes, and those of the disk have 4096");
        let error = read(&disk!("gpt-4096"), 512).unwrap_err();
        assert_eq!(error, "GPT: it counts in blocks of 4096 bytes, and those of the disk have 512");
    }

    #[test]
    fn a_header_that_is_at_another_place_is_none() {
        // As of a disk that is a part of this one, up to its end.
        let disk = disk!("gpt");
        damage(&disk, 512 + 40);
        let bytes = 100 * 512;
        disk.set_len(disk.metadata().unwrap().len() + bytes).unwrap();
        let mut backup = [0; 512];
        disk.read_exact_at(&mut backup, (2 << 20) - 512).unwrap();
        disk.write_all_at(&backup, (2 << 20) - 512 + bytes).unwrap();
        let error = read(&disk, 512).unwrap_err();
        assert!(
            error.ends_with("its backup at the end of the disk: GPT: its own place cannot be"),
            "{error}"
        );
    }
}
