use std::net::TcpListener;
use std::sync::Mutex;
use std::time::Instant;

use super::*;
use crate::diagnose::evidence::Outcome;
use crate::engine::host::Host;
use crate::sys::http::fixture::full_listener;

/// What is told of the way to `host`, and how long it took.
fn told(host: &str, port: u16, until: Duration) -> (Vec<Check>, Duration) {
    let machine = Host::fake("/nonexistent");
    let found = Mutex::new(Vec::new());
    let tell = |check| found.lock().unwrap().push(check);
    let look = Look { host: &machine, tell: &tell, started: Instant::now() };
    let address = super::look(look, Of::Portal, "portal", &Server::new(host, port), until);
    let took = look.started.elapsed();
    let found = found.into_inner().unwrap();
    assert_eq!(address.is_some(), !found.iter().any(Check::is_bad));
    (found, took)
}

fn last(host: &str, port: u16, until: Duration) -> (Stage, Outcome, Option<String>, String) {
    let last = told(host, port, until).0.pop().unwrap();
    (last.stage, last.outcome, last.code, last.found)
}

const LONG: Duration = Duration::from_secs(20);

#[test]
fn a_server_that_listens_refuses_or_is_silent() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (found, _) = told("127.0.0.1", port, LONG);
    let stages: Vec<_> = found.iter().map(|check| (check.stage, check.outcome)).collect();
    let expected =
        [(Stage::Route, Outcome::Ok), (Stage::Neighbour, Outcome::Unseen), (Stage::Tcp, Outcome::Ok)];
    assert_eq!(stages, expected);
    assert!(found.iter().all(|check| check.over.as_deref() == Some("lo")));
    drop(listener);
    let (stage, outcome, code, text) = last("127.0.0.1", port, LONG);
    assert_eq!((stage, outcome, code.as_deref()), (Stage::Tcp, Outcome::Bad, Some("iscsi-connect")));
    assert!(text.contains("refuses"), "{text}");
    let silent = full_listener();
    let started = Instant::now();
    let (.., text) = last("127.0.0.1", silent.0.port(), Duration::from_millis(400));
    assert!(text.contains("does not answer within 0."), "{text}");
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}

#[test]
fn a_name_that_nobody_knows_ends_the_way() {
    let (found, _) = told("no-such-name", 80, LONG);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].stage, found[0].code.as_deref()), (Stage::Name, Some("resolve")));
}

/// What is said of a try at 198.18.0.7 out of eth0, with these entries of /proc/net/arp.
fn of_try(kind: Option<ErrorKind>, arp: &str) -> Vec<(Stage, Outcome, Option<String>)> {
    let result = kind.map_or(Ok(()), |kind| Err(Error::from(kind)));
    let address = "198.18.0.7:3260".parse().unwrap();
    let tried = Tried { address, over: Some("eth0".into()), result, limit: LONG };
    let arp = format!("IP address HW type Flags HW address Mask Device\n{arp}");
    let checks = checks(Of::Portal, "portal", &tried, &Tables { routes: String::new(), arp });
    checks.into_iter().skip(1).map(|check| (check.stage, check.outcome, check.code)).collect()
}

#[test]
fn the_kernels_table_says_whether_the_next_hop_is_there() {
    let answered = "198.18.0.7 0x1 0x2 52:54:00:00:00:01 * eth0\n";
    let silent = "198.18.0.7 0x1 0x0 00:00:00:00:00:00 * eth0\n";
    let no_neighbour = Some("no-neighbour".to_owned());
    let no_answer = (Stage::Tcp, Outcome::Bad, Some("iscsi-connect".to_owned()));
    for (kind, arp, neighbour, code) in [
        (ErrorKind::TimedOut, answered, Outcome::Ok, None),
        (ErrorKind::TimedOut, silent, Outcome::Bad, no_neighbour.clone()),
        (ErrorKind::TimedOut, "", Outcome::Unseen, None),
        (ErrorKind::HostUnreachable, silent, Outcome::Bad, no_neighbour.clone()),
        (ErrorKind::HostUnreachable, "", Outcome::Bad, no_neighbour),
        (ErrorKind::ConnectionRefused, answered, Outcome::Ok, None),
    ] {
        let expected = [(Stage::Neighbour, neighbour, code), no_answer.clone()];
        assert_eq!(of_try(Some(kind), arp), expected, "{kind:?} {arp}");
    }
    assert_eq!(of_try(None, answered)[1].1, Outcome::Ok);
}

#[test]
fn without_a_route_there_is_nothing_more_to_tell() {
    let tried = Tried {
        address: "198.18.0.7:3260".parse().unwrap(),
        over: None,
        result: Err(ErrorKind::NetworkUnreachable.into()),
        limit: LONG,
    };
    let checks = checks(Of::Portal, "portal", &tried, &Tables { routes: String::new(), arp: String::new() });
    let codes: Vec<_> = checks.iter().map(|check| check.code.as_deref()).collect();
    assert_eq!(codes, [Some("no-route")]);
}
