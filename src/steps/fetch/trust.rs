//! What a plan must have to be taken, and the keys that are trusted.

use std::fs;
use std::io::Read;
use std::path::Path;

use crate::error::{Code, Context, Error, Result};
use crate::input::config::Signing;
use crate::input::signature::{LONGEST, PublicKey};

/// The folder of the trusted keys, each in a file `*.pub`.
pub const TRUSTED: &str = "/etc/diskless/trusted.d";

/// A key whose plans are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trusted {
    /// What its file is called.
    pub name: String,
    /// It.
    pub key: PublicKey,
}

/// What a plan must have to be taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// By whom it may be signed.
    pub trusted: Vec<Trusted>,
    /// Whether it must be signed, and say which node it is for, and have a serial.
    pub required: bool,
    /// The lowest serial that is accepted; 0: any, or none.
    pub least_serial: u64,
}

impl Rules {
    /// Those of the initramfs below `root` and of its parameters: a signature is required where there is a trusted key,
    /// unless the parameters say otherwise.
    ///
    /// # Errors
    /// [`Code::SigningKey`]: a file of the folder cannot be read, or is no key. To pass it over could mean to take any plan.
    pub fn read(root: &Path, signing: Signing) -> Result<Rules> {
        let folder = root.join(TRUSTED.trim_start_matches('/'));
        let trusted = match signing.required {
            Some(false) => Vec::new(),
            _ => keys(&folder)?,
        };
        let required = signing.required.unwrap_or(!trusted.is_empty());
        Ok(Rules { trusted, required, least_serial: signing.least_serial })
    }
}

/// The keys in the files `*.pub` of `folder`, in the order of their names; none: there is no such folder.
///
/// # Errors
/// [`Code::SigningKey`]: one of them cannot be read, or is no key.
pub fn keys(folder: &Path) -> Result<Vec<Trusted>> {
    let failed = |path: &Path| (Code::SigningKey, path.display().to_string());
    let mut keys = Vec::new();
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(keys),
        entries => entries.context(Code::SigningKey, folder.display().to_string())?,
    };
    for entry in entries {
        let (code, object) = failed(folder);
        let path = entry.context(code, object)?.path();
        if path.extension().is_some_and(|ending| ending == "pub") {
            keys.push(key(&path)?);
        }
    }
    keys.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(keys)
}

/// The key in the file `path`.
///
/// # Errors
/// [`Code::SigningKey`]: it cannot be read, or is no key.
pub fn key(path: &Path) -> Result<Trusted> {
    let object = || path.display().to_string();
    let mut text = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(LONGEST + 1).read_to_end(&mut text))
        .context(Code::SigningKey, object())?;
    let key = PublicKey::parse(&text).map_err(|why| Error::new(Code::SigningKey, object()).because(why))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Trusted { name, key })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_make_signatures_necessary_and_a_file_that_is_none_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        let rules = |required| Rules::read(root.path(), Signing { required, least_serial: 7 });
        let none = Rules { least_serial: 7, ..Rules::default() };
        assert_eq!(rules(None).unwrap(), none);
        assert!(rules(Some(true)).unwrap().required);
        let folder = root.path().join("etc/diskless/trusted.d");
        fs::create_dir_all(&folder).unwrap();
        assert_eq!(rules(None).unwrap(), none);
        let text = include_bytes!("../../../tests/data/signatures/minisign.pub");
        for (name, text) in [("b.pub", text.as_slice()), ("a.pub", text), ("README", b"none")] {
            fs::write(folder.join(name), text).unwrap();
        }
        let read = rules(None).unwrap();
        assert!(read.required);
        assert_eq!(read.trusted.iter().map(|key| &*key.name).collect::<Vec<_>>(), ["a.pub", "b.pub"]);
        fs::write(folder.join("c.pub"), "none").unwrap();
        let error = rules(None).unwrap_err();
        assert_eq!(error.code(), Code::SigningKey);
        assert!(error.to_string().contains("trusted.d/c.pub"), "{error}");
        assert_eq!(rules(Some(false)).unwrap(), none);
    }
}
