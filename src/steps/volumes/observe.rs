//! Reads the disk's partition table and the LVM2 metadata in it, and which maps there are.

use std::collections::BTreeMap;
use std::fs::File;

use super::lvm::{self, Logical};
use super::partitions::{self, Table};
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
    /// The partition table; none: there is none.
    pub table: Option<Table>,
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
        table: None,
        logical: Vec::new(),
        faults: Vec::new(),
        maps: BTreeMap::new(),
    };
    let Some(existing) = dm::find(disk)?.filter(|map| map.active) else {
        return Ok(seen);
    };
    let (file, geometry) = open(host, existing.device)?;
    seen.sectors_per_block = geometry.block_size / 512;
    seen.table = partitions::read(&file, geometry.block_size, geometry.blocks())
        .map_err(|error| Error::new(Code::PartitionTable, format!("/dev/mapper/{disk}")).because(error))?;
    let mut devices = vec![(disk.to_owned(), existing.device)];
    for partition in seen.table.iter().flat_map(|table| &table.partitions) {
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
        match lvm::read(&file, &name, device, geometry.sectors) {
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
