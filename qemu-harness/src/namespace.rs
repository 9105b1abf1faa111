//! Private views of the machine: everything the harness mounts, configures or starts is gone with the
//! process that did it, and nothing of the host can be written to but the cache.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::error::{At, Error, Result};

const NOTHING: Option<&str> = None;

/// A line of /proc/self/mountinfo.
#[derive(Debug, PartialEq, Eq)]
pub struct Mount {
    /// The mount point.
    pub at: PathBuf,
    /// Options of the mount, as against those of its file system.
    pub options: String,
}

/// Parses /proc/self/mountinfo; lines it does not understand are left out.
pub fn mounts(mountinfo: &str) -> Vec<Mount> {
    let parse = |line: &str| {
        let mut fields = line.split(' ').skip(4);
        let at = PathBuf::from(unescape(fields.next()?));
        Some(Mount { at, options: fields.next()?.to_owned() })
    };
    mountinfo.lines().filter_map(parse).collect()
}

/// The kernel writes space, tab, newline and backslash as three octal digits.
fn unescape(field: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(field.to_owned(), |text, (code, plain)| text.replace(code, plain))
}

/// Runs `work` in a thread with its own namespaces of the kinds `flags`; programs and threads it starts are
/// in them too. When all of those have ended the kernel takes mounts, interfaces and sockets down.
pub fn apart<T: Send>(flags: CloneFlags, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| {
        let worker = scope.spawn(|| {
            unshare(flags).at("unshare", "namespaces")?;
            work()
        });
        worker.join().unwrap_or_else(|_| Err(Error::Host("a thread of the harness panicked".into())))
    })
}

/// Makes mounts private to this mount namespace, /proc that of this pid namespace, and every mount of the
/// host read-only, except `writable`, device nodes and what the kernel shows as files.
pub fn protect_host(writable: &Path) -> Result<()> {
    mount(NOTHING, "/", NOTHING, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NOTHING).at("make private", "/")?;
    bind(writable, writable)?;
    mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), NOTHING).at("mount", "/proc")?;
    let mountinfo = fs::read_to_string("/proc/self/mountinfo").at("read", "/proc/self/mountinfo")?;
    for entry in mounts(&mountinfo) {
        let left = [Path::new("/proc"), Path::new("/dev"), writable];
        if left.iter().any(|path| entry.at.starts_with(path)) {
            continue;
        }
        let flags = kept_flags(&entry.options) | MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
        match mount(NOTHING, &entry.at, NOTHING, flags, NOTHING) {
            // Hidden below another mount: nobody can write there by a path either.
            Ok(()) | Err(nix::Error::ENOENT | nix::Error::EINVAL) => {}
            Err(cause) => return Err(cause).at("make read-only", &entry.at),
        }
    }
    Ok(())
}

/// A remount drops the restrictions that it does not repeat.
fn kept_flags(options: &str) -> MsFlags {
    options.split(',').fold(MsFlags::empty(), |flags, option| {
        flags
            | match option {
                "nosuid" => MsFlags::MS_NOSUID,
                "nodev" => MsFlags::MS_NODEV,
                "noexec" => MsFlags::MS_NOEXEC,
                "noatime" => MsFlags::MS_NOATIME,
                "nodiratime" => MsFlags::MS_NODIRATIME,
                "relatime" => MsFlags::MS_RELATIME,
                _ => MsFlags::empty(),
            }
    })
}

/// Shows the folder `from` at `to` as well, with what is mounted in it so far.
pub fn bind(from: &Path, to: &Path) -> Result<()> {
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount(Some(from), to, NOTHING, flags, NOTHING).at("bind", to)
}

/// Mounts an empty tmpfs.
pub fn tmpfs(at: &Path) -> Result<()> {
    fs::create_dir_all(at).at("create", at)?;
    mount(Some("tmpfs"), at, Some("tmpfs"), MsFlags::empty(), Some("mode=0755")).at("mount", at)
}

/// Mounts a kernel file system (`proc`, `sysfs`).
pub fn kernel(kind: &str, at: &Path, flags: MsFlags) -> Result<()> {
    mount(Some(kind), at, Some(kind), flags, NOTHING).at("mount", at)
}

/// Mounts `lower` writable at `at`: changes go to `scratch`, which must be a file system of its own. To who walks through it,
/// it is one file system (`xino`): setfiles passes over a file whose device is another one than that of its folder.
pub fn overlay(lower: &Path, scratch: &Path, at: &Path) -> Result<()> {
    let (upper, work) = (scratch.join("upper"), scratch.join("work"));
    for folder in [&upper, &work] {
        fs::create_dir_all(folder).at("create", folder)?;
    }
    fs::create_dir_all(at).at("create", at)?;
    let options = format!(
        "xino=on,lowerdir={},upperdir={},workdir={}",
        lower.display(),
        upper.display(),
        work.display()
    );
    mount(Some("overlay"), at, Some("overlay"), MsFlags::empty(), Some(options.as_str())).at("mount", at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mountinfo_is_read() {
        let text = "36 35 98:0 /mnt1 /a\\040b rw,nosuid,relatime shared:1 - ext3 /dev/root rw\n\
                    nonsense\n\
                    22 1 0:20 / /proc rw - proc proc rw";
        let expected = [
            Mount { at: "/a b".into(), options: "rw,nosuid,relatime".into() },
            Mount { at: "/proc".into(), options: "rw".into() },
        ];
        assert_eq!(mounts(text), expected);
    }

    #[test]
    fn restrictions_survive_a_remount() {
        assert_eq!(kept_flags("rw,nosuid,relatime"), MsFlags::MS_NOSUID | MsFlags::MS_RELATIME);
    }
}
