//! Opens the encrypted disk: a LUKS header is read, a keyslot opened with the key, a dm-crypt map made. The volume
//! key is only ever in this process and in the kernel's keyring.
//!
//! What is read and computed is told apart from what acts: [`open_volume`] works on any file.
//!
//! `source` gets the key and a detached header. `luks1` and `luks2` make [`metadata`] of a header, `volume` tells which
//! of them is to; `keyslot` gets the volume key with `kdf`, `cipher`, `af` and `hash`; `table` says what the kernel is
//! to make of it. `describe` shows a header to people.

mod af;
mod apply;
mod bytes;
mod cipher;
pub mod describe;
#[cfg(test)]
mod fixture;
#[cfg(fuzzing)]
pub mod fuzz;
mod hash;
pub mod kdf;
mod keyslot;
mod luks1;
mod luks2;
pub mod metadata;
mod observe;
mod plan;
pub mod source;
mod table;
mod volume;

use std::cell::{Cell, OnceCell};
use std::fs::File;
use std::io::Cursor;

use zeroize::Zeroizing;

use crate::engine::converge::{Converge, Next};
use crate::engine::host::Host;
use crate::error::{Code, Context, Result};
use crate::input::document::{Header, Luks};
use crate::sys::block::Disk;

pub use apply::Open;
pub use cipher::Cipher;
pub use hash::Hash;
pub use keyslot::{Unlocked, open_volume};
pub use metadata::Size;
pub use observe::Seen;
pub use volume::{Version, Volume};

type Find<'a> = dyn Fn(&Host) -> Result<Option<Disk>> + 'a;

/// Opens the encrypted disk.
pub struct Step<'a> {
    luks: &'a Luks,
    disk: Box<Find<'a>>,
    /// A header that was fetched: looking again does not fetch it again.
    fetched: OnceCell<Zeroizing<Vec<u8>>>,
    /// The keyslot that opened, which the kernel cannot tell.
    keyslot: Cell<Option<u32>>,
}

impl<'a> Step<'a> {
    /// Opens what `disk` finds in the way that `luks` says. The key is fetched only when it is needed, and wiped right
    /// after.
    pub fn new(luks: &'a Luks, disk: impl Fn(&Host) -> Result<Option<Disk>> + 'a) -> Step<'a> {
        Step { luks, disk: Box::new(disk), fetched: OnceCell::new(), keyslot: Cell::new(None) }
    }

    /// Tries the key of the plan, and makes nothing of it: the keyslot that it opens.
    ///
    /// # Errors
    /// As for [`Volume::unlock`]; the key or the header is not to be had.
    pub fn try_key(&self, host: &Host, open: &Open) -> Result<u32> {
        let mut header = self.header(host, &open.disk)?;
        let key = source::key(host, self.luks)?;
        Ok(open.volume.unlock(host, &mut &mut *header, &key, self.luks.keyslot)?.keyslot)
    }

    /// What the header of `disk` is to be read from.
    fn header(&self, host: &Host, disk: &Disk) -> Result<Box<dyn source::Bytes + '_>> {
        match &self.luks.header {
            None => {
                let path = observe::node(host, disk);
                let file = File::open(&path).context(Code::Io, path.display().to_string())?;
                Ok(Box::new(file))
            }
            Some(Header::File(path)) => source::header_file(&host.path(path)),
            Some(Header::Url(url)) => {
                if self.fetched.get().is_none() {
                    // It was empty, so it takes this.
                    let _ = self.fetched.set(source::header_url(url)?);
                }
                Ok(Box::new(Cursor::new(self.fetched.get().map_or(&[][..], |bytes| bytes.as_slice()))))
            }
        }
    }
}

impl Converge for Step<'_> {
    type Seen = Seen;
    type Action = Open;

    fn observe(&self, host: &Host) -> Result<Seen> {
        let disk = (self.disk)(host)?;
        observe::observe(&self.luks.name, disk, |disk| self.header(host, disk), self.keyslot.get())
    }

    fn plan(&self, seen: &Seen) -> Result<Next<Open>> {
        plan::plan(self.luks, seen)
    }

    fn apply(&self, host: &Host, open: Open) -> Result<()> {
        let mut header = self.header(host, &open.disk)?;
        let key = source::key(host, self.luks)?;
        self.keyslot.set(Some(apply::apply(host, &open, &mut *header, &key, self.luks.keyslot)?));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn the_header_is_read_from_where_the_plan_says() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::fake(root.path());
        std::fs::create_dir(root.path().join("dev")).unwrap();
        std::fs::write(root.path().join("dev/sda"), "on the disk").unwrap();
        std::fs::write(root.path().join("header"), "in a file").unwrap();
        let disk = Disk { name: "sda".into(), dev: (8, 0), sectors: 8 };
        let url = fixture::answering("200 OK", b"from a server");
        for (header, text) in [
            (serde_json::Value::Null, "on the disk"),
            (serde_json::json!({ "file": "/header" }), "in a file"),
            (serde_json::json!({ "url": url }), "from a server"),
        ] {
            let luks = serde_json::json!({ "key": { "file": "/key" }, "header": header });
            let luks: Luks = serde_json::from_value(luks).unwrap();
            let step = Step::new(&luks, |_| Ok(None));
            // The server answers once: what was fetched is kept.
            for _ in 0..2 {
                let mut found = String::new();
                step.header(&host, &disk).ok().unwrap().read_to_string(&mut found).unwrap();
                assert_eq!(found, text);
            }
        }
    }
}
