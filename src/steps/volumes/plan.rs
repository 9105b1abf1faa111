//! Decides which maps the partitions and logical volumes need.

use super::Create;
use super::gpt::Partition;
use super::lvm::{Logical, Refusal};
use super::observe::Seen;
use crate::engine::converge::Next;
use crate::error::{Code, Error, Result};
use crate::sys::dm::{Existing, Map, Target, number};

/// The map of partition `number` of the map `disk`: libparted's rule, a `p` only behind a digit.
pub fn name(disk: &str, number: u32) -> String {
    let separator = if disk.ends_with(|c: char| c.is_ascii_digit()) { "p" } else { "" };
    format!("{disk}{separator}{number}")
}

pub fn plan(disk: &str, wanted: &[String], seen: &Seen) -> Result<Next<Create>> {
    let Some(below) = &seen.disk else {
        return Ok(Next::Wait(format!("map {disk}")));
    };
    let partitions = seen.table.as_ref().map_or(&[][..], |table| &table.partitions);
    let mut maps: Vec<Map> =
        partitions.iter().map(|partition| map(disk, below, seen.sectors_per_block, partition)).collect();
    let is_for_us = |volume: &&Logical| !volume.skip || wanted.contains(&volume.name);
    // Once more when the partitions are mapped: then logical volumes on them are seen too.
    maps.extend(seen.logical.iter().filter(is_for_us).filter_map(|volume| volume.map.clone().ok()));
    for map in &maps {
        match seen.maps.get(&map.name) {
            Some(there) if there.uuid != map.uuid => {
                return Err(Error::new(Code::VolumeMap, format!("map {}", map.name))
                    .because(format!("it belongs to something else: {:?}", there.uuid)));
            }
            Some(there) if there.active => (),
            _ => return Ok(Next::Do(Create(map.clone()))),
        }
    }
    let mut there: Vec<String> = maps.into_iter().map(|map| map.name).collect();
    if there.is_empty() {
        there.push(disk.to_owned());
    }
    match wanted.iter().find(|volume| !there.contains(volume)) {
        Some(missing) => Err(why_missing(missing, &there, seen)),
        None => Ok(Next::Done(there.join(", "))),
    }
}

/// The first partition table is damaged.
pub fn warnings(disk: &str, seen: &Seen) -> Vec<Error> {
    let damage = seen.table.as_ref().and_then(|table| table.damage.clone());
    let error =
        |damage| Error::new(Code::PartitionTableBackup, format!("/dev/mapper/{disk}")).because(damage);
    damage.map(error).into_iter().collect()
}

fn why_missing(missing: &str, there: &[String], seen: &Seen) -> Error {
    let error = |code| Error::new(code, format!("/dev/mapper/{missing}"));
    let known = seen.logical.iter().find(|volume| volume.name == missing);
    if let Some(Logical { map: Err(refusal), .. }) = known {
        let code = match refusal {
            Refusal::Kind(_) | Refusal::Part => Code::VolumeType,
            Refusal::Missing(_) => Code::PhysicalVolume,
            Refusal::Duplicate(_) => Code::PhysicalVolumeDuplicate,
            Refusal::Exported | Refusal::Ambiguous(_) | Refusal::Metadata(_) => Code::LvmMetadata,
        };
        return error(code).because(refusal.to_string());
    }
    if !seen.faults.is_empty() {
        return error(Code::LvmMetadata).because(seen.faults.join("; "));
    }
    error(Code::NoVolume).because(format!("there are: {}", there.join(", ")))
}

fn map(disk: &str, below: &Existing, sectors_per_block: u64, partition: &Partition) -> Map {
    // A partition lies on the disk, whose sectors fit in 64 bits.
    let start = partition.first.saturating_mul(sectors_per_block);
    Map {
        name: name(disk, partition.number),
        uuid: format!("part{}-{}", partition.number, below.uuid),
        table: vec![Target {
            start: 0,
            length: partition.blocks.saturating_mul(sectors_per_block),
            kind: "linear".into(),
            params: format!("{} {start}", number(below.device)),
        }],
    }
}

#[cfg(test)]
mod tests {
    use super::super::partitions::Table;
    use super::*;
    use std::collections::BTreeMap;

    fn existing(uuid: &str, active: bool) -> Existing {
        Existing { uuid: uuid.into(), device: (254, 0), active, read_only: true }
    }

    fn seen(partitions: Option<Vec<Partition>>, maps: &[(&str, Existing)]) -> Seen {
        Seen {
            disk: Some(existing("CRYPT-x", true)),
            sectors_per_block: 8,
            table: partitions.map(|partitions| Table { partitions, damage: None }),
            logical: Vec::new(),
            faults: Vec::new(),
            maps: maps
                .iter()
                .map(|(name, map)| ((*name).to_owned(), map.clone()))
                .collect::<BTreeMap<_, _>>(),
        }
    }

    const ONE: Partition = Partition { number: 1, first: 256, blocks: 100 };

    #[test]
    fn names_as_libparted_gives_them() {
        assert_eq!(name("luks_root", 1), "luks_root1");
        assert_eq!(name("disk0", 1), "disk0p1");
    }

    #[test]
    fn a_partition_becomes_a_linear_map_and_then_nothing_is_left_to_do() {
        let next = plan("luks_root", &["luks_root1".into()], &seen(Some(vec![ONE]), &[])).unwrap();
        let Next::Do(Create(map)) = next else { panic!("{next:?}") };
        assert_eq!(map.uuid, "part1-CRYPT-x");
        let target = Target { start: 0, length: 800, kind: "linear".into(), params: "254:0 2048".into() };
        assert_eq!(map.table, [target]);
        // Created but without a table: an interrupted run. It is completed.
        let half = seen(Some(vec![ONE]), &[("luks_root1", existing("part1-CRYPT-x", false))]);
        assert!(matches!(plan("luks_root", &[], &half).unwrap(), Next::Do(_)));
        let done = seen(Some(vec![ONE]), &[("luks_root1", existing("part1-CRYPT-x", true))]);
        let next = plan("luks_root", &["luks_root1".into()], &done).unwrap();
        assert_eq!(next, Next::Done("luks_root1".into()));
    }

    #[test]
    fn a_table_that_is_the_backup_is_warned_of() {
        let mut seen = seen(Some(vec![ONE]), &[]);
        assert!(warnings("luks_root", &seen).is_empty());
        seen.table.as_mut().unwrap().damage = Some("GPT: wrong check sum of the header".into());
        let warnings: Vec<String> = warnings("luks_root", &seen).iter().map(ToString::to_string).collect();
        let expected = "/dev/mapper/luks_root: the first partition table is damaged, and its backup at the end of the \
                        disk is used: GPT: wrong check sum of the header";
        assert_eq!(warnings, [expected]);
    }

    #[test]
    fn a_disk_without_table_is_a_volume_itself() {
        let next = plan("luks_root", &["luks_root".into()], &seen(None, &[])).unwrap();
        assert_eq!(next, Next::Done("luks_root".into()));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let other = seen(Some(vec![ONE]), &[("luks_root1", existing("part1-other", true))]);
        assert_eq!(plan("luks_root", &[], &other).unwrap_err().code(), Code::VolumeMap);
        let done = seen(Some(vec![ONE]), &[("luks_root1", existing("part1-CRYPT-x", true))]);
        let error = plan("luks_root", &["luks_root2".into()], &done).unwrap_err();
        assert_eq!(error.code(), Code::NoVolume);
        assert!(error.to_string().ends_with("there are: luks_root1"), "{error}");
    }

    /// Without a table: the group is on the disk itself.
    fn with_volumes(maps: &[(&str, Existing)]) -> Seen {
        let logical = |name: &str, skip, refusal: Option<Refusal>| {
            let map = Map { name: name.into(), uuid: format!("LVM-{name}"), table: Vec::new() };
            Logical { name: name.into(), skip, map: refusal.map_or(Ok(map), Err) }
        };
        let mut seen = seen(None, maps);
        seen.logical = vec![
            logical("system-var", false, None),
            logical("system-skipped", true, None),
            logical("system-thin", false, Some(Refusal::Kind("thin".into()))),
            logical("system-far", false, Some(Refusal::Missing("a-b".into()))),
            logical("system-gone", false, Some(Refusal::Exported)),
            logical("system-twice", false, Some(Refusal::Duplicate("luks_root2 and luks_root3 have".into()))),
        ];
        seen
    }

    #[test]
    fn logical_volumes_are_mapped_and_then_nothing_is_left_to_do() {
        let wanted = ["system-var".to_owned()];
        let Next::Do(Create(map)) = plan("luks_root", &wanted, &with_volumes(&[])).unwrap() else { panic!() };
        assert_eq!(map.name, "system-var");
        let var = ("system-var", existing("LVM-system-var", true));
        let done = with_volumes(std::slice::from_ref(&var));
        assert_eq!(plan("luks_root", &wanted, &done).unwrap(), Next::Done("system-var".into()));
        // One that is to be skipped is mapped only when it is wanted.
        let wanted = ["system-skipped".to_owned()];
        let Next::Do(Create(map)) = plan("luks_root", &wanted, &done).unwrap() else { panic!() };
        assert_eq!(map.name, "system-skipped");
        let other = with_volumes(&[("system-var", existing("LVM-other", true))]);
        assert_eq!(plan("luks_root", &[], &other).unwrap_err().code(), Code::VolumeMap);
    }

    #[test]
    fn a_wanted_volume_that_cannot_be_mapped_says_why() {
        let mut seen = with_volumes(&[("system-var", existing("LVM-system-var", true))]);
        let error = |wanted: &str, seen: &Seen| plan("luks_root", &[wanted.to_owned()], seen).unwrap_err();
        let cases = [
            ("system-thin", Code::VolumeType, "it is of the type thin"),
            ("system-far", Code::PhysicalVolume, "it needs the physical volume a-b"),
            ("system-gone", Code::LvmMetadata, "vgimport"),
            ("system-twice", Code::PhysicalVolumeDuplicate, "luks_root2 and luks_root3 have"),
            ("system-none", Code::NoVolume, "there are: system-var"),
        ];
        for (name, code, says) in cases {
            let error = error(name, &seen);
            assert_eq!(error.code(), code, "{name}");
            assert!(error.to_string().ends_with(says), "{error}");
        }
        seen.faults.push("luks_root1: damaged".into());
        assert_eq!(error("system-none", &seen).code(), Code::LvmMetadata);
    }

    #[test]
    fn without_the_disk_it_waits() {
        let mut gone = seen(None, &[]);
        gone.disk = None;
        assert_eq!(plan("luks_root", &[], &gone).unwrap(), Next::Wait("map luks_root".into()));
    }
}
