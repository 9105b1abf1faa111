//! The memory of a process that must go on when no page can be read back from a disk.
#![allow(unsafe_code)] // mallopt and malloc_trim have no wrapper in the crates that are used here

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;
use rustix::mm::{MlockAllFlags, mlockall};
use rustix::thread::{disable_transparent_huge_pages, set_name};

/// A copy of the file `program` in memory that nobody can change any more, and where it is to be run from.
///
/// # Errors
/// There is no such file, or no memory for it.
pub fn sealed_copy(program: &Path, name: &str) -> io::Result<(OwnedFd, String)> {
    let copy = memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut copy = File::from(copy);
    io::copy(&mut File::open(program)?, &mut copy)?;
    let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    fcntl_add_seals(&copy, seals)?;
    let path = format!("/proc/self/fd/{}", copy.as_raw_fd());
    Ok((copy.into(), path))
}

/// Has this process called `name` by who lists processes (at most 15 bytes of it, PR_SET_NAME of prctl(2)): one that runs
/// from a descriptor has the descriptor's number for a name.
pub fn call(name: &CStr) {
    // It has a name anyway.
    let _ = set_name(name);
}

/// Keeps every page in memory from the first time it is used, and the heap small: one arena, no huge pages.
///
/// # Errors
/// The process may not lock memory.
pub fn lock() -> io::Result<()> {
    // SAFETY: mallopt(3) takes two numbers, and there is no other thread yet that could be in malloc.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
    // Without it a heap of a few KiB may take 2 MiB. Not all kernels can, which is no loss of safety.
    let _ = disable_transparent_huge_pages(true);
    let all = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE;
    match mlockall(all | MlockAllFlags::ONFAULT) {
        // A kernel before 4.4: then all pages at once, used or not.
        Err(Errno::INVAL | Errno::NOSYS) => Ok(mlockall(all)?),
        other => Ok(other?),
    }
}

/// Gives what is free of the heap back to the kernel.
pub fn trim() {
    // SAFETY: malloc_trim(3) takes a number and locks the heap itself.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_sealed_copy_is_the_file_and_cannot_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("program");
        std::fs::write(&file, "text").unwrap();
        let (copy, path) = sealed_copy(&file, "test").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "text");
        assert!(File::from(copy).write_all(b"x").is_err());
    }
}
