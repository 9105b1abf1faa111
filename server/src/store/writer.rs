//! The thread that writes: one transaction of what many callers brought, so that they share the wait for the disk.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use super::{Change, Outcome, Write};
use crate::error::{Error, Result};

/// So many changes may wait for the writer; whoever brings more waits until there is room.
const ROOM: u32 = 4096;
/// No more changes are put into one transaction.
const TOGETHER: usize = 512;
/// How often it looks what another server has written.
const LOOK: Duration = Duration::from_secs(1);
/// How long the requests of a refused transaction are tried one by one.
const ONE_BY_ONE: Duration = Duration::from_secs(5);

/// Where changes become durable; what the thread does with it beside writing.
pub(super) trait Keep: Write + Send + 'static {
    /// The last id that was given out, by any server.
    fn last(&mut self) -> Result<u64>;
    /// Closes it in order.
    fn close(self) -> Result<()>;
    /// An error of it.
    fn error(&self, message: &str) -> Error;
}

/// The way to the thread.
#[derive(Debug)]
pub(super) struct Writer {
    requests: Sender<Request>,
    room: Arc<Semaphore>,
}

/// What is asked of the thread. Whoever asks gets no answer if the thread has ended, and knows by that.
#[derive(Debug)]
enum Request {
    Write(Asked),
    Close(oneshot::Sender<Result<()>>),
}

#[derive(Debug)]
struct Asked {
    changes: Vec<Change>,
    answer: oneshot::Sender<Result<Vec<Outcome>>>,
    /// Given back with the answer.
    _room: OwnedSemaphorePermit,
}

impl Writer {
    /// Starts the thread; it tells `last` of every change.
    pub(super) fn start(keep: impl Keep, last: watch::Sender<u64>) -> Result<Writer> {
        let (requests, receiver) = channel();
        let thread = thread::Builder::new().name("store".to_owned());
        let started = thread.spawn(move || run(keep, &receiver, &last));
        started.map_err(|source| Error::Io { what: "the thread of the database".to_owned(), source })?;
        Ok(Writer { requests, room: Arc::new(Semaphore::new(ROOM as usize)) })
    }

    pub(super) async fn write(&self, changes: Vec<Change>) -> Result<Vec<Outcome>> {
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        let places = u32::try_from(changes.len()).unwrap_or(ROOM).min(ROOM);
        let room = Arc::clone(&self.room).acquire_many_owned(places).await.map_err(|_| Error::Closed)?;
        let (answer, answered) = oneshot::channel();
        self.ask(Request::Write(Asked { changes, answer, _room: room }))?;
        answered.await.unwrap_or(Err(Error::Closed))
    }

    /// Writes what is under way, and ends the thread; nothing is taken from now on.
    pub(super) async fn close(&self) -> Result<()> {
        self.room.close();
        let (answer, answered) = oneshot::channel();
        // Whoever closes a second time finds no thread, and that is as it should be.
        match self.ask(Request::Close(answer)) {
            Ok(()) => answered.await.unwrap_or(Ok(())),
            Err(_) => Ok(()),
        }
    }

    fn ask(&self, request: Request) -> Result<()> {
        self.requests.send(request).map_err(|_| Error::Closed)
    }
}

fn run(mut keep: impl Keep, requests: &Receiver<Request>, last: &watch::Sender<u64>) {
    let mut close = None;
    while close.is_none() {
        let mut batch = Vec::new();
        let mut changes = 0;
        let mut next = requests.recv_timeout(LOOK);
        loop {
            match next {
                Ok(Request::Write(asked)) => {
                    changes += asked.changes.len();
                    batch.push(asked);
                }
                Ok(Request::Close(answer)) => {
                    close = Some(answer);
                    break;
                }
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) if batch.is_empty() => return ended(keep.close()),
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if changes >= TOGETHER {
                break;
            }
            next = requests.recv_timeout(Duration::ZERO);
        }
        if !batch.is_empty() {
            commit(&mut keep, batch, last);
        } else if last.receiver_count() > 0 {
            match keep.last() {
                Ok(id) => tell(last, id),
                Err(error) => log::warn!("{error}"),
            }
        }
    }
    let closed = keep.close();
    if let Some(answer) = close {
        // Whoever closes may have gone meanwhile.
        let _ = answer.send(closed);
    }
}

/// Nobody is left who could be told.
fn ended(closed: Result<()>) {
    if let Err(error) = closed {
        log::warn!("{error}");
    }
}

/// Makes one transaction of `batch`. If it is refused, one request may be at fault: then each is tried alone.
fn commit(keep: &mut impl Keep, mut batch: Vec<Asked>, last: &watch::Sender<u64>) {
    let lengths: Vec<usize> = batch.iter().map(|asked| asked.changes.len()).collect();
    let changes: Vec<Change> =
        batch.iter_mut().flat_map(|asked| std::mem::take(&mut asked.changes)).collect();
    match keep.write(&changes) {
        Ok(outcomes) => {
            tell(last, newest(&outcomes));
            let mut outcomes = outcomes.into_iter();
            for (asked, length) in batch.into_iter().zip(lengths) {
                asked.answer(Ok(outcomes.by_ref().take(length).collect()));
            }
        }
        Err(error) => match <[Asked; 1]>::try_from(batch) {
            Ok([alone]) => alone.answer(Err(error)),
            Err(batch) => one_by_one(keep, batch, &lengths, &changes, last),
        },
    }
}

fn one_by_one(
    keep: &mut impl Keep,
    batch: Vec<Asked>,
    lengths: &[usize],
    mut changes: &[Change],
    last: &watch::Sender<u64>,
) {
    // The database itself may be what refuses, each time after a long wait.
    let until = Instant::now() + ONE_BY_ONE;
    for (asked, length) in batch.into_iter().zip(lengths) {
        let Some((its, others)) = changes.split_at_checked(*length) else { return };
        changes = others;
        let outcomes = if Instant::now() < until {
            keep.write(its)
        } else {
            Err(keep.error("not tried: it refuses other changes, and takes its time"))
        };
        if let Ok(outcomes) = &outcomes {
            tell(last, newest(outcomes));
        }
        asked.answer(outcomes);
    }
}

impl Asked {
    fn answer(self, outcomes: Result<Vec<Outcome>>) {
        // Who asked may have gone: what is written is written.
        let _ = self.answer.send(outcomes);
    }
}

fn newest(outcomes: &[Outcome]) -> u64 {
    let id = |outcome: &Outcome| match outcome {
        Outcome::New(id) => *id,
        Outcome::Known => 0,
    };
    outcomes.iter().map(id).max().unwrap_or_default()
}

fn tell(last: &watch::Sender<u64>, id: u64) {
    last.send_if_modified(|last| {
        let later = id > *last;
        *last = id.max(*last);
        later
    });
}
