//! What clients may do that are slow, greedy or mad, and that others are served meanwhile.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "that is how a test fails"
)]

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use axum::routing::get;
use axum::{Router, middleware};
use common::{PATIENCE, rest, serve, serve_router, status};
use disklessd::serve::limits::{Limits, guard, in_time};

/// Bounds that a test need not wait for.
fn short() -> Limits {
    let soon = Duration::from_millis(400);
    Limits { head_time: soon, body_time: soon, answer_time: soon, stall: soon, ..Limits::default() }
}

const HEALTH: &[u8] = b"GET /health HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

#[test]
fn a_head_that_comes_line_by_line_is_not_waited_for() {
    let server = serve(short());
    let mut slow = server.connect();
    let began = Instant::now();
    slow.write_all(b"GET /health HTTP/1.1\r\n").unwrap();
    let mut writer = slow.try_clone().unwrap();
    let writing = std::thread::spawn(move || {
        // Each line comes well within the bound; all of them together never would.
        while began.elapsed() < PATIENCE && writer.write_all(b"x-more: 1\r\n").is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    server.serves_others();
    assert_eq!(status(&rest(&mut slow)), 408);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    writing.join().unwrap();
    server.serves_others();
}

#[test]
fn an_idle_connection_ends_without_a_word() {
    let server = serve(short());
    let mut silent = server.connect();
    let mut kept = server.connect();
    kept.write_all(b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    assert_eq!(rest(&mut silent), "");
    let answer = rest(&mut kept);
    assert_eq!(status(&answer), 200);
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for() {
    let server = serve(short());
    for head in ["content-length: 10", "transfer-encoding: chunked"] {
        let mut slow = server.connect();
        let began = Instant::now();
        write!(slow, "POST /phone_home/up HTTP/1.1\r\nhost: a\r\n{head}\r\n\r\n").unwrap();
        slow.write_all(b"3").unwrap();
        server.serves_others();
        let answer = rest(&mut slow);
        assert_eq!(status(&answer), 408, "{head}");
        assert!(answer.ends_with("the body did not come in time\n"), "{answer}");
        assert!(began.elapsed() < Duration::from_secs(5));
    }
}

#[test]
fn what_is_too_large_is_refused_and_said() {
    let server = serve(short());
    let limits = Limits::default();
    let long = |bytes: usize| "a".repeat(bytes);
    let post = |head: &str, body: &str| {
        format!("POST /phone_home/up HTTP/1.1\r\nhost: a\r\n{head}\r\n\r\n{body}").into_bytes()
    };
    let length = limits.body_bytes + 1;
    let chunk = format!("{length:x}\r\n{}\r\n0\r\n\r\n", long(length));
    let many: String = (0..limits.fields + 1).map(|number| format!("x-{number}: 1\r\n")).collect();
    let url = long(limits.url_bytes);
    for (name, bytes, expected) in [
        ("body", post(&format!("content-length: {length}"), &long(length)), 413),
        ("body that is only announced", post("content-length: 99999999999999999999", ""), 400),
        ("body that is announced and does not come", post("content-length: 9999999999", ""), 413),
        ("body in chunks", post("transfer-encoding: chunked", &chunk), 413),
        ("header", format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", long(limits.head_bytes)).into_bytes(), 431),
        ("headers", format!("GET / HTTP/1.1\r\n{many}\r\n").into_bytes(), 431),
        ("url", format!("GET /{url} HTTP/1.1\r\nhost: a\r\n\r\n").into_bytes(), 414),
        ("query", format!("GET /boot.ipxe?mac={url} HTTP/1.1\r\nhost: a\r\n\r\n").into_bytes(), 414),
        ("endless url", format!("GET /{}", long(70_000)).into_bytes(), 431),
    ] {
        assert_eq!(status(&server.say(&bytes)), expected, "{name}");
        server.serves_others();
    }
    // One byte less of each is taken.
    let body = long(limits.body_bytes);
    assert_eq!(server.ask("POST", "/phone_home/up", "", body.as_bytes()).0, 404);
    let url = long(limits.url_bytes - 1);
    assert_eq!(server.ask("GET", &format!("/{url}"), "", b"").0, 404);
}

#[test]
fn nonsense_is_answered_or_closed_and_harms_nobody() {
    let server = serve(short());
    for nonsense in [
        &b"\r\n\r\n\r\n\r\nGET\r\n\r\n"[..],
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET  /  HTTP/1.1\r\n\r\n",
        b"G\0T / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost : a\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"POST /phone_home/up HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
        b"POST /phone_home/up HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nab\r\n0\r\n\r\n",
        b"POST /phone_home/up HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        b"POST /phone_home/up HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\nab",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS greeting",
        b"\xff\xfe\xfd",
        b"",
    ] {
        let mut stream = server.connect();
        let _ = stream.write_all(nonsense);
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let answer = rest(&mut stream);
        let refused = answer.is_empty() || (400..600).contains(&status(&answer));
        assert!(refused, "{}: {answer}", String::from_utf8_lossy(nonsense));
        server.serves_others();
    }
}

#[test]
fn requests_that_come_at_once_are_answered_in_order() {
    let server = serve(short());
    let requests = [
        b"GET /health HTTP/1.1\r\nhost: a\r\n\r\nGET /nothing HTTP/1.1\r\nhost: a\r\n\r\n".as_slice(),
        HEALTH,
    ];
    let answer = server.say(&requests.concat());
    let answers: Vec<u16> = answer.match_indices("HTTP/1.1 ").map(|(at, _)| status(&answer[at..])).collect();
    assert_eq!(answers, [200, 404, 200]);
}

#[test]
fn there_are_so_many_places_and_no_more() {
    for (connections, connections_of_peer) in [(3, 100), (100, 3)] {
        let limits = Limits { connections, connections_of_peer, ..short() };
        let server = serve(Limits { head_time: PATIENCE, ..limits });
        let mut held: Vec<TcpStream> = (0..3).map(|_| server.connect()).collect();
        // The places are taken when the server has seen all three: each answers.
        for stream in &mut held {
            stream.write_all(b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
            assert!(stream.read(&mut [0; 1000]).unwrap() > 0);
        }
        let refused = server.say(HEALTH);
        assert_eq!(status(&refused), 503);
        assert!(refused.ends_with("too many connections\n"), "{refused}");
        held.pop();
        let deadline = Instant::now() + PATIENCE;
        while status(&server.say(HEALTH)) != 200 {
            assert!(Instant::now() < deadline, "the place is not given back");
        }
    }
}

#[test]
fn a_peer_that_takes_nothing_of_its_answer_is_dropped() {
    let large = || Router::new().route("/large", get(|| async { vec![0_u8; 64 << 20] }));
    let server = serve_router(Limits { connections: 1, ..short() }, |_| large());
    let mut deaf = server.connect();
    deaf.write_all(b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    let deadline = Instant::now() + PATIENCE;
    while server.say(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").starts_with("HTTP/1.1 503") {
        assert!(Instant::now() < deadline, "its place is not given back");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_defect_is_one_bad_answer() {
    async fn defect() -> &'static str {
        panic!("a defect")
    }
    let limits = short();
    let routes = Router::new()
        .route("/defect", get(defect))
        .route(
            "/endless",
            get(std::future::pending::<&'static str>).layer(middleware::from_fn_with_state(limits, in_time)),
        )
        .route("/health", get(|| async { "ok" }))
        .layer(middleware::from_fn_with_state(limits, guard));
    let server = serve_router(limits, |_| routes);
    assert_eq!(server.ask("GET", "/defect", "", b"").0, 500);
    server.serves_others();
    let (status, text) = server.ask("GET", "/endless", "", b"");
    assert_eq!((status, text.as_str()), (503, "that took too long: try again\n"));
    server.serves_others();
}

/// To bring it up to date: `UPDATE_DOCS=1 cargo test -p disklessd --test serve_limits`.
#[test]
fn the_manual_has_the_bounds() {
    let limits = Limits::default();
    let seconds = |time: Duration| format!("{} s", time.as_secs());
    let rows = [
        ("connections", limits.connections.to_string()),
        ("connections from one address", limits.connections_of_peer.to_string()),
        ("bytes of a request's head", limits.head_bytes.to_string()),
        ("header fields", limits.fields.to_string()),
        ("bytes of a URL", limits.url_bytes.to_string()),
        ("bytes of a body", limits.body_bytes.to_string()),
        ("until the head of the first or the next request is there", seconds(limits.head_time)),
        ("until its body is there", seconds(limits.body_time)),
        ("until a bundle is there", seconds(limits.bundle_time)),
        ("until a node has its answer", seconds(limits.answer_time)),
        ("a peer takes nothing of its answer", seconds(limits.stall)),
        ("for requests that are under way when the server ends", seconds(limits.drain)),
    ];
    let rows: String = rows.iter().map(|(what, most)| format!("| {what} | {most} |\n")).collect();
    let generated = format!("\n| what | at most |\n| --- | --- |\n{rows}\n");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/disklessd.8.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (begin, end) = ("<!-- generated from the code -->\n", "<!-- end of what is generated -->\n");
    let (before, rest) = text.split_once(begin).unwrap();
    let (written, after) = rest.split_once(end).unwrap();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, format!("{before}{begin}{generated}{end}{after}")).unwrap();
    } else {
        assert_eq!(written, generated, "UPDATE_DOCS=1 cargo test -p disklessd --test serve_limits");
    }
}
