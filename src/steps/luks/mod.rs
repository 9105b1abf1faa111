//! Opens the encrypted disk: a LUKS2 header is read, a keyslot opened with the key, a dm-crypt map made. The volume
//! key is only ever in this process and in the kernel's keyring.
//!
//! What is read and computed is told apart from what acts: [`open_volume`] works on any file.
//!
//! `header` finds the copy that holds, `json` and `check` make [`metadata`] of it, `keyslot` gets the volume key
//! with `kdf`, `cipher`, `af` and `hash`, `table` says what the kernel is to make of it.

mod af;
mod apply;
mod check;
mod cipher;
#[cfg(test)]
mod fixture;
#[cfg(fuzzing)]
pub mod fuzz;
mod hash;
pub mod header;
mod json;
pub mod kdf;
mod keyslot;
pub mod metadata;
mod observe;
mod plan;
mod table;

use std::cell::Cell;

use crate::engine::converge::{Converge, Next};
use crate::engine::host::Host;
use crate::error::Result;
use crate::input::secret::Secret;
use crate::sys::block::Disk;

pub use apply::Open;
pub use cipher::Cipher;
pub use hash::Hash;
pub use json::Size;
pub use keyslot::{Unlocked, Volume, open_volume};
pub use observe::Seen;

type Find<'a> = dyn Fn(&Host) -> Result<Option<Disk>> + 'a;
type Key<'a> = dyn Fn(&Host) -> Result<Secret> + 'a;

/// Opens the encrypted disk.
pub struct Step<'a> {
    name: String,
    disk: Box<Find<'a>>,
    key: Box<Key<'a>>,
    /// The keyslot that opened, which the kernel cannot tell.
    keyslot: Cell<Option<u32>>,
}

impl<'a> Step<'a> {
    /// Opens what `disk` finds as the map `name`, with what `key` fetches. The key is fetched only when it is needed,
    /// and wiped right after.
    pub fn new(
        name: impl Into<String>,
        disk: impl Fn(&Host) -> Result<Option<Disk>> + 'a,
        key: impl Fn(&Host) -> Result<Secret> + 'a,
    ) -> Step<'a> {
        Step { name: name.into(), disk: Box::new(disk), key: Box::new(key), keyslot: Cell::new(None) }
    }
}

impl Converge for Step<'_> {
    type Seen = Seen;
    type Action = Open;

    fn observe(&self, host: &Host) -> Result<Seen> {
        observe::observe(host, &self.name, (self.disk)(host)?, self.keyslot.get())
    }

    fn plan(&self, seen: &Seen) -> Result<Next<Open>> {
        plan::plan(&self.name, seen)
    }

    fn apply(&self, host: &Host, open: Open) -> Result<()> {
        let key = (self.key)(host)?;
        self.keyslot.set(Some(apply::apply(host, &open, &key)?));
        Ok(())
    }
}
