//! Sends events as they happen, from a thread of its own: whatever the report server does, the boot goes on.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::record::Record;
use super::spool::Spool;
use super::timeline;
use crate::error::{Code, Error, Result};
use crate::sys::http::{Client, Failure};
use crate::sys::random;

/// One event may take so long to be sent.
pub const REQUEST_LIMIT: Duration = Duration::from_secs(3);
/// The wait after an event that could not be sent; it doubles each time.
pub const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest such wait; a server that asks for more patience does not get it.
pub const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The events of a run, on their way to the report server once it is known.
pub struct PhoneHome {
    file: PathBuf,
    /// Beside it: all events, sent or not.
    timeline: PathBuf,
    run: u32,
    hostname: Option<String>,
    shared: Arc<Shared>,
}

struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

struct Queue {
    spool: Spool,
    /// What is left is tried once more, and then no more.
    closing: bool,
    /// Nobody sends: not yet, or not any more.
    idle: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PhoneHome {
    /// Starts with what earlier runs of the boot `boot_id` left in `file`. This is run number `run`.
    pub fn open(file: PathBuf, boot_id: &str, run: u32) -> PhoneHome {
        let queue = Queue { spool: Spool::read(&file, boot_id), closing: false, idle: true };
        let shared = Arc::new(Shared { queue: Mutex::new(queue), changed: Condvar::new() });
        let timeline = file.with_file_name(timeline::NAME);
        PhoneHome { file, timeline, run, hostname: None, shared }
    }

    /// Queues `record`. Never waits.
    pub fn tell(&self, record: Record) {
        let mut queue = self.shared.lock();
        queue.spool.push(self.run, Record { hostname: self.hostname.clone(), ..record });
        if let Some(record) = queue.spool.last() {
            timeline::add(&self.timeline, record);
        }
        drop(queue);
        self.shared.changed.notify_all();
    }

    /// From now on events are posted to `url`, whose server is checked by the CAs in `ca`; those that wait come first.
    ///
    /// # Errors
    /// [`Code::TlsCa`]: there is no CA to check an `https` server by; [`Code::Report`]: there can be no thread.
    pub fn send_to(&mut self, url: &str, ca: &Path, hostname: Option<&str>) -> Result<()> {
        self.hostname = hostname.map(str::to_owned);
        if let Some(hostname) = hostname {
            self.shared.lock().spool.name(hostname);
        }
        let client = Client::new(url, REQUEST_LIMIT, ca)?;
        self.shared.lock().idle = false;
        let (shared, url) = (self.shared.clone(), url.to_owned());
        let thread = std::thread::Builder::new().name("report".into()).spawn(move || {
            send(&shared, &client, &url);
            shared.lock().idle = true;
            shared.changed.notify_all();
        });
        match thread {
            Ok(_) => Ok(()),
            Err(error) => {
                self.shared.lock().idle = true;
                Err(Error::new(Code::Report, "thread of the reports").because(error))
            }
        }
    }

    /// Ends within `limit`: what is left is tried once more, and what cannot be sent is written to the file.
    ///
    /// # Errors
    /// [`Code::Io`]: the file cannot be written.
    pub fn finish(&mut self, limit: Duration) -> Result<()> {
        let mut queue = self.shared.lock();
        queue.closing = true;
        self.shared.changed.notify_all();
        let busy = |queue: &mut Queue| !queue.spool.is_empty() && !queue.idle;
        let waited = self.shared.changed.wait_timeout_while(queue, limit, busy);
        let (queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        queue.spool.write(&self.file)
    }
}

/// The thread: sends the oldest event, again and again until the queue is closed.
fn send(shared: &Shared, client: &Client, url: &str) {
    let mut wait = FIRST_WAIT;
    let mut refused_told = false;
    loop {
        let nothing = |queue: &mut Queue| queue.spool.is_empty() && !queue.closing;
        let queue = shared.changed.wait_while(shared.lock(), nothing).unwrap_or_else(PoisonError::into_inner);
        let Some(record) = queue.spool.first().cloned() else { return };
        let last_try = queue.closing;
        drop(queue);
        let result = client.post_json(&record.json());
        let mut queue = shared.lock();
        match result {
            Ok(()) => {
                queue.spool.remove(record.seq);
                wait = FIRST_WAIT;
            }
            Err(failure) if is_refused(&failure) => {
                // It would be refused for ever, and hold up those behind it.
                queue.spool.remove(record.seq);
                if !std::mem::replace(&mut refused_told, true) {
                    log::warn!("{}", failure.into_error(url, Code::Report, Code::Report));
                }
            }
            Err(_) if last_try => return,
            Err(failure) => {
                let asked = failure.retry_after.unwrap_or_default();
                let pause = random::around(wait).max(asked).min(LONGEST_WAIT);
                let open = |queue: &mut Queue| !queue.closing;
                drop(shared.changed.wait_timeout_while(queue, pause, open));
                wait = wait.saturating_mul(2).min(LONGEST_WAIT);
                continue;
            }
        }
        drop(queue);
        shared.changed.notify_all();
    }
}

/// Whether the server will never take the event.
pub fn is_refused(failure: &Failure) -> bool {
    failure.code(Code::Report, Code::NoReport) == Code::NoReport
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::record::Kind;
    use crate::sys::http::fixture::{Answer, Server, answer, full_listener};
    use std::time::Instant;

    const BOUND: Duration = Duration::from_millis(300);

    /// Three events told to `url`, and the end. Gives the spool that is left.
    fn told(url: &str) -> Spool {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("spool.json");
        let mut home = PhoneHome::open(file.clone(), "boot", 1);
        let started = Instant::now();
        home.tell(Record::new(Kind::Run, Duration::ZERO));
        home.send_to(url, Path::new("/nonexistent"), Some("node1")).unwrap();
        home.tell(Record::new(Kind::Start, Duration::ZERO));
        home.tell(Record::new(Kind::Ready, Duration::ZERO));
        assert!(started.elapsed() < BOUND, "telling takes no time: {:?}", started.elapsed());
        home.finish(BOUND).unwrap();
        assert!(started.elapsed() < BOUND * 3, "the end has its bound: {:?}", started.elapsed());
        Spool::read(&file, "boot")
    }

    #[test]
    fn events_come_in_order_those_before_the_plan_too() {
        let server = Server::start(vec![answer("204 No Content", "")]);
        assert!(told(&server.url).is_empty());
        let events: Vec<Record> = server
            .requests()
            .iter()
            .map(|request| serde_json::from_str(request.split_once("\n\n").unwrap().1).unwrap())
            .collect();
        let numbers: Vec<_> = events.iter().map(|event| (event.seq, event.event)).collect();
        assert_eq!(numbers, [(1, Kind::Run), (2, Kind::Start), (3, Kind::Ready)]);
        assert!(
            events.iter().all(|event| event.hostname.as_deref() == Some("node1") && event.boot_id == "boot")
        );
    }

    #[test]
    fn no_server_delays_the_boot_and_nothing_is_lost() {
        let dead = "http://127.0.0.1:1/".to_owned();
        let full = full_listener();
        let endless = Answer::Endless("HTTP/1.1 200 OK\r\nx: ".into());
        let servers = [Answer::Silence, endless, Answer::Text("garbage".into()), answer("500 Broken", "")]
            .map(|answer| Server::start(vec![answer]));
        let urls = servers.iter().map(|server| server.url.clone());
        for url in urls.chain([dead, format!("http://{}/", full.0)]) {
            let left = told(&url);
            assert_eq!(left.first().map(|record| record.seq), Some(1), "{url}");
            assert!(left.holds(Kind::Ready), "{url}");
        }
    }

    #[test]
    fn a_server_that_stumbles_gets_the_event_again() {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(vec![answer("500 Broken", ""), answer("200 OK", "thanks")]);
        let mut home = PhoneHome::open(folder.path().join("spool.json"), "boot", 1);
        home.send_to(&server.url, Path::new("/nonexistent"), None).unwrap();
        home.tell(Record::new(Kind::Run, Duration::ZERO));
        let deadline = Instant::now() + Duration::from_secs(10);
        while server.requests().len() < 2 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        home.finish(BOUND).unwrap();
        assert_eq!(server.requests().len(), 2);
        assert_eq!(server.requests()[0], server.requests()[1]);
        assert!(Spool::read(&folder.path().join("spool.json"), "boot").is_empty());
    }

    #[test]
    fn an_event_that_is_refused_does_not_hold_up_the_next() {
        let server = Server::start(vec![answer("400 Bad", ""), answer("200 OK", "")]);
        assert!(told(&server.url).is_empty());
        assert_eq!(server.requests().len(), 3);
    }
}
