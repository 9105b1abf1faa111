//! Mounts, and grows the writable layer.

use std::fmt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::plan::Overlay;
use super::{SYSROOT, UPPERS, utab};
use crate::engine::host::Host;
use crate::error::{Code, Context, Error, Result};
use crate::sys::{ext4, mount, whole_file, xattr};

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
    /// Write libmount's table, which this is.
    Mark(String),
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Mount(mount) => write!(f, "mount {} at {}", mount.source, mount.target),
            Action::Grow { blocks } => write!(f, "grow the writable layer to {blocks} blocks"),
            Action::Overlay(overlay) => write!(f, "mount the overlay at {}", overlay.mount.target),
            Action::Mark(_) => f.write_str("mark the mounts as needing the network"),
        }
    }
}

pub fn apply(host: &Host, action: Action) -> Result<()> {
    match action {
        Action::Mount(mount) => mount::mount(&mount),
        Action::Grow { blocks } => ext4::grow(Path::new(UPPERS), blocks).context(Code::Kernel, UPPERS),
        Action::Overlay(overlay) => {
            refuse_links(Path::new(SYSROOT), Path::new(&overlay.mount.target))?;
            make_upper(Path::new(&overlay.lower), Path::new(&overlay.upper))?;
            std::fs::create_dir_all(&overlay.work).context(Code::Io, &overlay.work)?;
            mount::mount(&overlay.mount)
        }
        Action::Mark(table) => {
            // mount(8) and systemd may read it at any time.
            whole_file::write(&host.path(utab::FILE), table.as_bytes(), 0o644, None)
        }
    }
}

/// A link on the way to a mount point leads out of the new root for as long as that is not the root.
fn refuse_links(root: &Path, target: &Path) -> Result<()> {
    let inside = target.strip_prefix(root).unwrap_or(target);
    let mut path = root.to_owned();
    for part in inside.components() {
        path.push(part);
        if path.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink()) {
            return Err(Error::new(Code::FileSystem, target.display().to_string())
                .because(format!("{} is a link: mount at the place where it leads to", path.display())));
        }
    }
    Ok(())
}

/// The root of an overlay is that of its upper: it takes owner, mode and extended attributes of the lower's.
fn make_upper(lower: &Path, upper: &Path) -> Result<()> {
    let object = || upper.display().to_string();
    let below = std::fs::metadata(lower).context(Code::Io, lower.display().to_string())?;
    std::fs::create_dir_all(upper).context(Code::Io, object())?;
    std::os::unix::fs::chown(upper, Some(below.uid()), Some(below.gid())).context(Code::Io, object())?;
    let mode = std::fs::Permissions::from_mode(below.mode() & 0o7777);
    std::fs::set_permissions(upper, mode).context(Code::Io, object())?;
    xattr::copy(lower, upper).context(Code::Io, object())
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

    #[test]
    fn a_mount_point_behind_a_link_is_refused() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("data/lib")).unwrap();
        std::os::unix::fs::symlink("/data", root.path().join("var")).unwrap();
        let check = |at: &str| refuse_links(root.path(), &root.path().join(at));
        assert!(check("").is_ok() && check("data/lib").is_ok() && check("data/none/x").is_ok());
        assert_eq!(check("var").unwrap_err().code(), Code::FileSystem);
        assert!(check("var/lib").unwrap_err().to_string().contains("/var is a link"));
    }

    #[test]
    fn the_table_is_written_where_libmount_reads_it() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::fake(root.path());
        for table in ["SRC=a\n", "SRC=b\n"] {
            apply(&host, Action::Mark(table.into())).unwrap();
            assert_eq!(std::fs::read_to_string(root.path().join("run/mount/utab")).unwrap(), table);
        }
        assert_eq!(std::fs::read_dir(root.path().join("run/mount")).unwrap().count(), 1);
    }
}
