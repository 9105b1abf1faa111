//! Reads the disk's partition table, and which maps there are.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;

use super::gpt::{self, Partition};
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
    /// The maps of the partitions that exist.
    pub maps: BTreeMap<String, Existing>,
}

pub fn observe(host: &Host, disk: &str) -> Result<Seen> {
    let Some(existing) = dm::find(disk)?.filter(|map| map.active) else {
        return Ok(Seen { disk: None, sectors_per_block: 1, partitions: None, maps: BTreeMap::new() });
    };
    let node = dm::node(existing.device);
    let geometry = block::geometry(host, &node)?;
    let path = host.path("/dev").join(&node);
    let file = File::open(&path).context(Code::Io, path.display().to_string())?;
    let partitions = read_table(&file, geometry.block_size, geometry.blocks())
        .map_err(|error| Error::new(Code::PartitionTable, format!("/dev/mapper/{disk}")).because(error))?;
    let mut maps = BTreeMap::new();
    for partition in partitions.iter().flatten() {
        let name = super::plan::name(disk, partition.number);
        if let Some(map) = dm::find(&name)? {
            maps.insert(name, map);
        }
    }
    Ok(Seen { disk: Some(existing), sectors_per_block: geometry.block_size / 512, partitions, maps })
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The table at the beginning of the disk, or the spare one at its end if the first is damaged.
fn read_table(disk: &impl FileExt, block_size: u64, blocks: u64) -> Result<Option<Vec<Partition>>, Cause> {
    match read_at(disk, block_size, blocks, 1) {
        Err(fault) => match read_at(disk, block_size, blocks, blocks.saturating_sub(1)) {
            Ok(Some(partitions)) => {
                log::warn!("{fault}; the spare table at the end of the disk is used");
                Ok(Some(partitions))
            }
            _ => Err(fault),
        },
        found => found,
    }
}

fn read_at(
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
