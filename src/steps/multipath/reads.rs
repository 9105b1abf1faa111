//! Reads of paths, each in a thread of its own: a path that does not answer blocks nobody but that thread, until the
//! kernel gives it up.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::engine::host::Host;

/// A read that takes longer counts as without an answer; when it comes later it is taken all the same.
pub const LIMIT: Duration = Duration::from_secs(5);
/// So long after a failure the next read is worth it.
const AGAIN: Duration = Duration::from_secs(2);
/// What a look waits for answers that mostly come at once. Shorter than the shortest time between two looks is of no use.
const MOMENT: Duration = Duration::from_millis(200);
/// A thread's stack: it has its buffers elsewhere.
const STACK: usize = 128 * 1024;

/// Which path: the session's id, and the disk's number. A number may come again for another disk, a session does not.
pub type Key = (u32, (u32, u32));

/// What became of a read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<T> {
    /// It is being waited for.
    Pending,
    /// It did not come within [`LIMIT`], and may still come.
    Late,
    /// It failed, and why. It is made again in a while.
    Failed(String),
    /// It came.
    Read(T),
}

/// Reads of one sort, at most one of each path at a time.
pub struct Reads<T>(RefCell<BTreeMap<Key, Slot<T>>>);

struct Slot<T> {
    /// When it was started; when it failed.
    at: Duration,
    running: Option<Receiver<Result<T, String>>>,
    answer: Answer<T>,
}

impl<T> Default for Reads<T> {
    fn default() -> Reads<T> {
        Reads(RefCell::default())
    }
}

impl<T: Clone + Send + 'static> Reads<T> {
    /// Starts `read` for `key`, unless it runs or has answered already.
    pub fn start(&self, host: &Host, key: Key, read: impl FnOnce() -> Result<T, String> + Send + 'static) {
        let now = host.now();
        let mut slots = self.0.borrow_mut();
        if let Some(slot) = slots.get(&key) {
            let is_due = matches!(slot.answer, Answer::Failed(_)) && now.saturating_sub(slot.at) >= AGAIN;
            if !is_due {
                return;
            }
        }
        let (answer, running) = mpsc::sync_channel(1);
        let started = std::thread::Builder::new().stack_size(STACK).spawn(move || {
            // Nobody may be interested any more.
            let _ = answer.send(read());
        });
        let slot = match started {
            Ok(_) => Slot { at: now, running: Some(running), answer: Answer::Pending },
            Err(error) => Slot { at: now, running: None, answer: Answer::Failed(error.to_string()) },
        };
        slots.insert(key, slot);
    }

    /// Takes the answers that are there, and waits a moment for those of reads that were started just now.
    pub fn collect(&self, host: &Host) {
        let now = host.now();
        let until = Instant::now() + MOMENT;
        for slot in self.0.borrow_mut().values_mut() {
            let Some(running) = &slot.running else {
                continue;
            };
            let is_new = now.saturating_sub(slot.at) < MOMENT;
            let wait = if is_new { until.saturating_duration_since(Instant::now()) } else { Duration::ZERO };
            let answer = match running.recv_timeout(wait) {
                Ok(Ok(read)) => Answer::Read(read),
                Ok(Err(cause)) => Answer::Failed(cause),
                Err(RecvTimeoutError::Disconnected) => Answer::Failed("the read was broken off".into()),
                Err(RecvTimeoutError::Timeout) => {
                    if now.saturating_sub(slot.at) >= LIMIT {
                        slot.answer = Answer::Late;
                    }
                    continue;
                }
            };
            if matches!(answer, Answer::Failed(_)) {
                slot.at = now;
            }
            slot.running = None;
            slot.answer = answer;
        }
    }

    /// What became of the read of `key`; none: there was none.
    pub fn answer(&self, key: Key) -> Option<Answer<T>> {
        self.0.borrow().get(&key).map(|slot| slot.answer.clone())
    }

    /// Forgets the answers of all paths but those that `keep` names. A read that runs is kept, so that no path gets more
    /// than one thread.
    pub fn retain(&self, keep: impl Fn(Key) -> bool) {
        self.0.borrow_mut().retain(|key, slot| keep(*key) || slot.running.is_some());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = (7, (8, 0));

    #[test]
    fn an_answer_is_read_once() {
        let (host, reads) = (Host::fake("/"), Reads::default());
        assert_eq!(reads.answer(KEY), None);
        for value in [1, 2] {
            reads.start(&host, KEY, move || Ok(value));
            reads.collect(&host);
            assert_eq!(reads.answer(KEY), Some(Answer::Read(1)));
        }
        reads.retain(|_| false);
        assert_eq!(reads.answer(KEY), None);
    }

    #[test]
    fn a_failure_is_tried_again_in_a_while() {
        let (host, reads) = (Host::fake("/"), Reads::<u8>::default());
        reads.start(&host, KEY, || Err("broken".into()));
        reads.collect(&host);
        reads.start(&host, KEY, || Ok(1));
        assert_eq!(reads.answer(KEY), Some(Answer::Failed("broken".into())));
        host.wait_for_change(AGAIN);
        reads.start(&host, KEY, || Ok(1));
        reads.collect(&host);
        assert_eq!(reads.answer(KEY), Some(Answer::Read(1)));
    }

    #[test]
    fn a_read_that_hangs_is_late_and_never_doubled() {
        let (host, reads) = (Host::fake("/"), Reads::default());
        let (go, wait) = mpsc::channel();
        reads.start(&host, KEY, move || wait.recv().map_err(|error| error.to_string()));
        reads.collect(&host);
        assert_eq!(reads.answer(KEY), Some(Answer::Pending));
        host.wait_for_change(LIMIT);
        reads.collect(&host);
        assert_eq!(reads.answer(KEY), Some(Answer::Late));
        // Neither forgotten nor started again while it runs.
        reads.retain(|_| false);
        reads.start(&host, KEY, || Ok(2));
        reads.collect(&host);
        assert_eq!(reads.answer(KEY), Some(Answer::Late));
        go.send(1).unwrap();
        while reads.answer(KEY) == Some(Answer::Late) {
            std::thread::yield_now();
            reads.collect(&host);
        }
        assert_eq!(reads.answer(KEY), Some(Answer::Read(1)));
    }
}
