//! Growing a mounted ext4 file system.
#![allow(unsafe_code, reason = "the ioctl has no safe wrapper in any crate we use")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

/// `_IOW('f', 16, __u64)` (linux/fs/ext4/ext4.h).
const EXT4_IOC_RESIZE_FS: libc::c_ulong = 0x4008_6610;

/// Grows the file system mounted at `mount_point` to `blocks` file system blocks. If the last group would be too
/// small to be of use, the kernel leaves it out.
///
/// # Errors
/// The kernel refuses; it needs CAP_SYS_RESOURCE.
pub fn grow(mount_point: &Path, blocks: u64) -> io::Result<()> {
    let folder = File::open(mount_point)?;
    // SAFETY: the descriptor is open for as long as `folder` lives, which is beyond the call. The kernel reads eight
    // bytes from the pointer, which points to a live u64, and keeps nothing of it.
    let result = unsafe { libc::ioctl(folder.as_raw_fd(), EXT4_IOC_RESIZE_FS, &raw const blocks) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
