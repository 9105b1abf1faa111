//! `disklessd serve` itself: how it starts, reloads, and ends.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "that is how a test fails"
)]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use common::{PATIENCE, SITE, ask, connect, rest, status};
use rustix::process::{Pid, Signal, kill_process};

/// A running `disklessd`; it is killed with this.
struct Daemon {
    child: Child,
    log: BufReader<ChildStderr>,
    address: SocketAddr,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_disklessd"));
    command.args(["serve", "--config"]).arg(folder.join("site.toml")).stderr(Stdio::piped());
    command.env_remove("JOURNAL_STREAM").env_remove("NOTIFY_SOCKET");
    command
}

/// Starts it and waits until it says that it is ready.
fn start(command: Command) -> Daemon {
    let mut server = spawn(command);
    let listening = until(&mut server.log, "event=listening");
    let address =
        listening.split("address=").nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap();
    until(&mut server.log, "event=ready");
    server.address = address;
    server
}

/// Starts it.
fn spawn(mut command: Command) -> Daemon {
    let mut child = command.spawn().unwrap();
    let log = BufReader::new(child.stderr.take().unwrap());
    Daemon { child, log, address: SocketAddr::from(([127, 0, 0, 1], 0)) }
}

/// Reads the log until a line that has `text` in it. A server that never says it is ended by the test's own time-out.
fn until(log: &mut BufReader<ChildStderr>, text: &str) -> String {
    let mut all = String::new();
    loop {
        let mut line = String::new();
        assert_ne!(log.read_line(&mut line).unwrap(), 0, "the log ends without {text}: {all}");
        if line.contains(text) {
            return line;
        }
        all.push_str(&line);
    }
}

fn site(folder: &Path, text: &str) {
    // As an editor does it: the server never sees half a file.
    std::fs::write(folder.join("new"), text).unwrap();
    std::fs::rename(folder.join("new"), folder.join("site.toml")).unwrap();
}

impl Daemon {
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn get(&self, path: &str) -> (u16, String) {
        ask(self.address, "GET", path, "", b"")
    }

    fn end(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn a_changed_site_is_used_without_a_restart_and_a_bad_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    site(folder.path(), SITE);
    let mut server = start(command(folder.path()));
    assert_eq!(server.get("/phone_home/ipxe?hostname=node7").0, 404);

    site(folder.path(), &SITE.replace("[1-4]", "[1-8]"));
    server.signal(Signal::HUP);
    until(&mut server.log, "event=reloaded nodes=8");
    assert_eq!(server.get("/phone_home/ipxe?hostname=node7").0, 200);

    // It is nonsense; it is not to be used.
    for (bad, why) in [
        ("[servr]\n".to_owned(), "servr"),
        (SITE.replace("http://198.18.0.1:32001", "http://localhost:32001"), "code=server-url-local"),
    ] {
        site(folder.path(), &bad);
        server.signal(Signal::HUP);
        until(&mut server.log, why);
        until(&mut server.log, "event=reload-refused");
        assert_eq!(server.get("/phone_home/ipxe?hostname=node7").0, 200);
        assert!(server.get("/health").1.contains("\"refused\":true"));
    }

    // Nobody sends a signal: the file is looked at.
    site(folder.path(), &SITE.replace("127.0.0.1:0", "127.0.0.1:1"));
    until(&mut server.log, "event=needs-restart member=server.listen");
    until(&mut server.log, "event=reloaded nodes=4");
    assert_eq!(server.get("/phone_home/ipxe?hostname=node7").0, 404);
    assert!(server.get("/health").1.contains("\"refused\":false"));
}

#[test]
fn a_bad_site_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    for (text, why) in [
        (String::new(), "code=server-url "),
        ("x = 1".to_owned(), "event=site-unread"),
        (SITE.replace("127.0.0.1:0", "192.0.2.1:1"), "192.0.2.1:1: "),
        (SITE.replace("[server]", "[server]\ndatabase = \"nowhere/db\""), "nowhere/db"),
    ] {
        site(folder.path(), &text);
        let output = command(folder.path()).output().unwrap();
        let log = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{log}");
        assert!(log.contains(why), "{why}: {log}");
    }
    let missing = command(Path::new("/nowhere")).output().unwrap();
    assert_eq!(missing.status.code(), Some(1));
}

#[test]
fn it_ends_when_it_is_told_to_and_answers_what_is_under_way() {
    let folder = tempfile::tempdir().unwrap();
    site(folder.path(), SITE);
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = start(command(folder.path()));
        let mut idle = connect(server.address);
        let mut half = connect(server.address);
        half.write_all(b"POST /phone_home/up HTTP/1.1\r\nhost: a\r\ncontent-length: 14\r\n\r\nhost").unwrap();
        // Both connections are the server's when it has answered a later one.
        assert_eq!(server.get("/health").0, 200);
        server.signal(signal);
        until(&mut server.log, "event=ending");
        assert_eq!(rest(&mut idle), "");
        half.write_all(b"name=node1").unwrap();
        let answer = rest(&mut half);
        assert_eq!(status(&answer), 200, "{answer}");
        assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
        assert_eq!(server.end().code(), Some(0));
        let mut log = String::new();
        server.log.read_to_string(&mut log).unwrap();
        assert!(log.contains("event=ended") && !log.contains("cut-off"), "{log}");
        let mut left: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["disklessd.db", "site.toml"], "the database is closed");
    }
}

#[test]
fn who_listens_for_hours_does_not_keep_it_from_ending() {
    let folder = tempfile::tempdir().unwrap();
    site(folder.path(), &SITE.replace("[server]", "[server]\ntoken_file = \"token\""));
    std::fs::write(folder.path().join("token"), "a token of some length\n").unwrap();
    let mut server = start(command(folder.path()));
    let mut listener = connect(server.address);
    write!(
        listener,
        "GET /v1/events HTTP/1.1\r\nhost: a\r\nauthorization: Bearer a token of some length\r\n\r\n"
    )
    .unwrap();
    let mut heard = BufReader::new(listener.try_clone().unwrap());
    let mut hear = |text: &str| {
        let (mut line, deadline) = (String::new(), Instant::now() + PATIENCE);
        while !line.contains(text) {
            line.clear();
            assert_ne!(heard.read_line(&mut line).unwrap(), 0, "the stream ends without {text}");
            assert!(Instant::now() < deadline, "{text} does not come");
        }
    };
    hear("text/event-stream");
    assert_eq!(ask(server.address, "POST", "/phone_home/up", "", b"hostname=node2").0, 200);
    hear("node2");
    let told = Instant::now();
    server.signal(Signal::TERM);
    rest(&mut listener);
    assert_eq!(server.end().code(), Some(0));
    assert!(told.elapsed() < Duration::from_secs(5), "{:?}", told.elapsed());
}

#[test]
fn what_a_node_said_outlives_the_server() {
    let folder = tempfile::tempdir().unwrap();
    site(folder.path(), SITE);
    let mut server = start(command(folder.path()));
    assert_eq!(ask(server.address, "POST", "/phone_home/up", "", b"hostname=node2").0, 200);
    server.signal(Signal::KILL);
    server.end();
    let store = disklessd::store::Store::open(&folder.path().join("disklessd.db")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert!(runtime.block_on(store.node("node2")).unwrap().unwrap().boot.is_some());
}

#[test]
fn systemd_and_its_journal_are_told() {
    let folder = tempfile::tempdir().unwrap();
    site(folder.path(), SITE);
    let socket = folder.path().join("notify");
    let systemd = UnixDatagram::bind(&socket).unwrap();
    systemd.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = command(folder.path());
    command.env("NOTIFY_SOCKET", &socket).env("JOURNAL_STREAM", "8:1").args([
        "--log",
        "json",
        "--access-log",
    ]);
    let mut server = spawn(command);
    let told = || {
        let mut text = [0; 200];
        let length = systemd.recv(&mut text).unwrap();
        String::from_utf8_lossy(&text[..length]).into_owned()
    };
    assert_eq!(told(), "READY=1\nSTATUS=4 nodes");
    let line = until(&mut server.log, "listening");
    let line: serde_json::Value = serde_json::from_str(line.strip_prefix("<6>").unwrap()).unwrap();
    server.address = line["address"].as_str().unwrap().parse().unwrap();
    server.get("/phone_home/ipxe?hostname=no%0anode");
    let stranger = until(&mut server.log, "unknown-node");
    assert!(stranger.starts_with("<4>{") && stranger.contains("\"name\":\"no\\nnode\""), "{stranger}");
    let access = until(&mut server.log, "\"event\":\"request\"");
    assert!(
        access.contains("\"path\":\"/phone_home/ipxe\"") && access.contains("\"status\":\"404\""),
        "{access}"
    );
    site(folder.path(), "nonsense");
    server.signal(Signal::HUP);
    assert!(told().starts_with("STATUS=The site's file is bad"));
    server.signal(Signal::TERM);
    assert_eq!(told(), "STOPPING=1");
    assert_eq!(server.end().code(), Some(0));
}

#[test]
fn the_unit_leaves_the_server_nothing_that_it_does_not_need() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../systemd-units/");
    let unit = std::fs::read_to_string(format!("{folder}disklessd.service")).unwrap();
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/bin/disklessd ")).unwrap();
    let help = Command::new(env!("CARGO_BIN_EXE_disklessd")).args(["serve", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for word in start.split(' ').filter(|word| word.starts_with("--")) {
        assert!(help.contains(word), "{word}");
    }
    // Tenths: below 2.
    let mut security = Command::new("systemd-analyze");
    security.args(["security", "--offline=true", "--threshold=19", "--no-pager"]);
    match security.arg(format!("{folder}disklessd.service")).output() {
        Ok(output) if String::from_utf8_lossy(&output.stderr).contains("--offline") => {
            eprintln!("NOT CHECKED: systemd-analyze is too old");
        }
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout)),
        Err(error) => eprintln!("NOT CHECKED: systemd-analyze: {error}"),
    }
}
