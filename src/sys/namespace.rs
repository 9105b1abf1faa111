//! A root of its own for a process that is to outlive the root it was started in.
#![allow(unsafe_code)] // unshare

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_change, mount_move, unmount,
};
use rustix::process::{chdir, chroot, pivot_root};
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Where the new root waits to take the place of one that cannot be left by pivot_root(2): the kernel's first, which an
/// initramfs is in. It has to be in that file system itself, for all that is mounted on it goes.
const STAGE: &str = "/.diskless-keeper";

/// Moves the calling process, which has one thread, into a root of its own: a small file system in memory with the
/// kernel's own (proc, sysfs, devtmpfs) and /run. Nothing else is mounted there or stays in use by the process. `folder`
/// is where the root is put together; it is below /run, and made if it is missing.
///
/// # Errors
/// A mount fails; the caller is in a mount namespace of its own then, in which all is as it was or half gone: it should
/// end.
pub fn enter_own_root(folder: &Path) -> io::Result<()> {
    // SAFETY: a mount namespace of its own concerns no memory and no file descriptor; there are no other threads, whose
    // idea of the current folder could differ.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    fs::create_dir_all(folder)?;
    let plain = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("diskless-keeper", folder, "tmpfs", plain, c"mode=0700,size=64k")?;
    for name in ["proc", "sys", "dev", "run"] {
        fs::create_dir(folder.join(name))?;
    }
    mount("proc", folder.join("proc"), "proc", plain, None)?;
    mount("sysfs", folder.join("sys"), "sysfs", plain, None)?;
    mount("devtmpfs", folder.join("dev"), "devtmpfs", MountFlags::NOSUID | MountFlags::NOEXEC, None)?;
    // Without what is mounted in it.
    mount_bind("/run", folder.join("run"))?;
    chdir(folder)?;
    match pivot_root(".", ".") {
        // The old root is on top of the new one now.
        Ok(()) => unmount(".", UnmountFlags::DETACH)?,
        Err(Errno::INVAL) => replace_first_root(folder)?,
        Err(error) => return Err(error.into()),
    }
    chroot(".")?;
    chdir("/")?;
    Ok(())
}

/// The same where the root is the kernel's first: it stays, empty of mounts, below the new one.
fn replace_first_root(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(STAGE)?;
    mount_move(folder, STAGE)?;
    chdir(STAGE)?;
    let mounts = fs::read_to_string("proc/self/mountinfo")?;
    for old in others(&mounts, Path::new(STAGE)) {
        // One below another that is gone is gone as well.
        let _ = unmount(&old, UnmountFlags::DETACH);
    }
    // Unused: what is on top of the folder is moved away. The initramfs is emptied at the switch anyway.
    mount_move(".", "/")?;
    Ok(())
}

/// The mount points in this mountinfo (proc_pid_mountinfo(5)) but the root and what is at or below `kept`.
fn others(mountinfo: &str, kept: &Path) -> Vec<PathBuf> {
    let points = mountinfo.lines().filter_map(|line| line.split(' ').nth(4));
    // Names with blanks are written otherwise there; nothing that matters has one.
    let points = points.map(PathBuf::from);
    points.filter(|point| point != Path::new("/") && !point.starts_with(kept)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_mounts_go_but_the_root_and_the_new_one() {
        let mountinfo = "\
1 1 0:2 / / rw - rootfs rootfs rw
22 1 0:21 / /proc rw,nosuid shared:5 - proc proc rw
25 1 0:23 / /run rw - tmpfs tmpfs rw
26 25 0:24 / /run/lock rw - tmpfs tmpfs rw
30 1 0:30 / /.diskless-keeper rw - tmpfs diskless-keeper rw
31 30 0:31 / /.diskless-keeper/proc rw - proc proc rw
junk
";
        let gone = others(mountinfo, Path::new(STAGE));
        assert_eq!(gone, ["/proc", "/run", "/run/lock"].map(PathBuf::from));
    }
}
