//! A plan that somebody wants to try in this boot: it lies below /run, and goes before every other.

use std::path::PathBuf;

use super::place::Found;
use crate::engine::host::Host;
use crate::error::{Code, Context, Result};
use crate::input::config::Source;
use crate::input::signature::ENDINGS;
use crate::sys::whole_file;

/// Where it lies, for root alone: it may hold secrets.
pub const FILE: &str = "/run/diskless/plan.json";

/// The plan to be tried in place of that of the parameters; none: nobody tries one.
pub fn source(host: &Host) -> Option<Source> {
    host.path(FILE).exists().then(|| Source::File(FILE.to_owned()))
}

/// Puts `found` in place of a former one, with its signature.
///
/// # Errors
/// [`Code::Io`]: it cannot be written.
pub fn put(host: &Host, found: &Found) -> Result<()> {
    // Whoever looks in between finds no plan without its signature.
    take_away(host)?;
    if let Some((ending, signature)) = &found.signature {
        whole_file::write(&host.path(format!("{FILE}{ending}")), signature, 0o600, None)?;
    }
    whole_file::write(&host.path(FILE), &found.text, 0o600, None)
}

/// Takes it away; gives whether there was one.
///
/// # Errors
/// [`Code::Io`]: it cannot be removed.
pub fn take_away(host: &Host) -> Result<bool> {
    let was = host.path(FILE).exists();
    let mut files = vec![host.path(FILE)];
    files.extend(ENDINGS.iter().map(|ending| host.path(format!("{FILE}{ending}"))));
    files.into_iter().try_for_each(remove)?;
    Ok(was)
}

fn remove(file: PathBuf) -> Result<()> {
    match std::fs::remove_file(&file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).context(Code::Io, file.display().to_string())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use zeroize::Zeroizing;

    #[test]
    fn a_plan_is_put_for_root_alone_and_taken_away_whole() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::fake(root.path());
        let bytes = |text: &str| Zeroizing::new(text.as_bytes().to_vec());
        assert_eq!(source(&host), None);
        assert!(!take_away(&host).unwrap());
        put(&host, &Found { text: bytes("one"), signature: Some((".sig", bytes("of one"))) }).unwrap();
        put(&host, &Found { text: bytes("two"), signature: Some((".minisig", bytes("of two"))) }).unwrap();
        assert_eq!(source(&host), Some(Source::File(FILE.into())));
        let names = || {
            let entries = std::fs::read_dir(host.path("/run/diskless")).unwrap();
            let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        assert_eq!(names(), ["plan.json", "plan.json.minisig"]);
        assert_eq!(std::fs::read(host.path(FILE)).unwrap(), b"two");
        for name in names() {
            let file = host.path("/run/diskless").join(name);
            assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert!(take_away(&host).unwrap());
        assert_eq!(names().len(), 0);
    }
}
