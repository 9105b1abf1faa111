use super::super::fixture::Machine;
use super::*;
use crate::input::document::Map;
use crate::sys::block::Disk;

const UUID: &str = "01234567-89ab-cdef-0123-456789abcdef";

fn iscsi() -> Iscsi {
    serde_json::from_value(serde_json::json!({
        "target": "iqn.2026-01.example:image",
        "portals": ["198.18.0.1:3260", "198.18.1.1:3260"],
    }))
    .unwrap()
}

fn by(identify: Identify) -> Map {
    Map { identify, ..Map::default() }
}

fn path(sid: u32, disk: Disk) -> Path {
    Path { portal: format!("198.18.{sid}.1:3260"), sid, disk, live: true }
}

/// A LUKS disk of 1 MiB.
fn luks(machine: &Machine, name: &str, minor: u32) -> Disk {
    let mut bytes = vec![0; 1 << 20];
    bytes[..8].copy_from_slice(b"LUKS\xba\xbe\0\x02");
    bytes[168..204].copy_from_slice(UUID.as_bytes());
    machine.write(&format!("/dev/{name}"), &bytes);
    machine.disk(name, minor)
}

fn found(step: &Step<'_>, host: &Host, paths: Vec<Path>) -> Vec<Found> {
    let mut found: Vec<Found> = paths.into_iter().map(|path| identify(step, host, path)).collect();
    step.samples.collect(host);
    found.iter_mut().for_each(|found| settle(step, found));
    found
}

fn wwids(found: &[Found]) -> Vec<Option<&str>> {
    let wwid = |found| match found {
        &Found { identity: Answer::Read(Identity { ref wwid, .. }), .. } => Some(wwid.as_str()),
        _ => None,
    };
    found.iter().map(wwid).collect()
}

fn known(paths: &[(u32, u32)], failed: &[(u32, u32)]) -> Known {
    let layout = Layout { queueing: true, handler: None, groups: vec![paths.to_vec()] };
    let state = |path: &(u32, u32)| State { path: *path, active: !failed.contains(path), failures: 0 };
    Known {
        name: UUID.into(),
        wwid: UUID.into(),
        active: true,
        read_only: true,
        sectors: 2048,
        states: layout.paths().map(|path| state(&path)).collect(),
        layout,
        unlisted: vec![],
    }
}

#[test]
fn a_path_is_known_by_its_wwid_or_by_what_is_on_it() {
    let machine = Machine::new();
    let host = machine.host();
    let paths = || vec![path(1, luks(&machine, "sda", 0)), path(2, machine.disk("sdb", 16))];
    let iscsi = iscsi();
    for (identify, expected) in [(Identify::Wwid, None), (Identify::LuksUuid, Some(UUID))] {
        let map = by(identify);
        let step = Step::new(&iscsi, &map, "iqn.2026-01.example:n1");
        let found = found(&step, &host, paths());
        assert_eq!(wwids(&found), [expected, None]);
        // sdb has neither pages nor a node.
        assert!(matches!(&found[1].identity, Answer::Failed(cause) if !cause.is_empty()));
    }
    machine.write("/sys/block/sda/device/vpd_pg83", b"\0\x83\0\x06\x01\x03\0\x02\x60\x01");
    let map = by(Identify::Wwid);
    let step = Step::new(&iscsi, &map, "iqn.2026-01.example:n1");
    assert_eq!(wwids(&found(&step, &host, paths())), [Some("36001"), None]);
}

#[test]
fn a_path_without_its_session_is_not_read() {
    let machine = Machine::new();
    let (iscsi, map) = (iscsi(), by(Identify::LuksUuid));
    let step = Step::new(&iscsi, &map, "iqn.2026-01.example:n1");
    let lost = Path { live: false, ..path(1, luks(&machine, "sda", 0)) };
    assert_eq!(found(&step, &machine.host(), vec![lost])[0].identity, Answer::Pending);
    assert_eq!(step.samples.answer((1, (8, 0))), None);
}

#[test]
fn what_a_path_must_be_like_outlives_the_paths_that_said_it() {
    let machine = Machine::new();
    let host = machine.host();
    let (iscsi, map) = (iscsi(), by(Identify::LuksUuid));
    let step = Step::new(&iscsi, &map, "iqn.2026-01.example:n1");
    let first = found(&step, &host, vec![path(1, luks(&machine, "sda", 0))]);
    set_reference(&step, None, &first);
    set_reference(&step, Some(&known(&[(8, 0)], &[])), &first);
    let said = step.reference.borrow().clone().unwrap();
    assert!(said.samples.is_some());
    // Their sessions were made anew, and their disks are others.
    let other = found(&step, &host, vec![path(3, luks(&machine, "sdc", 32))]);
    set_reference(&step, Some(&known(&[(8, 0)], &[])), &other);
    assert_eq!(step.reference.borrow().as_ref(), Some(&said));
    // Whoever comes later, and never saw them, knows name and size of the map.
    let step = Step::keeping(&iscsi, &map, "iqn.2026-01.example:n1");
    set_reference(&step, Some(&known(&[(8, 0)], &[])), &other);
    assert_eq!(*step.reference.borrow(), Some(Identity { samples: None, ..said.clone() }));
    // While one of the map's own is there it is asked.
    let step = Step::keeping(&iscsi, &map, "iqn.2026-01.example:n1");
    set_reference(&step, Some(&known(&[(8, 32)], &[])), &other);
    assert_eq!(*step.reference.borrow(), Some(said));
}

#[test]
fn only_a_path_that_failed_and_should_work_is_asked_again() {
    let machine = Machine::new();
    let host = machine.host();
    let (iscsi, map) = (iscsi(), by(Identify::LuksUuid));
    let step = Step::keeping(&iscsi, &map, "iqn.2026-01.example:n1");
    let paths = || {
        let mut paths = vec![path(1, luks(&machine, "sda", 0)), path(2, luks(&machine, "sdb", 16))];
        paths.push(Path { live: false, ..path(3, luks(&machine, "sdc", 32)) });
        found(&step, &host, paths)
    };
    let all = [(8, 0), (8, 16), (8, 32)];
    let mut seen = paths();
    check(&step, &host, &known(&all, &all[1..]), &mut seen);
    assert_eq!((&seen[0].check, &seen[2].check), (&None, &None));
    assert!(seen[1].check.is_some());
    // It works again: the next failure is another one.
    check(&step, &host, &known(&all, &[]), &mut seen);
    assert_eq!(step.checks.answer((2, (8, 16))), None);
    // It was used again and failed at once: it has to wait.
    step.reinstated.borrow_mut().insert((2, (8, 16)), host.now());
    let mut seen = paths();
    check(&step, &host, &known(&all, &all[1..]), &mut seen);
    assert_eq!(seen[1].check, None);
    host.wait_for_change(REST);
    check(&step, &host, &known(&all, &all[1..]), &mut seen);
    assert!(seen[1].check.is_some());
}

#[test]
fn the_time_without_a_path_is_counted_from_the_loss_of_the_last() {
    let machine = Machine::new();
    let host = machine.host();
    let (iscsi, map) = (iscsi(), by(Identify::Wwid));
    let step = Step::keeping(&iscsi, &map, "iqn.2026-01.example:n1");
    let all = [(8, 0), (8, 16)];
    let second = Duration::from_secs(1);
    for (failed, expected) in [
        (&all[..1], None),
        (&all[..], Some(Duration::ZERO)),
        (&all[..], Some(second)),
        (&all[..1], None),
        (&all[..], Some(Duration::ZERO)),
    ] {
        assert_eq!(situation(&step, &host, Some(&known(&all, failed))).none_for, expected);
        host.wait_for_change(second);
    }
    assert!(situation(&step, &host, Some(&known(&all, &[]))).queues);
    assert!(!situation(&step, &host, None).queues);
}
