//! Looks at the mounts and at the devices to be mounted.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::mountinfo::{self, Mounted};
use super::{SYSROOT, probe, utab};
use crate::engine::host::Host;
use crate::error::{Code, Context, Result};
use crate::input::document::{Lower, Mount};
use crate::input::memory::Memory;
use crate::steps::zram::{self, Zram};

/// What is mounted, and what could be.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    /// All mounts.
    pub mounted: Vec<Mounted>,
    /// The disk of the writable layer.
    pub upper: Option<Zram>,
    /// The node's memory, if the kernel tells.
    pub memory: Option<Memory>,
    /// For each lower of each mount: the type of the file system on it, if that is known.
    pub kinds: Vec<Vec<Option<String>>>,
    /// There is an operating system at /sysroot, by the file that systemd's switch-root looks for too.
    pub has_os: bool,
    /// libmount's table; empty if there is none.
    pub utab: String,
}

pub fn observe(host: &Host, mounts: &[Mount]) -> Result<Seen> {
    let path = host.path("/proc/self/mountinfo");
    let text = std::fs::read_to_string(&path).context(Code::Io, path.display().to_string())?;
    let kinds = |mount: &Mount| {
        let kind = |lower: &Lower| {
            lower.fs.clone().or_else(|| mount.fs.clone()).or_else(|| probe(host, &lower.volume))
        };
        mount.lower.0.iter().map(kind).collect()
    };
    let meminfo = std::fs::read_to_string(host.path("/proc/meminfo")).unwrap_or_default();
    let sysroot = host.path(SYSROOT);
    Ok(Seen {
        mounted: mountinfo::parse(&text),
        upper: zram::find(host),
        memory: Memory::parse(&meminfo),
        kinds: mounts.iter().map(kinds).collect(),
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

fn probe(host: &Host, device: &str) -> Option<String> {
    let mut start = vec![0; probe::BYTES];
    let device = File::open(host.path(device)).ok()?;
    let length = device.read_at(&mut start, 0).ok()?;
    probe::probe(start.get(..length)?).map(str::to_owned)
}
