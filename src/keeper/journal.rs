//! What the keeper keeps, who looks after it and what happened: `/run/diskless/keeper.json`, for people, scripts and
//! tests. There is no secret in it.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::owner::Owner;
use crate::engine::host::Host;
use crate::error::{Code, Context, Result};
use crate::sys::whole_file;

/// Where it is, on the node.
pub const FILE: &str = "/run/diskless/keeper.json";
/// So many events are kept, the last ones.
const MOST_EVENTS: usize = 100;

/// What the keeper is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Doing {
    /// It was not told yet what to keep.
    Idle,
    /// It keeps the sessions.
    Keeping,
    /// The node goes down: what is lost now fails instead of being waited for.
    Ending,
    /// It was told to stop acting.
    Ended,
}

/// The journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    /// Of this format: 1.
    pub version: u32,
    /// The keeper's process.
    pub pid: u32,
    /// What it is doing.
    pub doing: Doing,
    /// The portals of the plan, in its order.
    pub portals: Vec<Portal>,
    /// The map over the paths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map: Option<Map>,
    /// Its memory when it last wrote this.
    pub memory: Memory,
    /// How often it woke up.
    pub wakes: u64,
    /// What happened, the oldest first.
    pub events: Vec<Event>,
}

/// A portal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Portal {
    /// `198.18.0.1:3260`.
    pub portal: String,
    /// The kernel's number of the session; none: there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<u32>,
    /// The session's state in sysfs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Its disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<String>,
    /// Who looks after it: `keeper`, `iscsid`, `watched`, `taken-back`.
    pub owner: String,
    /// Since when, in milliseconds since boot (CLOCK_BOOTTIME).
    pub since_ms: u64,
}

/// The map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Map {
    /// What was found of it the last time it was the keeper's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// Who looks after it: `keeper`, `multipathd`, `watched`, `taken-back`.
    pub owner: String,
    /// Since when, in milliseconds since boot (CLOCK_BOOTTIME).
    pub since_ms: u64,
}

/// Memory in bytes, as /proc/self/smaps_rollup has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Its own pages: heap, stacks, changed data.
    pub anonymous: u64,
    /// All pages in memory, those of the program included.
    pub resident: u64,
    /// Of these, what can never be swapped out.
    pub locked: u64,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, in milliseconds since boot (CLOCK_BOOTTIME).
    pub at_ms: u64,
    /// What.
    pub what: String,
}

impl Default for Journal {
    /// That of a keeper that was not told anything yet.
    fn default() -> Journal {
        Journal {
            version: 1,
            pid: std::process::id(),
            doing: Doing::Idle,
            portals: Vec::new(),
            map: None,
            memory: Memory::default(),
            wakes: 0,
            events: Vec::new(),
        }
    }
}

impl Journal {
    /// Adds an event; the oldest makes room.
    pub fn note(&mut self, now: Duration, what: impl Into<String>) {
        if self.events.len() >= MOST_EVENTS {
            self.events.remove(0);
        }
        self.events.push(Event { at_ms: millis(now), what: what.into() });
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`Code::Io`]: the file cannot be written.
    pub fn write(&self, file: &Path) -> Result<()> {
        let mut text = serde_json::to_vec(self).context(Code::Io, FILE)?;
        text.push(b'\n');
        whole_file::write(file, &text, 0o644, None)
    }

    /// Reads it; none: there was no keeper.
    ///
    /// # Errors
    /// [`Code::Io`]: it is there and cannot be read.
    pub fn read(file: &Path) -> Result<Option<Journal>> {
        match std::fs::read(file) {
            Ok(text) => serde_json::from_slice(&text).context(Code::Io, FILE).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).context(Code::Io, FILE),
        }
    }

    /// `keeps 2 sessions and a map, 0.4 MiB anonymous, 2.9 MiB resident`.
    pub fn describe(&self) -> String {
        let sessions = self.portals.iter().filter(|portal| portal.sid.is_some()).count();
        let map = if self.map.is_some() { " and their map" } else { "" };
        let s = if sessions == 1 { "" } else { "s" };
        format!("keeps {sessions} session{s}{map}, {}", self.memory.describe())
    }
}

impl Memory {
    /// Of this process; zeros where the kernel does not tell (before 4.14).
    pub fn now(host: &Host) -> Memory {
        std::fs::read_to_string(host.path("/proc/self/smaps_rollup"))
            .map(|text| Memory::of(&text))
            .unwrap_or_default()
    }

    fn of(rollup: &str) -> Memory {
        let bytes = |name: &str| {
            let line = rollup.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
            kib.unwrap_or(0).saturating_mul(1024)
        };
        Memory { anonymous: bytes("Anonymous"), resident: bytes("Rss"), locked: bytes("Locked") }
    }

    fn describe(self) -> String {
        let mib = |bytes: u64| format!("{}.{} MiB", bytes >> 20, ((bytes % (1 << 20)) * 10) >> 20);
        format!("{} anonymous, {} resident", mib(self.anonymous), mib(self.resident))
    }
}

/// Milliseconds since boot.
pub fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// An owner as the journal names it; `daemon` is the one that could be.
pub fn word(owner: Owner, daemon: &str) -> String {
    match owner {
        Owner::Keeper => "keeper",
        Owner::Watched(_) => "watched",
        Owner::Daemon => daemon,
        Owner::TakenBack => "taken-back",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_events_are_kept() {
        let mut journal = Journal::default();
        for second in 0..150 {
            journal.note(Duration::from_secs(second), second.to_string());
        }
        assert_eq!(journal.events.len(), MOST_EVENTS);
        assert_eq!(journal.events.first().map(|event| event.at_ms), Some(50_000));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keeper.json");
        assert_eq!(Journal::read(&file).unwrap(), None);
        journal.write(&file).unwrap();
        assert_eq!(Journal::read(&file).unwrap(), Some(journal));
    }

    #[test]
    fn memory_as_the_kernel_tells_it() {
        let memory = Memory::of(
            "00400000-7ffc3b0c2000 ---p 00000000 00:00 0                              [rollup]
Rss:                2970 kB
Pss:                2960 kB
Anonymous:           410 kB
AnonHugePages:         0 kB
Locked:             2970 kB
",
        );
        assert_eq!(memory, Memory { anonymous: 410 << 10, resident: 2970 << 10, locked: 2970 << 10 });
        assert_eq!(memory.describe(), "0.4 MiB anonymous, 2.9 MiB resident");
        assert_eq!(Memory::of("junk\nRss: x kB\n"), Memory::default());
    }
}
