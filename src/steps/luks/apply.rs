//! Opens the disk and makes the map.

use std::fmt;
use std::fs::File;
use std::time::Duration;

use crate::engine::host::Host;
use crate::error::{Code, Context, Error, Result};
use crate::input::secret::Secret;
use crate::sys::block::Disk;
use crate::sys::dm;
use crate::sys::keyring::ThreadKey;

use super::keyslot::Volume;
use super::observe::node;
use super::table;

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

/// Opens it with `secret`; the keyslot that did.
///
/// # Errors
/// No keyslot opens, or the kernel refuses the map.
pub fn apply(host: &Host, open: &Open, secret: &Secret) -> Result<u32> {
    let Open { name, disk, volume } = open;
    if secret.expose().is_empty() {
        return Err(Error::new(Code::LuksKeyMissing, volume.name.as_str()).because("it is empty"));
    }
    let path = node(host, disk);
    let mut file = File::open(&path).context(Code::Io, path.display().to_string())?;
    let unlocked = volume.unlock(host, &mut file, secret, None)?;
    let map = table::map(name, volume, unlocked.digest, unlocked.volume_key.len(), disk)?;
    let description = table::key_description(&volume.header.copy.uuid, unlocked.digest);
    // dm-crypt takes the key while the table is loaded, in this thread, and keeps its own copy.
    let key = ThreadKey::add(&description, &unlocked.volume_key)?;
    dm::create(&map, MAP_LIMIT)?;
    drop(key);
    Ok(unlocked.keyslot)
}
