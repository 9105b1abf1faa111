use super::super::fixture::{INITIATOR, iscsi};
use super::*;
use crate::engine::converge::Converge;
use crate::input::document::Iscsi;
use crate::input::portal::Portal;

const TARGET: &str = "iqn.2026-01.example:image at 198.18.0.1:3260";
const AT: &str = "LUN 1 of iqn.2026-01.example:image at 198.18.0.1:3260";

fn session(state: &str, device: Option<Device>) -> Session {
    Session { sid: 7, state: state.into(), supervised: false, host: 2, device }
}

fn device(state: &str, sectors: Option<u64>) -> Option<Device> {
    Some(Device {
        kind: 0,
        state: state.into(),
        disk: sectors.map(|sectors| Disk { name: "sda".into(), dev: (8, 0), sectors }),
        held: false,
        writable: false,
    })
}

fn held(state: &str) -> Session {
    let mut held = session(state, device("blocked", Some(8)));
    held.device.as_mut().unwrap().held = true;
    held
}

fn path(session: Option<Session>, tries: Tries) -> PathSeen {
    PathSeen { target: TARGET.into(), portal: "198.18.0.1:3260".into(), session, tries }
}

fn seen(paths: Vec<PathSeen>) -> Seen {
    Seen { paths, discovery: None, half_made: Vec::new(), now: Duration::ZERO, enough_since: None }
}

fn decide_with(iscsi: &Iscsi, seen: &Seen) -> Result<Next<Action>> {
    plan(&Step::new(iscsi, INITIATOR, Portals::Paths), seen)
}

fn decide(session: Option<Session>, tries: Tries) -> Result<Next<Action>> {
    decide_with(&iscsi(), &seen(vec![path(session, tries)]))
}

/// What is started at the only portal.
fn started(session: Option<Session>, tries: Tries) -> Option<Work> {
    match decide(session, tries) {
        Ok(Next::Do(Action::Start { place: Some(0), work, .. })) => Some(work),
        _ => None,
    }
}

fn failed(code: Code) -> Tries {
    Tries { error: Some(Error::new(code, "portal a")), count: 2, ..Tries::default() }
}

fn later(tries: Tries) -> Tries {
    Tries { not_before: Duration::from_secs(1), ..tries }
}

#[test]
fn one_step_follows_another() {
    let none = Tries::default;
    let scanned = || Tries { scanned: Some((7, Duration::ZERO)), ..Tries::default() };
    let read = || Tries { read: Some(7), ..Tries::default() };
    let running = Tries { running: Some((Work::LogIn, Duration::ZERO)), ..Tries::default() };
    let up = || Some(session("LOGGED_IN", device("running", Some(1_048_576))));
    for (session, tries, work) in [
        (None, none(), Some(Work::LogIn)),
        (None, running, None),
        (None, failed(Code::IscsiConnect), Some(Work::LogIn)),
        (None, later(failed(Code::IscsiConnect)), None),
        (Some(session("FREE", None)), none(), Some(Work::Drop(7))),
        (Some(session("FAILED", device("blocked", Some(8)))), none(), Some(Work::LogInAgain(7))),
        (Some(session("FAILED", None)), later(failed(Code::IscsiConnect)), None),
        // A session that lost its connection long ago keeps what is on its disk, and the target does not get a second.
        (Some(session("FREE", device("transport-offline", Some(8)))), none(), Some(Work::LogInAgain(7))),
        (Some(session("FAILED", device("blocked", Some(8)))), failed(Code::Kernel), Some(Work::Drop(7))),
        (Some(session("FAILED", device("blocked", Some(8)))), later(failed(Code::Kernel)), None),
        (Some(held("FAILED")), failed(Code::Kernel), None),
        (Some(held("FREE")), none(), Some(Work::LogInAgain(7))),
        (Some(session("LOGGED_IN", None)), none(), Some(Work::Scan(7))),
        (
            Some(session("LOGGED_IN", None)),
            Tries { scanned: Some((6, Duration::ZERO)), ..none() },
            Some(Work::Scan(7)),
        ),
        (Some(session("LOGGED_IN", None)), scanned(), None),
        (up(), none(), Some(Work::Read(7))),
        (up(), Tries { read: Some(6), ..none() }, Some(Work::Read(7))),
        (up(), read(), None),
    ] {
        assert_eq!(started(session.clone(), tries.clone()), work, "{session:?} {tries:?}");
    }
    assert_eq!(decide(up(), read()).unwrap(), Next::Done(format!("sda, 512 MiB, {AT}")));
}

#[test]
fn waits_have_names() {
    let mut supervised = session("FAILED", None);
    supervised.supervised = true;
    for (session, what) in [
        (supervised, "iscsid to reconnect iSCSI session 7".into()),
        (session("LOGGED_IN", device("running", None)), format!("disk of {AT}")),
        (session("LOGGED_IN", device("running", Some(0))), format!("size of disk sda of {AT}")),
        (session("LOGGED_IN", device("blocked", Some(8))), format!("disk sda of {AT}, which is blocked")),
    ] {
        assert_eq!(decide(Some(session), Tries::default()).unwrap(), Next::Wait(what));
    }
    let reading = Tries { running: Some((Work::Read(7), Duration::ZERO)), ..Tries::default() };
    let up = session("LOGGED_IN", device("running", Some(8)));
    assert_eq!(
        decide(Some(up), reading).unwrap(),
        Next::Wait("read of the first sectors at 198.18.0.1:3260".into())
    );
}

#[test]
fn what_is_in_use_was_read() {
    let mut used = held("LOGGED_IN");
    used.device.as_mut().unwrap().state = "running".into();
    assert!(matches!(decide(Some(used), Tries::default()), Ok(Next::Done(_))));
}

#[test]
fn what_a_killed_run_left_goes_first() {
    let mut seen = seen(vec![path(None, Tries::default())]);
    seen.half_made = vec![3, 4];
    assert_eq!(decide_with(&iscsi(), &seen).unwrap(), Next::Do(Action::Sweep { sid: 3 }));
}

#[test]
fn of_one_path_its_own_error_is_told() {
    for (code, hopeless) in [(Code::IscsiConnect, false), (Code::IscsiAuth, true)] {
        let error = decide(None, later(failed(code))).unwrap_err();
        assert_eq!(error.to_string(), failed(code).error.unwrap().to_string());
        // In a boot what somebody has to repair is not tried again.
        assert_eq!(started(None, failed(code)).is_none(), hopeless);
    }
    let iscsi = iscsi();
    let keeping = Step::keeping(&iscsi, INITIATOR, Portals::Paths);
    let next = plan(&keeping, &seen(vec![path(None, failed(Code::IscsiAuth))]));
    assert!(matches!(next, Ok(Next::Do(Action::Start { work: Work::LogIn, .. }))));
}

#[test]
fn a_lun_that_is_not_there_or_no_disk_is_an_error_that_names_it() {
    let scanned = Tries { scanned: Some((7, Duration::ZERO)), ..Tries::default() };
    let error = decide(Some(session("LOGGED_IN", None)), scanned).unwrap_err();
    assert_eq!(error.code(), Code::IscsiNoDisk);
    assert!(error.to_string().starts_with(AT), "{error}");
    let mut controller = session("LOGGED_IN", device("running", None));
    controller.device.as_mut().unwrap().kind = 12;
    let error = decide(Some(controller), Tries::default()).unwrap_err();
    assert_eq!(error.code(), Code::IscsiNoDisk);
    assert!(error.to_string().contains("type 12"), "{error}");
}

/// Two portals, and the second is the one with these tries.
fn second(first_is_up: bool, second: Tries, min_paths: u32) -> Result<Next<Action>> {
    let mut iscsi = iscsi();
    iscsi.portals.push(Portal::parse("198.18.1.1:3260").unwrap().into());
    iscsi.min_paths = min_paths;
    let read = Tries { read: Some(7), ..Tries::default() };
    let first = if first_is_up {
        path(Some(session("LOGGED_IN", device("running", Some(2048)))), read)
    } else {
        path(None, later(failed(Code::IscsiConnect)))
    };
    let mut seen = seen(vec![first, PathSeen { portal: "198.18.1.1:3260".into(), ..path(None, second) }]);
    seen.enough_since = (first_is_up && min_paths == 1).then_some(Duration::ZERO);
    decide_with(&iscsi, &seen)
}

#[test]
fn what_somebody_has_to_repair_at_one_portal_stops_the_boot_only_if_it_is_needed() {
    let done = "1 of 2 paths: sda 198.18.0.1:3260; path 2 of 2: portal a: the target refused the login: \
                authentication failed, attempt 2";
    assert_eq!(second(true, failed(Code::IscsiAuth), 1).unwrap(), Next::Done(done.into()));
    assert_eq!(second(true, failed(Code::IscsiAuth), 2).unwrap_err().code(), Code::IscsiAuth);
    let error = second(false, failed(Code::IscsiAuth), 1).unwrap_err();
    assert_eq!(error.code(), Code::IscsiAuth);
    assert!(error.to_string().contains("path 1 of 2: portal a: the portal does not answer"), "{error}");
}

#[test]
fn every_path_that_is_waited_for_is_named() {
    let failing = || later(failed(Code::IscsiConnect));
    let text = "path 2 of 2: portal a: the portal does not answer, attempt 2";
    assert_eq!(second(true, failing(), 1).unwrap(), Next::Wait(text.into()));
    let error = second(true, failing(), 2).unwrap_err();
    assert!(error.to_string().starts_with("1 of 2 paths, 2 are wanted: "), "{error}");
    let error = second(false, failing(), 2).unwrap_err();
    assert_eq!(
        error.to_string(),
        "0 of 2 paths, 2 are wanted: the portal does not answer: path 1 of 2: portal a: the portal does not answer, \
         attempt 2; path 2 of 2: portal a: the portal does not answer, attempt 2"
    );
    let running = Tries { running: Some((Work::LogIn, Duration::ZERO)), ..Tries::default() };
    let text = "path 2 of 2: login at 198.18.1.1:3260";
    assert_eq!(second(true, running, 2).unwrap(), Next::Wait(text.into()));
}

#[test]
fn a_discovery_that_is_not_over_may_bring_more() {
    let mut iscsi = iscsi();
    iscsi.discovery = Some(Default::default());
    let with = |tries| Seen { discovery: Some(tries), ..seen(vec![]) };
    let next = decide_with(&iscsi, &with(Tries::default())).unwrap();
    let about = "ask where iqn.2026-01.example:image is".into();
    assert_eq!(next, Next::Do(Action::Start { place: None, work: Work::Discover, about }));
    let running = Tries { running: Some((Work::Discover, Duration::ZERO)), ..Tries::default() };
    assert!(matches!(decide_with(&iscsi, &with(running)), Ok(Next::Wait(_))));
    for code in [Code::IscsiConnect, Code::IscsiDiscoveryAuth] {
        assert_eq!(decide_with(&iscsi, &with(later(failed(code)))).unwrap_err().code(), code);
    }
    // Over, and with less than is wanted.
    iscsi.min_paths = 2;
    let seen = seen(vec![path(None, later(Tries::default()))]);
    assert_eq!(decide_with(&iscsi, &seen).unwrap_err().code(), Code::IscsiNoTarget);
}

#[test]
fn a_lun_that_can_be_written_to_is_told_of_or_refused() {
    let up = |writable| {
        let mut session = session("LOGGED_IN", device("running", Some(2048)));
        session.device.as_mut().unwrap().writable = writable;
        seen(vec![path(Some(session), Tries { read: Some(7), ..Tries::default() })])
    };
    for (writable, required) in [(false, false), (false, true), (true, false), (true, true)] {
        let iscsi = Iscsi { require_readonly_lun: required, ..iscsi() };
        let step = Step::new(&iscsi, INITIATOR, Portals::Paths);
        let warnings = step.warnings(&up(writable));
        assert_eq!(warnings.len(), usize::from(writable && !required));
        for warning in &warnings {
            assert_eq!(warning.code(), Code::LunWritable);
            assert!(warning.to_string().starts_with(&format!("disk sda, {AT}: ")), "{warning}");
        }
        match plan(&step, &up(writable)) {
            Ok(next) => assert!(matches!(next, Next::Done(_)) && !(writable && required)),
            Err(error) => assert!(error.code() == Code::LunWritable && writable && required),
        }
        let keeping = Step::keeping(&iscsi, INITIATOR, Portals::Paths);
        assert!(matches!(plan(&keeping, &up(writable)), Ok(Next::Done(_))));
    }
}
