//! Bundles that nodes send: kept with their boot, and bounded.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "that is how a test fails"
)]

mod common;

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use common::{PATIENCE, Served, rest, serve, status};
use disklessd::serve::limits::Limits;

const BOOT: &str = "0b5c2d35-9f0c-4b8e-8f0a-5b1f3f3c7a11";

fn headers(boot_id: &str) -> String {
    format!("content-type: application/x-tar\r\ndiskless-boot-id: {boot_id}\r\n")
}

/// The files of a node's bundles.
fn files(server: &Served, node: &str) -> Vec<PathBuf> {
    let folder = server.app.site().file.server.bundles.join(node);
    let mut files: Vec<_> =
        folder.read_dir().into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn a_bundle_is_kept_with_its_boot() {
    let server = serve(Limits::default());
    let event = format!(
        r#"{{"version": "1.0", "boot_id": "{BOOT}", "run": 1, "seq": 1, "time": "", "uptime_ms": 1, "event": "run"}}"#
    );
    assert_eq!(server.ask("POST", "/report/node1", "", event.as_bytes()).0, 200);
    // By a MAC address too, as anything of a node.
    let (answered, said) = server.ask("POST", "/bundle/52:54:00:00:00:01", &headers(BOOT), &vec![7; 300_000]);
    assert_eq!((answered, said.starts_with("bundle ")), (200, true), "{said}");
    let known = server.runtime.block_on(server.app.store.bundles("node1")).unwrap();
    let [bundle] = known.as_slice() else { panic!("{known:?}") };
    assert_eq!(said.trim(), format!("bundle {}", bundle.id));
    assert_eq!((bundle.bytes, bundle.boot_id.as_str(), bundle.boot.is_some()), (300_000, BOOT, true));
    let [file] = &files(&server, "node1")[..] else { panic!("one file") };
    assert_eq!(file, &server.app.site().file.server.bundles.join(&bundle.file));
    assert_eq!(std::fs::read(file).unwrap(), vec![7; 300_000]);
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    // Of a boot that nothing was heard of.
    assert_eq!(server.ask("POST", "/bundle/node1", &headers("0b5c-2"), b"x").0, 200);
    let known = server.runtime.block_on(server.app.store.bundles("node1")).unwrap();
    assert_eq!((known.len(), known[0].boot), (2, None));
}

#[test]
fn the_oldest_go_with_their_files() {
    let server = serve(Limits::default());
    let keep = server.app.site().file.server.bundles_of_node as usize;
    for number in 0..keep + 3 {
        let body = number.to_string();
        assert_eq!(server.ask("POST", "/bundle/node1", &headers(BOOT), body.as_bytes()).0, 200);
    }
    assert_eq!(server.ask("POST", "/bundle/node2", &headers(BOOT), b"other").0, 200);
    let known = server.runtime.block_on(server.app.store.bundles("node1")).unwrap();
    let mut kept: Vec<_> =
        known.iter().map(|bundle| server.app.site().file.server.bundles.join(&bundle.file)).collect();
    kept.sort();
    assert_eq!((kept.len(), files(&server, "node1")), (keep, kept.clone()));
    assert!(
        kept.iter().all(|file| !["0", "1", "2"].contains(&std::fs::read_to_string(file).unwrap().as_str()))
    );
    assert_eq!(files(&server, "node2").len(), 1);
}

#[test]
fn what_is_no_bundle_is_refused_and_leaves_nothing() {
    let server = serve(Limits::default());
    let most = usize::try_from(server.app.site().file.server.bundle_mib).unwrap() << 20;
    let tar = headers(BOOT);
    let plain = tar.replace("x-tar", "json");
    for (path, headers, body, expected) in [
        ("/bundle/stranger", tar.as_str(), b"x".to_vec(), 404),
        ("/bundle/node1", plain.as_str(), b"x".to_vec(), 415),
        ("/bundle/node1", "content-type: application/x-tar\r\n", b"x".to_vec(), 400),
        ("/bundle/node1", tar.as_str(), vec![0; most], 200),
    ] {
        assert_eq!(server.ask("POST", path, headers, &body).0, expected, "{path} {headers}");
    }
    assert_eq!(server.ask("GET", "/bundle/node1", "", b"").0, 405);
    // One that says that it is too long, and one that does not say how long it is.
    let long = format!("POST /bundle/node2 HTTP/1.1\r\nhost: a\r\n{tar}content-length: {}\r\n\r\n", most + 1);
    assert_eq!(status(&server.say(long.as_bytes())), 413);
    let mut chunked = server.connect();
    write!(chunked, "POST /bundle/node2 HTTP/1.1\r\nhost: a\r\n{tar}transfer-encoding: chunked\r\n\r\n")
        .unwrap();
    let piece = [b"100000\r\n".as_slice(), &vec![0; 1 << 20], b"\r\n"].concat();
    (0..most >> 20).for_each(|_| chunked.write_all(&piece).unwrap());
    chunked.write_all(b"1\r\n0\r\n").unwrap();
    assert_eq!(status(&rest(&mut chunked)), 413);
    // And one that ends too early.
    let mut cut = server.connect();
    write!(cut, "POST /bundle/node2 HTTP/1.1\r\nhost: a\r\n{tar}content-length: 100\r\n\r\nabc").unwrap();
    drop(cut);
    let began = Instant::now();
    while !files(&server, "node2").is_empty() && began.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(files(&server, "node2"), Vec::<PathBuf>::new());
    assert_eq!(files(&server, "node1").len(), 1);
    server.serves_others();
}

#[test]
fn slow_ones_have_their_places_and_their_time() {
    let server = serve(Limits { bundle_time: Duration::from_secs(5), ..Limits::default() });
    let slow: Vec<_> = (0..disklessd::serve::bundle::PLACES)
        .map(|_| {
            let mut slow = server.connect();
            let head = headers(BOOT);
            write!(slow, "POST /bundle/node1 HTTP/1.1\r\nhost: a\r\n{head}content-length: 10\r\n\r\nabc")
                .unwrap();
            slow
        })
        .collect();
    // Each has its place when its file is there.
    let began = Instant::now();
    while files(&server, "node1").len() < slow.len() && began.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(10));
    }
    let (answered, refused) = server.ask("POST", "/bundle/node2", &headers(BOOT), b"x");
    assert_eq!(answered, 503, "{refused}");
    assert!(refused.contains("try again"), "{refused}");
    server.serves_others();
    for mut slow in slow {
        assert_eq!(status(&rest(&mut slow)), 408);
    }
    assert_eq!(server.ask("POST", "/bundle/node2", &headers(BOOT), b"x").0, 200);
    assert!(files(&server, "node1").is_empty());
}
