//! The one folder everything is made in. Things in it are named after what they are made from, appear
//! whole or not at all (`NAME.partial` is renamed at the end), and are made by one harness at a time.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::error::{At, Error, Result};
use crate::key::Key;
use crate::tree;

/// Marks the folder as ours and as a cache (the signature is that of the Cache Directory Tagging
/// Specification, so backup programs skip it). `clean` removes no folder without it.
const TAG: &str = "CACHEDIR.TAG";
const TAG_TEXT: &str = "Signature: 8a477f597d28d172789f06886806bc55\n# made by qemu-harness of diskless\n";
/// How many versions of a thing are kept: going back and forth between two branches stays cheap.
const KEPT: usize = 2;

/// The cache folder.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
}

/// Held while things are made or run; another harness waits for it.
pub struct Lock {
    _file: File,
}

impl Cache {
    /// The folder named by `DISKLESS_CACHE`, else `~/.cache/diskless`.
    pub fn default_folder() -> Result<PathBuf> {
        let named = std::env::var_os("DISKLESS_CACHE").filter(|value| !value.is_empty());
        let home = || std::env::var_os("HOME").filter(|value| !value.is_empty());
        let folder = match named {
            Some(folder) => PathBuf::from(folder),
            None => match home() {
                Some(home) => Path::new(&home).join(".cache/diskless"),
                None => return Err(Error::Host("neither DISKLESS_CACHE nor HOME is set".into())),
            },
        };
        std::path::absolute(&folder).at("resolve", &folder)
    }

    /// Opens the cache, creating the folder; refuses a folder that holds other things.
    pub fn open(folder: &Path) -> Result<Cache> {
        fs::create_dir_all(folder).at("create", folder)?;
        let folder = fs::canonicalize(folder).at("resolve", folder)?;
        let tag = folder.join(TAG);
        if !tag.exists() {
            if fs::read_dir(&folder).at("list", &folder)?.next().is_some() {
                return Err(Error::Host(format!(
                    "{} is neither empty nor a cache of this program",
                    folder.display()
                )));
            }
            fs::write(&tag, TAG_TEXT).at("write", &tag)?;
        }
        Ok(Cache { folder })
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Waits until no other harness uses the cache.
    pub fn lock(&self) -> Result<Lock> {
        let path = self.folder.join("lock");
        let file = File::options().create(true).append(true).open(&path).at("open", &path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                println!("another harness uses {}: waiting for it to end", self.folder.display());
                file.lock().at("lock", &path)?;
            }
            Err(TryLockError::Error(cause)) => return Err(cause).at("lock", &path),
        }
        Ok(Lock { _file: file })
    }

    /// Where the thing `name` made from `key` is, or would be.
    pub fn place(&self, name: &str, key: &Key) -> PathBuf {
        self.folder.join(format!("{name}-{key}"))
    }

    /// The log of what was printed while `name` was made.
    pub fn log(&self, name: &str) -> PathBuf {
        self.folder.join("logs").join(format!("{name}.log"))
    }

    /// Downloaded packages, shared by all roots.
    pub fn packages(&self) -> PathBuf {
        self.folder.join("packages")
    }

    /// Where a scenario keeps what it recorded.
    pub fn run_folder(&self, scenario: &str) -> PathBuf {
        self.folder.join("runs").join(scenario)
    }

    /// Makes a thing by calling `make` with the path to make it at; it gets its name when it is whole.
    pub fn make(&self, name: &str, key: &Key, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let place = self.place(name, key);
        let partial = self.folder.join(format!("{name}-{key}.partial"));
        tree::remove(&partial)?;
        tree::remove(&self.log(name))?;
        make(&partial)?;
        fs::rename(&partial, &place).at("name", &place)?;
        self.prune(name, &place)?;
        Ok(place)
    }

    /// Removes the oldest versions of `name` and what killed harnesses left of it, never `keep`.
    fn prune(&self, name: &str, keep: &Path) -> Result<()> {
        let mut others = Vec::new();
        for entry in fs::read_dir(&self.folder).at("list", &self.folder)? {
            let path = entry.at("list", &self.folder)?.path();
            let file_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let Some(rest) = file_name.strip_prefix(name).and_then(|rest| rest.strip_prefix('-')) else {
                continue;
            };
            if rest.ends_with(".partial") {
                tree::remove(&path)?;
            } else if path != keep {
                others.push((modified(&path), path));
            }
        }
        others.sort_by(|a, b| b.cmp(a));
        others.iter().skip(KEPT - 1).try_for_each(|(_, path)| tree::remove(path))
    }

    /// Removes the folder and all in it.
    pub fn clean(folder: &Path) -> Result<()> {
        let Ok(folder) = fs::canonicalize(folder) else {
            println!("{}: nothing there", folder.display());
            return Ok(());
        };
        let tag = folder.join(TAG);
        if fs::read_to_string(&tag).ok().as_deref() != Some(TAG_TEXT) {
            return Err(Error::Host(format!(
                "{} is not a cache of this program: left alone",
                folder.display()
            )));
        }
        let cache = Cache { folder };
        let _lock = cache.lock()?;
        // Mounts of ours live in private namespaces; one seen here is somebody else's.
        let mounts = fs::read_to_string("/proc/self/mountinfo").at("read", "/proc/self/mountinfo")?;
        let below =
            |mount: &crate::namespace::Mount| mount.at != cache.folder && mount.at.starts_with(&cache.folder);
        if let Some(mount) = crate::namespace::mounts(&mounts).into_iter().find(below) {
            return Err(Error::Host(format!("{} is mounted: unmount it first", mount.at.display())));
        }
        // The tag goes last: a clean that was killed can be repeated.
        for entry in fs::read_dir(&cache.folder).at("list", &cache.folder)? {
            let path = entry.at("list", &cache.folder)?.path();
            if path != tag {
                tree::remove(&path)?;
            }
        }
        tree::remove(&cache.folder)?;
        println!("{} removed", cache.folder.display());
        Ok(())
    }
}

fn modified(path: &Path) -> SystemTime {
    path.symlink_metadata().and_then(|meta| meta.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Ingredients;

    fn key(text: &str) -> Key {
        Ingredients::of("test").text(text).finish()
    }

    #[test]
    fn a_thing_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        let failed = cache.make("thing", &key("a"), |partial| {
            fs::write(partial, "half").unwrap();
            Err(Error::Host("killed".into()))
        });
        assert!(failed.is_err() && !cache.place("thing", &key("a")).exists());
        let made = cache.make("thing", &key("a"), |partial| fs::write(partial, "whole").at("write", partial));
        assert_eq!(fs::read_to_string(made.unwrap()).unwrap(), "whole");
    }

    #[test]
    fn old_versions_go() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        for text in ["a", "b", "c", "d"] {
            cache.make("thing", &key(text), |partial| fs::write(partial, text).at("write", partial)).unwrap();
        }
        let left = fs::read_dir(cache.folder())
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("thing-"));
        assert_eq!(left.count(), KEPT);
        assert!(cache.place("thing", &key("d")).exists());
    }

    #[test]
    fn a_foreign_folder_is_neither_used_nor_removed() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("letter"), "dear").unwrap();
        assert!(Cache::open(folder.path()).is_err());
        assert!(Cache::clean(folder.path()).is_err());
        assert!(folder.path().join("letter").exists());
    }

    #[test]
    fn clean_removes_a_cache() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache");
        let cache = Cache::open(&path).unwrap();
        fs::create_dir_all(cache.run_folder("x")).unwrap();
        Cache::clean(&path).unwrap();
        assert!(!path.exists());
        Cache::clean(&path).unwrap();
    }
}
