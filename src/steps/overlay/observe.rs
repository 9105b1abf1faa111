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
    for mount in mounts {
        let is_mounted = mounted.iter().any(|there| there.source == mount.lower);
        let (kind, sign) = look(host, mount, is_mounted);
        kinds.push(kind);
        unclean.push(sign);
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

/// The type of the file system on the lower of `mount`, as the plan or its superblock says, and, unless it is mounted, what
/// tells that it was not cleanly unmounted. What cannot be read is for the kernel to tell.
fn look(host: &Host, mount: &Mount, is_mounted: bool) -> (Option<String>, Option<Unclean>) {
    let mut start = vec![0; probe::BYTES];
    let device = File::open(host.path(&mount.lower));
    let length = device.as_ref().map_or(0, |device| device.read_at(&mut start, 0).unwrap_or(0));
    start.truncate(length);
    let kind = mount.fs.clone().or_else(|| probe::probe(&start).map(str::to_owned));
    let unclean = match (&kind, &device) {
        (Some(kind), Ok(device)) if !is_mounted => journal::unclean(kind, &start, device).unwrap_or_default(),
        _ => None,
    };
    (kind, unclean)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::document;

    #[test]
    fn a_lower_is_looked_at_until_it_is_mounted() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::fake(root.path());
        let ext4 = include_bytes!("../../../tests/data/file-systems/ext4-in-use.deflate");
        std::fs::create_dir_all(root.path().join("dev/mapper")).unwrap();
        std::fs::write(
            root.path().join("dev/mapper/a"),
            miniz_oxide::inflate::decompress_to_vec(ext4).unwrap(),
        )
        .unwrap();
        let mount = |lower: &str, fs: Option<&str>| Mount {
            at: "/".into(),
            lower: format!("/dev/mapper/{lower}"),
            fs: fs.map(str::to_owned),
            unclean: document::Unclean::Refuse,
        };
        let option = |lower, fs, is_mounted| {
            let (kind, unclean) = look(&host, &mount(lower, fs), is_mounted);
            (kind, unclean.map(|unclean| unclean.option))
        };
        assert_eq!(option("a", None, false), (Some("ext4".into()), Some("noload")));
        assert_eq!(option("a", None, true), (Some("ext4".into()), None));
        assert_eq!(option("a", Some("xfs"), false), (Some("xfs".into()), None));
        assert_eq!(option("b", Some("xfs"), false), (Some("xfs".into()), None));
        assert_eq!(option("b", None, false), (None, None));
    }
}
