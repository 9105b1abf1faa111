//! Reads the disk's partition table and the LVM2 metadata in it, and which maps there are.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;

use super::gpt::{self, Partition};
use super::lvm::{self, Logical};
use super::mbr;
use crate::engine::host::Host;
use crate::error::{Code, Context, Error, Result};
use crate::sys::block;
use crate::sys::dm::{self, Existing};

/// The disk and its volumes.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    /// The disk's own map; none: it is not there.
    pub disk: Option<Existing>,
    /// Sectors of 512 bytes in one logical block of the disk.
    pub sectors_per_block: u64,
    /// The partitions; none: there is no partition table.
    pub partitions: Option<Vec<Partition>>,
    /// The logical volumes of the volume groups on the disk and on the partitions that are mapped.
    pub logical: Vec<Logical>,
    /// What is wrong with the LVM2 metadata of some place.
    pub faults: Vec<String>,
    /// The maps of partitions and logical volumes that exist.
    pub maps: BTreeMap<String, Existing>,
}

pub fn observe(host: &Host, disk: &str) -> Result<Seen> {
    let mut seen = Seen {
        disk: None,
        sectors_per_block: 1,
        partitions: None,
        logical: Vec::new(),
        faults: Vec::new(),
        maps: BTreeMap::new(),
    };
    let Some(existing) = dm::find(disk)?.filter(|map| map.active) else {
        return Ok(seen);
    };
    let (file, geometry) = open(host, existing.device)?;
    seen.sectors_per_block = geometry.block_size / 512;
    seen.partitions = read_table(&file, geometry.block_size, geometry.blocks())
        .map_err(|error| Error::new(Code::PartitionTable, format!("/dev/mapper/{disk}")).because(error))?;
    let mut devices = vec![(disk.to_owned(), existing.device)];
    for partition in seen.partitions.iter().flatten() {
        let name = super::plan::name(disk, partition.number);
        if let Some(map) = dm::find(&name)? {
            if map.active {
                devices.push((name.clone(), map.device));
            }
            seen.maps.insert(name, map);
        }
    }
    let mut physical = Vec::new();
    for (name, device) in devices {
        let (file, geometry) = open(host, device)?;
        match lvm::read(&file, device, geometry.sectors) {
            Ok(Some(found)) => {
                seen.faults.extend(found.faults.iter().map(|fault| format!("{name}: {fault}")));
                physical.push(found);
            }
            Ok(None) => (),
            Err(fault) => seen.faults.push(format!("{name}: {fault}")),
        }
    }
    seen.logical = lvm::volumes(&physical);
    for volume in &seen.logical {
        if volume.map.is_ok()
            && let Some(map) = dm::find(&volume.name)?
        {
            seen.maps.insert(volume.name.clone(), map);
        }
    }
    seen.disk = Some(existing);
    Ok(seen)
}

fn open(host: &Host, device: (u32, u32)) -> Result<(File, block::Geometry)> {
    let node = dm::node(device);
    let geometry = block::geometry(host, &node)?;
    let path = host.path("/dev").join(&node);
    let file = File::open(&path).context(Code::Io, path.display().to_string())?;
    Ok((file, geometry))
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The GPT at the beginning of the disk, or the spare one at its end if the first is damaged, or the MBR's table.
pub(super) fn read_table(
    disk: &impl FileExt,
    block_size: u64,
    blocks: u64,
) -> Result<Option<Vec<Partition>>, Cause> {
    let spare = |fault: Cause| match read_gpt(disk, block_size, blocks, blocks.saturating_sub(1)) {
        Ok(Some(partitions)) => {
            log::warn!("{fault}; the spare table at the end of the disk is used");
            Ok(Some(partitions))
        }
        _ => Err(fault),
    };
    match read_gpt(disk, block_size, blocks, 1) {
        Ok(None) => (),
        Ok(found) => return Ok(found),
        Err(fault) => return spare(fault),
    }
    if blocks == 0 {
        return Ok(None);
    }
    let sector = |block: u64| {
        let mut bytes = [0; 512];
        disk.read_exact_at(&mut bytes, block.saturating_mul(block_size))?;
        Ok(bytes)
    };
    match mbr::read(blocks, sector)? {
        None => Ok(None),
        Some(mbr::Table::Partitions(partitions)) => Ok(Some(partitions)),
        Some(mbr::Table::Protective) => spare(mbr::Fault::NoGpt.into()),
    }
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
    disk.read_exact_at(&mut block, at * block_size)?;
    let Some(header) = gpt::header(&block)? else {
        return Ok(None);
    };
    let mut entries = vec![0; usize::try_from(header.entries_bytes())?];
    let offset = header.entries_block.checked_mul(block_size).ok_or(gpt::Fault::Short)?;
    disk.read_exact_at(&mut entries, offset)?;
    Ok(Some(gpt::partitions(&header, &entries, blocks)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk of `tests/data/partitions` as a file.
    fn disk(deflated: &[u8]) -> File {
        let file = tempfile::tempfile().unwrap();
        let bytes = miniz_oxide::inflate::decompress_to_vec(deflated).unwrap();
        file.write_all_at(&bytes, 0).unwrap();
        file
    }

    /// Number, first block and count of blocks of each partition.
    type Numbers = Vec<(u32, u64, u64)>;

    fn numbers(disk: &File) -> Result<Option<Numbers>, String> {
        let blocks = disk.metadata().unwrap().len() / 512;
        let found = read_table(disk, 512, blocks).map_err(|fault| fault.to_string())?;
        Ok(found.map(|all| all.iter().map(|p| (p.number, p.first, p.blocks)).collect()))
    }

    #[test]
    fn a_table_that_parted_made() {
        let disk = disk(include_bytes!("../../../tests/data/partitions/mbr.deflate"));
        let expected = vec![(1, 64, 192), (3, 3072, 929), (5, 600, 200), (6, 1000, 1000)];
        assert_eq!(numbers(&disk), Ok(Some(expected)));
    }

    #[test]
    fn a_gpt_behind_its_protective_table_is_found_at_either_end() {
        let disk = disk(include_bytes!("../../../tests/data/partitions/gpt.deflate"));
        let expected = Ok(Some(vec![(1, 64, 192), (3, 1000, 1000)]));
        assert_eq!(numbers(&disk), expected);
        disk.write_all_at(&[0; 512], 512).unwrap();
        assert_eq!(numbers(&disk), expected);
        disk.write_all_at(&[0; 512], (2 << 20) - 512).unwrap();
        assert_eq!(numbers(&disk), Err(mbr::Fault::NoGpt.to_string()));
        disk.write_all_at(&[0; 512], 0).unwrap();
        assert_eq!(numbers(&disk), Ok(None));
    }
}
