//! Writes a file into the new root.

use std::fmt;

use zeroize::Zeroizing;

use crate::engine::host::Host;
use crate::error::{Code, Context, Result};
use crate::steps::overlay::SYSROOT;
use crate::sys::in_root::Root;

/// Write one file. There may be a secret in it.
pub struct Write {
    /// Absolute, in the new root.
    pub path: &'static str,
    /// Its permissions.
    pub mode: u32,
    /// Its content.
    pub bytes: Zeroizing<Vec<u8>>,
}

impl fmt::Display for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "write {}", self.path)
    }
}

pub fn apply(host: &Host, Write { path, mode, bytes }: Write) -> Result<()> {
    let root = Root::open(&host.path(SYSROOT)).context(Code::Handover, SYSROOT)?;
    root.write(path, &bytes, mode).context(Code::Handover, path)
}

#[cfg(test)]
mod tests {
    use crate::engine::converge::converge;
    use crate::engine::host::Host;
    use crate::steps::handover::Step;
    use crate::steps::handover::files::{Content, File};

    #[test]
    fn after_applying_nothing_is_left_to_do() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("sysroot/etc")).unwrap();
        std::fs::write(folder.path().join("sysroot/etc/hostname"), "vm\n").unwrap();
        let file = File { path: "/etc/hostname", mode: 0o644, content: Content::Whole("node1\n".into()) };
        let step = Step::new(vec![file]);
        let done = converge(&step, &Host::fake(folder.path()), std::time::Duration::ZERO, &mut |_| ());
        assert_eq!(done.unwrap(), "/etc/hostname");
        assert_eq!(std::fs::read(folder.path().join("sysroot/etc/hostname")).unwrap(), b"node1\n");
    }
}
