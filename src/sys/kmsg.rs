//! The kernel's log, a record a read (Documentation/ABI/testing/dev-kmsg).

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;

/// A record is not longer (CONSOLE_EXT_LOG_MAX, linux/printk.h); a longer one is cut.
const LONGEST: usize = 8192;
/// In a row, so many records may be lost before their turn.
const MOST_LOST: u32 = 1000;

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its level, 0 to 7: 4 is a warning.
    pub level: u8,
    /// Microseconds since boot, by the clock of the kernel's log.
    pub at_us: u64,
    /// The text. What is no plain character is written as `\x1b`.
    pub text: String,
}

impl Line {
    /// As dmesg(1) shows it.
    pub fn describe(&self) -> String {
        format!("[{:>5}.{:06}] {}", self.at_us / 1_000_000, self.at_us % 1_000_000, self.text)
    }
}

/// A record: priority, number and time in front of a semicolon, the text behind it.
pub fn parse(record: &str) -> Option<Line> {
    let (head, text) = record.split_once(';')?;
    let mut words = head.split(',');
    let priority: u32 = words.next()?.parse().ok()?;
    let at_us = words.nth(1)?.parse().ok()?;
    Some(Line { level: (priority & 7) as u8, at_us, text: text.to_owned() })
}

/// An open log, from its oldest record on.
#[derive(Debug)]
pub struct Log {
    file: File,
}

impl Log {
    /// Opens `path`, /dev/kmsg.
    ///
    /// # Errors
    /// It cannot be opened: it is for root alone.
    pub fn open(path: &Path) -> std::io::Result<Log> {
        let flags = OFlags::NONBLOCK.bits() as i32;
        Ok(Log { file: File::options().read(true).custom_flags(flags).open(path)? })
    }

    /// The lines that there are by now and were not given yet.
    pub fn lines(&mut self) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut record = vec![0; LONGEST];
        let mut lost = 0;
        loop {
            match self.file.read(&mut record) {
                Ok(0) => return lines,
                Ok(length) => {
                    lost = 0;
                    let text = String::from_utf8_lossy(record.get(..length).unwrap_or_default());
                    // What is indented says more of the line before it.
                    lines.extend(text.lines().filter(|line| !line.starts_with(' ')).filter_map(parse));
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => (),
                // Overwritten before it was read: the next read gives the oldest that is there.
                Err(error) if error.kind() == ErrorKind::BrokenPipe && lost < MOST_LOST => lost += 1,
                Err(_) => return lines,
            }
        }
    }

    /// Waits for a new record, for `at_most`.
    pub fn wait(&self, at_most: Duration) {
        let timeout = Timespec { tv_sec: at_most.as_secs() as i64, tv_nsec: at_most.subsec_nanos().into() };
        let waited = poll(&mut [PollFd::new(&self.file, PollFlags::IN)], Some(&timeout));
        // A file that is no log is always ready.
        if !matches!(waited, Ok(0) | Err(Errno::INTR)) {
            std::thread::sleep(Duration::from_millis(20).min(at_most));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_lines() {
        let text = "6,1,5140900,-;NET: Registered PF_VSOCK\n SUBSYSTEM=pci\n30,2,7000001,-;diskless: iscsi done; 1\n;\n4,x,y\n";
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let lines = Log::open(file.path()).unwrap().lines();
        let read: Vec<_> = lines.iter().map(|line| (line.level, line.text.as_str())).collect();
        assert_eq!(read, [(6, "NET: Registered PF_VSOCK"), (6, "diskless: iscsi done; 1")]);
        assert_eq!(lines[1].describe(), "[    7.000001] diskless: iscsi done; 1");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_record_or_none(text: String) {
            let _ = parse(&text);
        }
    }
}
