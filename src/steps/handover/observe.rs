//! Reads the files and units as they are in the new root.

use super::files::{Content, File};
use super::units::{self, Unit, Wanted};
use super::{AUTORELABEL, failed};
use crate::engine::host::Host;
use crate::error::{Code, Context, Result};
use crate::steps::overlay::SYSROOT;
use crate::sys::in_root::{Found, Root};

/// No file that is changed, and no unit, is longer.
pub const LONGEST: u64 = 1 << 20;

/// The new root, as far as it is ours to change.
pub struct Seen {
    /// The name that the kernel has for the node; none: it has none yet.
    pub hostname: Option<String>,
    /// For each file: what is there, if it is one.
    pub files: Vec<Option<Found>>,
    /// The whole file system is to be labelled anew at the next boot.
    pub autorelabel: bool,
    /// The units that are wanted, and those that are to be enabled with them.
    pub units: Vec<Unit>,
}

pub fn observe(host: &Host, files: &[File], wanted: &[Wanted]) -> Result<Seen> {
    let root = Root::open(&host.path(SYSROOT)).context(Code::Handover, SYSROOT)?;
    let autorelabel = root.is_there(AUTORELABEL).map_err(failed(AUTORELABEL))?;
    Ok(Seen {
        hostname: hostname(host),
        files: files.iter().map(|file| current(&root, file)).collect::<Result<_>>()?,
        autorelabel,
        units: units::look(&root, wanted)?,
    })
}

fn current(root: &Root, file: &File) -> Result<Option<Found>> {
    match root.read(&file.path, LONGEST.max(file.content.length())) {
        // Not what it is to be, and nothing of it is to stay.
        Err(error)
            if error.kind() == std::io::ErrorKind::FileTooLarge
                && !matches!(file.content, Content::Settings(_)) =>
        {
            Ok(None)
        }
        result => result.map_err(failed(&file.path)),
    }
}

/// What the kernel calls the node, unless that is what an initramfs calls itself where nobody told it a name.
fn hostname(host: &Host) -> Option<String> {
    let name = std::fs::read_to_string(host.path("/proc/sys/kernel/hostname")).ok()?;
    let name = name.trim();
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
    let is_name = !name.is_empty() && name.bytes().all(plain) && !name.starts_with("localhost");
    is_name.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_says_nothing_is_none() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::fake(root.path());
        assert_eq!(hostname(&host), None);
        std::fs::create_dir_all(root.path().join("proc/sys/kernel")).unwrap();
        for (name, seen) in [
            ("node1.example.org\n", Some("node1.example.org")),
            ("(none)\n", None),
            ("localhost\n", None),
            ("localhost.localdomain\n", None),
            ("\n", None),
        ] {
            std::fs::write(root.path().join("proc/sys/kernel/hostname"), name).unwrap();
            assert_eq!(hostname(&host).as_deref(), seen);
        }
    }
}
