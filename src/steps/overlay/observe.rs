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
    /// What is on each lower of each mount.
    pub lowers: Vec<Vec<OnVolume>>,
    /// There is an operating system at /sysroot, by the file that systemd's switch-root looks for too.
    pub has_os: bool,
    /// libmount's table; empty if there is none.
    pub utab: String,
}

/// What is on a volume.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OnVolume {
    /// The type of its file system, if that is known.
    pub kind: Option<String>,
    /// What tells that it was not cleanly unmounted; none: it was, or it is mounted, or nobody knows.
    pub unclean: Option<Unclean>,
}

pub fn observe(host: &Host, mounts: &[Mount]) -> Result<Seen> {
    let path = host.path("/proc/self/mountinfo");
    let text = std::fs::read_to_string(&path).context(Code::Io, path.display().to_string())?;
    let mut mounted = mountinfo::parse(&text);
    mounted.iter_mut().for_each(|mount| name_map(host, mount));
    let lowers = mounts.iter().map(|mount| {
        let lowers = mount.lower.0.iter().map(|lower| {
            let is_mounted = mounted.iter().any(|mount| mount.source == lower.volume);
            look(host, &lower.volume, lower.fs.as_deref().or(mount.fs.as_deref()), is_mounted)
        });
        lowers.collect()
    });
    let lowers = lowers.collect();
    let meminfo = std::fs::read_to_string(host.path("/proc/meminfo")).unwrap_or_default();
    let sysroot = host.path(SYSROOT);
    Ok(Seen {
        mounted,
        upper: zram::find(host),
        memory: Memory::parse(&meminfo),
        lowers,
        has_os: has_os(&sysroot),
        utab: read_utab(&host.path(utab::FILE))?,
    })
}

fn has_os(sysroot: &Path) -> bool {
    ["etc/os-release", "usr/lib/os-release"].iter().any(|file| sysroot.join(file).symlink_metadata().is_ok())
}

/// Whether a root is mounted at /sysroot that systemd would switch to, whoever mounted it.
pub fn root_is_there(host: &Host) -> bool {
    let mounts = std::fs::read_to_string(host.path("/proc/self/mountinfo")).unwrap_or_default();
    mountinfo::parse(&mounts).iter().any(|mount| mount.target == SYSROOT) && has_os(&host.path(SYSROOT))
}

/// btrfs tells a map by its node, `/dev/dm-3`, whatever it was mounted by: the name is put in its place.
fn name_map(host: &Host, mount: &mut Mounted) {
    let Some(node) = mount.source.strip_prefix("/dev/").filter(|node| node.starts_with("dm-")) else {
        return;
    };
    if let Ok(name) = std::fs::read_to_string(host.path(format!("/sys/block/{node}/dm/name"))) {
        mount.source = format!("/dev/mapper/{}", name.trim_end());
    }
}

fn read_utab(path: &Path) -> Result<String> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        text => text.context(Code::Io, path.display().to_string()),
    }
}

/// The type of the file system on `device`, `fs` where the plan says it, and, unless it is mounted, what tells that it was
/// not cleanly unmounted. What cannot be read is for the mount to tell.
fn look(host: &Host, device: &str, fs: Option<&str>, is_mounted: bool) -> OnVolume {
    let planned = || OnVolume { kind: fs.map(str::to_owned), unclean: None };
    let mut start = vec![0; probe::BYTES];
    let Ok(device) = File::open(host.path(device)) else { return planned() };
    let Ok(length) = device.read_at(&mut start, 0) else { return planned() };
    start.truncate(length);
    let Some(kind) = fs.or_else(|| probe::probe(&start)) else { return planned() };
    let unclean = if is_mounted { None } else { journal::unclean(kind, &start, &device).unwrap_or_default() };
    OnVolume { kind: Some(kind.to_owned()), unclean }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_that_is_told_by_its_node_gets_its_name() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::fake(root.path());
        std::fs::create_dir_all(root.path().join("sys/block/dm-3/dm")).unwrap();
        std::fs::write(root.path().join("sys/block/dm-3/dm/name"), "luks_root5\n").unwrap();
        for (source, named) in [
            ("/dev/dm-3", "/dev/mapper/luks_root5"),
            ("/dev/dm-4", "/dev/dm-4"),
            ("/dev/mapper/luks_root1", "/dev/mapper/luks_root1"),
            ("overlay", "overlay"),
        ] {
            let mut mount = Mounted { target: "/a".into(), kind: "btrfs".into(), source: source.into() };
            name_map(&host, &mut mount);
            assert_eq!(mount.source, named);
        }
    }

    #[test]
    fn a_root_is_there_once_it_is_mounted_and_has_a_system() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::fake(root.path());
        assert!(!root_is_there(&host));
        std::fs::create_dir_all(root.path().join("sysroot/etc")).unwrap();
        std::fs::write(root.path().join("sysroot/etc/os-release"), "").unwrap();
        assert!(!root_is_there(&host));
        std::fs::create_dir_all(root.path().join("proc/self")).unwrap();
        let mounts = "36 1 0:31 / /sysroot rw,relatime - overlay overlay rw,lowerdir=/mnt\n";
        std::fs::write(root.path().join("proc/self/mountinfo"), mounts).unwrap();
        assert!(root_is_there(&host));
        std::fs::remove_file(root.path().join("sysroot/etc/os-release")).unwrap();
        assert!(!root_is_there(&host));
    }

    #[test]
    fn a_lower_is_looked_at_until_it_is_mounted() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::fake(root.path());
        let ext4 = include_bytes!("../../../tests/data/file-systems/ext4-in-use.deflate");
        std::fs::create_dir_all(root.path().join("dev/mapper")).unwrap();
        let bytes = miniz_oxide::inflate::decompress_to_vec(ext4).unwrap();
        std::fs::write(root.path().join("dev/mapper/a"), bytes).unwrap();
        let option = |lower: &str, fs, is_mounted| {
            let found = look(&host, &format!("/dev/mapper/{lower}"), fs, is_mounted);
            (found.kind, found.unclean.map(|unclean| unclean.option))
        };
        assert_eq!(option("a", None, false), (Some("ext4".into()), Some("noload")));
        assert_eq!(option("a", None, true), (Some("ext4".into()), None));
        assert_eq!(option("a", Some("xfs"), false), (Some("xfs".into()), None));
        assert_eq!(option("b", Some("xfs"), false), (Some("xfs".into()), None));
        assert_eq!(option("b", None, false), (None, None));
    }
}
