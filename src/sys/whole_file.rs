//! Files and links below /run, whole or not at all.

use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::SystemTime;

use crate::error::{Code, Context, Result};

/// Writes `bytes` to `file` with the permissions `mode`, which nobody has more of at any time, and the time `modified`;
/// missing folders are made.
///
/// # Errors
/// [`Code::Io`]: a folder or the file cannot be made.
pub fn write(file: &Path, bytes: &[u8], mode: u32, modified: Option<SystemTime>) -> Result<()> {
    let object = || file.display().to_string();
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).context(Code::Io, folder.display().to_string())?;
    }
    let new = file.with_extension("new");
    // A killed run may have left one, with other permissions.
    let _ = std::fs::remove_file(&new);
    std::fs::File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)
        .and_then(|mut open| {
            open.write_all(bytes)?;
            open.set_permissions(std::fs::Permissions::from_mode(mode))?;
            modified.map_or(Ok(()), |modified| open.set_modified(modified))
        })
        .and_then(|()| std::fs::rename(&new, file))
        .context(Code::Io, object())
}

/// Makes the link `at`, which leads to `to`, and the folder that it is in; one that is there stays.
///
/// # Errors
/// [`Code::Io`]: the folder or the link cannot be made.
pub fn link(to: &str, at: &Path) -> Result<()> {
    let object = || at.display().to_string();
    if let Some(folder) = at.parent() {
        std::fs::create_dir_all(folder).context(Code::Io, object())?;
    }
    match std::os::unix::fs::symlink(to, at) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(error).context(Code::Io, object())
        }
        _ => Ok(()),
    }
}
