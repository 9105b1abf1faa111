//! The keys of operators: which are taken, and where they are written.

use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use crate::engine::host::Host;
use crate::error::{Code, Context, Error, Result};
use crate::input::authorized_key::AuthorizedKey;
use crate::input::cmdline::Cmdline;
use crate::input::config;
use crate::sys::whole_file;

/// Where a site puts the keys of its operators into the initramfs.
pub const KEYS: &str = "/etc/diskless/authorized_keys";
/// The file is no longer than this: some hundred keys of any type.
const LONGEST_FILE: u64 = 1 << 20;

/// Those of the initramfs and of the command line. What is no key is left out, and warned of: the others let somebody in.
pub fn own(host: &Host, cmdline: &Cmdline, warnings: &mut Vec<Error>) -> Vec<String> {
    let mut keys = Vec::new();
    let file = host.path(KEYS);
    match std::fs::metadata(&file).map(|found| found.len()) {
        Err(_) => (),
        Ok(LONGEST_FILE..) => {
            warnings.push(Error::new(Code::Access, KEYS).because("it is longer than 1 MiB"))
        }
        Ok(_) => match std::fs::read_to_string(&file) {
            Ok(text) => of_file(&text, &mut keys, warnings),
            Err(error) => warnings.push(Error::new(Code::Access, KEYS).because(error)),
        },
    }
    for line in config::authorized_keys(cmdline) {
        match AuthorizedKey::alone(line) {
            Ok(key) => keys.push(key.to_string()),
            Err(why) => warnings.push(Error::new(Code::Access, "rd.diskless.authorized_key=").because(why)),
        }
    }
    keys
}

fn of_file(text: &str, keys: &mut Vec<String>, warnings: &mut Vec<Error>) {
    for (number, line) in (1..).zip(text.lines()) {
        match AuthorizedKey::of_file(line) {
            Ok(key) => keys.extend(key.map(|key| key.to_string())),
            Err(why) => warnings.push(Error::new(Code::Access, format!("{KEYS}:{number}")).because(why)),
        }
    }
}

/// Writes `lines` to `file`. sshd wants a file that nobody else may write to.
pub fn write(file: &Path, lines: &[String]) -> Result<()> {
    let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    whole_file::write(file, text.as_bytes(), 0o600, None)
}

/// Makes the folder, which only root may look into.
pub fn private_folder(folder: &Path) -> Result<()> {
    let object = || folder.display().to_string();
    std::fs::DirBuilder::new().recursive(true).mode(0o755).create(folder).context(Code::Io, object())?;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).context(Code::Io, object())
}
