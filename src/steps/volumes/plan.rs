//! Decides which maps the partitions need.

use super::Create;
use super::gpt::Partition;
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
    let partitions = seen.partitions.as_deref().unwrap_or_default();
    for partition in partitions {
        let map = map(disk, below, seen.sectors_per_block, partition);
        match seen.maps.get(&map.name) {
            Some(there) if there.uuid != map.uuid => {
                return Err(Error::new(Code::PartitionTable, format!("map {}", map.name))
                    .because(format!("it exists and belongs to something else: {:?}", there.uuid)));
            }
            Some(there) if there.active => (),
            _ => return Ok(Next::Do(Create(map))),
        }
    }
    let mut there: Vec<String> = partitions.iter().map(|partition| name(disk, partition.number)).collect();
    if there.is_empty() {
        there.push(disk.to_owned());
    }
    match wanted.iter().find(|volume| !there.contains(volume)) {
        Some(missing) => Err(Error::new(Code::NoVolume, format!("/dev/mapper/{missing}"))
            .because(format!("there are: {}", there.join(", ")))),
        None => Ok(Next::Done(there.join(", "))),
    }
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
    use super::*;
    use std::collections::BTreeMap;

    fn existing(uuid: &str, active: bool) -> Existing {
        Existing { uuid: uuid.into(), device: (254, 0), active, read_only: true }
    }

    fn seen(partitions: Option<Vec<Partition>>, maps: &[(&str, Existing)]) -> Seen {
        Seen {
            disk: Some(existing("CRYPT-x", true)),
            sectors_per_block: 8,
            partitions,
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
    fn a_disk_without_table_is_a_volume_itself() {
        let next = plan("luks_root", &["luks_root".into()], &seen(None, &[])).unwrap();
        assert_eq!(next, Next::Done("luks_root".into()));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let other = seen(Some(vec![ONE]), &[("luks_root1", existing("part1-other", true))]);
        assert_eq!(plan("luks_root", &[], &other).unwrap_err().code(), Code::PartitionTable);
        let done = seen(Some(vec![ONE]), &[("luks_root1", existing("part1-CRYPT-x", true))]);
        let error = plan("luks_root", &["luks_root2".into()], &done).unwrap_err();
        assert_eq!(error.code(), Code::NoVolume);
        assert!(error.to_string().ends_with("there are: luks_root1"), "{error}");
    }

    #[test]
    fn without_the_disk_it_waits() {
        let mut gone = seen(None, &[]);
        gone.disk = None;
        assert_eq!(plan("luks_root", &[], &gone).unwrap(), Next::Wait("map luks_root".into()));
    }
}
