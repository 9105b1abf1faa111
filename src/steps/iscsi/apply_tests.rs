use std::time::{Duration, Instant};

use super::super::fixture::{INITIATOR, Machine, iscsi};
use super::*;
use crate::engine::converge::{Converge, Next};
use crate::input::document::Iscsi;
use crate::input::portal::Portal;

/// Drives a step with the clock standing still, until it is done or has nothing to do but wait for other things than its
/// own attempts.
fn drive(step: &Step<'_>, host: &Host) -> Result<Next<Action>> {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        assert!(Instant::now() < until);
        let seen = step.observe(host).unwrap();
        match step.plan(&seen)? {
            Next::Do(action) => step.apply(host, action).unwrap(),
            _ if seen.paths.iter().any(|path| path.tries.running.is_some()) => {
                std::thread::sleep(Duration::from_millis(1));
            }
            next => return Ok(next),
        }
    }
}

fn two_portals() -> Iscsi {
    let mut iscsi = iscsi();
    iscsi.portals.push(Portal::parse("198.18.1.1:3260").unwrap().into());
    iscsi
}

fn machine() -> Machine {
    let machine = Machine::new();
    machine.write("/sys/module/sd_mod/initstate", "live");
    for sid in [7, 8] {
        machine.write(&format!("/sys/class/scsi_host/host{sid}/scan"), "");
    }
    machine
}

#[test]
fn a_scan_asks_for_the_lun_alone_and_is_not_repeated_at_once() {
    let machine = machine();
    machine.session(7, "LOGGED_IN");
    let iscsi = iscsi();
    let step = Step::new(&iscsi, INITIATOR, Portals::Alternatives);
    let host = machine.host();
    let error = drive(&step, &host).unwrap_err();
    assert_eq!(error.code(), Code::IscsiNoDisk);
    assert_eq!(machine.read("/sys/class/scsi_host/host7/scan"), "0 0 1");
    machine.write("/sys/class/scsi_host/host7/scan", "");
    assert!(drive(&step, &host).is_err());
    assert_eq!(machine.read("/sys/class/scsi_host/host7/scan"), "\n");
    host.wait_for_change(Duration::from_secs(5));
    assert!(drive(&step, &host).is_err());
    assert_eq!(machine.read("/sys/class/scsi_host/host7/scan"), "0 0 1");
    machine.disk(7, 1, "sda");
    assert!(matches!(drive(&step, &host), Ok(Next::Done(_))));
}

#[test]
fn a_disk_that_is_there_is_read_and_done() {
    let machine = machine();
    machine.session(7, "LOGGED_IN");
    machine.disk(7, 1, "sda");
    let iscsi = iscsi();
    for portals in [Portals::Alternatives, Portals::Paths] {
        let step = Step::new(&iscsi, INITIATOR, portals);
        let done = Next::Done("sda, 1 MiB, LUN 1 of iqn.2026-01.example:image at 198.18.0.1:3260".into());
        assert_eq!(drive(&step, &machine.host()).unwrap(), done);
        // Nothing is left to do.
        assert_eq!(step.plan(&step.observe(&machine.host()).unwrap()).unwrap(), done);
    }
}

#[test]
fn two_portals_are_two_paths_or_alternatives() {
    let machine = machine();
    for (sid, address, disk) in [(7, "198.18.1.1", "sda"), (8, "198.18.0.1", "sdb")] {
        machine.session_at(sid, "LOGGED_IN", address);
        machine.disk(sid, 1, disk);
    }
    let iscsi = two_portals();
    let done = |portals| match drive(&Step::new(&iscsi, INITIATOR, portals), &machine.host()) {
        Ok(Next::Done(text)) => text,
        other => panic!("{other:?}"),
    };
    assert_eq!(done(Portals::Paths), "2 of 2 paths: sdb 198.18.0.1:3260, sda 198.18.1.1:3260");
    assert_eq!(
        done(Portals::Alternatives),
        "sda, 1 MiB, LUN 1 of iqn.2026-01.example:image at 198.18.0.1:3260 or 198.18.1.1:3260"
    );
}

/// Its second portal is one at which nobody listens.
#[test]
fn the_boot_goes_on_without_the_others_when_their_time_is_over() {
    let machine = machine();
    machine.session(7, "LOGGED_IN");
    machine.disk(7, 1, "sda");
    let mut iscsi = iscsi();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    iscsi.portals.push(Portal::parse(&closed.to_string()).unwrap().into());
    let host = machine.host();
    let step = Step::new(&iscsi, INITIATOR, Portals::Paths);
    let Ok(Next::Wait(what)) = drive(&step, &host) else {
        panic!("it did not wait");
    };
    assert!(what.starts_with(&format!("path 2 of 2: portal {closed}: ")), "{what}");
    host.wait_for_change(Duration::from_secs(1));
    let Ok(Next::Wait(what)) = drive(&step, &host) else {
        panic!("it did not wait");
    };
    assert!(what.ends_with(", attempt 2"), "{what}");
    host.wait_for_change(Duration::from_secs(9));
    let Ok(Next::Done(what)) = drive(&step, &host) else {
        panic!("it is not done");
    };
    assert!(what.starts_with(&format!("1 of 2 paths: sda 198.18.0.1:3260; path 2 of 2: portal {closed}: ")));
    // Who keeps the sessions goes on.
    let keeping = Step::keeping(&iscsi, INITIATOR, Portals::Paths);
    drive(&keeping, &host).unwrap();
    host.wait_for_change(Duration::from_secs(60));
    assert!(matches!(drive(&keeping, &host), Ok(Next::Wait(_))));
}

#[test]
fn the_steps_own_time_ends_the_grace() {
    let machine = machine();
    machine.session(7, "LOGGED_IN");
    machine.disk(7, 1, "sda");
    let mut iscsi = iscsi();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    iscsi.portals.push(Portal::parse(&closed.to_string()).unwrap().into());
    iscsi.grace = 600;
    let host = machine.host();
    let step =
        Step { deadline: Some(Duration::from_secs(60)), ..Step::new(&iscsi, INITIATOR, Portals::Paths) };
    assert!(matches!(drive(&step, &host), Ok(Next::Wait(_))));
    host.wait_for_change(Duration::from_secs(58));
    assert!(matches!(drive(&step, &host), Ok(Next::Done(_))));
}
