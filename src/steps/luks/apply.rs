//! Opens the disk and makes the map.

use std::fmt;
use std::time::Duration;

use crate::engine::host::Host;
use crate::error::Result;
use crate::input::secret::Secret;
use crate::sys::block::Disk;
use crate::sys::dm;
use crate::sys::keyring::ThreadKey;

use super::source::Bytes;
use super::table;
use super::volume::Volume;

/// How long udev may take with the map.
const MAP_LIMIT: Duration = Duration::from_secs(30);

/// Open the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// The map's name.
    pub name: String,
    /// The disk.
    pub disk: Disk,
    /// What is on it.
    pub volume: Box<Volume>,
}

impl fmt::Display for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "open disk {} as {}", self.disk.name, self.name)
    }
}

/// Opens it with `secret`, the key of keyslot `asked` or of any; `header` is what the header was read from. The keyslot
/// that opened.
///
/// # Errors
/// No keyslot opens, the disk does not fit, or the kernel refuses the map.
pub fn apply(
    host: &Host,
    open: &Open,
    header: &mut dyn Bytes,
    secret: &Secret,
    asked: Option<u32>,
) -> Result<u32> {
    let Open { name, disk, volume } = open;
    let unlocked = volume.unlock(host, &mut &mut *header, secret, asked)?;
    let map = table::map(name, volume, unlocked.digest, unlocked.volume_key.len(), disk)?;
    let description = table::key_description(&volume.uuid, unlocked.digest);
    // dm-crypt takes the key while the table is loaded, in this thread, and keeps its own copy.
    let key = ThreadKey::add(&description, &unlocked.volume_key)?;
    dm::create(&map, MAP_LIMIT)?;
    drop(key);
    Ok(unlocked.keyslot)
}
