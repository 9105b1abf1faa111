//! Files of another root: links in it lead where they lead once it is the root, and never out of it.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use rustix::fs::{
    AtFlags, Mode, OFlags, ResolveFlags, fchmod, mkdirat, openat, openat2, renameat, statat, symlinkat,
    unlinkat,
};
use rustix::io::Errno;
use zeroize::Zeroizing;

/// A root folder.
pub struct Root {
    folder: OwnedFd,
    resolve: Resolve,
}

/// How folders are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resolve {
    /// openat2(2), from Linux 5.6 on: the kernel keeps links inside.
    Kernel,
    /// Before that: part by part, and a link on the way is refused.
    Walk,
}

const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl Root {
    /// The root at `path`.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(path: &Path) -> Result<Root, Errno> {
        let folder = openat(rustix::fs::CWD, path, FOLDER, Mode::empty())?;
        let resolve = match openat2(&folder, ".", FOLDER, Mode::empty(), ResolveFlags::IN_ROOT) {
            Err(Errno::NOSYS) => Resolve::Walk,
            _ => Resolve::Kernel,
        };
        Ok(Root { folder, resolve })
    }

    /// The bytes of a regular file, at most `most` of them, and its permissions; none if there is no such file, or
    /// something else is there.
    ///
    /// # Errors
    /// It is there and cannot be read, or is longer.
    pub fn read(&self, path: &str, most: u64) -> std::io::Result<Option<(Zeroizing<Vec<u8>>, u32)>> {
        let parts = parts(path)?;
        let Some((name, folders)) = parts.split_last() else { return Ok(None) };
        let folder = match self.folder(folders, false) {
            Ok(folder) => folder,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // NONBLOCK: a FIFO that nobody writes to must not hold us.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(&folder, *name, flags, Mode::empty()) {
            Ok(file) => std::fs::File::from(file),
            Err(Errno::NOENT | Errno::LOOP) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Ok(None);
        }
        let mut bytes = Zeroizing::new(Vec::new());
        file.take(most + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > most {
            return Err(std::io::Error::other(format!("longer than {most} bytes")));
        }
        Ok(Some((bytes, std::os::unix::fs::MetadataExt::mode(&metadata) & 0o7777)))
    }

    /// Puts a file there, whole or not at all, with the permissions `mode`. A link at its place is replaced, not
    /// followed; missing folders are made.
    ///
    /// # Errors
    /// A folder or the file cannot be made.
    pub fn write(&self, path: &str, bytes: &[u8], mode: u32) -> std::io::Result<()> {
        let parts = parts(path)?;
        let Some((name, folders)) = parts.split_last() else {
            return Err(Errno::ISDIR.into());
        };
        let folder = self.folder(folders, true)?;
        let new = format!(".{name}.diskless");
        match unlinkat(&folder, &new, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => (), // a killed run may have left one
            Err(error) => return Err(error.into()),
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = std::fs::File::from(openat(&folder, &new, flags, Mode::RUSR | Mode::WUSR)?);
        file.write_all(bytes)?;
        fchmod(&file, Mode::from_raw_mode(mode))?;
        renameat(&folder, &new, &folder, *name)?;
        Ok(())
    }

    /// Makes a symbolic link to `target` there; missing folders are made.
    ///
    /// # Errors
    /// A folder or the link cannot be made, or something is there.
    pub fn link(&self, path: &str, target: &str) -> std::io::Result<()> {
        let parts = parts(path)?;
        let Some((name, folders)) = parts.split_last() else {
            return Err(Errno::ISDIR.into());
        };
        Ok(symlinkat(target, self.folder(folders, true)?, *name)?)
    }

    /// Whether there is anything: a file, a folder, or a link, wherever it leads.
    ///
    /// # Errors
    /// The way to it cannot be followed.
    pub fn is_there(&self, path: &str) -> std::io::Result<bool> {
        let parts = parts(path)?;
        let Some((name, folders)) = parts.split_last() else { return Ok(true) };
        let found =
            self.folder(folders, false).and_then(|folder| statat(folder, *name, AtFlags::SYMLINK_NOFOLLOW));
        match found {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The folder that `parts` lead to; missing ones are made if `make` says so.
    fn folder(&self, parts: &[&str], make: bool) -> Result<OwnedFd, Errno> {
        let mut folder = openat(&self.folder, ".", FOLDER, Mode::empty())?;
        for end in 1..=parts.len() {
            let so_far = parts.get(..end).unwrap_or_default();
            let name = so_far.last().copied().unwrap_or(".");
            folder = match self.step(&folder, name, so_far) {
                Err(Errno::NOENT) if make => {
                    match mkdirat(&folder, name, Mode::from_raw_mode(0o755)) {
                        Ok(()) | Err(Errno::EXIST) => (),
                        Err(error) => return Err(error),
                    }
                    self.step(&folder, name, so_far)?
                }
                step => step?,
            };
        }
        Ok(folder)
    }

    /// From `folder` on into `name`; `so_far` is the same place, from the root.
    fn step(&self, folder: &OwnedFd, name: &str, so_far: &[&str]) -> Result<OwnedFd, Errno> {
        match self.resolve {
            // Always from the root: links are resolved against the folder given.
            Resolve::Kernel => {
                openat2(&self.folder, so_far.join("/"), FOLDER, Mode::empty(), ResolveFlags::IN_ROOT)
            }
            Resolve::Walk => openat(folder, name, FOLDER | OFlags::NOFOLLOW, Mode::empty()),
        }
    }
}

/// The parts of an absolute path.
fn parts(path: &str) -> std::io::Result<Vec<&str>> {
    Path::new(path)
        .components()
        .filter(|part| *part != Component::RootDir)
        .map(|part| match part {
            Component::Normal(name) => name.to_str().ok_or_else(|| Errno::INVAL.into()),
            _ => Err(Errno::INVAL.into()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, symlink};

    /// A root with links in it, beside a folder that must stay empty.
    fn fixture() -> (tempfile::TempDir, [Root; 2]) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        std::fs::create_dir_all(root.join("usr/etc")).unwrap();
        std::fs::create_dir(folder.path().join("outside")).unwrap();
        symlink("/outside", root.join("absolute")).unwrap();
        symlink("../../outside", root.join("relative")).unwrap();
        symlink("usr/etc", root.join("link")).unwrap();
        symlink("/outside/secret", root.join("file")).unwrap();
        let roots =
            [Resolve::Kernel, Resolve::Walk].map(|resolve| Root { resolve, ..Root::open(&root).unwrap() });
        (folder, roots)
    }

    #[test]
    fn writes_and_reads_with_both_ways_of_finding_folders() {
        let (folder, roots) = fixture();
        for root in roots {
            root.write("/etc/iscsi/name", b"one", 0o600).unwrap();
            root.write("/etc/iscsi/name", b"two", 0o640).unwrap();
            let (bytes, mode) = root.read("/etc/iscsi/name", 10).unwrap().unwrap();
            assert_eq!((bytes.as_slice(), mode), (&b"two"[..], 0o640));
            assert!(root.read("/etc/iscsi/name", 2).is_err());
            assert!(root.read("/no/such", 10).unwrap().is_none());
            assert!(root.read("/etc/iscsi", 10).unwrap().is_none());
            assert!(!root.is_there("/etc/x/link").unwrap());
            root.link("/etc/x/link", "/nowhere").unwrap();
            assert!(root.is_there("/etc/x/link").unwrap());
            assert!(root.link("/etc/x/link", "/nowhere").is_err());
            std::fs::remove_file(folder.path().join("root/etc/x/link")).unwrap();
            let left: Vec<_> = std::fs::read_dir(folder.path().join("root/etc/iscsi")).unwrap().collect();
            assert_eq!(left.len(), 1);
        }
    }

    #[test]
    fn no_link_leads_out() {
        let (folder, roots) = fixture();
        for root in &roots {
            let _ = root.write("/absolute/a", b"x", 0o600);
            let _ = root.write("/relative/a", b"x", 0o600);
            assert!(root.write("/../outside/a", b"x", 0o600).is_err());
            root.write("/file", b"x", 0o600).unwrap();
            assert!(folder.path().join("root/file").symlink_metadata().unwrap().is_file());
        }
        assert_eq!(std::fs::read_dir(folder.path().join("outside")).unwrap().count(), 0);
    }

    #[test]
    fn links_inside_are_followed_where_the_kernel_can() {
        let (folder, [kernel, walk]) = fixture();
        kernel.write("/link/a", b"x", 0o600).unwrap();
        assert_eq!(folder.path().join("root/usr/etc/a").metadata().unwrap().mode() & 0o777, 0o600);
        assert!(walk.write("/link/b", b"x", 0o600).is_err());
    }
}
