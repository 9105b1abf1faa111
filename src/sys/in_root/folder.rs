//! Folders of another root: what is in them, and removing all of it.

use std::ffi::{OsStr, OsString};
use std::io::{ErrorKind, Result};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, Dir, FileType, Mode, openat, unlinkat};

use super::{READ, Root, refused, stat, unlink};

/// Folders that lie deeper in each other are none that a package or a program made.
const DEEPEST: usize = 64;

impl Root {
    /// The names in the folder that `path` leads to, links followed, in their order, without those that are not UTF-8;
    /// nothing if there is no folder.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a path that leads out of the root, and for more than `most` names; it cannot be
    /// read.
    pub fn names(&self, path: &str, most: usize) -> Result<Vec<String>> {
        let Some((mut walk, name)) = self.place(path, false)? else { return Ok(Vec::new()) };
        match walk.enter(&name, false) {
            Ok(()) => (),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(Vec::new());
            }
            Err(error) => return Err(error),
        }
        let names = names(walk.here(), OsStr::new("."), most)?;
        let mut names: Vec<String> = names.into_iter().filter_map(|name| name.into_string().ok()).collect();
        names.sort();
        Ok(names)
    }

    /// Removes what is at `path`, a folder with all that is in it; done if there is nothing. Links are removed, not
    /// followed.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a path that leads out of the root, and for folders too deep in each other; something
    /// cannot be removed.
    pub fn remove_all(&self, path: &str) -> Result<()> {
        match self.place(path, false)? {
            Some((walk, name)) => {
                walk.keep_labels()?;
                remove_all(walk.here(), &name, DEEPEST)
            }
            None => Ok(()),
        }
    }
}

fn names(parent: BorrowedFd<'_>, name: &OsStr, most: usize) -> Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in Dir::new(openat(parent, name, READ, Mode::empty())?)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if matches!(name.as_bytes(), b"." | b"..") {
            continue;
        }
        if names.len() == most {
            return Err(refused("too many files in the folder"));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

fn remove_all(parent: BorrowedFd<'_>, name: &OsStr, deepest: usize) -> Result<()> {
    let is_folder = |stat: rustix::fs::Stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    if !stat(parent, name)?.is_some_and(is_folder) {
        return unlink(parent, name);
    }
    let deeper = deepest.checked_sub(1).ok_or_else(|| refused("folders too deep in each other"))?;
    let folder = openat(parent, name, READ, Mode::empty())?;
    for inside in names(parent, name, usize::MAX)? {
        remove_all(folder.as_fd(), &inside, deeper)?;
    }
    Ok(unlinkat(parent, name, AtFlags::REMOVEDIR)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_folder_is_listed_and_removed_and_links_in_it_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root");
        std::fs::create_dir_all(path.join("a/b/c")).unwrap();
        std::fs::create_dir(folder.path().join("outside")).unwrap();
        std::fs::write(folder.path().join("outside/kept"), "").unwrap();
        for name in ["file", ".hidden"] {
            std::fs::write(path.join("a/b").join(name), "").unwrap();
        }
        symlink("../../../outside", path.join("a/b/link")).unwrap();
        symlink("/a", path.join("way")).unwrap();
        let root = Root::open(&path).unwrap();
        assert_eq!(root.names("/way/b", 4).unwrap(), [".hidden", "c", "file", "link"]);
        assert_eq!(root.names("/a/b", 3).unwrap_err().kind(), ErrorKind::InvalidInput);
        for nothing in ["/no", "/a/b/file", "/a/no/more"] {
            assert!(root.names(nothing, 9).unwrap().is_empty(), "{nothing}");
        }
        assert_eq!(root.names("/a/b/link", 9).unwrap_err().kind(), ErrorKind::InvalidInput);
        root.remove_all("/way/b").unwrap();
        root.remove_all("/way/b").unwrap();
        assert_eq!(root.names("/a", 9).unwrap().len(), 0);
        assert!(folder.path().join("outside/kept").exists());
        root.remove_all("/way").unwrap();
        assert!(path.join("a").exists(), "the link alone is gone");
    }

    #[test]
    fn folders_without_end_are_given_up() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("d/".repeat(DEEPEST + 1))).unwrap();
        let error = Root::open(folder.path()).unwrap().remove_all("/d").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}
