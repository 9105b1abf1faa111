//! Looks at the mounts and at the devices to be mounted.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::journal::{self, Unclean};
use super::mountinfo::{self, Mounted};
use super::{SYSROOT, probe, utab};
use crate::engine::host::Host;
use crate::error::{Code, Context, Result};
use crate::input::document::Mount;
use crate::steps::zram::{self, Zram};

/// What is mounted, and what could be.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    /// All mounts.
    pub mounted: Vec<Mounted>,
    /// The disk of the writable layer.
    pub upper: Option<Zram>,
    /// For each lower: the type of the file system on it, if that is known.
    pub kinds: Vec<Option<String>>,
    /// For each lower: what tells that it was not cleanly unmounted; none: it was, or it is mounted, or nobody knows.
    pub unclean: Vec<Option<Unclean>>,
    /// There is an operating system at /sysroot, by the file that systemd's switch-root looks for too.
    pub has_os: bool,
    /// libmount's table; empty if there is none.
    pub utab: String,
}

pub fn observe(host: &Host, mounts: &[Mount]) -> Result<Seen> {
    let path = host.path("/proc/self/mountinfo");
    let text = std::fs::read_to_string(&path).context(Code::Io, path.display().to_string())?;
    let mounted = mountinfo::parse(&text);
    let (mut kinds, mut unclean) = (Vec::new(), Vec::new());
    for Mount { lower, fs, .. } in mounts {
        let (kind, replay) = look(host, lower, fs.as_deref());
        kinds.push(kind);
        unclean.push(replay.filter(|_| !mounted.iter().any(|mount| mount.source == *lower)));
    }
    let sysroot = host.path(SYSROOT);
    Ok(Seen {
        mounted,
        upper: zram::find(host),
        kinds,
        unclean,
        has_os: ["etc/os-release", "usr/lib/os-release"]
            .iter()
            .any(|file| sysroot.join(file).symlink_metadata().is_ok()),
        utab: read_utab(&host.path(utab::FILE))?,
    })
}

fn read_utab(path: &Path) -> Result<String> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        text => text.context(Code::Io, path.display().to_string()),
    }
}

/// The type of the file system on `device`, `fs` where the plan says it, and whether it was not cleanly unmounted. What
/// cannot be read is for the mount to tell.
fn look(host: &Host, device: &str, fs: Option<&str>) -> (Option<String>, Option<Unclean>) {
    let planned = || (fs.map(str::to_owned), None);
    let mut start = vec![0; probe::BYTES];
    let Ok(device) = File::open(host.path(device)) else { return planned() };
    let Ok(length) = device.read_at(&mut start, 0) else { return planned() };
    start.truncate(length);
    let Some(kind) = fs.or_else(|| probe::probe(&start)) else { return planned() };
    (Some(kind.to_owned()), journal::unclean(kind, &start, &device).unwrap_or_default())
}
