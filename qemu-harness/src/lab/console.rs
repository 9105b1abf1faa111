//! The node's serial console, line by line, with a copy in the serial log.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Instant;

use crate::error::{At, Result};

/// What the console showed.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen {
    /// A line, without its end and without control sequences.
    Line(String),
    /// The machine is gone.
    End,
    /// Nothing until the deadline.
    Late,
}

/// A console that is being read.
pub struct Console(Receiver<String>);

impl Console {
    /// Reads `from` in a thread of its own until it ends, with a copy of every byte in `log`.
    pub fn read(from: impl Read + Send + 'static, log: &Path) -> Result<Console> {
        let copy = File::create(log).at("create", log)?;
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || pass_on(from, copy, &sender));
        Ok(Console(receiver))
    }

    /// The next line, waited for until `deadline`.
    pub fn next(&self, deadline: Instant) -> Seen {
        match self.0.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => Seen::Line(line),
            Err(RecvTimeoutError::Disconnected) => Seen::End,
            Err(RecvTimeoutError::Timeout) => Seen::Late,
        }
    }
}

/// The log is written as bytes come: it shows a prompt that no newline follows.
fn pass_on(mut from: impl Read, mut copy: File, lines: &Sender<String>) {
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
            } else if lines.send(clean(&std::mem::take(&mut pending))).is_err() {
                return;
            }
        }
    }
    if !pending.is_empty() {
        let _ = lines.send(clean(&pending));
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
        let console = Console::read(bytes, &log).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        assert_eq!(console.next(deadline), Seen::Line("  OK one".into()));
        assert_eq!(console.next(deadline), Seen::Line("two".into()));
        assert_eq!(console.next(deadline), Seen::Line("prompt: ".into()));
        assert_eq!(console.next(deadline), Seen::End);
        assert_eq!(std::fs::read(&log).unwrap(), bytes);
    }

    #[test]
    fn a_silent_console_is_late() {
        let folder = tempfile::tempdir().unwrap();
        let (reader, _writer) = std::io::pipe().unwrap();
        let console = Console::read(reader, &folder.path().join("log")).unwrap();
        assert_eq!(console.next(Instant::now()), Seen::Late);
    }
}
