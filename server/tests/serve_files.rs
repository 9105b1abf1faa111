//! Kernels and initramfs, over a real socket.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "that is how a test fails"
)]

mod common;

use std::os::unix::fs::{PermissionsExt as _, symlink};

use common::{SITE, Served, read, serve, status};
use disklessd::serve::limits::Limits;

const KERNEL: &str = "0123456789";

/// A server with a kernel.
fn served() -> Served {
    let server = serve(Limits::default());
    let files = server.folder.path().join("files");
    std::fs::create_dir_all(files.join("el 9")).unwrap();
    std::fs::write(files.join("vmlinuz"), KERNEL).unwrap();
    std::fs::write(files.join("el 9/a,b.img"), "initramfs").unwrap();
    std::fs::write(server.folder.path().join("secret"), "secret").unwrap();
    symlink("../secret", files.join("link")).unwrap();
    server
}

/// Status, head and body.
fn ask(server: &Served, method: &str, path: &str, headers: &str) -> (u16, String, String) {
    let request = format!("{method} {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{headers}\r\n");
    let answer = server.say(request.as_bytes());
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (status(&answer), head.to_owned(), body.to_owned())
}

fn field<'a>(head: &'a str, name: &str) -> &'a str {
    let mut fields = head.lines().filter_map(|line| line.split_once(": "));
    let value = fields.find_map(|(field, value)| field.eq_ignore_ascii_case(name).then_some(value));
    value.unwrap_or_else(|| panic!("no {name}: {head}"))
}

#[test]
fn a_file_is_given_whole_with_its_length() {
    let server = served();
    let (status, head, body) = ask(&server, "GET", "/files/vmlinuz", "");
    assert_eq!((status, body.as_str()), (200, KERNEL));
    assert_eq!(field(&head, "content-length"), "10");
    assert_eq!(field(&head, "accept-ranges"), "bytes");
    let (status, head, body) = ask(&server, "HEAD", "/files/vmlinuz", "");
    assert_eq!((status, field(&head, "content-length"), body.as_str()), (200, "10", ""));
    assert_eq!(ask(&server, "GET", "/files/el%209/a%2Cb.img", "").2, "initramfs");
    // iPXE of HTTP/1.0 times, and one that puts a query to everything.
    assert!(server.say(b"GET /files/vmlinuz HTTP/1.0\r\n\r\n").ends_with(KERNEL));
    assert_eq!(ask(&server, "GET", "/files/vmlinuz?x=1", "").2, KERNEL);
}

#[test]
fn a_range_is_given_as_asked_for() {
    let server = served();
    for (range, status, part, content) in [
        ("bytes=0-3", 206, "0123", "bytes 0-3/10"),
        ("bytes=4-", 206, "456789", "bytes 4-9/10"),
        ("bytes=-2", 206, "89", "bytes 8-9/10"),
        ("bytes=8-99", 206, "89", "bytes 8-9/10"),
        ("bytes=10-", 416, "", "bytes */10"),
    ] {
        let (code, head, body) = ask(&server, "GET", "/files/vmlinuz", &format!("range: {range}\r\n"));
        assert_eq!((code, body.as_str(), field(&head, "content-range")), (status, part, content), "{range}");
    }
    // Several at once, in another unit, and of another state of the file: the whole.
    for fields in
        ["range: bytes=0-1,4-5\r\n", "range: items=0-1\r\n", "range: bytes=0-3\r\nif-range: \"other\"\r\n"]
    {
        assert_eq!(ask(&server, "GET", "/files/vmlinuz", fields).2, KERNEL, "{fields}");
    }
}

#[test]
fn a_file_that_did_not_change_is_not_sent_again() {
    let server = served();
    let (_, head, _) = ask(&server, "GET", "/files/vmlinuz", "");
    for fields in [
        format!("if-none-match: {}\r\n", field(&head, "etag")),
        format!("if-modified-since: {}\r\n", field(&head, "last-modified")),
    ] {
        let (status, _, body) = ask(&server, "GET", "/files/vmlinuz", &fields);
        assert_eq!((status, body.as_str()), (304, ""), "{fields}");
    }
    let (status, _, _) = ask(&server, "GET", "/files/vmlinuz", "if-match: \"other\"\r\n");
    assert_eq!(status, 412);
}

#[test]
fn what_is_no_file_below_the_folder_is_not_there() {
    let server = served();
    let gone = ask(&server, "GET", "/files/gone", "");
    assert_eq!(gone.0, 404);
    for path in [
        "/files/",
        "/files/el%209",
        "/files/el%209/",
        "/files/link",
        "/files/../secret",
        "/files/%2e%2e/secret",
        "/files/..%2fsecret",
        "/files/%2Fetc/passwd",
        "/files/vmlinuz%00",
        "/files/vmlinuz/x",
    ] {
        let (status, _, body) = ask(&server, "GET", path, "");
        assert_eq!((status, &body), (404, &gone.2), "{path}");
        assert_eq!(ask(&server, "HEAD", path, "").0, 404, "{path}");
    }
    assert_eq!(ask(&server, "DELETE", "/files/vmlinuz", "").0, 405);
}

#[test]
fn another_folder_is_served_without_a_restart() {
    let server = served();
    std::fs::create_dir(server.folder.path().join("newer")).unwrap();
    std::fs::write(server.folder.path().join("newer/vmlinuz"), "newer").unwrap();
    let newer = SITE.replace("files = \"files\"", "files = \"newer\"");
    server.app.replace(read(server.folder.path(), &newer));
    assert_eq!(ask(&server, "GET", "/files/vmlinuz", "").2, "newer");
    let none = SITE.replace("files = \"files\"\n", "");
    server.app.replace(read(server.folder.path(), &none));
    assert_eq!(ask(&server, "GET", "/files/vmlinuz", "").0, 404);
}

#[test]
fn a_file_that_the_server_may_not_read_is_not_there() {
    let server = served();
    let file = server.folder.path().join("files/vmlinuz");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o000)).unwrap();
    // Root reads it all the same; a link to itself nobody can follow.
    if std::fs::File::open(&file).is_ok() {
        std::fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink(&file, &file).unwrap();
    }
    assert_eq!(ask(&server, "GET", "/files/vmlinuz", "").0, 404);
}
