use super::super::fixture::{INITIATOR, Machine, iscsi};
use super::*;

/// The plan's only session.
fn session(machine: &Machine, iscsi: &Iscsi) -> Option<Session> {
    let mut paths = paths(&machine.host(), iscsi, INITIATOR).unwrap();
    assert!(paths.len() < 2);
    paths.pop().map(|path| path.session)
}

#[test]
fn an_empty_machine_has_nothing() {
    let machine = Machine::new();
    let iscsi = iscsi();
    assert_eq!(sessions(&machine.host(), &iscsi, INITIATOR, |_| true).unwrap(), (vec![], vec![]));
    assert_eq!(disk(&machine.host(), &iscsi, INITIATOR).unwrap(), None);
}

#[test]
fn the_disk_is_found_by_session_and_lun() {
    let machine = Machine::new();
    machine.session(7, "LOGGED_IN");
    machine.disk(7, 0, "sda");
    machine.disk(7, 1, "sdb");
    let iscsi = iscsi();
    let expected = Disk { name: "sdb".into(), dev: (8, 1), sectors: 2048 };
    assert_eq!(disk(&machine.host(), &iscsi, INITIATOR).unwrap(), Some(expected.clone()));
    assert_eq!(
        session(&machine, &iscsi),
        Some(Session {
            sid: 7,
            state: "LOGGED_IN".into(),
            supervised: false,
            host: 7,
            device: Some(Device {
                kind: 0,
                state: "running".into(),
                disk: Some(expected),
                held: false,
                writable: false
            })
        })
    );
}

#[test]
fn foreign_sessions_do_not_count() {
    let iscsi = iscsi();
    for (file, text) in [
        ("iscsi_session/session7/targetname", "iqn.2026-01.example:other"),
        ("iscsi_session/session7/targetname", "(null)"),
        ("iscsi_session/session7/initiatorname", "iqn.2026-01.example:n2"),
        ("iscsi_connection/connection7:0/persistent_address", "198.18.0.2"),
        ("iscsi_connection/connection7:0/persistent_port", "3261"),
    ] {
        let machine = Machine::new();
        machine.session(7, "LOGGED_IN");
        machine.write(&format!("/sys/class/{file}"), text);
        assert_eq!(session(&machine, &iscsi), None, "{file}");
    }
}

#[test]
fn a_session_that_is_logged_in_wins() {
    let iscsi = iscsi();
    for states in [["FAILED", "LOGGED_IN"], ["LOGGED_IN", "FREE"]] {
        let machine = Machine::new();
        machine.session(1, states[0]);
        machine.session(2, states[1]);
        assert!(session(&machine, &iscsi).unwrap().logged_in());
    }
}

#[test]
fn a_disk_that_cannot_be_read_is_none_for_others() {
    let iscsi = iscsi();
    for (file, text) in [
        ("/sys/class/iscsi_session/session7/state", "FAILED"),
        ("/sys/block/sda/size", "0"),
        ("/sys/devices/platform/host7/session7/target7:0:0/7:0:0:1/state", "blocked"),
    ] {
        let machine = Machine::new();
        machine.session(7, "LOGGED_IN");
        machine.disk(7, 1, "sda");
        assert!(disk(&machine.host(), &iscsi, INITIATOR).unwrap().is_some());
        machine.write(file, text);
        assert_eq!(disk(&machine.host(), &iscsi, INITIATOR).unwrap(), None, "{file}");
    }
}

#[test]
fn a_disk_counts_from_its_first_open_on() {
    let iscsi = iscsi();
    let machine = Machine::new();
    machine.session(7, "LOGGED_IN");
    machine.disk(7, 1, "sda");
    std::fs::remove_file(machine.host().path("/dev/sda")).unwrap();
    assert_eq!(disk(&machine.host(), &iscsi, INITIATOR).unwrap(), None);
    // For those who open it themselves, and wait.
    let (found, _) = sessions(&machine.host(), &iscsi, INITIATOR, |_| true).unwrap();
    assert!(found[0].session.device.as_ref().unwrap().disk.is_some());
}

#[test]
fn an_iscsid_that_runs_supervises_its_sessions() {
    let iscsi = iscsi();
    let machine = Machine::new();
    machine.session(7, "FAILED");
    let supervised = || session(&machine, &iscsi).unwrap().supervised;
    assert!(!supervised());
    machine.write("/proc/321/comm", "iscsid");
    assert!(supervised());
    machine.write("/proc/321/comm", "sleep");
    assert!(!supervised());
}

#[test]
fn what_is_on_top_of_a_disk_holds_it() {
    let machine = Machine::new();
    machine.session(7, "LOGGED_IN");
    machine.disk(7, 1, "sda");
    machine.write("/sys/block/sda/holders/dm-0/dev", "253:0");
    let iscsi = iscsi();
    assert!(session(&machine, &iscsi).unwrap().device.unwrap().held);
}

#[test]
fn a_portal_by_name_is_known_again_without_the_name_server() {
    let machine = Machine::new();
    machine.session(7, "LOGGED_IN");
    let mut iscsi = iscsi();
    let found = |iscsi: &Iscsi| session(&machine, iscsi).is_some();
    iscsi.portals = vec![crate::input::portal::Portal::parse("store.example:3260").unwrap().into()];
    assert!(found(&iscsi));
    iscsi.portals = vec![crate::input::portal::Portal::parse("store.example:3261").unwrap().into()];
    assert!(!found(&iscsi));
    iscsi.discovery = Some(Default::default());
    assert!(found(&iscsi));
    iscsi.target = "iqn.2026-01.example:other".into();
    assert!(!found(&iscsi));
}

#[test]
fn a_link_local_portal_is_known_by_its_interface() {
    let machine = Machine::new();
    machine.session(7, "LOGGED_IN");
    machine.write("/sys/class/iscsi_connection/connection7:0/persistent_address", "fe80::1%eth0");
    let mut iscsi = iscsi();
    for (portal, known) in [("[fe80:0::1%eth0]", true), ("[fe80::1%eth1]", false), ("[fe80::1]", false)] {
        iscsi.portals = vec![crate::input::portal::Portal::parse(portal).unwrap().into()];
        assert_eq!(session(&machine, &iscsi).is_some(), known, "{portal}");
    }
}

#[test]
fn what_a_killed_run_left_is_known_and_nothing_else() {
    let session = "iscsi_session/session7";
    let connection = "iscsi_connection/connection7:0";
    let iscsi = iscsi();
    for (changes, half_made) in [
        (vec![(session, "targetname", "(null)")], true),
        (vec![(session, "initiatorname", "(null)")], true),
        (vec![(connection, "persistent_address", "(null)")], true),
        (vec![(connection, "persistent_port", "0")], true),
        (vec![], false),
        (vec![(session, "targetname", "iqn.x"), (connection, "persistent_address", "(null)")], false),
        (vec![(session, "targetname", "(null)"), (session, "state", "LOGGED_IN")], false),
        (vec![(session, "targetname", "(null)"), (session, "creator", "-4096")], false),
        (vec![(session, "targetname", "(null)"), (session, "creator", "0")], false),
        (vec![(session, "targetname", "(null)"), (session, "creator", "(null)")], false),
        (vec![(session, "targetname", "(null)"), (session, "creator", "4242")], false),
    ] {
        let machine = Machine::new();
        machine.session(7, "FREE");
        machine.write("/proc/4242/comm", "iscsid");
        for (folder, name, text) in &changes {
            machine.write(&format!("/sys/class/{folder}/{name}"), text);
        }
        let (_, found) = sessions(&machine.host(), &iscsi, INITIATOR, |_| true).unwrap();
        assert_eq!(found, if half_made { vec![7] } else { vec![] }, "{changes:?}");
    }
}
