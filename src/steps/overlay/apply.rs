//! Mounts, and grows the writable layer.

use std::fmt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::UPPERS;
use super::plan::Overlay;
use crate::error::{Code, Context, Result};
use crate::sys::{ext4, mount};

/// What to do for the new root.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Mount a device.
    Mount(mount::Mount),
    /// Grow the writable layer to so many blocks.
    Grow {
        /// Of 4096 bytes.
        blocks: u64,
    },
    /// Mount an overlay.
    Overlay(Overlay),
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Mount(mount) => write!(f, "mount {} at {}", mount.source, mount.target),
            Action::Grow { blocks } => write!(f, "grow the writable layer to {blocks} blocks"),
            Action::Overlay(overlay) => write!(f, "mount the overlay at {}", overlay.mount.target),
        }
    }
}

pub fn apply(action: Action) -> Result<()> {
    match action {
        Action::Mount(mount) => mount::mount(&mount),
        Action::Grow { blocks } => ext4::grow(Path::new(UPPERS), blocks).context(Code::Kernel, UPPERS),
        Action::Overlay(overlay) => {
            make_upper(Path::new(&overlay.lower), Path::new(&overlay.upper))?;
            std::fs::create_dir_all(&overlay.work).context(Code::Io, &overlay.work)?;
            mount::mount(&overlay.mount)
        }
    }
}

/// The root of an overlay is that of its upper: it takes owner and mode of the lower's.
fn make_upper(lower: &Path, upper: &Path) -> Result<()> {
    let object = || upper.display().to_string();
    let below = std::fs::metadata(lower).context(Code::Io, lower.display().to_string())?;
    std::fs::create_dir_all(upper).context(Code::Io, object())?;
    std::os::unix::fs::chown(upper, Some(below.uid()), Some(below.gid())).context(Code::Io, object())?;
    let mode = std::fs::Permissions::from_mode(below.mode() & 0o7777);
    std::fs::set_permissions(upper, mode).context(Code::Io, object())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upper_looks_like_the_lower() {
        let folder = tempfile::tempdir().unwrap();
        let (lower, upper) = (folder.path().join("lower"), folder.path().join("rw/root/upper"));
        std::fs::create_dir(&lower).unwrap();
        std::fs::set_permissions(&lower, std::fs::Permissions::from_mode(0o1751)).unwrap();
        make_upper(&lower, &upper).unwrap();
        assert_eq!(upper.metadata().unwrap().mode() & 0o7777, 0o1751);
        make_upper(&lower, &upper).unwrap();
    }
}
