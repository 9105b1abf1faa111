//! Is the map there, is the disk, and what does its header say?

use std::path::PathBuf;

use crate::engine::host::Host;
use crate::error::Result;
use crate::sys::block::Disk;
use crate::sys::dm::{self, Existing};

use super::source::Bytes;
use super::volume::Volume;

/// What there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The map of the step's name.
    pub map: Option<Existing>,
    /// The disk, with what is on it.
    pub disk: Option<(Disk, Volume)>,
    /// The keyslot, if it was this run that opened the disk.
    pub keyslot: Option<u32>,
}

/// Looks for the map `name`, and at the header of `disk`, which `open` opens.
///
/// # Errors
/// The header cannot be read or used; the kernel has no device-mapper.
pub fn observe<'a>(
    name: &str,
    disk: Option<Disk>,
    open: impl FnOnce(&Disk) -> Result<Box<dyn Bytes + 'a>>,
    keyslot: Option<u32>,
) -> Result<Seen> {
    let map = dm::find(name)?;
    let disk = match disk {
        Some(disk) => {
            let volume = Volume::read(&mut open(&disk)?, &format!("disk {}", disk.name))?;
            Some((disk, volume))
        }
        None => None,
    };
    Ok(Seen { map, disk, keyslot })
}

/// The disk's node.
pub fn node(host: &Host, disk: &Disk) -> PathBuf {
    host.path("/dev").join(&disk.name)
}
