//! Content hashes: the name of a cached thing says what it was made from.

use std::fmt;
use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::{At, Result};

/// The hash of a recipe and of all that goes into it. Same key, same thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key(String);

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Collects what a cached thing is made from.
pub struct Ingredients(Sha256);

impl Ingredients {
    /// Starts with the name of the thing.
    pub fn of(name: &str) -> Ingredients {
        Ingredients(Sha256::new()).text(name)
    }

    /// A text: a package list, a script, a number.
    pub fn text(self, text: &str) -> Ingredients {
        self.bytes(text.as_bytes())
    }

    /// Another cached thing.
    pub fn key(self, key: &Key) -> Ingredients {
        self.text(&key.0)
    }

    /// A file's content.
    pub fn file(self, path: &Path) -> Result<Ingredients> {
        Ok(self.bytes(&fs::read(path).at("read", path)?))
    }

    /// A folder: names and contents of all files below it, in order. An absent one counts as empty.
    pub fn folder(mut self, path: &Path) -> Result<Ingredients> {
        for file in crate::tree::files(path)? {
            let name = file.strip_prefix(path).unwrap_or(&file).to_string_lossy().into_owned();
            self = self.text(&name).file(&file)?;
        }
        Ok(self)
    }

    /// The key: half of the hash is plenty for a folder name.
    pub fn finish(self) -> Key {
        Key(self.0.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
    }

    /// Lengths are hashed too, so that "ab","c" is not "a","bc".
    fn bytes(mut self, bytes: &[u8]) -> Ingredients {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_ingredients_make_equal_keys() {
        let key = || Ingredients::of("base").text("a").finish();
        assert_eq!(key(), key());
        assert_eq!(key().to_string().len(), 16);
    }

    #[test]
    fn borders_between_texts_count() {
        assert_ne!(Ingredients::of("a").text("bc").finish(), Ingredients::of("ab").text("c").finish());
    }

    #[test]
    fn a_folder_is_its_names_and_contents() {
        let folder = tempfile::tempdir().unwrap();
        let key = || Ingredients::of("m").folder(folder.path()).unwrap().finish();
        let empty = key();
        fs::write(folder.path().join("one"), "1").unwrap();
        let one = key();
        fs::rename(folder.path().join("one"), folder.path().join("two")).unwrap();
        let two = key();
        fs::write(folder.path().join("two"), "2").unwrap();
        assert!(empty != one && one != two && two != key());
    }
}
