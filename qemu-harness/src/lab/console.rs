//! The nodes' serial consoles, line by line, each with a copy in its serial log.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Instant;

use crate::error::{At, Result};
use crate::scenario::Typed;

/// What a console showed, or what came of a command; nodes have numbers from 0.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen {
    /// A line of a node's, without its end and without control sequences.
    Line(usize, String),
    /// A node's machine is gone.
    End(usize),
    /// A command that was typed over ssh is over, or the reason why it could not be typed.
    Typed(std::result::Result<Typed, String>),
    /// Nothing until the deadline.
    Late,
}

/// Consoles that are being read.
pub struct Consoles {
    sender: Sender<Seen>,
    receiver: Receiver<Seen>,
}

impl Consoles {
    /// None yet.
    pub fn new() -> Consoles {
        let (sender, receiver) = mpsc::channel();
        Consoles { sender, receiver }
    }

    /// Reads `from`, the console of node `number`, in a thread of its own until it ends, with a copy of every byte in
    /// `log`.
    pub fn read(&self, number: usize, from: impl Read + Send + 'static, log: &Path) -> Result<()> {
        let copy = File::create(log).at("create", log)?;
        let sender = self.sender.clone();
        thread::spawn(move || {
            pass_on(from, copy, &|line| sender.send(Seen::Line(number, line)).is_ok());
            let _ = sender.send(Seen::End(number));
        });
        Ok(())
    }

    /// Does `work` in a thread of its own; its end comes among the lines.
    pub fn typing(&self, work: impl FnOnce() -> Result<Typed> + Send + 'static) {
        let sender = self.sender.clone();
        thread::spawn(move || {
            let _ = sender.send(Seen::Typed(work().map_err(|error| error.to_string())));
        });
    }

    /// What comes next, waited for until `deadline`.
    pub fn next(&self, deadline: Instant) -> Seen {
        // There is always a sender: that of this value.
        self.receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())).unwrap_or(Seen::Late)
    }
}

/// The log is written as bytes come: it shows a prompt that no newline follows. `line` says whether anybody listens.
fn pass_on(mut from: impl Read, mut copy: File, line: &dyn Fn(String) -> bool) {
    let mut buffer = [0; 4096];
    let mut pending = Vec::new();
    while let Ok(count) = from.read(&mut buffer) {
        let bytes = buffer.get(..count).unwrap_or_default();
        if bytes.is_empty() {
            break;
        }
        let _ = copy.write_all(bytes);
        for &byte in bytes {
            if byte != b'\n' {
                pending.push(byte);
            } else if !line(clean(&std::mem::take(&mut pending))) {
                return;
            }
        }
    }
    if !pending.is_empty() {
        line(clean(&pending));
    }
}

/// Drops what a terminal would act on: escape sequences and control characters.
fn clean(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mut out = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\x1b' => {
                // ESC [ parameters letter; any other sequence is one more character.
                if characters.next() == Some('[') {
                    let _ = characters.by_ref().find(|end| end.is_ascii_alphabetic());
                }
            }
            '\t' => out.push(' '),
            other if other.is_control() => {}
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn lines_come_clean_and_the_log_raw() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("serial.log");
        let bytes: &[u8] = b"\x1b[0;32m  OK\x1b[0m one\r\ntwo\nprompt: ";
        let consoles = Consoles::new();
        consoles.read(1, bytes, &log).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        for line in ["  OK one", "two", "prompt: "] {
            assert_eq!(consoles.next(deadline), Seen::Line(1, line.into()));
        }
        assert_eq!(consoles.next(deadline), Seen::End(1));
        assert_eq!(std::fs::read(&log).unwrap(), bytes);
    }

    #[test]
    fn a_silent_console_is_late() {
        let folder = tempfile::tempdir().unwrap();
        let (reader, _writer) = std::io::pipe().unwrap();
        let consoles = Consoles::new();
        consoles.read(0, reader, &folder.path().join("log")).unwrap();
        assert_eq!(consoles.next(Instant::now()), Seen::Late);
    }
}
