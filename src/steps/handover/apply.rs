//! Writes into the new root.

use std::fmt;

use zeroize::Zeroizing;

use crate::engine::host::Host;
use crate::error::{Code, Context, Result};
use crate::steps::overlay::SYSROOT;
use crate::sys::in_root::Root;

/// What to do in the new root.
pub enum Action {
    /// Write one file. There may be a secret in it.
    Write {
        /// Absolute, in the new root.
        path: &'static str,
        /// Its permissions.
        mode: u32,
        /// Its content.
        bytes: Zeroizing<Vec<u8>>,
    },
    /// Make a symbolic link.
    Link {
        /// Absolute, in the new root.
        path: String,
        /// Where it leads.
        to: String,
    },
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Write { path, .. } => write!(f, "write {path}"),
            Action::Link { path, to } => write!(f, "link {path} to {to}"),
        }
    }
}

pub fn apply(host: &Host, action: Action) -> Result<()> {
    let root = Root::open(&host.path(SYSROOT)).context(Code::Handover, SYSROOT)?;
    match action {
        Action::Write { path, mode, bytes } => root.write(path, &bytes, mode).context(Code::Handover, path),
        Action::Link { path, to } => root.link(&path, &to).context(Code::Handover, path),
    }
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
        let root = folder.path().join("sysroot");
        let unit = "lib/systemd/system/iscsid.service";
        for (path, text) in [("etc/hostname", "vm\n"), (unit, "[Install]\nWantedBy=sysinit.target\n")] {
            std::fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            std::fs::write(root.join(path), text).unwrap();
        }
        let file = File { path: "/etc/hostname", mode: 0o644, content: Content::Whole("node1\n".into()) };
        let step = Step::new(vec![file]);
        let done = converge(&step, &Host::fake(folder.path()), std::time::Duration::ZERO, &mut |_| ());
        assert_eq!(done.unwrap(), "/etc/hostname iscsid.service");
        assert_eq!(std::fs::read(root.join("etc/hostname")).unwrap(), b"node1\n");
        let link = root.join("etc/systemd/system/sysinit.target.wants/iscsid.service");
        assert_eq!(link.read_link().unwrap(), std::path::Path::new("/").join(unit));
    }
}
