//! Reads the files and units as they are in the new root.

use zeroize::Zeroizing;

use super::files::File;
use super::install;
use crate::engine::host::Host;
use crate::error::{Code, Context, Result};
use crate::steps::overlay::SYSROOT;
use crate::sys::in_root::Root;

/// No file that is changed, and no unit, is longer.
const LONGEST: u64 = 1 << 20;
/// Where units are, those that win first.
const UNIT_FOLDERS: [&str; 3] = ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];

/// The new root, as far as it is ours to change.
pub struct Seen {
    /// For each file: its bytes and permissions, if it is there.
    pub files: Vec<Option<(Zeroizing<Vec<u8>>, u32)>>,
    /// The units that the image has.
    pub units: Vec<Unit>,
}

/// A unit of the image.
#[derive(Debug, PartialEq, Eq)]
pub struct Unit {
    /// Its file.
    pub path: String,
    /// The links that would enable it and are missing.
    pub missing: Vec<String>,
}

pub fn observe(host: &Host, files: &[File], units: &[&str]) -> Result<Seen> {
    let root = Root::open(&host.path(SYSROOT)).context(Code::Handover, SYSROOT)?;
    let read = |file: &File| root.read(file.path, LONGEST).context(Code::Handover, file.path);
    let mut seen = Seen { files: files.iter().map(read).collect::<Result<_>>()?, units: Vec::new() };
    for name in units {
        seen.units.extend(unit(&root, name)?);
    }
    Ok(seen)
}

fn unit(root: &Root, name: &str) -> Result<Option<Unit>> {
    for folder in UNIT_FOLDERS {
        let path = format!("{folder}/{name}");
        let Some((text, _)) = root.read(&path, LONGEST).context(Code::Handover, &path)? else { continue };
        let mut missing = Vec::new();
        for link in install::links(name, &String::from_utf8_lossy(&text)) {
            if !root.is_there(&link).context(Code::Handover, &link)? {
                missing.push(link);
            }
        }
        return Ok(Some(Unit { path, missing }));
    }
    Ok(None)
}
