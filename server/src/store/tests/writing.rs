//! The thread that writes, over a database that can be held up and made to refuse.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use tokio::sync::watch;

use super::*;
use crate::store::writer::Writer;

/// A database that can be held up, and that can be made to refuse.
struct Slow {
    database: Database,
    writes: Arc<AtomicUsize>,
    full: Arc<AtomicBool>,
    held: Arc<(Mutex<bool>, Condvar)>,
}

impl Write for Slow {
    fn write(&mut self, changes: &[Change]) -> Result<Vec<Outcome>> {
        let (held, free) = &*self.held;
        drop(free.wait_while(held.lock().unwrap(), |held| *held).unwrap());
        self.writes.fetch_add(1, Ordering::Relaxed);
        let pages = if self.full.load(Ordering::Relaxed) { 1 } else { 1 << 20 };
        self.database.connection.pragma_update(None, "max_page_count", pages).unwrap();
        self.database.write(changes)
    }
}

impl Keep for Slow {
    fn last(&mut self) -> Result<u64> {
        self.database.last()
    }

    fn close(self) -> Result<()> {
        self.database.close()
    }

    fn error(&self, message: &str) -> Error {
        self.database.error(message)
    }
}

struct Held {
    _folder: tempfile::TempDir,
    writer: Arc<Writer>,
    last: watch::Receiver<u64>,
    writes: Arc<AtomicUsize>,
    full: Arc<AtomicBool>,
    held: Arc<(Mutex<bool>, Condvar)>,
}

impl Held {
    fn new() -> Held {
        let (folder, database) = database();
        let (writes, full, held) = (Arc::default(), Arc::default(), Arc::default());
        let slow =
            Slow { database, writes: Arc::clone(&writes), full: Arc::clone(&full), held: Arc::clone(&held) };
        let (sender, last) = watch::channel(0);
        Held {
            _folder: folder,
            writer: Arc::new(Writer::start(slow, sender).unwrap()),
            last,
            writes,
            full,
            held,
        }
    }

    fn hold(&self, held: bool) {
        *self.held.0.lock().unwrap() = held;
        self.held.1.notify_all();
    }

    /// What becomes of `changes`, each from a caller of its own, who all came while the disk was busy.
    async fn together(&self, changes: impl IntoIterator<Item = Change>) -> Vec<Result<Vec<Outcome>>> {
        self.hold(true);
        let ask = |change| {
            let writer = Arc::clone(&self.writer);
            tokio::spawn(async move { writer.write(vec![change]).await })
        };
        let asked: Vec<_> = changes.into_iter().map(ask).collect();
        // All of them run up to their wait: there is one thread here.
        tokio::task::yield_now().await;
        self.hold(false);
        let mut answers = Vec::new();
        for asked in asked {
            answers.push(asked.await.unwrap());
        }
        answers
    }
}

#[tokio::test]
async fn many_callers_share_a_transaction() {
    let held = Held::new();
    let answers = held.together((1..=500).map(|seq| heard("n1", seq, event("a", seq)))).await;
    let ids: Vec<_> = answers.into_iter().map(|answer| answer.unwrap()[0]).collect();
    assert_eq!(ids, (1..=500).map(Outcome::New).collect::<Vec<_>>(), "each gets its own answer");
    assert_eq!(*held.last.borrow(), 500);
    // What the thread took before it was held up, and the rest.
    let writes = held.writes.load(Ordering::Relaxed);
    assert!(writes <= 3, "{writes} transactions");
}

#[tokio::test]
async fn one_bad_request_does_not_refuse_the_others() {
    let held = Held::new();
    let seqs = [1, 2, u64::MAX, 3, 4];
    let answers = held.together(seqs.map(|seq| heard("n1", 1, event("a", seq)))).await;
    let good: Vec<bool> = answers.iter().map(Result::is_ok).collect();
    assert_eq!(good, [true, true, false, true, true]);
    assert_eq!(*held.last.borrow(), 4);
}

#[tokio::test]
async fn a_full_disk_refuses_and_then_it_goes_on() {
    let held = Held::new();
    held.full.store(true, Ordering::Relaxed);
    let long = |seq| {
        let call = event("a", seq);
        let Call::Event(record) = call else { unreachable!() };
        heard("n1", 1, Call::Event(Box::new(Record { detail: Some("x".repeat(50_000)), ..*record })))
    };
    for answer in held.together([long(1), long(2)]).await {
        let error = answer.unwrap_err().to_string();
        assert!(error.contains("full"), "{error}");
    }
    held.full.store(false, Ordering::Relaxed);
    for answer in held.together([long(1), long(2)]).await {
        answer.unwrap();
    }
}

#[tokio::test]
async fn a_database_that_may_not_be_written_refuses_and_is_still_read() {
    let (folder, mut database) = database();
    database.write(&[heard("n1", 1, ipxe("boot"))]).unwrap();
    database.connection.pragma_update(None, "query_only", true).unwrap();
    let store = Store::of(database).unwrap();
    let error = store.write(vec![heard("n1", 2, Call::Kernel)]).await.unwrap_err().to_string();
    assert!(error.contains("readonly") && error.contains(folder.path().to_str().unwrap()), "{error}");
    assert_eq!(store.nodes(None).await.unwrap().len(), 1);
    store.close().await.unwrap();
}

#[tokio::test]
async fn another_server_that_hangs_in_a_transaction_is_not_waited_for_without_end() {
    let (folder, database) = database();
    database.connection.busy_timeout(std::time::Duration::from_millis(20)).unwrap();
    let store = Store::of(database).unwrap();
    let other = rusqlite::Connection::open(folder.path().join("db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = store.write(vec![heard("n1", 1, Call::Kernel)]).await.unwrap_err().to_string();
    assert!(error.contains("locked"), "{error}");
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(store.write(vec![heard("n1", 1, Call::Kernel)]).await.unwrap(), [Outcome::New(1)]);
}

#[tokio::test]
async fn what_waits_when_it_closes_is_written() {
    let held = Held::new();
    held.hold(true);
    let ask = |seq| {
        let writer = Arc::clone(&held.writer);
        tokio::spawn(async move { writer.write(vec![heard("n1", 1, event("a", seq))]).await })
    };
    let asked: Vec<_> = (1..=50).map(ask).collect();
    tokio::task::yield_now().await;
    let writer = Arc::clone(&held.writer);
    let closing = tokio::spawn(async move { writer.close().await });
    tokio::task::yield_now().await;
    held.hold(false);
    for asked in asked {
        asked.await.unwrap().unwrap();
    }
    closing.await.unwrap().unwrap();
    assert!(matches!(held.writer.write(vec![heard("n1", 1, Call::Kernel)]).await, Err(Error::Closed)));
}
