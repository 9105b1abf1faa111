//! `diskless console` with a person at a real terminal: what is pressed is a key or nothing, and none of it is a way out.
//!
//! In a namespace of its own the program's /dev/console is that terminal.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "that is how a test fails")]

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// Builds of tests on a slow machine.
const LONG: Duration = Duration::from_secs(60);

/// No console in the kernel's list: then it is /dev/console.
const SCRIPT: &str =
    "mount --bind \"$1\" /dev/console && mount --bind /dev/null /proc/consoles && exec \"$0\" console";

struct Person {
    terminal: File,
    seen: String,
    console: Child,
}

impl Person {
    fn sits_down() -> Person {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let name = ptsname(&terminal, Vec::new()).unwrap().into_string().unwrap();
        fcntl_setfl(&terminal, OFlags::NONBLOCK).unwrap();
        let console = Command::new("unshare")
            .args([
                "--user",
                "--map-root-user",
                "--mount",
                "sh",
                "-c",
                SCRIPT,
                env!("CARGO_BIN_EXE_diskless"),
                &name,
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Person { terminal: File::from(terminal), seen: String::new(), console }
    }

    /// Waits until `text` is on the screen, behind what was waited for before.
    fn sees(&mut self, text: &str) {
        let begin = Instant::now();
        while !self.seen.contains(text) {
            let mut bytes = [0; 4096];
            match self.terminal.read(&mut bytes) {
                Ok(count) => self.seen.push_str(&String::from_utf8_lossy(bytes.get(..count).unwrap())),
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock) || error.raw_os_error() == Some(5) =>
                {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(error) => panic!("{error}"),
            }
            assert!(self.console.try_wait().unwrap().is_none(), "it has ended: {}", self.seen);
            assert!(begin.elapsed() < LONG, "{text:?} is not in {:?}", self.seen);
        }
        let at = self.seen.find(text).unwrap() + text.len();
        self.seen.drain(..at);
    }

    fn presses(&mut self, keys: &[u8]) {
        self.terminal.write_all(keys).unwrap();
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        let _ = self.console.kill();
        let _ = self.console.wait();
    }
}

#[test]
fn no_key_is_a_way_out_and_a_request_to_end_is() {
    let mut person = Person::sits_down();
    person.sees("diskless console:");
    person.sees("keys: s status, d diagnose, r retry, c continue, h help");
    // Ctrl-C, Ctrl-\, Ctrl-Z, Ctrl-D, an escape sequence, a command: nothing. In one piece, so that the last is read as well.
    for keys in [&b"\x03"[..], b"\x1c", b"\x1a", b"\x04", b"\x1b[A", b"/bin/!"] {
        person.presses(keys);
    }
    person.presses(b"h");
    person.sees("There is no shell here");
    person.presses(b"s");
    person.sees("diskless status\r\n");
    person.sees("has not succeeded");
    person.sees("diskless console:");
    let pid = Pid::from_child(&person.console);
    for signal in [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TSTP] {
        kill_process(pid, signal).unwrap();
    }
    person.presses(b"h");
    person.sees("There is no shell here");
    kill_process(pid, Signal::TERM).unwrap();
    let begin = Instant::now();
    let status = loop {
        if let Some(status) = person.console.try_wait().unwrap() {
            break status;
        }
        assert!(begin.elapsed() < LONG);
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(status.success(), "{status}");
}

#[test]
fn a_terminal_that_hangs_is_no_way_out_and_costs_nothing() {
    let mut person = Person::sits_down();
    person.sees("keys:");
    let pid = person.console.id();
    let ticks = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields: Vec<String> =
            stat.rsplit(')').next().unwrap().split_whitespace().map(str::to_owned).collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    };
    let null = File::open("/dev/null").unwrap();
    drop(std::mem::replace(&mut person.terminal, null));
    std::thread::sleep(Duration::from_secs(1));
    let before = ticks();
    std::thread::sleep(Duration::from_secs(2));
    assert!(ticks() - before < 50, "of 200 ticks of two seconds: {}", ticks() - before);
    assert!(person.console.try_wait().unwrap().is_none());
}
