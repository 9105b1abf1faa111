//! One agent at a time.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use crate::error::{Code, Context, Error, Result};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("run/lock");
        let first = take(&file).unwrap();
        let error = take(&file).map(drop).unwrap_err();
        assert_eq!(error.code(), Code::Locked);
        assert!(error.to_string().ends_with(&format!("pid {}", std::process::id())), "{error}");
        drop(first);
        assert!(take(&file).is_ok());
    }
}
