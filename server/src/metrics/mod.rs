//! COUNT: what this server did since it started, for Prometheus.
//!
//! Written by hand: of the two crates there are, one writes OpenMetrics only and one brings protobuf, and what is needed
//! are a few atomic numbers and a page of text. [`FAMILIES`] names all there is; `docs/metrics.md` is made of it.
//!
//! Nothing here is state that a second server would need: each server counts its own, and Prometheus adds them up.
//! No label is a node: four thousand of them, in every state, would be more than all the rest of a site's series.

mod number;
mod text;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use number::{ByWord, Counter, Gauge, Histogram, InUse};
pub use text::{CONTENT_TYPE, FAMILIES, Family, Kind, exposition};

use crate::state::State;
use crate::store::{Call, Change, Outcome};
use crate::time::Time;

/// How many nodes are in each state; a state that is absent has none.
pub type Nodes = BTreeMap<State, u64>;

/// All numbers that are counted; the nodes are looked up when somebody asks.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Requests that were answered.
    pub requests: Requests,
    /// Boot scripts given, by [`crate::ipxe::Answer::given`].
    pub scripts: Scripts,
    /// What was written; the store counts it, for all that was heard goes through it.
    pub writes: Arc<Writes>,
    /// Reloads of the site's file.
    pub reloads: Reloads,
    /// What webhooks were told.
    pub deliveries: Deliveries,
    /// Connections, open and ever.
    pub connections: Connections,
}

impl Metrics {
    /// With what the store counts.
    pub fn counting(writes: Arc<Writes>) -> Metrics {
        Metrics { writes, ..Metrics::default() }
    }
}

/// Boot scripts.
#[derive(Debug)]
pub struct Scripts(ByWord);

impl Default for Scripts {
    fn default() -> Scripts {
        Scripts(ByWord::new(&["boot", "trap", "rescue", "local", "ask", "unknown", "error"]))
    }
}

impl Scripts {
    /// One was given.
    pub fn given(&self, word: &str) {
        self.0.add(word);
    }
}

/// What the store wrote.
#[derive(Debug)]
pub struct Writes {
    new: ByWord,
    known: ByWord,
    changes: Histogram,
    seconds: Histogram,
}

const CALLS: &[&str] = &["ipxe", "kernel", "event", "up", "cloudinit"];

impl Default for Writes {
    fn default() -> Writes {
        Writes {
            new: ByWord::new(CALLS),
            known: ByWord::new(CALLS),
            changes: Histogram::plain(&[1, 2, 4, 8, 16, 32, 64, 128, 256, 512]),
            seconds: Histogram::durations(),
        }
    }
}

impl Writes {
    /// One transaction with so many changes is on the disk; it took `time`.
    pub fn committed(&self, changes: usize, time: Duration) {
        self.changes.observe(u64::try_from(changes).unwrap_or(u64::MAX));
        self.seconds.observe_time(time);
    }

    /// This is what became of a change.
    pub fn made(&self, change: &Change, outcome: Outcome) {
        let Change::Heard { call, .. } = change else { return };
        let word = match call {
            Call::Ipxe { .. } => "ipxe",
            Call::Kernel => "kernel",
            Call::Event(_) => "event",
            Call::Up(_) => "up",
            Call::Cloudinit(_) => "cloudinit",
        };
        match outcome {
            Outcome::New(_) => self.new.add(word),
            Outcome::Known => self.known.add(word),
        }
    }
}

/// Reloads of the site's file.
#[derive(Debug)]
pub struct Reloads {
    results: ByWord,
    taken_at: Gauge,
}

impl Default for Reloads {
    fn default() -> Reloads {
        Reloads { results: ByWord::new(&["taken", "refused"]), taken_at: Gauge::default() }
    }
}

impl Reloads {
    /// The file was read and is in use since `at`; the first time, at the start, is no reload.
    pub fn started(&self, at: Time) {
        self.taken_at.set(at.0 / 1000);
    }

    /// The file was read again and is in use since `at`.
    pub fn taken(&self, at: Time) {
        self.results.add("taken");
        self.started(at);
    }

    /// It was read again, and the one before is still in use.
    pub fn refused(&self) {
        self.results.add("refused");
    }
}

/// What webhooks were told, by their names in the site's file.
#[derive(Debug, Default)]
pub struct Deliveries(Mutex<BTreeMap<String, Delivered>>);

#[derive(Debug, Default, Clone, Copy)]
struct Delivered {
    done: u64,
    failed: u64,
}

impl Deliveries {
    /// It took it.
    pub fn done(&self, webhook: &str) {
        self.count(webhook, |counts| counts.done += 1);
    }

    /// It did not, this time.
    pub fn failed(&self, webhook: &str) {
        self.count(webhook, |counts| counts.failed += 1);
    }

    fn count(&self, webhook: &str, add: impl FnOnce(&mut Delivered)) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get_mut(webhook) {
            Some(counts) => add(counts),
            None => add(all.entry(webhook.to_owned()).or_default()),
        }
    }
}

/// Connections.
#[derive(Debug, Default)]
pub struct Connections {
    /// Open now.
    open: Gauge,
    /// Ever taken.
    taken: Counter,
    /// Closed at once, for there were too many.
    refused: Counter,
}

impl Connections {
    /// One is open, until what this gives is dropped.
    pub fn opened(&self) -> InUse {
        self.taken.add(1);
        self.open.hold()
    }

    /// One was closed at once: there are too many.
    pub fn refused(&self) {
        self.refused.add(1);
    }
}

/// Requests, by what answered them.
///
/// The labels are the server's own words, never the client's: the pattern of the route instead of the path, and one
/// word for all methods that HTTP does not know, or a stranger could make as many series as he likes.
#[derive(Debug, Default)]
pub struct Requests(Mutex<BTreeMap<String, Route>>);

#[derive(Debug)]
struct Route {
    codes: BTreeMap<(&'static str, u16), u64>,
    seconds: Histogram,
}

impl Requests {
    /// One was answered: its method, the pattern of its route (none: no route), the status, and the time until the
    /// answer began.
    pub fn answered(&self, method: &str, route: Option<&str>, status: u16, time: Duration) {
        let method = match method {
            "GET" => "GET",
            "HEAD" => "HEAD",
            "POST" => "POST",
            "PUT" => "PUT",
            "DELETE" => "DELETE",
            _ => "other",
        };
        let route = route.unwrap_or("none");
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.contains_key(route) {
            all.insert(route.to_owned(), Route { codes: BTreeMap::new(), seconds: Histogram::durations() });
        }
        if let Some(route) = all.get_mut(route) {
            *route.codes.entry((method, status)).or_default() += 1;
            route.seconds.observe_time(time);
        }
    }
}
