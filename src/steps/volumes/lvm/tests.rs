//! Against what lvm2 wrote (`tests/data/lvm`), as it is and damaged.

use std::io;
use std::os::unix::fs::FileExt;
use std::sync::LazyLock;

use super::label::Area;
use super::label::tests::{sign_header, sign_label};
use super::*;
use crate::sys::dm::{Map, Target};

/// A device in memory.
#[derive(Clone)]
struct Device(Vec<u8>);

impl FileExt for Device {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = self.0.get(offset as usize..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }
}

macro_rules! device {
    ($name:literal) => {
        Device(
            miniz_oxide::inflate::decompress_to_vec(include_bytes!(concat!(
                "../../../../tests/data/lvm/",
                $name,
                ".deflate"
            )))
            .unwrap(),
        )
    };
}

/// They are known as disk0, disk1 and so on.
fn read_all(devices: &[&Device]) -> Vec<Physical> {
    let read = |(minor, device): (u32, &&Device)| {
        read(*device, &format!("disk{minor}"), (254, minor), device.0.len() as u64 / 512).unwrap().unwrap()
    };
    (0..).zip(devices).map(read).collect()
}

fn of<'a>(volumes: &'a [Logical], name: &str) -> &'a Result<Map, Refusal> {
    &volumes.iter().find(|volume| volume.name == name).unwrap().map
}

fn target(start: u64, length: u64, kind: &str, params: &str) -> Target {
    Target { start, length, kind: kind.into(), params: params.into() }
}

/// The first metadata area of `single`.
const AREA: Area = Area { offset: 4096, size: 61_440 };

/// Inflating it takes longer than a whole case.
static FIRST: LazyLock<Device> = LazyLock::new(|| device!("first"));
static SECOND: LazyLock<Device> = LazyLock::new(|| device!("second"));

#[test]
fn linear_volumes_whose_text_goes_over_the_end_of_the_ring() {
    let device = device!("single");
    let physical = read_all(&[&device]);
    assert!(physical[0].faults.is_empty(), "{:?}", physical[0].faults);
    assert_eq!(physical[0].groups.len(), 2);
    let header = &device.0[AREA.offset as usize..];
    assert_eq!(label::text(AREA, header).unwrap().unwrap().parts.len(), 2, "it is to wrap");
    let volumes = volumes(&physical);
    let names: Vec<_> = volumes.iter().map(|volume| (volume.name.as_str(), volume.skip)).collect();
    let expected = [
        ("system-var", false),
        ("system-between", false),
        ("system-root--lv", false),
        ("system-skipped", true),
    ];
    assert_eq!(names, expected);
    let group = &physical[0].groups[0];
    let var = of(&volumes, "system-var").as_ref().unwrap();
    assert_eq!(var.uuid, format!("LVM-{}{}", group.uuid, group.volumes[0].uuid));
    assert_eq!((var.uuid.len(), var.uuid.contains("-x")), (68, false));
    let two = [target(0, 4096, "linear", "254:0 128"), target(4096, 2048, "linear", "254:0 6272")];
    assert_eq!(var.table, two);
    let root = of(&volumes, "system-root--lv").as_ref().unwrap();
    assert_eq!(root.table, [target(0, 1024, "linear", "254:0 8320")]);
}

#[test]
fn striped_volumes_over_two_disks_of_which_one_has_no_metadata() {
    let (first, second) = (device!("first"), device!("second"));
    let physical = read_all(&[&first, &second]);
    assert!(physical[1].groups.is_empty());
    let found = volumes(&physical);
    let striped = of(&found, "two--disks-striped").as_ref().unwrap();
    assert_eq!(striped.table, [target(0, 4096, "striped", "2 128 254:0 128 254:1 128")]);
    let both = of(&found, "two--disks-both").as_ref().unwrap();
    let two = [target(0, 14_080, "linear", "254:0 2176"), target(14_080, 1280, "linear", "254:1 2176")];
    assert_eq!(both.table, two);
    // Alone, what the other one holds is missed by its UUID.
    let alone = volumes(&physical[..1]);
    let Err(Refusal::Missing(missing)) = of(&alone, "two--disks-striped") else { panic!("{alone:?}") };
    let (which, uuid) = missing.split_once(", UUID ").unwrap();
    let (uuid, hint) = uuid.split_once(", once ").unwrap();
    assert_eq!(
        (which, uuid.replace('-', ""), uuid.len()),
        ("pv1 of group two-disks", physical[1].uuid.clone(), 38)
    );
    assert!(hint.starts_with("/dev/loop"), "{missing}");
    // Twice the same disk: neither can be told to be the right one.
    let twice = volumes(&[
        physical[0].clone(),
        physical[1].clone(),
        Physical { name: "copy".into(), ..physical[1].clone() },
    ]);
    let expected = format!("disk1 and copy have the UUID {uuid}");
    assert_eq!(of(&twice, "two--disks-both"), &Err(Refusal::Duplicate(expected)));
    // A disk that ends early.
    let mut short = physical;
    short[1].sectors = 2000;
    assert!(matches!(of(&volumes(&short), "two--disks-both"), Err(Refusal::Metadata(_))));
}

#[test]
fn groups_over_several_disks_whatever_tags_they_have() {
    let (os1, os2, data) = (device!("os1"), device!("os2"), device!("data"));
    assert!(String::from_utf8_lossy(&os1.0).contains("tags = [\"site\", \"rack=1\"]"));
    // In any order.
    let physical = read_all(&[&data, &os2, &os1]);
    let found = volumes(&physical);
    let mut names: Vec<_> = found.iter().map(|volume| (volume.name.as_str(), volume.skip)).collect();
    names.sort_unstable();
    assert_eq!(names, [("data-srv", false), ("os-root", false), ("os-var", false)]);
    let table = |name| of(&found, name).as_ref().unwrap().table.clone();
    assert_eq!(table("os-root"), [target(0, 10_240, "linear", "254:2 128")]);
    assert_eq!(table("os-var"), [target(0, 8192, "striped", "2 128 254:2 10368 254:1 128")]);
    assert_eq!(table("data-srv"), [target(0, 2560, "linear", "254:0 128")]);
    // One that is missing concerns those on it alone.
    let found = volumes(&[physical[0].clone(), physical[2].clone()]);
    assert!(of(&found, "os-root").is_ok() && of(&found, "data-srv").is_ok());
    assert!(matches!(of(&found, "os-var"), Err(Refusal::Missing(_))));
    // Two groups of one name: nobody knows which of them is meant.
    let mut physical = physical;
    physical[0].groups.iter_mut().for_each(|group| group.name = "os".into());
    let found = volumes(&physical);
    let uuids = |text: &str| text.split(", ").map(str::len).collect::<Vec<_>>();
    assert_eq!(found.len(), 3);
    for volume in found {
        assert!(
            matches!(&volume.map, Err(Refusal::Ambiguous(groups)) if uuids(groups) == [38, 38]),
            "{volume:?}"
        );
    }
}

#[test]
fn volumes_of_other_types_are_named_and_refused() {
    let found = volumes(&read_all(&[&device!("types")]));
    let kind = |kind: &str| Err(Refusal::Kind(kind.into()));
    for (name, expected) in [
        ("snap", kind("snapshot")),
        ("pool", kind("thin-pool")),
        ("thin", kind("thin")),
        ("cached", kind("cache")),
        ("raid", kind("raid1")),
        ("mirror", kind("mirror")),
        ("pool_tdata", Err(Refusal::Part)),
        ("raid_rimage_0", Err(Refusal::Part)),
    ] {
        assert_eq!(of(&found, &format!("types-{name}")), &expected, "{name}");
    }
    // An origin is a plain volume, whatever its snapshots keep.
    let good: Vec<_> = found.iter().filter(|volume| volume.map.is_ok()).map(|volume| &*volume.name).collect();
    assert_eq!(good, ["types-origin"]);
}

#[test]
fn an_exported_group_is_left_alone() {
    let device = device!("exported");
    assert_eq!(of(&volumes(&read_all(&[&device])), "gone-data"), &Err(Refusal::Exported));
}

#[test]
fn a_damaged_area_leaves_the_other_one() {
    let good = device!("single");
    let all = volumes(&read_all(&[&good]));
    let offsets = label::label(&good.0).unwrap().unwrap().metadata;
    assert_eq!(offsets[0], AREA);
    for area in &offsets {
        let text = label::text(*area, &good.0[area.offset as usize..]).unwrap().unwrap();
        // In the header, and in the text.
        for at in [area.offset + 45, text.parts[0].offset + 10] {
            let mut damaged = good.clone();
            damaged.0[at as usize] ^= 1;
            let physical = read_all(&[&damaged]);
            assert_eq!((physical[0].groups.len(), physical[0].faults.len()), (1, 1));
            assert_eq!(volumes(&physical), all);
        }
    }
    let mut none = good;
    for area in offsets {
        none.0[area.offset as usize] ^= 1;
    }
    let physical = read_all(&[&none]);
    assert_eq!(physical[0].faults.len(), 2);
    assert!(volumes(&physical).is_empty());
}

#[test]
fn the_newest_description_of_a_group_counts() {
    let mut physical = read_all(&[&device!("single")]);
    let newer = &mut physical[0].groups[1];
    newer.seqno += 1;
    newer.volumes[0].name = "new".into();
    newer.volumes[2].visible = false;
    let found = volumes(&physical);
    let names: Vec<_> = found.iter().map(|volume| volume.name.as_str()).collect();
    assert_eq!(names, ["system-new", "system-between", "system-root--lv", "system-skipped"]);
    assert_eq!(found[2].map, Err(Refusal::Part));
}

#[test]
fn what_contradicts_itself_or_is_of_another_type_is_refused() {
    use super::group::{Group, Kind};
    let physical = read_all(&[&device!("single")]);
    let refusal = |change: fn(&mut Group)| {
        let mut physical = physical.clone();
        physical[0].groups.truncate(1);
        change(&mut physical[0].groups[0]);
        volumes(&physical).remove(0).map.unwrap_err()
    };
    let thin = refusal(|group| group.volumes[0].segments[1].kind = Kind::Other("thin".into()));
    assert_eq!(thin, Refusal::Kind("thin".into()));
    let over = refusal(|group| {
        group.disks[0].name = "pv9".into();
        group.volumes[1].name = "pv0".into();
    });
    assert_eq!(over, Refusal::Kind("striped over the volume pv0".into()));
    assert!(matches!(refusal(|group| group.disks[0].missing = true), Refusal::Missing(_)));
    let changes: [fn(&mut Group); 7] = [
        |group| group.volumes[0].segments[1].start += 1,
        |group| group.volumes[0].segments[1].extents = 0,
        |group| group.volumes[0].segments[1].extents = u64::MAX,
        |group| group.volumes[0].segments[1].extents = 1 << 20,
        |group| group.volumes[0].segments.clear(),
        |group| group.disks[0].name = "pv9".into(),
        |group| group.extent_sectors = u64::MAX,
    ];
    for change in changes {
        assert!(matches!(refusal(change), Refusal::Metadata(_)));
    }
    let long = refusal(|group| group.volumes[0].name = "x".repeat(127));
    assert_eq!(long, Refusal::Metadata("its name is too long for a map".into()));
}

proptest::proptest! {
    #[test]
    fn any_device_is_read_or_refused(bytes: Vec<u8>) {
        let _ = read(&Device(bytes.clone()), "disk", (254, 0), bytes.len() as u64 / 512);
    }

    /// Bytes of label, header and text are changed, and the check sums of the first two made right again.
    #[test]
    fn a_changed_device_is_read_or_refused(
        changes in proptest::collection::vec((0usize..5120, proptest::num::u8::ANY), 1..20)
    ) {
        let mut device = FIRST.clone();
        for (at, value) in changes {
            device.0[at] = value;
        }
        sign_label(&mut device.0[512..1024]);
        sign_header(&mut device.0[4096..4608]);
        if let Ok(Some(physical)) = read(&device, "disk", (254, 0), device.0.len() as u64 / 512) {
            let _ = volumes(&[physical]);
        }
    }

    /// The text itself, behind all check sums: whatever comes out of it is on the devices.
    #[test]
    fn a_changed_text_gives_maps_on_the_devices(
        changes in proptest::collection::vec((0usize..1600, proptest::num::u8::ANY), 1..4)
    ) {
        let device = &*FIRST;
        let area = label::label(&device.0).unwrap().unwrap().metadata[0];
        let text = label::text(area, &device.0[area.offset as usize..]).unwrap().unwrap();
        let mut bytes = device.0[text.parts[0].offset as usize..][..text.parts[0].size as usize].to_vec();
        for (at, value) in changes {
            bytes[at] = value;
        }
        let Ok(text) = String::from_utf8(bytes) else { return Ok(()) };
        if let Ok(group) = group::parse(&text) {
            let mut physical = read_all(&[device, &SECOND]);
            physical[0].groups = vec![group];
            for map in volumes(&physical).into_iter().filter_map(|volume| volume.map.ok()) {
                let all: u64 = physical.iter().map(|disk| disk.sectors).sum();
                assert!(map.table.iter().all(|target| target.length <= all), "{map:?}");
            }
        }
    }
}
