//! Mounting.

use std::io;
use std::path::Path;

use rustix::io::Errno;
use rustix::mount::UnmountFlags;
use sys_mount::{FilesystemType, MountFlags};

use crate::error::{Code, Context, Error, Result};

/// A mount as it is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The device, or a name for what has none.
    pub source: String,
    /// Where, absolute.
    pub target: String,
    /// The file system's type.
    pub kind: String,
    /// No writing, also not to the journal.
    pub read_only: bool,
    /// The file system's own options, separated by commas.
    pub options: String,
}

/// Mounts it; the folder is made if it is missing.
///
/// # Errors
/// The folder cannot be made, or the kernel refuses; [`Code::FileSystemMissing`]: it does not have this type;
/// [`Code::FileSystemUnclean`]: it would have to write to what is not to be written to.
pub fn mount(mount: &Mount) -> Result<()> {
    let target = Path::new(&mount.target);
    std::fs::create_dir_all(target).context(Code::Io, &mount.target)?;
    let access = if mount.read_only { MountFlags::RDONLY } else { MountFlags::NOATIME };
    sys_mount::Mount::builder()
        .fstype(FilesystemType::Manual(&mount.kind))
        .flags(access)
        .data(&mount.options)
        .mount(&mount.source, target)
        .map_err(|cause| {
            let object = format!("{} ({}) at {}", mount.source, mount.kind, mount.target);
            Error::new(code(&cause, mount), object).because(cause)
        })?;
    Ok(())
}

/// What the kernel's refusal of `mount` means. With a journal to be replayed on a device that is read-only, ext4, xfs and
/// btrfs say EROFS.
fn code(cause: &io::Error, mount: &Mount) -> Code {
    match Errno::from_io_error(cause) {
        Some(Errno::NODEV) => Code::FileSystemMissing,
        Some(Errno::ROFS) if mount.read_only => Code::FileSystemUnclean,
        _ => Code::FileSystem,
    }
}

/// Unmounts what is at `path`; `lazily`: out of sight now, and really when the last user is gone.
///
/// # Errors
/// It is in use, or nothing is mounted there.
pub fn unmount(path: &str, lazily: bool) -> Result<()> {
    let flags = if lazily { UnmountFlags::DETACH } else { UnmountFlags::empty() };
    rustix::mount::unmount(path, flags | UnmountFlags::NOFOLLOW).context(Code::Kernel, path)
}

/// What a file system has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes for files, used or not.
    pub bytes: u64,
    /// Those that are used.
    pub used: u64,
    /// Files that it can hold, there or not; 0: it does not say.
    pub inodes: u64,
    /// Those that are there.
    pub used_inodes: u64,
}

/// What the file system at `path` has (statvfs(3)), as df counts it.
///
/// # Errors
/// There is no such path, or the kernel refuses.
pub fn space(path: &Path) -> Result<Space> {
    let stat = rustix::fs::statvfs(path).context(Code::Io, path.display().to_string())?;
    let blocks = |count: u64| count.saturating_mul(stat.f_frsize);
    let used = stat.f_blocks.saturating_sub(stat.f_bfree);
    Ok(Space {
        bytes: blocks(used.saturating_add(stat.f_bavail)),
        used: blocks(used),
        inodes: stat.f_files,
        used_inodes: stat.f_files.saturating_sub(stat.f_ffree),
    })
}

/// OVERLAYFS_SUPER_MAGIC (linux/magic.h).
const OVERLAY: i64 = 0x794c_7630;

/// Whether `path` is in an overlay. Of a mount point that is told from memory, even when its disks do not answer.
pub fn is_overlay(path: &Path) -> bool {
    rustix::fs::statfs(path).is_ok_and(|stat| stat.f_type == OVERLAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_refusal_means() {
        let mount = |read_only| Mount {
            source: "/dev/mapper/a".into(),
            target: "/b".into(),
            kind: "xfs".into(),
            read_only,
            options: String::new(),
        };
        for (errno, read_only, expected) in [
            (Errno::NODEV, true, Code::FileSystemMissing),
            (Errno::ROFS, true, Code::FileSystemUnclean),
            (Errno::ROFS, false, Code::FileSystem),
            (Errno::INVAL, true, Code::FileSystem),
        ] {
            assert_eq!(code(&errno.into(), &mount(read_only)), expected, "{errno}");
        }
    }
}
