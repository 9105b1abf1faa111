//! What is under way at the portals: one thing at most at each, in a thread of its own, so that a portal that is silent
//! holds up nobody. What came of it is collected; what is under way when all this is dropped is called off.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use super::session;
use crate::engine::host::Host;
use crate::error::{Class, Code, Error, Result};
use crate::input::document::TargetPortal;
use crate::sys::flag::Flag;

/// The wait after the first failure, the random part of it off ([`Host::around`]). It doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// After what somebody has to repair, for those who try again all the same.
const PAUSE_FOR_PEOPLE: Duration = Duration::from_secs(60);
/// So long a drop waits for what it has called off.
const END_LIMIT: Duration = Duration::from_secs(1);

/// Where something is under way: at the portal of this number; none: at those that are asked where the target is.
pub type Place = Option<usize>;

/// What is done at a portal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// It is asked where the target is.
    Discover,
    /// A session is made.
    LogIn,
    /// A session gets a new connection.
    LogInAgain(u32),
    /// The kernel looks for the LUN in this session.
    Scan(u32),
    /// The first sectors of the disk of this session are read.
    Read(u32),
    /// A session that is of no use is taken away.
    Drop(u32),
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Work::Discover => "discovery",
            Work::LogIn => "login",
            Work::LogInAgain(_) => "login after the connection was lost",
            Work::Scan(_) => "look for the LUN",
            Work::Read(_) => "read of the first sectors",
            Work::Drop(_) => "end of a session that is of no use",
        })
    }
}

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub enum News {
    /// It is done.
    Done,
    /// The target is there.
    Found(Vec<TargetPortal>),
}

/// What was done at a portal so far.
#[derive(Debug, Clone, Default)]
pub struct Tries {
    /// What is under way, and since when.
    pub running: Option<(Work, Duration)>,
    /// How often a login or discovery was begun since the path was up last.
    pub count: u32,
    /// What the last thing done came to, if it failed.
    pub error: Option<Error>,
    /// Not before then again.
    pub not_before: Duration,
    /// The last scan for the LUN: in which session, and when.
    pub scanned: Option<(u32, Duration)>,
    /// The session whose disk was read.
    pub read: Option<u32>,
}

impl Tries {
    /// Somebody has to change something first.
    pub fn is_hopeless(&self) -> bool {
        self.error.as_ref().is_some_and(|error| error.class() != Class::Retry)
    }
}

type Told = (Place, Result<News>);

/// All that is under way.
pub struct Attempts {
    cancel: Flag,
    tell: Sender<Told>,
    told: Receiver<Told>,
    tries: BTreeMap<Place, Tries>,
    /// Takes sessions away that a thread is stuck with; a field for tests.
    discard: fn(&Host, u32) -> Result<()>,
    host: Host,
}

impl Attempts {
    pub fn new(host: &Host) -> Attempts {
        let (tell, told) = channel();
        Attempts {
            cancel: Flag::default(),
            tell,
            told,
            tries: BTreeMap::new(),
            discard: session::discard,
            host: host.alike(),
        }
    }

    pub fn at(&self, place: Place) -> Tries {
        self.tries.get(&place).cloned().unwrap_or_default()
    }

    /// The path is up: what failed before does not count any more.
    pub fn forgive(&mut self, place: Place) {
        let tries = self.tries.entry(place).or_default();
        tries.count = 0;
        tries.error = None;
        tries.not_before = Duration::ZERO;
    }

    /// Starts something, unless something is under way there already. `work` looks at the flag in every wait.
    pub fn start(
        &mut self,
        host: &Host,
        place: Place,
        work: Work,
        run: impl FnOnce(&Host, &Flag) -> Result<News> + Send + 'static,
    ) {
        let tries = self.tries.entry(place).or_default();
        if tries.running.is_some() {
            return;
        }
        tries.running = Some((work, host.now()));
        match work {
            Work::LogIn | Work::LogInAgain(_) | Work::Discover => {
                tries.count = tries.count.saturating_add(1);
                // For a session, too, that is lost as soon as it is made.
                tries.not_before = host.now().saturating_add(host.around(pause(tries.count, false)));
            }
            Work::Scan(sid) => tries.scanned = Some((sid, host.now())),
            Work::Read(_) | Work::Drop(_) => (),
        }
        let (of_thread, cancel, tell) = (host.alike(), self.cancel.clone(), self.tell.clone());
        let thread = move || {
            // Nobody may listen any more.
            let _ = tell.send((place, run(&of_thread, &cancel)));
            of_thread.tell_news();
        };
        if let Err(error) = std::thread::Builder::new().name(format!("{work}")).spawn(thread) {
            let error = Error::new(Code::Io, "a thread for a portal").because(error);
            let _ = self.tell.send((place, Err(error)));
        }
    }

    /// Takes note of what has ended; gives the places of portals that were found.
    pub fn collect(&mut self, host: &Host) -> Vec<TargetPortal> {
        let mut found = Vec::new();
        while let Ok((place, result)) = self.told.try_recv() {
            let tries = self.tries.entry(place).or_default();
            let work = tries.running.take().map(|(work, _)| work);
            match result {
                Ok(news) => {
                    tries.error = None;
                    if let Some(Work::Read(sid)) = work {
                        tries.read = Some(sid);
                    }
                    if let News::Found(portals) = news {
                        found.extend(portals);
                    }
                }
                Err(error) => {
                    // What the kernel refuses it may take a moment later.
                    let pause = host.around(pause(tries.count, error.class() == Class::Config));
                    tries.error = Some(error);
                    tries.not_before = host.now().saturating_add(pause);
                }
            }
        }
        found
    }

    #[cfg(test)]
    pub fn is_idle(&self) -> bool {
        self.tries.values().all(|tries| tries.running.is_none())
    }
}

/// After so many attempts.
fn pause(count: u32, for_people: bool) -> Duration {
    if for_people {
        return PAUSE_FOR_PEOPLE;
    }
    FIRST_PAUSE.saturating_mul(1 << count.saturating_sub(1).min(16)).min(LONGEST_PAUSE)
}

impl Drop for Attempts {
    fn drop(&mut self) {
        self.cancel.raise();
        let until = Instant::now() + END_LIMIT;
        while self.tries.values().any(|tries| tries.running.is_some()) {
            let Ok((place, _)) = self.told.recv_timeout(until.saturating_duration_since(Instant::now()))
            else {
                break;
            };
            self.tries.entry(place).or_default().running = None;
        }
        for tries in self.tries.values() {
            // The kernel waits for the target, and this process could not end before it does. No path was up there.
            if let Some((Work::Scan(sid) | Work::Read(sid), _)) = tries.running {
                let _ = (self.discard)(&self.host, sid);
            }
        }
    }
}

#[cfg(test)]
#[path = "attempts_tests.rs"]
mod tests;
