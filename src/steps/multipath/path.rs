//! The paths as sysfs shows them.

use std::fs::{self, File};
use std::io::Read;

use super::table::{Member, Number};
use super::wwid::{self, LONGEST_PAGE};
use crate::engine::host::Host;
use crate::sys::block::Disk;
use crate::sys::dm::number;

/// A path: a session's disk of the plan's LUN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// The portal, for people: `198.18.0.1:3260`.
    pub portal: String,
    /// The session.
    pub sid: u32,
    /// The disk.
    pub disk: Disk,
    /// The session is logged in, and the disk runs.
    pub live: bool,
}

/// What sysfs tells of a path's disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traits {
    /// The WWID.
    pub wwid: Option<String>,
    /// How good the path is by ALUA.
    pub priority: Option<u32>,
    /// The handler `alua` is attached.
    pub alua: bool,
    /// Bytes of a logical block.
    pub block_size: u64,
    /// The target lets the node write to it.
    pub writable: bool,
}

impl Path {
    /// `sda at 198.18.0.1:3260`
    pub fn name(&self) -> String {
        format!("{} at {}", self.disk.name, self.portal)
    }

    /// What it is in the map.
    pub fn member(&self, traits: &Traits) -> Member {
        Member { path: self.disk.dev, priority: traits.priority, alua: traits.alua }
    }
}

/// What sysfs tells of the disk `name`. None of it asks the target.
pub fn traits(host: &Host, name: &str) -> Traits {
    let block = host.path("/sys/block").join(name);
    let device = block.join("device");
    let bytes = |file: &str| {
        let mut page = Vec::new();
        File::open(device.join(file)).ok()?.take(LONGEST_PAGE).read_to_end(&mut page).ok()?;
        Some(page)
    };
    let text = |file: &str| fs::read_to_string(device.join(file)).ok().map(|text| text.trim().to_owned());
    let (vendor, model) = (text("vendor").unwrap_or_default(), text("model").unwrap_or_default());
    let preferred = text("preferred_path").as_deref() == Some("1");
    let size = fs::read_to_string(block.join("queue/logical_block_size")).ok();
    Traits {
        wwid: wwid::wwid(bytes("vpd_pg83").as_deref(), bytes("vpd_pg80").as_deref(), &vendor, &model),
        priority: text("access_state").and_then(|state| priority(&state, preferred)),
        alua: text("dh_state").as_deref() == Some("alua"),
        block_size: size.and_then(|size| size.trim().parse().ok()).unwrap_or(512),
        writable: fs::read_to_string(block.join("ro")).is_ok_and(|text| text.trim() == "0"),
    }
}

/// The disk of this number as it is in a map; none: there is no such disk any more.
pub fn member(host: &Host, path: Number) -> Option<Member> {
    let folder = host.path("/sys/dev/block").join(number(path));
    let name = fs::canonicalize(folder).ok()?.file_name()?.to_str()?.to_owned();
    let traits = traits(host, &name);
    Some(Member { path, priority: traits.priority, alua: traits.alua })
}

/// The values of multipath-tools' prioritizer `sysfs`: multipathd, which takes the map over, then finds it in order.
fn priority(state: &str, preferred: bool) -> Option<u32> {
    let base = match state {
        "active/optimized" => 50,
        "active/non-optimized" => 10,
        "lba-dependent" => 5,
        "standby" => 1,
        "unavailable" | "offline" => 0,
        _ => return None,
    };
    Some(if preferred && base != 50 { base + 80 } else { base })
}

/// A map of multipath's on top of a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapped {
    /// Its name below /dev/mapper, which multipathd may have changed.
    pub name: String,
    /// What its paths have in common: its DM UUID is `mpath-` and this.
    pub wwid: String,
    /// The map as a disk.
    pub disk: Disk,
}

/// The map of multipath's that holds one of `disks`.
pub fn map(host: &Host, disks: &[&Disk]) -> Option<Mapped> {
    disks.iter().find_map(|disk| {
        let holders = fs::read_dir(host.path("/sys/block").join(&disk.name).join("holders")).ok()?;
        let names = holders.flatten().filter_map(|holder| holder.file_name().into_string().ok());
        names.into_iter().find_map(|name| mapped(host, name))
    })
}

fn mapped(host: &Host, node: String) -> Option<Mapped> {
    let folder = host.path("/sys/block").join(&node);
    let text = |file: &str| Some(fs::read_to_string(folder.join(file)).ok()?.trim().to_owned());
    let wwid = text("dm/uuid")?.strip_prefix("mpath-")?.to_owned();
    let number = text("dev")?;
    let (major, minor) = number.split_once(':')?;
    let dev = (major.parse().ok()?, minor.parse().ok()?);
    let sectors = text("size")?.parse().ok()?;
    Some(Mapped { name: text("dm/name")?, wwid, disk: Disk { name: node, dev, sectors } })
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Machine;
    use super::*;

    #[test]
    fn what_a_disk_tells() {
        let machine = Machine::new();
        machine.disk("sda", 0);
        let bare = Traits { block_size: 512, ..Traits::default() };
        assert_eq!(traits(&machine.host(), "sda"), bare);
        machine.write("/sys/block/sda/device/vpd_pg83", b"\0\x83\0\x06\x01\x03\0\x02\x60\x01");
        machine.write("/sys/block/sda/device/access_state", b"active/non-optimized\n");
        machine.write("/sys/block/sda/device/preferred_path", b"1\n");
        machine.write("/sys/block/sda/device/dh_state", b"alua\n");
        machine.write("/sys/block/sda/queue/logical_block_size", b"4096\n");
        let mut expected = Traits {
            wwid: Some("36001".into()),
            priority: Some(90),
            alua: true,
            block_size: 4096,
            writable: false,
        };
        for (text, writable) in [("1\n", false), ("0\n", true)] {
            machine.write("/sys/block/sda/ro", text.as_bytes());
            expected.writable = writable;
            assert_eq!(traits(&machine.host(), "sda"), expected);
        }
    }

    #[test]
    fn a_disk_is_found_by_its_number_as_long_as_it_is_there() {
        let machine = Machine::new();
        machine.disk("sda", 0);
        machine.write("/sys/block/sda/device/access_state", b"standby\n");
        assert_eq!(
            member(&machine.host(), (8, 0)),
            Some(Member { path: (8, 0), priority: Some(1), alua: false })
        );
        assert_eq!(member(&machine.host(), (8, 16)), None);
    }

    #[test]
    fn priorities_are_those_of_multipath_tools() {
        for (state, preferred, expected) in [
            ("active/optimized", false, Some(50)),
            ("active/optimized", true, Some(50)),
            ("active/non-optimized", false, Some(10)),
            ("active/non-optimized", true, Some(90)),
            ("lba-dependent", false, Some(5)),
            ("standby", false, Some(1)),
            ("offline", false, Some(0)),
            ("transitioning", false, None),
            ("", false, None),
        ] {
            assert_eq!(priority(state, preferred), expected, "{state}");
        }
    }

    #[test]
    fn the_map_is_found_by_its_paths_whatever_it_is_called() {
        let machine = Machine::new();
        let disks = [machine.disk("sda", 0), machine.disk("sdb", 16)];
        let disks: Vec<&Disk> = disks.iter().collect();
        let host = machine.host();
        assert_eq!(map(&host, &disks), None);
        machine.map("dm-3", "mpatha", "mpath-36001");
        machine.write("/sys/block/sdb/holders/dm-3", b"");
        let found = map(&host, &disks).unwrap();
        assert_eq!((found.name.as_str(), found.wwid.as_str()), ("mpatha", "36001"));
        assert_eq!(found.disk, Disk { name: "dm-3".into(), dev: (254, 3), sectors: 2048 });
        // Something else on top of a disk is not it.
        machine.map("dm-4", "luks_root", "CRYPT-LUKS2-x");
        machine.write("/sys/block/sda/holders/dm-4", b"");
        assert_eq!(map(&host, &disks[..1]), None);
    }
}
