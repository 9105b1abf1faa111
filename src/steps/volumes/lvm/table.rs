//! Logical volumes as device-mapper maps. Pure: what was read in, maps or the reason against them out.

use std::collections::BTreeMap;
use std::fmt;

use super::group::{Disk, Group, Kind, Segment, Volume};
use super::read::Physical;
use crate::sys::dm::{Map, Target, number};

/// The kernel's limit for a map's name (DM_NAME_LEN without its NUL).
const LONGEST_NAME: usize = 127;

/// A logical volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logical {
    /// The name of its map: `system-var`.
    pub name: String,
    /// It is for use only when it is asked for by name.
    pub skip: bool,
    /// Its map, or why there is none.
    pub map: Result<Map, Refusal>,
}

/// Why a logical volume gets no map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Its type needs more than linear and striped maps.
    Kind(String),
    /// This physical volume is not on the disk, or was missing when the group was last changed.
    Missing(String),
    /// These devices are the same physical volume.
    Duplicate(String),
    /// It is a part of another volume, and not for use by itself.
    Part,
    /// Volumes of several groups, with these UUIDs, have its name.
    Ambiguous(String),
    /// The group is exported.
    Exported,
    /// The metadata contradicts itself or the devices.
    Metadata(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Kind(kind) => write!(f, "it is of the type {kind}"),
            Refusal::Missing(disk) => write!(f, "it needs the physical volume {disk}"),
            Refusal::Duplicate(devices) => f.write_str(devices),
            Refusal::Part => f.write_str("it is a part of another volume"),
            Refusal::Ambiguous(groups) => {
                write!(
                    f,
                    "there are several volume groups of this name, with the UUIDs {groups}; rename one with vgrename"
                )
            }
            Refusal::Exported => f.write_str("its volume group is exported; import it with vgimport"),
            Refusal::Metadata(why) => f.write_str(why),
        }
    }
}

/// All logical volumes, of all groups on the physical volumes that are there.
pub fn volumes(disks: &[Physical]) -> Vec<Logical> {
    let mut newest: BTreeMap<&str, &Group> = BTreeMap::new();
    for group in disks.iter().flat_map(|disk| &disk.groups) {
        let known = newest.entry(&group.uuid).or_insert(group);
        if group.seqno > known.seqno {
            *known = group;
        }
    }
    let mut found = Vec::new();
    for group in newest.values() {
        let namesakes = newest.values().filter(|other| other.name == group.name);
        let uuids: Vec<String> = namesakes.map(|group| dashed(&group.uuid)).collect();
        for volume in &group.volumes {
            let name = map_name(&group.name, &volume.name);
            let map = match uuids.as_slice() {
                [_] => map(group, volume, disks, &name),
                _ => Err(Refusal::Ambiguous(uuids.join(", "))),
            };
            found.push(Logical { name, skip: volume.skip, map });
        }
    }
    found
}

fn map(group: &Group, volume: &Volume, disks: &[Physical], name: &str) -> Result<Map, Refusal> {
    let table = table(group, volume, disks)?;
    if !volume.visible {
        return Err(Refusal::Part);
    }
    if name.len() > LONGEST_NAME {
        return Err(contradiction("its name is too long for a map"));
    }
    Ok(Map { name: name.to_owned(), uuid: format!("LVM-{}{}", group.uuid, volume.uuid), table })
}

/// A dash between group and volume; so dashes in their names are doubled.
fn map_name(group: &str, volume: &str) -> String {
    format!("{}-{}", group.replace('-', "--"), volume.replace('-', "--"))
}

/// The volume group of the map `name`, by lvm2's rule: a single dash stands between the names of group and volume, one
/// that belongs to a name is doubled. None if it is no such name.
pub fn group_of(name: &str) -> Option<String> {
    let plain = name.replace("--", "\0");
    let (group, volume) = plain.split_once('-')?;
    (!group.is_empty() && !volume.is_empty()).then(|| group.replace('\0', "-"))
}

fn table(group: &Group, volume: &Volume, there: &[Physical]) -> Result<Vec<Target>, Refusal> {
    if group.exported {
        return Err(Refusal::Exported);
    }
    let mut table = Vec::new();
    let mut end = 0;
    let mut segments: Vec<&Segment> = volume.segments.iter().collect();
    segments.sort_by_key(|segment| segment.start);
    for segment in segments {
        if segment.start != end || segment.extents == 0 {
            return Err(contradiction("its segments leave a gap"));
        }
        end = segment.start.checked_add(segment.extents).ok_or_else(overflow)?;
        table.push(target(group, segment, there)?);
    }
    if table.is_empty() {
        return Err(contradiction("it has no segments"));
    }
    Ok(table)
}

fn target(group: &Group, segment: &Segment, there: &[Physical]) -> Result<Target, Refusal> {
    let sectors = |extents: u64| extents.checked_mul(group.extent_sectors).ok_or_else(overflow);
    let (piece, stripes) = match &segment.kind {
        Kind::Stripes { piece, stripes } => (*piece, stripes),
        Kind::Other(kind) => return Err(Refusal::Kind(kind.clone())),
    };
    let count = stripes.len() as u64;
    if count == 0 || !segment.extents.is_multiple_of(count) {
        return Err(contradiction("a segment cannot be divided by its stripes"));
    }
    let each = segment.extents / count;
    if count > 1 && sectors(each)? % piece.max(1) != 0 {
        return Err(contradiction("a stripe cannot be divided by its pieces"));
    }
    let mut params = if count == 1 { String::new() } else { format!("{count} {piece} ") };
    for (i, (name, first)) in stripes.iter().enumerate() {
        let Some(disk) = group.disks.iter().find(|disk| disk.name == *name) else {
            let is_volume = group.volumes.iter().any(|volume| volume.name == *name);
            return Err(match is_volume {
                true => Refusal::Kind(format!("striped over the volume {name}")),
                false => contradiction("it is on a physical volume that the group does not have"),
            });
        };
        let device = device(group, disk, there)?;
        let last = first.checked_add(each).ok_or_else(overflow)?;
        let beyond = disk.start.checked_add(sectors(last)?).ok_or_else(overflow)?;
        if last > disk.extents || beyond > device.sectors {
            return Err(contradiction("it goes over the end of a physical volume"));
        }
        let blank = if i == 0 { "" } else { " " };
        let start = disk.start.checked_add(sectors(*first)?).ok_or_else(overflow)?;
        params.push_str(&format!("{blank}{} {start}", number(device.device)));
    }
    Ok(Target {
        start: sectors(segment.start)?,
        length: sectors(segment.extents)?,
        kind: if count == 1 { "linear" } else { "striped" }.into(),
        params,
    })
}

/// The one device that holds `disk`.
fn device<'a>(group: &Group, disk: &Disk, there: &'a [Physical]) -> Result<&'a Physical, Refusal> {
    let devices: Vec<&Physical> = there.iter().filter(|device| device.uuid == disk.uuid).collect();
    match devices.as_slice() {
        [device] if !disk.missing => Ok(device),
        [] | [_] => {
            let hint = disk.hint.as_ref().map_or_else(String::new, |node| format!(", once {node}"));
            Err(Refusal::Missing(format!(
                "{} of group {}, UUID {}{hint}",
                disk.name,
                group.name,
                dashed(&disk.uuid)
            )))
        }
        several => {
            let names: Vec<&str> = several.iter().map(|device| device.name.as_str()).collect();
            let names = names.join(" and ");
            Err(Refusal::Duplicate(format!("{names} have the UUID {}", dashed(&disk.uuid))))
        }
    }
}

/// A UUID as lvm2 shows it: 6-4-4-4-4-4-6.
fn dashed(uuid: &str) -> String {
    let mut text = String::new();
    for (i, character) in uuid.chars().enumerate() {
        if matches!(i, 6 | 10 | 14 | 18 | 22 | 26) {
            text.push('-');
        }
        text.push(character);
    }
    text
}

fn contradiction(why: &str) -> Refusal {
    Refusal::Metadata(why.to_owned())
}

fn overflow() -> Refusal {
    contradiction("it is larger than any device")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_of_a_map_is_found_again() {
        for (group, volume) in [("system", "var"), ("my-site", "a-b"), ("a--b", "c")] {
            assert_eq!(group_of(&map_name(group, volume)).as_deref(), Some(group));
        }
        for name in ["luks_root1", "a--b", "-a", "a-"] {
            assert_eq!(group_of(name), None, "{name}");
        }
    }
}
