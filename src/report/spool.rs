//! Events that wait to be sent: a queue with a bound, and its file. It is what lives on when a run ends before its
//! events are delivered.

use std::collections::VecDeque;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::record::{Kind, Record};
use crate::engine::host::Host;
use crate::engine::lock::{self, Lock};
use crate::error::{Code, Context, Result};
use crate::sys::whole_file;

/// Where it is, on the node.
pub const FILE: &str = "/run/diskless/spool.json";
/// Held by whoever of the booted system sends what is in it.
const LOCK: &str = "/run/diskless/spool.lock";
/// No more events are kept.
const MOST: usize = 256;

/// The right to read the queue and to write it back, of the booted system's processes.
///
/// # Errors
/// [`Code::Locked`]: another has it; [`Code::Io`].
pub fn lock(host: &Host) -> Result<Lock> {
    lock::take(&host.path(LOCK))
}

/// The events of one boot that are not delivered yet, oldest first.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spool {
    /// The boot they are of.
    pub boot_id: String,
    /// The number of the last event.
    last: u64,
    records: VecDeque<Record>,
}

impl Spool {
    /// The queue of the boot `boot_id` in `file`; a new one if there is none, or one of another boot, or one that cannot
    /// be read: no boot fails for its reports.
    pub fn read(file: &Path, boot_id: &str) -> Spool {
        let spool = std::fs::read(file).ok().and_then(|text| serde_json::from_slice::<Spool>(&text).ok());
        let spool = spool.filter(|spool| spool.boot_id == boot_id);
        spool.unwrap_or_else(|| Spool { boot_id: boot_id.to_owned(), ..Spool::default() })
    }

    /// Writes it to `file`, for root alone.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, file: &Path) -> Result<()> {
        let text = serde_json::to_vec(self).context(Code::Io, file.display().to_string())?;
        whole_file::write(file, &text, 0o600, None)
    }

    /// Adds `record` of the run `run`, with the next number. If the queue is full another one goes: the oldest wait, or
    /// else the oldest that is no failure, or else the oldest.
    pub fn push(&mut self, run: u32, record: Record) {
        self.last = self.last.saturating_add(1);
        self.records.push_back(Record { boot_id: self.boot_id.clone(), run, seq: self.last, ..record });
        if self.records.len() > MOST {
            let oldest = |least: fn(&Record) -> bool| self.records.iter().position(least);
            let waiting = oldest(|record| record.event == Kind::Waiting);
            let goes = waiting.or_else(|| oldest(|record| record.event != Kind::Failed)).unwrap_or(0);
            self.records.remove(goes);
        }
    }

    /// The oldest.
    pub fn first(&self) -> Option<&Record> {
        self.records.front()
    }

    /// The newest.
    pub fn last(&self) -> Option<&Record> {
        self.records.back()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Whether an event of this kind waits.
    pub fn holds(&self, kind: Kind) -> bool {
        self.records.iter().any(|record| record.event == kind)
    }

    /// The event with the number `seq` need not be sent any more.
    pub fn remove(&mut self, seq: u64) {
        self.records.retain(|record| record.seq != seq);
    }

    /// Gives those without a name the node's.
    pub fn name(&mut self, hostname: &str) {
        for record in &mut self.records {
            record.hostname.get_or_insert_with(|| hostname.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;
    use std::time::Duration;

    fn record(event: Kind) -> Record {
        Record::new(event, Duration::ZERO)
    }

    #[test]
    fn a_full_queue_gives_up_waits_first_and_failures_last() {
        let mut spool = Spool::default();
        for kind in [Kind::Failed, Kind::Done, Kind::Waiting] {
            spool.push(1, record(kind));
        }
        for _ in 3..MOST {
            spool.push(1, record(Kind::Failed));
        }
        for gone in [Kind::Waiting, Kind::Done] {
            assert!(spool.holds(gone));
            spool.push(1, record(Kind::Failed));
            assert!(!spool.holds(gone), "{gone:?}");
        }
        assert_eq!(spool.first().unwrap().seq, 1);
        spool.push(1, record(Kind::Failed));
        assert_eq!(spool.first().unwrap().seq, 4);
        assert_eq!(spool.records.len(), MOST);
    }

    #[test]
    fn numbers_go_on_in_the_next_run_of_the_same_boot() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("diskless/spool.json");
        let mut spool = Spool::read(&file, "boot");
        spool.push(1, record(Kind::Run));
        spool.push(1, record(Kind::Failed));
        spool.remove(1);
        spool.write(&file).unwrap();
        assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);
        let mut again = Spool::read(&file, "boot");
        assert_eq!(again, spool);
        again.push(2, record(Kind::Run));
        let numbers: Vec<_> = again.records.iter().map(|record| (record.run, record.seq)).collect();
        assert_eq!(numbers, [(1, 2), (2, 3)]);
        assert!(Spool::read(&file, "other").is_empty());
        std::fs::write(&file, "{").unwrap();
        assert!(Spool::read(&file, "boot").is_empty());
    }
}
