use super::*;
use std::sync::atomic::{AtomicU32, Ordering};

const AT: Place = Some(0);

fn wait_for(attempts: &mut Attempts, host: &Host) -> Vec<TargetPortal> {
    let until = Instant::now() + Duration::from_secs(20);
    let mut found = Vec::new();
    while !attempts.is_idle() {
        found.extend(attempts.collect(host));
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(1));
    }
    found
}

fn fail(attempts: &mut Attempts, host: &Host, code: Code) -> Tries {
    attempts.start(host, AT, Work::LogIn, move |_, _| Err(Error::new(code, "portal")));
    wait_for(attempts, host);
    attempts.at(AT)
}

#[test]
fn failures_are_waited_for_longer_and_longer() {
    let host = Host::fake("/nonexistent");
    let mut attempts = Attempts::new(&host);
    assert_eq!(attempts.at(AT).not_before, Duration::ZERO);
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let tries = fail(&mut attempts, &host, Code::IscsiConnect);
        assert!(!tries.is_hopeless());
        pauses.push(tries.not_before.saturating_sub(host.now()).as_millis());
        host.wait_for_change(tries.not_before.saturating_sub(host.now()));
    }
    assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 15000, 15000, 15000]);
    assert_eq!(attempts.at(AT).count, 8);
    attempts.forgive(AT);
    assert_eq!((attempts.at(AT).count, attempts.at(AT).error.is_none()), (0, true));
    let tries = fail(&mut attempts, &host, Code::IscsiAuth);
    assert!(tries.is_hopeless());
    assert_eq!(tries.not_before.saturating_sub(host.now()), PAUSE_FOR_PEOPLE);
}

#[test]
fn a_session_that_is_lost_at_once_is_not_made_again_at_once() {
    let host = Host::fake("/nonexistent");
    let mut attempts = Attempts::new(&host);
    attempts.start(&host, AT, Work::LogIn, |_, _| Ok(News::Done));
    wait_for(&mut attempts, &host);
    assert_eq!(attempts.at(AT).not_before, FIRST_PAUSE);
}

#[test]
fn one_thing_at_a_portal_at_a_time_and_all_portals_at_once() {
    let host = Host::fake("/nonexistent");
    let mut attempts = Attempts::new(&host);
    let (both, _) = (std::sync::Arc::new(std::sync::Barrier::new(2)), ());
    static STARTED: AtomicU32 = AtomicU32::new(0);
    for place in [0, 0, 1, 1] {
        let both = both.clone();
        attempts.start(&host, Some(place), Work::Scan(3), move |_, _| {
            STARTED.fetch_add(1, Ordering::Relaxed);
            both.wait();
            Ok(News::Done)
        });
    }
    wait_for(&mut attempts, &host);
    assert_eq!(STARTED.load(Ordering::Relaxed), 2);
    assert_eq!(attempts.at(AT).scanned, Some((3, Duration::ZERO)));
}

#[test]
fn what_was_found_and_read_is_known() {
    let host = Host::fake("/nonexistent");
    let mut attempts = Attempts::new(&host);
    let portal: TargetPortal = crate::input::portal::Portal::parse("a").unwrap().into();
    let found = portal.clone();
    attempts.start(&host, None, Work::Discover, move |_, _| Ok(News::Found(vec![found])));
    attempts.start(&host, AT, Work::Read(7), |_, _| Ok(News::Done));
    assert_eq!(wait_for(&mut attempts, &host), [portal]);
    assert_eq!(attempts.at(AT).read, Some(7));
}

#[test]
fn news_end_the_wait_for_a_change() {
    let host = Host::this();
    let mut attempts = Attempts::new(&host);
    host.changes_seen();
    let started = Instant::now();
    attempts.start(&host, AT, Work::LogIn, |_, _| Ok(News::Done));
    while attempts.at(AT).running.is_some() {
        host.wait_for_change(Duration::from_secs(20));
        attempts.collect(&host);
    }
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_drop_calls_off_what_can_be_and_takes_away_what_hangs() {
    static DISCARDED: AtomicU32 = AtomicU32::new(0);
    let host = Host::fake("/nonexistent");
    let mut attempts = Attempts::new(&host);
    attempts.discard = |_, sid| {
        DISCARDED.fetch_add(sid, Ordering::Relaxed);
        Ok(())
    };
    attempts.start(&host, AT, Work::LogIn, |_, cancel| {
        cancel.sleep(Duration::from_secs(60));
        Ok(News::Done)
    });
    let started = Instant::now();
    drop(attempts);
    assert!(started.elapsed() < END_LIMIT);
    let mut attempts = Attempts::new(&host);
    attempts.discard = |_, sid| {
        DISCARDED.fetch_add(sid, Ordering::Relaxed);
        Ok(())
    };
    let (end, wait) = channel::<()>();
    attempts.start(&host, AT, Work::Read(7), move |_, _| {
        let _ = wait.recv();
        Ok(News::Done)
    });
    let started = Instant::now();
    drop(attempts);
    assert!(started.elapsed() < END_LIMIT * 5);
    assert_eq!(DISCARDED.load(Ordering::Relaxed), 7);
    drop(end);
}
