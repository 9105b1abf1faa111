//! Whose is what there is: the boot's own is told by what it is on, from the sessions up, and by the DM UUIDs that only it
//! gives in that place.

use std::collections::BTreeMap;
use std::path::Path;

use super::plan::{Made, Part};
use crate::engine::host::Host;
use crate::exit::observe::{disks_of, map, names, read, sessions};
use crate::exit::plan::Map;
use crate::keeper::{self, Doing, Journal};
use crate::steps::overlay::mountinfo::{self, Mounted};
use crate::steps::{iscsi, zram};

/// Where the boot mounts what the overlays are made of.
const LAYERS: &str = "/run/diskless/";
/// Only an overlay of the boot's writes there.
const UPPER: &str = "upperdir=/run/diskless/rw/";
const SYSROOT: &str = "/sysroot";

/// A device-mapper map with what tells whose it is.
struct Found {
    map: Map,
    uuid: String,
    /// What it is on, as below /dev.
    slaves: Vec<String>,
}

/// A mount with what tells whose it is.
struct Mount {
    mounted: Mounted,
    /// `253:1`, of the device; of some file systems the number is nobody's.
    number: String,
    upper: bool,
}

/// What there is on `host` of the boot's work. What cannot be read is not there.
pub fn observe(host: &Host) -> Made {
    let block = host.path("/sys/block");
    let mut made = Made {
        // One that a living iscsid has made is somebody's own.
        sessions: sessions(host)
            .into_iter()
            .filter(|session| !iscsi::is_of_iscsid(host, session.sid))
            .collect(),
        zram: zram::find(host).map(|disk| format!("zram{}", disk.number)),
        keeper: Journal::read(&host.path(keeper::FILE))
            .ok()
            .flatten()
            .is_some_and(|journal| journal.doing == Doing::Keeping),
        ..Made::default()
    };
    // Each device of the boot's, as below /dev, with the part that it is of.
    let mut ours: BTreeMap<String, Part> = BTreeMap::new();
    for session in &made.sessions {
        ours.extend(disks_of(host, session.sid).into_iter().map(|disk| (disk, Part::Sessions)));
    }
    ours.extend(made.zram.iter().map(|disk| (disk.clone(), Part::Zram)));
    let mut left: Vec<Found> = names(&block)
        .into_iter()
        .filter(|node| node.starts_with("dm-"))
        .map(|node| Found {
            map: map(&block, &node),
            uuid: read(&block.join(&node).join("dm/uuid")).trim().to_owned(),
            slaves: names(&block.join(&node).join("slaves")),
        })
        .collect();
    // From below: each round finds what is on top of what the one before has found.
    loop {
        let (found, others): (Vec<_>, Vec<_>) = left
            .into_iter()
            .map(|found| (part_of(&found, &ours), found))
            .partition(|(part, _)| part.is_some());
        left = others.into_iter().map(|(_, found)| found).collect();
        if found.is_empty() {
            break;
        }
        for (part, Found { map, .. }) in found {
            let Some(part) = part else { continue };
            ours.insert(map.node.clone(), part);
            match part {
                Part::Multipath => made.multipath.push(map),
                Part::Luks => made.luks.push(map),
                _ => made.volumes.push(map),
            }
        }
    }
    for found in &left {
        if let Some((on, part)) = found.slaves.iter().find_map(|slave| ours.get_key_value(slave)) {
            made.others.push((*part, format!("map {} on {on}", found.map.name)));
        }
    }
    sort_mounts(&mut made, &mounts(&read(&host.path("/proc/self/mountinfo"))), &nodes(&block, &ours));
    made
}

/// Which part of the boot's work a map is, by what it is on; none: it is none of it.
fn part_of(found: &Found, ours: &BTreeMap<String, Part>) -> Option<Part> {
    let on: Vec<Option<Part>> = found.slaves.iter().map(|slave| ours.get(slave).copied()).collect();
    let all_on =
        |parts: &[Part]| !on.is_empty() && on.iter().all(|on| on.is_some_and(|on| parts.contains(&on)));
    let is = |prefix: &str| found.uuid.starts_with(prefix);
    if is("mpath-") && all_on(&[Part::Sessions]) {
        Some(Part::Multipath)
    } else if is("CRYPT-LUKS") && all_on(&[Part::Sessions, Part::Multipath]) {
        Some(Part::Luks)
    } else if (is("part") || is("LVM-")) && all_on(&[Part::Luks, Part::Volumes]) {
        Some(Part::Volumes)
    } else {
        None
    }
}

/// By what a mount may name a device of the boot's: its number, its node, and its partitions' numbers.
fn nodes(block: &Path, ours: &BTreeMap<String, Part>) -> BTreeMap<String, (String, Part)> {
    let mut nodes = BTreeMap::new();
    for (name, part) in ours {
        let folder = block.join(name);
        let mut add = |key: String| nodes.insert(key, (name.clone(), *part));
        add(read(&folder.join("dev")).trim().to_owned());
        add(format!("/dev/{name}"));
        let map = read(&folder.join("dm/name"));
        if !map.is_empty() {
            add(format!("/dev/mapper/{}", map.trim()));
        }
        for partition in names(&folder).into_iter().filter(|entry| entry.starts_with(name.as_str())) {
            add(read(&folder.join(&partition).join("dev")).trim().to_owned());
            add(format!("/dev/{partition}"));
        }
    }
    nodes.remove("");
    nodes
}

fn mounts(text: &str) -> Vec<Mount> {
    let mount = |line: &str| {
        let mounted = mountinfo::parse(line).pop()?;
        let number = line.split(' ').nth(2)?.to_owned();
        let options = line.rsplit(' ').next().unwrap_or_default();
        Some(Mount { mounted, number, upper: options.split(',').any(|option| option.starts_with(UPPER)) })
    };
    text.lines().filter_map(mount).collect()
}

/// Tells the boot's mounts from those of others that are on its work.
fn sort_mounts(made: &mut Made, mounts: &[Mount], nodes: &BTreeMap<String, (String, Part)>) {
    let below = |path: &str, folder: &str| {
        path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    for Mount { mounted: Mounted { target, kind, source }, upper, .. } in mounts {
        if kind == "overlay" && *upper && below(target, SYSROOT) {
            made.overlays.push(target.clone());
        } else if target.strip_prefix(LAYERS).is_some_and(|rest| rest == "rw" || rest.starts_with("lower/")) {
            made.layers.push(target.clone());
        } else if let Some((on, part)) = nodes.get(source) {
            made.others.push((*part, format!("mount {target} of {on}")));
        }
    }
    for Mount { mounted: Mounted { target, source, .. }, number, .. } in mounts {
        let is_ours = made.overlays.contains(target) || made.layers.contains(target);
        if is_ours || nodes.contains_key(source) {
            continue;
        }
        if let Some((on, part)) = nodes.get(number) {
            made.others.push((*part, format!("mount {target} of {on}")));
        } else if made.overlays.iter().any(|overlay| below(target, overlay)) {
            made.others.push((Part::Overlay, format!("mount {target}")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::undo::plan::plan;

    /// Two paths, a map, the opened disk with a partition, and a disk of the machine's own with a LUKS map of its own.
    const FILES: &[(&str, &str)] = &[
        ("sys/class/iscsi_session/session1/state", "LOGGED_IN"),
        ("sys/class/iscsi_session/session1/creator", "1"),
        ("sys/class/iscsi_session/session1/device/target2:0:0/2:0:0:1/block/sda/size", "1"),
        ("sys/class/iscsi_session/session2/state", "LOGGED_IN"),
        ("sys/class/iscsi_session/session2/device/target3:0:0/3:0:0:1/block/sdb/size", "1"),
        // An operator's own, by iscsid.
        ("sys/class/iscsi_session/session3/state", "LOGGED_IN"),
        ("sys/class/iscsi_session/session3/creator", "77"),
        ("sys/class/iscsi_session/session3/device/target4:0:0/4:0:0:1/block/sdc/size", "1"),
        ("proc/77/comm", "iscsid\n"),
        ("sys/block/sda/dev", "8:0\n"),
        ("sys/block/sda/sda1/dev", "8:1\n"),
        ("sys/block/dm-0/dm/name", "3600\n"),
        ("sys/block/dm-0/dm/uuid", "mpath-3600\n"),
        ("sys/block/dm-0/slaves/sda", ""),
        ("sys/block/dm-0/slaves/sdb", ""),
        ("sys/block/dm-0/holders/dm-1", ""),
        ("sys/block/dm-1/dm/name", "luks_root\n"),
        ("sys/block/dm-1/dm/uuid", "CRYPT-LUKS2-0-luks_root\n"),
        ("sys/block/dm-1/slaves/dm-0", ""),
        ("sys/block/dm-1/holders/dm-2", ""),
        ("sys/block/dm-2/dm/name", "luks_root1\n"),
        ("sys/block/dm-2/dm/uuid", "part1-CRYPT-LUKS2-0-luks_root\n"),
        ("sys/block/dm-2/dev", "253:2\n"),
        ("sys/block/dm-2/slaves/dm-1", ""),
        ("sys/block/dm-7/dm/name", "swap\n"),
        ("sys/block/dm-7/dm/uuid", "CRYPT-LUKS2-1-swap\n"),
        ("sys/block/dm-7/slaves/vda", ""),
        ("sys/block/dm-8/dm/name", "other\n"),
        ("sys/block/dm-8/dm/uuid", "mpath-other\n"),
        ("sys/block/dm-8/slaves/sdc", ""),
    ];
    const MOUNTS: &str = "\
24 22 253:2 / /run/diskless/lower/root ro - ext4 /dev/mapper/luks_root1 ro
25 22 251:0 / /run/diskless/rw rw - ext4 /dev/zram0 rw
60 21 0:40 / /sysroot rw - overlay overlay rw,lowerdir=/run/diskless/lower/root,upperdir=/run/diskless/rw/root/upper
61 21 0:41 / /mnt rw - overlay overlay rw,lowerdir=/a,upperdir=/b
62 21 0:42 / /run/diskless/other rw - tmpfs tmpfs rw
";

    fn observed(mounts: &str, more: &[(&str, &str)]) -> Made {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in FILES.iter().chain(more).chain(&[("proc/self/mountinfo", mounts)]) {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        observe(&Host::fake(folder.path()))
    }

    #[test]
    fn only_what_is_the_boots_own_is_touched() {
        let made = observed(MOUNTS, &[]);
        assert!(made.others.is_empty(), "{:?}", made.others);
        let told: Vec<String> =
            plan(&made, Part::Sessions).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "unmount /sysroot",
                "let map 3600 fail without a path",
                "unmount /run/diskless/lower/root",
                "unmount /run/diskless/rw",
                "remove map luks_root1",
                "remove map luks_root",
                "remove map 3600",
                "log out of iSCSI session 1",
                "log out of iSCSI session 2",
            ]
        );
    }

    #[test]
    fn what_others_have_on_top_is_named() {
        let mounts = format!(
            "{MOUNTS}70 21 253:2 / /look ro - ext4 /dev/disk/by-uuid/x ro\n71 60 0:50 / /sysroot/proc rw - proc proc rw\n\
             72 21 8:1 / /raw ro - ext4 /dev/sda1 ro\n"
        );
        let on_top = [
            ("sys/block/dm-9/dm/name", "mine\n"),
            ("sys/block/dm-9/dm/uuid", "\n"),
            ("sys/block/dm-9/slaves/dm-1", ""),
        ];
        let mut others = observed(&mounts, &on_top).others;
        others.sort();
        let others: Vec<_> = others.iter().map(|(part, what)| (*part, what.as_str())).collect();
        let expected = [
            (Part::Sessions, "mount /raw of sda"),
            (Part::Luks, "map mine on dm-1"),
            (Part::Volumes, "mount /look of dm-2"),
            (Part::Overlay, "mount /sysroot/proc"),
        ];
        assert_eq!(others, expected);
    }

    #[test]
    fn an_empty_machine_has_nothing() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(observe(&Host::fake(folder.path())), Made::default());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text: String) {
            let _ = mounts(&text);
        }
    }
}
