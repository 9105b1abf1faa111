use super::super::fixture::{INITIATOR, Machine, iscsi};
use super::*;

fn place(portal: &str) -> TargetPortal {
    Portal::parse(portal).unwrap().into()
}

fn found(sid: u32, address: &str, state: &str) -> Found {
    Found {
        target: "iqn.2026-01.example:image".into(),
        address: address.into(),
        port: 3260,
        interface: None,
        source: None,
        session: Session { sid, state: state.into(), supervised: false, host: sid, device: None },
    }
}

/// Which session each portal gets.
fn assigned(places: &[TargetPortal], found: Vec<Found>) -> Vec<(usize, u32)> {
    let mut assigned: Vec<(usize, u32)> =
        assign(&iscsi(), places, found).into_iter().map(|(at, found)| (at, found.session.sid)).collect();
    assigned.sort_unstable();
    assigned
}

#[test]
fn each_portal_gets_its_own_session() {
    let (a, b) = ("10.0.0.1", "10.0.0.2");
    let places = [place(a), place(b)];
    let up = "LOGGED_IN";
    for (sessions, expected) in [
        (vec![], vec![]),
        (vec![found(5, b, up), found(6, a, up)], vec![(0, 6), (1, 5)]),
        (vec![found(5, b, "FAILED")], vec![(1, 5)]),
        // Two at one portal: the one that is logged in, else the older one.
        (vec![found(5, a, "FREE"), found(6, a, up)], vec![(0, 6)]),
        (vec![found(5, a, up), found(6, a, up)], vec![(0, 5)]),
        (vec![found(5, "10.0.0.3", up)], vec![]),
    ] {
        assert_eq!(assigned(&places, sessions), expected);
    }
}

#[test]
fn names_get_what_addresses_leave() {
    let places = [place("store-a.example"), place("10.0.0.2"), place("store-c.example")];
    let up = "LOGGED_IN";
    let sessions = vec![found(5, "10.0.0.2", up), found(6, "10.0.0.7", up), found(7, "10.0.0.8", up)];
    assert_eq!(assigned(&places, sessions), [(0, 6), (1, 5), (2, 7)]);
}

#[test]
fn one_portal_over_two_interfaces_is_two_paths() {
    let mut places = [place("10.0.0.1"), place("10.0.0.1"), place("10.0.0.1")];
    places[0].interface = Some("eth0".into());
    places[1].interface = Some("eth1".into());
    places[2].source = Some("10.0.0.9".parse().unwrap());
    let at = |sid, interface: Option<&str>, source: Option<&str>| Found {
        interface: interface.map(str::to_owned),
        source: source.map(|source| source.parse().unwrap()),
        ..found(sid, "10.0.0.1", "LOGGED_IN")
    };
    let sessions = vec![at(5, None, Some("10.0.0.9")), at(6, Some("eth1"), None), at(7, Some("eth0"), None)];
    assert_eq!(assigned(&places, sessions), [(0, 7), (1, 6), (2, 5)]);
    assert_eq!(assigned(&places[..1], vec![at(6, Some("eth1"), None)]), []);
}

#[test]
fn a_target_of_its_own_belongs_to_its_portal() {
    let mut places = [place("10.0.0.1"), place("10.0.0.2")];
    places[1].target = Some("iqn.b".into());
    let b = Found { target: "iqn.b".into(), ..found(6, "10.0.0.2", "LOGGED_IN") };
    let wrong = found(7, "10.0.0.2", "LOGGED_IN");
    assert_eq!(assigned(&places, vec![found(5, "10.0.0.1", "LOGGED_IN"), wrong, b]), [(0, 5), (1, 6)]);
}

#[test]
fn paths_are_in_the_order_of_the_plan_and_those_of_a_discovery_behind() {
    let machine = Machine::new();
    machine.session_at(3, "LOGGED_IN", "198.18.1.1");
    machine.session_at(4, "FAILED", "198.18.0.1");
    machine.session_at(5, "LOGGED_IN", "198.18.2.1");
    machine.disk(3, 1, "sda");
    machine.disk(4, 1, "sdb");
    let mut iscsi = iscsi();
    iscsi.portals.push(place("198.18.1.1"));
    let shown = |iscsi: &Iscsi| -> Vec<(usize, String, Option<String>)> {
        let paths = paths(&machine.host(), iscsi, INITIATOR).unwrap();
        let disk = |path: &Path| path.disk().map(|disk| disk.name.clone());
        paths.iter().map(|path| (path.portal, path.address.clone(), disk(path))).collect()
    };
    let of_plan = [(0, "198.18.0.1:3260".into(), None), (1, "198.18.1.1:3260".into(), Some("sda".into()))];
    assert_eq!(shown(&iscsi), of_plan);
    iscsi.discovery = Some(Default::default());
    assert_eq!(shown(&iscsi)[..2], of_plan);
    assert_eq!(shown(&iscsi)[2], (2, "198.18.2.1:3260".into(), None));
}
