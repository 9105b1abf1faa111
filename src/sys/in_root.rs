//! Files of another root: links in it lead where they lead once it is the root, and never out of it.

mod folder;

use std::ffi::OsStr;
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Stat, Uid, XattrFlags, fchmod, fchown, fgetxattr, fsetxattr,
    lsetxattr, mkdirat, openat, readlinkat, renameat, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;
use rustix::process::{getegid, geteuid};
use zeroize::Zeroizing;

/// A root folder.
///
/// Paths in it are walked here, part by part, and not by openat2(2): that came with Linux 5.6, keeps a link that climbs
/// above the root inside without a word, and there is to be one behaviour on all kernels.
pub struct Root {
    folder: OwnedFd,
}

/// A regular file, as it is.
pub struct Found {
    /// Its content.
    pub bytes: Zeroizing<Vec<u8>>,
    /// Its permissions, 0 to 0o7777.
    pub mode: u32,
    /// Its user and group are those of this process.
    pub owned: bool,
}

const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// To read or label what is known to be a regular file or a folder. A FIFO that came in between must not hold us.
const READ: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);
/// What a file is called until it is whole.
const UNFINISHED: &str = ".diskless.new";
/// So many links on one way lead nowhere; the kernel's own limit (path_resolution(7)).
const MOST_LINKS: u32 = 40;
/// SELinux's label, and its longest (the kernel's INITCONTEXTLEN).
const LABEL: &str = "security.selinux";
const LONGEST_LABEL: usize = 256;

impl Root {
    /// The root at `path`.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(path: &Path) -> Result<Root> {
        let folder = openat(rustix::fs::CWD, path, FOLDER.difference(OFlags::NOFOLLOW), Mode::empty())?;
        Ok(Root { folder })
    }

    /// The regular file that `path` leads to, links followed; none if there is nothing, or something else.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a path that leads out of the root, [`ErrorKind::FileTooLarge`] for a file of more
    /// than `most` bytes; it cannot be read.
    pub fn read(&self, path: &str, most: u64) -> Result<Option<Found>> {
        let Some((mut walk, mut name)) = self.place(path, false)? else { return Ok(None) };
        loop {
            let Some(stat) = stat(walk.here(), &name)? else { return Ok(None) };
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => break,
                FileType::Symlink => {
                    let target = walk.read_link(&name)?;
                    match walk.up_to_last(&target, false) {
                        Ok(Some(last)) => name = last.to_owned(),
                        Ok(None) => return Ok(None),
                        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                        Err(error) => return Err(error),
                    }
                }
                _ => return Ok(None),
            }
        }
        let file = std::fs::File::from(openat(walk.here(), &name, READ, Mode::empty())?);
        let metadata = file.metadata()?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(metadata.len().min(most) as usize + 1));
        file.take(most + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > most {
            return Err(Error::new(ErrorKind::FileTooLarge, format!("longer than {most} bytes")));
        }
        let owned = (metadata.uid(), metadata.gid()) == (geteuid().as_raw(), getegid().as_raw());
        Ok(Some(Found { bytes, mode: metadata.mode() & 0o7777, owned }))
    }

    /// Puts a file there, whole or not at all, that belongs to this process's user, with the permissions `mode` and the
    /// SELinux label of the file it replaces, or else of its folder. A link at its place is replaced, not followed;
    /// missing folders are made, with 0755 and the labels of theirs.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a path that leads out of the root; a folder or the file cannot be made.
    pub fn write(&self, path: &str, bytes: &[u8], mode: u32) -> Result<()> {
        let (walk, name) = self.place(path, true)?.ok_or(Errno::ISDIR)?;
        let label_of_folder = walk.keep_labels()?;
        let folder = walk.here();
        let label = match stat(folder, &name)? {
            Some(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
                label(&openat(folder, &name, READ, Mode::empty())?)?
            }
            _ => None,
        };
        let label = label.or(label_of_folder);
        unlink(folder, OsStr::new(UNFINISHED))?; // a killed run may have left one
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(folder, UNFINISHED, flags, Mode::RUSR | Mode::WUSR)?;
        let done = fill(file, bytes, mode, label.as_deref())
            .and_then(|()| Ok(renameat(folder, UNFINISHED, folder, &name)?));
        if done.is_err() {
            // The error counts; there may be a secret in what was written so far.
            let _ = unlink(folder, OsStr::new(UNFINISHED));
        }
        done
    }

    /// Makes a symbolic link to `target` there, with the SELinux label of its folder; missing folders are made.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a path that leads out of the root; a folder or the link cannot be made, or
    /// something is there.
    pub fn link(&self, path: &str, target: &str) -> Result<()> {
        let (walk, name) = self.place(path, true)?.ok_or(Errno::EXIST)?;
        let label = walk.keep_labels()?;
        symlinkat(target, walk.here(), &name)?;
        if let Some(label) = label {
            // No descriptor of a link takes attributes.
            let link = Path::new("/proc/self/fd").join(walk.here().as_raw_fd().to_string()).join(&name);
            lsetxattr(link, LABEL, &label, XattrFlags::empty())?;
        }
        Ok(())
    }

    /// Removes a file or link; done if there is none.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a path that leads out of the root; it cannot be removed.
    pub fn remove(&self, path: &str) -> Result<()> {
        match self.place(path, false)? {
            Some((walk, name)) => {
                walk.keep_labels()?;
                unlink(walk.here(), &name)
            }
            None => Ok(()),
        }
    }

    /// Whether there is anything: a file, a folder, or a link, wherever it leads.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a path that leads out of the root; the way to it cannot be followed.
    pub fn is_there(&self, path: &str) -> Result<bool> {
        match self.place(path, false)? {
            Some((walk, name)) => Ok(stat(walk.here(), &name)?.is_some()),
            None => Ok(false),
        }
    }

    /// Where the link at `path` itself leads, as it is written there; none if there is no link.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a path that leads out of the root, or a target that is not UTF-8; the way to it
    /// cannot be followed.
    pub fn link_target(&self, path: &str) -> Result<Option<String>> {
        let Some((walk, name)) = self.place(path, false)? else { return Ok(None) };
        match readlinkat(walk.here(), &name, Vec::new()) {
            Ok(target) => {
                target.into_string().map(Some).map_err(|_| refused("the link's target is not UTF-8"))
            }
            Err(Errno::NOENT | Errno::INVAL) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The folder of an absolute path, and the name in it; none for the root itself, and for a folder that is missing
    /// and not to be made.
    fn place(&self, path: &str, make: bool) -> Result<Option<(Walk<'_>, std::ffi::OsString)>> {
        let plain = |part| matches!(part, Component::RootDir | Component::Normal(_));
        if !path.starts_with('/') || !Path::new(path).components().all(plain) {
            return Err(refused("not a plain absolute path"));
        }
        let mut walk = Walk { root: &self.folder, folders: Vec::new(), links: 0 };
        match walk.up_to_last(OsStr::new(path), make) {
            Ok(name) => Ok(name.map(|name| (walk, name.to_owned()))),
            Err(error) if error.kind() == ErrorKind::NotFound && !make => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A way through the folders of a root.
struct Walk<'a> {
    root: &'a OwnedFd,
    /// The folders entered, one in the other; none: at the root.
    folders: Vec<OwnedFd>,
    /// The links followed so far.
    links: u32,
}

impl Walk<'_> {
    fn here(&self) -> BorrowedFd<'_> {
        self.folders.last().unwrap_or(self.root).as_fd()
    }

    /// Sets the SELinux labels of all folders on the way again, as they are, before something in the last of them changes;
    /// gives the last one's.
    ///
    /// In an overlay the change copies these folders up, and before a policy is loaded, as in an initramfs, that leaves
    /// their labels behind (security/selinux/hooks.c, `selinux_inode_copy_up_xattr`, before Linux 6.9). A label that is set
    /// is one of the copy.
    fn keep_labels(&self) -> Result<Option<Vec<u8>>> {
        let mut last = None;
        for folder in std::iter::once(self.root).chain(&self.folders) {
            let folder = openat(folder, ".", READ, Mode::empty())?;
            last = label(&folder)?;
            if let Some(label) = &last {
                fsetxattr(&folder, LABEL, label, XattrFlags::empty())?;
            }
        }
        Ok(last)
    }

    /// Goes along all of `path` but its last part, which is given back; none if it ends in a folder's own name.
    fn up_to_last<'p>(&mut self, path: &'p OsStr, make: bool) -> Result<Option<&'p OsStr>> {
        if path.as_bytes().starts_with(b"/") {
            self.folders.clear();
        }
        let mut parts: Vec<&OsStr> =
            path.as_bytes().split(|byte| *byte == b'/').map(OsStr::from_bytes).collect();
        let last = parts.pop().filter(|last| !matches!(last.as_bytes(), b"" | b"." | b".."));
        for part in parts {
            self.enter(part, make)?;
        }
        Ok(last)
    }

    /// Enters a folder; makes it if it is missing and `make` says so.
    fn enter(&mut self, name: &OsStr, make: bool) -> Result<()> {
        match name.as_bytes() {
            b"" | b"." => return Ok(()),
            b".." => {
                return self
                    .folders
                    .pop()
                    .map(|_| ())
                    .ok_or_else(|| refused("a link on the way leads out of the root"));
            }
            _ => (),
        }
        match openat(self.here(), name, FOLDER, Mode::empty()) {
            Ok(folder) => self.folders.push(folder),
            Err(Errno::NOENT) if make => {
                let label = self.keep_labels()?;
                self.folders.push(make_folder(self.here(), name, label.as_deref())?);
            }
            // A link, or a file: what a folder is wanted of is not followed.
            Err(Errno::NOTDIR | Errno::LOOP) => {
                let target = self.read_link(name)?;
                if let Some(last) = self.up_to_last(&target, make)? {
                    return self.enter(last, make);
                }
                if target.as_bytes().ends_with(b"..") {
                    return self.enter(OsStr::new(".."), make);
                }
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Reads a link that is to be followed.
    fn read_link(&mut self, name: &OsStr) -> Result<std::ffi::OsString> {
        self.links += 1;
        if self.links > MOST_LINKS {
            return Err(refused("too many links on the way"));
        }
        match readlinkat(self.here(), name, Vec::new()) {
            Ok(target) => Ok(OsStr::from_bytes(target.as_bytes()).to_owned()),
            Err(Errno::INVAL) => Err(Errno::NOTDIR.into()),
            Err(error) => Err(error.into()),
        }
    }
}

fn refused(why: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, why)
}

/// What `name` is, a link not followed; none if there is nothing.
fn stat(folder: BorrowedFd<'_>, name: &OsStr) -> Result<Option<Stat>> {
    match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn unlink(folder: BorrowedFd<'_>, name: &OsStr) -> Result<()> {
    match unlinkat(folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn make_folder(parent: BorrowedFd<'_>, name: &OsStr, label: Option<&[u8]>) -> Result<OwnedFd> {
    match mkdirat(parent, name, Mode::from_raw_mode(0o755)) {
        Ok(()) => {
            let folder = openat(parent, name, READ, Mode::empty())?;
            // What the umask took.
            fchmod(&folder, Mode::from_raw_mode(0o755))?;
            if let Some(label) = label {
                fsetxattr(&folder, LABEL, label, XattrFlags::empty())?;
            }
        }
        Err(Errno::EXIST) => (),
        Err(error) => return Err(error.into()),
    }
    Ok(openat(parent, name, FOLDER, Mode::empty())?)
}

fn fill(file: OwnedFd, bytes: &[u8], mode: u32, label: Option<&[u8]>) -> Result<()> {
    let mut file = std::fs::File::from(file);
    file.write_all(bytes)?;
    // A folder may give its group to what is made in it.
    fchown(&file, Some(Uid::from_raw(geteuid().as_raw())), Some(Gid::from_raw(getegid().as_raw())))?;
    fchmod(&file, Mode::from_raw_mode(mode))?;
    if let Some(label) = label {
        fsetxattr(&file, LABEL, label, XattrFlags::empty())?;
    }
    Ok(())
}

/// The SELinux label of a file or folder; none where there are no labels.
fn label(file: &OwnedFd) -> Result<Option<Vec<u8>>> {
    let mut label = vec![0; LONGEST_LABEL];
    match fgetxattr(file, LABEL, &mut label[..]) {
        Ok(length) => {
            label.truncate(length);
            Ok(Some(label))
        }
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
#[path = "in_root_tests.rs"]
mod tests;
