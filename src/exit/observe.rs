//! What there is to take apart, from /proc and sysfs. Neither needs the root or the target.

use std::path::Path;

use super::plan::{Map, Seen, Session};
use crate::engine::host::Host;
use crate::steps::overlay::mountinfo;

/// File systems of the kernel's own: their mounts are not taken apart one by one.
const KERNELS: [&str; 4] = ["/proc", "/sys", "/dev", "/run"];
/// What of /run is ours to unmount.
const OURS: &str = "/run/diskless/";

/// What there is on `host`; with the old root at `root`, empty for where it is the root still. What cannot be read is
/// not there.
pub fn observe(host: &Host, root: &str) -> Seen {
    let mounts = read(&host.path("/proc/self/mountinfo"));
    let swaps = read(&host.path("/proc/swaps"));
    let block = host.path("/sys/block");
    let nodes = names(&block);
    let starting = |prefix: &'static str| nodes.iter().filter(move |node| node.starts_with(prefix));
    Seen {
        mounts: mounts_of(&mounts, root),
        swaps: swaps_of(&swaps),
        loops: starting("loop")
            .filter(|node| block.join(node).join("loop/backing_file").exists())
            .cloned()
            .collect(),
        zrams: starting("zram")
            .filter(|node| read(&block.join(node).join("disksize")).trim() != "0")
            .cloned()
            .collect(),
        maps: starting("dm-").map(|node| map(&block, node)).collect(),
        sessions: sessions(host),
    }
}

/// The sessions of the kernel's iSCSI initiator.
pub fn sessions(host: &Host) -> Vec<Session> {
    let folder = host.path("/sys/class/iscsi_session");
    let session = |name: String| {
        let sid = name.strip_prefix("session")?.parse().ok()?;
        Some(Session { sid, logged_in: read(&folder.join(name).join("state")).trim() == "LOGGED_IN" })
    };
    let mut sessions: Vec<Session> = names(&folder).into_iter().filter_map(session).collect();
    sessions.sort_by_key(|session| session.sid);
    sessions
}

/// The nodes below /dev of the disks that are reached through iSCSI sessions.
pub fn disks(host: &Host) -> Vec<String> {
    let mut disks: Vec<String> =
        sessions(host).iter().flat_map(|session| disks_of(host, session.sid)).collect();
    disks.sort();
    disks
}

/// The nodes below /dev of the disks of session `sid`.
pub fn disks_of(host: &Host, sid: u32) -> Vec<String> {
    let device = host.path("/sys/class/iscsi_session").join(format!("session{sid}")).join("device");
    let mut disks = Vec::new();
    for target in names(&device).into_iter().filter(|name| name.starts_with("target")) {
        for unit in names(&device.join(&target)) {
            disks.extend(names(&device.join(&target).join(unit).join("block")));
        }
    }
    disks
}

/// The map whose folder in `block` is called `node`.
pub fn map(block: &Path, node: &str) -> Map {
    let folder = block.join(node);
    let attribute = |name: &str| read(&folder.join("dm").join(name)).trim().to_owned();
    let name = attribute("name");
    let multipath = attribute("uuid").starts_with("mpath-");
    Map { node: node.to_owned(), name, multipath, holders: names(&folder.join("holders")) }
}

/// The mount points of /proc/self/mountinfo that are below `root`, or are its own; of a root that is in use, without the
/// kernel's own file systems.
fn mounts_of(mountinfo: &str, root: &str) -> Vec<String> {
    let is_below = |path: &str, folder: &str| {
        path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let is_ours = |path: &str| match root {
        "" => path.starts_with(OURS) || !KERNELS.iter().any(|kernels| is_below(path, kernels)),
        root => is_below(path, root) || path.starts_with(OURS),
    };
    mountinfo::parse(mountinfo)
        .into_iter()
        .map(|mounted| mounted.target)
        .filter(|path| is_ours(path))
        .collect()
}

/// The first column of /proc/swaps, without its heading (proc_swaps(5)).
fn swaps_of(swaps: &str) -> Vec<String> {
    swaps.lines().skip(1).filter_map(|line| line.split_whitespace().next()).map(mountinfo::unescape).collect()
}

/// Those in a folder, in order; none if there is none.
pub fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// The text of a file; empty if it cannot be read.
pub fn read(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::plan::plan;

    /// A machine in files: `PATH` with its text.
    fn machine(files: &[(&str, &str)]) -> (tempfile::TempDir, Host) {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let host = Host::fake(folder.path());
        (folder, host)
    }

    const MOUNTS: &str = "\
21 1 0:20 /initramfs / rw - tmpfs tmpfs rw
22 60 0:20 / /oldroot/run rw - tmpfs tmpfs rw
23 22 251:0 / /oldroot/run/diskless/rw rw - ext4 /dev/zram0 rw
24 22 253:1 / /oldroot/run/diskless/lower/root ro - ext4 /dev/mapper/luks_root1 ro
60 21 0:40 / /oldroot rw - overlay overlay rw
61 60 0:5 / /oldroot/a\\040b rw - tmpfs tmpfs rw
70 21 0:21 / /proc rw - proc proc rw
71 21 0:20 / /run rw - tmpfs tmpfs rw
72 21 0:22 / /oldrooted rw - tmpfs tmpfs rw
";

    #[test]
    fn a_machine_after_the_pivot() {
        let (_folder, host) = machine(&[
            ("proc/self/mountinfo", MOUNTS),
            ("proc/swaps", "Filename\t\tType\tSize\tUsed\tPriority\n/dev/zram1 partition 1 0 -2\n"),
            ("sys/block/loop0/loop/backing_file", "/x\n"),
            ("sys/block/loop1/size", "0\n"),
            ("sys/block/zram0/disksize", "1048576\n"),
            ("sys/block/zram2/disksize", "0\n"),
            ("sys/block/dm-0/dm/name", "360000\n"),
            ("sys/block/dm-0/dm/uuid", "mpath-360000\n"),
            ("sys/block/dm-0/holders/dm-1", ""),
            ("sys/block/dm-1/dm/name", "luks_root\n"),
            ("sys/block/dm-1/dm/uuid", "CRYPT-LUKS2-0-luks_root\n"),
            ("sys/block/sda/size", "1\n"),
            ("sys/class/iscsi_session/session10/state", "FAILED\n"),
            ("sys/class/iscsi_session/session2/state", "LOGGED_IN\n"),
            ("sys/class/iscsi_session/session2/device/target2:0:0/2:0:0:1/block/sda/size", "1\n"),
            ("sys/class/iscsi_session/session2/device/target2:0:0/2:0:0:0/type", "12\n"),
        ]);
        let seen = observe(&host, "/oldroot");
        let told: Vec<String> = plan(&seen, false).iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "let map 360000 fail without a path",
                "switch swap /dev/zram1 off",
                "unmount /oldroot/run/diskless/lower/root",
                "unmount /oldroot/run/diskless/rw",
                "unmount /oldroot/a b",
                "unmount /oldroot/run",
                "unmount /oldroot",
                "detach loop0",
                "reset zram0",
                "remove map luks_root",
                "remove map 360000",
                "log out of iSCSI session 2",
                "discard iSCSI session 10, which is lost",
            ]
        );
        assert_eq!(disks(&host), ["sda"]);
    }

    #[test]
    fn a_root_in_use_keeps_the_kernels_own() {
        let mounts = "1 0 0:1 / / rw - overlay overlay rw\n2 1 0:2 / /proc rw - proc proc rw\n\
                      3 1 0:3 / /run rw - tmpfs tmpfs rw\n4 3 0:4 / /run/diskless/rw rw - ext4 /dev/zram0 rw\n\
                      5 1 0:5 / /var rw - overlay overlay rw\n6 1 0:6 / /development rw - tmpfs tmpfs rw\n";
        assert_eq!(mounts_of(mounts, ""), ["/", "/run/diskless/rw", "/var", "/development"]);
    }

    #[test]
    fn an_empty_machine_has_nothing() {
        let (_folder, host) = machine(&[]);
        assert!(observe(&host, "/oldroot").is_empty());
        assert!(disks(&host).is_empty());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text: String) {
            let _ = swaps_of(&text);
            let _ = mounts_of(&text, "/oldroot");
        }
    }
}
