//! What the first field of a line of fstab(5) or crypttab(5) names, and whether the node has it.

use std::collections::BTreeSet;
use std::path::Path;

use crate::engine::host::Host;

/// The tags of blkid(8), and where udev has links for their values.
const TAGS: [(&str, &str); 5] = [
    ("UUID=", "/dev/disk/by-uuid/"),
    ("LABEL=", "/dev/disk/by-label/"),
    ("PARTUUID=", "/dev/disk/by-partuuid/"),
    ("PARTLABEL=", "/dev/disk/by-partlabel/"),
    ("ID=", "/dev/disk/by-id/"),
];
/// So many devices on and below the root's disk are more than any disk has partitions and volumes.
const MOST_DEVICES: usize = 1024;

/// What there is of what a line names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It is no device: a server's folder, a file, a word like `tmpfs`.
    NoDevice,
    /// It is a device that the node does not have.
    Absent,
    /// It is the disk of the root, what is on it or below it, or the writable layer. All nodes have this disk, read-only.
    OfRoot,
    /// It is another device of the node.
    There,
}

/// The device that `spec` names, as a path; none: it is no device.
pub fn path(spec: &str) -> Option<String> {
    for (tag, folder) in TAGS {
        if let Some(value) = spec.strip_prefix(tag) {
            // Quotes are libmount's and systemd's.
            let value =
                value.strip_prefix(['"', '\'']).map_or(value, |rest| rest.trim_end_matches(['"', '\'']));
            return Some(format!("{folder}{}", encoded(value)));
        }
    }
    spec.starts_with("/dev/").then(|| spec.to_owned())
}

/// As udev writes what is not plain into the name of a link (libblkid's blkid_encode_string).
fn encoded(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "#+-.:=@_".contains(c) || !c.is_ascii();
    let encode = |c: char| if plain(c) { c.to_string() } else { format!("\\x{:02x}", u32::from(c)) };
    value.chars().map(encode).collect()
}

/// Where to look: the devices of a node.
pub struct Devices<'a> {
    host: &'a Host,
    /// The kernel's names of the root's disk, of what is below it and of what is on it.
    of_root: BTreeSet<String>,
}

impl<'a> Devices<'a> {
    /// Those of `host`, the root of which is on the map `map`.
    pub fn of(host: &'a Host, map: &str) -> Devices<'a> {
        let class = host.path("/sys/class/block");
        let entries = std::fs::read_dir(&class).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let called = |name: &String| {
            std::fs::read_to_string(class.join(name).join("dm/name")).is_ok_and(|text| text.trim() == map)
        };
        let mut of_root = BTreeSet::new();
        let mut next: Vec<String> = names.filter(called).collect();
        while let Some(name) = next.pop() {
            if of_root.len() < MOST_DEVICES && of_root.insert(name.clone()) {
                for related in ["slaves", "holders"] {
                    let folder =
                        std::fs::read_dir(class.join(&name).join(related)).into_iter().flatten().flatten();
                    next.extend(folder.filter_map(|entry| entry.file_name().into_string().ok()));
                }
            }
        }
        Devices { host, of_root }
    }

    /// What there is of what `spec` names.
    pub fn presence(&self, spec: &str) -> Presence {
        let Some(path) = path(spec) else { return Presence::NoDevice };
        // Links below /dev lead to nodes below /dev, on a test's machine too.
        match self.host.path(&path).canonicalize() {
            Ok(node) if self.is_of_root(&node) => Presence::OfRoot,
            Ok(_) => Presence::There,
            Err(_) => Presence::Absent,
        }
    }

    fn is_of_root(&self, node: &Path) -> bool {
        let Some(name) = node.file_name().and_then(|name| name.to_str()) else { return false };
        if name.starts_with("zram") || self.of_root.contains(name) {
            return true;
        }
        // A partition that the kernel itself found on a disk below the map.
        let device = self.host.path("/sys/class/block").join(name).canonicalize();
        let disk = device.ok().filter(|device| device.join("partition").exists());
        let disk =
            disk.as_deref().and_then(Path::parent).and_then(Path::file_name).and_then(|disk| disk.to_str());
        disk.is_some_and(|disk| self.of_root.contains(disk))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn specifications_name_devices_as_udev_does() {
        for (spec, expected) in [
            ("UUID=5c1e-A", Some("/dev/disk/by-uuid/5c1e-A")),
            ("UUID=\"5c1e\"", Some("/dev/disk/by-uuid/5c1e")),
            ("LABEL=my disk/x", Some("/dev/disk/by-label/my\\x20disk\\x2fx")),
            ("PARTUUID=1-2", Some("/dev/disk/by-partuuid/1-2")),
            ("PARTLABEL=EFI", Some("/dev/disk/by-partlabel/EFI")),
            ("ID=wwn-0x5", Some("/dev/disk/by-id/wwn-0x5")),
            ("/dev/vda1", Some("/dev/vda1")),
            ("server:/export", None),
            ("//server/share", None),
            ("tmpfs", None),
            ("/swapfile", None),
            ("", None),
        ] {
            assert_eq!(path(spec).as_deref(), expected, "{spec}");
        }
    }

    #[test]
    fn the_disk_of_the_root_is_known_from_other_disks() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let class = root.join("sys/class/block");
        // sda <- dm-0 (paths) <- dm-1 (luks_root) <- dm-2 (its partition); sda1 is what the kernel sees on sda.
        for (below, above) in [("sda", "dm-0"), ("dm-0", "dm-1"), ("dm-1", "dm-2")] {
            std::fs::create_dir_all(class.join(below).join("holders").join(above)).unwrap();
            std::fs::create_dir_all(class.join(above).join("slaves").join(below)).unwrap();
        }
        std::fs::create_dir_all(class.join("dm-1/dm")).unwrap();
        std::fs::write(class.join("dm-1/dm/name"), "luks_root\n").unwrap();
        for (disk, partition) in [("sda", "sda1"), ("nvme0n1", "nvme0n1p1")] {
            std::fs::create_dir_all(class.join(disk).join(partition)).unwrap();
            std::fs::write(class.join(disk).join(partition).join("partition"), "1\n").unwrap();
            symlink(format!("{disk}/{partition}"), class.join(partition)).unwrap();
        }
        std::fs::create_dir_all(root.join("dev/disk/by-uuid")).unwrap();
        for node in ["sda", "sda1", "dm-0", "dm-2", "nvme0n1", "nvme0n1p1", "zram0"] {
            std::fs::write(root.join("dev").join(node), "").unwrap();
        }
        symlink("../../dm-2", root.join("dev/disk/by-uuid/5c1e")).unwrap();
        symlink("../../nvme0n1p1", root.join("dev/disk/by-uuid/aaaa")).unwrap();
        let host = Host::fake(root);
        let devices = Devices::of(&host, "luks_root");
        for (spec, presence) in [
            ("UUID=5c1e", Presence::OfRoot),
            ("/dev/sda", Presence::OfRoot),
            ("/dev/sda1", Presence::OfRoot),
            ("/dev/zram0", Presence::OfRoot),
            ("UUID=aaaa", Presence::There),
            ("/dev/nvme0n1", Presence::There),
            ("UUID=bbbb", Presence::Absent),
            ("/dev/vda1", Presence::Absent),
            ("tmpfs", Presence::NoDevice),
        ] {
            assert_eq!(devices.presence(spec), presence, "{spec}");
        }
        assert_eq!(Devices::of(&host, "other").presence("/dev/sda"), Presence::There);
    }
}
