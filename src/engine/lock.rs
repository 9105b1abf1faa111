//! One agent at a time.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::{Code, Context, Error, Result};

/// Where the lock of a boot is, on the node.
pub const FILE: &str = "/run/diskless/lock";
/// How often a lock that another has is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Held as long as it lives; the kernel lets go of it when the process ends, however it ends.
pub struct Lock(#[allow(dead_code, reason = "the open file is the lock")] File);

/// Takes the lock `file`, which then names this process.
///
/// # Errors
/// Another process holds it ([`Code::Locked`], with its pid), or the file cannot be made.
pub fn take(file: &Path) -> Result<Lock> {
    let object = || file.display().to_string();
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).context(Code::Io, folder.display().to_string())?;
    }
    let mut lock = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(file)
        .context(Code::Io, object())?;
    match lock.try_lock() {
        Ok(()) => (),
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = lock.read_to_string(&mut holder);
            return Err(Error::new(Code::Locked, object()).because(format!("pid {}", holder.trim())));
        }
        Err(TryLockError::Error(error)) => return Err(error).context(Code::Io, object()),
    }
    lock.set_len(0)
        .and_then(|()| lock.rewind())
        .and_then(|()| writeln!(lock, "{}", std::process::id()))
        .context(Code::Io, object())?;
    Ok(Lock(lock))
}

/// Takes the lock `file` as [`take`] does, and waits for another that has it for at most `limit`: for locks that are held
/// for a moment.
///
/// # Errors
/// As [`take`].
pub fn take_within(file: &Path, limit: Duration) -> Result<Lock> {
    let deadline = Instant::now() + limit;
    loop {
        match take(file) {
            Err(error) if error.code() == Code::Locked && Instant::now() < deadline => {
                std::thread::sleep(LOOK_EVERY)
            }
            result => return result,
        }
    }
}

/// The process that holds the lock `file`, by the text `locks` of /proc/locks; none: nobody does. The lock is not taken for
/// it, not even for a moment: a boot that starts right then would believe in another.
pub fn holder(file: &Path, locks: &str) -> Option<u32> {
    let inode = std::fs::metadata(file).ok()?.ino();
    let pid: u32 = std::fs::read_to_string(file).ok()?.trim().parse().ok()?;
    is_held(locks, pid, inode).then_some(pid)
}

/// `1: FLOCK  ADVISORY  WRITE 211 00:17:1234 0 EOF` (fs/locks.c, lock_get_status)
fn is_held(locks: &str, pid: u32, inode: u64) -> bool {
    locks.lines().any(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [_, "FLOCK", _, "WRITE", by, place, ..] = words.as_slice() else { return false };
        by.parse() == Ok(pid) && place.rsplit(':').next().and_then(|text| text.parse().ok()) == Some(inode)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn who_holds_it_is_told_without_taking_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lock");
        let locks = || std::fs::read_to_string("/proc/locks").unwrap();
        assert_eq!(holder(&file, &locks()), None);
        let held = take(&file).unwrap();
        assert_eq!(holder(&file, &locks()), Some(std::process::id()));
        drop(held);
        assert_eq!(holder(&file, &locks()), None);
    }

    proptest! {
        #[test]
        fn no_list_of_locks_makes_the_reader_panic(text in "(\\PC{0,60}\n){0,4}", words in "([0-9A-Z:]{1,6} ){0,9}") {
            let _ = (is_held(&text, 1, 2), is_held(&words, 1, 2));
        }
    }

    #[test]
    fn the_second_is_told_who_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("run/lock");
        let first = take(&file).unwrap();
        let error = take(&file).map(drop).unwrap_err();
        assert_eq!(error.code(), Code::Locked);
        assert!(error.to_string().ends_with(&format!("pid {}", std::process::id())), "{error}");
        let limit = Duration::from_millis(50);
        assert_eq!(take_within(&file, limit).map(drop).unwrap_err().code(), Code::Locked);
        let waits = std::thread::spawn({
            let file = file.clone();
            move || take_within(&file, Duration::from_secs(60)).is_ok()
        });
        drop(first);
        assert!(waits.join().unwrap());
        assert!(take(&file).is_ok());
    }
}
