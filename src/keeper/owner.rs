//! Who looks after a session, or the map: the keeper, or the image's own daemon. Pure.

use std::time::Duration;

/// A daemon that runs has so long to adopt what is there: it takes one session after the other, seconds each.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Who looks after something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The keeper: there is no such daemon.
    Keeper,
    /// Nobody acts: the daemon runs, and has until then (time since boot) to adopt it; none: until there is anything
    /// that could be adopted.
    Watched(Option<Duration>),
    /// The daemon: it has adopted it.
    Daemon,
    /// The keeper: the daemon runs, and has not adopted it in time.
    TakenBack,
}

impl Owner {
    /// The keeper acts.
    pub fn is_keeper(self) -> bool {
        matches!(self, Owner::Keeper | Owner::TakenBack)
    }
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It works.
    Up,
    /// There is none: a portal without a session. The daemon may make one as the image's configuration says.
    Missing,
    /// Its connection is lost. A daemon that wants to adopt it cannot until the portal answers, which it does since
    /// then (time since boot), or does not.
    Lost(Option<Duration>),
}

/// What is known of something that a daemon may adopt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thing {
    /// The daemon runs since then (time since boot); none: it does not run.
    pub daemon: Option<Duration>,
    /// This very daemon has adopted it at some time.
    pub adopted: bool,
    /// It was taken back from this very daemon at some time.
    pub taken_back: bool,
    /// How it is.
    pub state: State,
}

/// Who looks after `thing` at `now`.
pub fn owner(thing: &Thing, now: Duration) -> Owner {
    let Some(since) = thing.daemon else {
        return Owner::Keeper;
    };
    // What is adopted stays the daemon's, lost or not, and so what a person did with the daemon's own tools stays done.
    if thing.adopted {
        return Owner::Daemon;
    }
    if thing.taken_back {
        return Owner::TakenBack;
    }
    let from = match thing.state {
        State::Up | State::Missing => Some(since),
        State::Lost(answers) => answers.map(|answers| answers.max(since)),
    };
    match from.map(|from| from.saturating_add(PATIENCE)) {
        Some(until) if now >= until => Owner::TakenBack,
        until => Owner::Watched(until),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn who_looks_after_it() {
        let up = Thing { daemon: Some(s(10)), adopted: false, taken_back: false, state: State::Up };
        let lost = |answers| Thing { state: State::Lost(answers), ..up };
        for (thing, now, expected) in [
            (Thing { daemon: None, ..up }, 20, Owner::Keeper),
            // The daemon died after it had adopted it, or after it had not.
            (Thing { daemon: None, adopted: true, ..up }, 20, Owner::Keeper),
            (Thing { daemon: None, taken_back: true, ..lost(None) }, 20, Owner::Keeper),
            (up, 10, Owner::Watched(Some(s(70)))),
            (up, 69, Owner::Watched(Some(s(70)))),
            (up, 70, Owner::TakenBack),
            (Thing { adopted: true, ..up }, 3600, Owner::Daemon),
            (Thing { adopted: true, ..lost(Some(s(11))) }, 3600, Owner::Daemon),
            (Thing { adopted: true, taken_back: true, ..up }, 3600, Owner::Daemon),
            (Thing { state: State::Missing, ..up }, 69, Owner::Watched(Some(s(70)))),
            (Thing { state: State::Missing, ..up }, 70, Owner::TakenBack),
            // Nobody can adopt what does not answer.
            (lost(None), 3600, Owner::Watched(None)),
            (lost(Some(s(5))), 69, Owner::Watched(Some(s(70)))),
            (lost(Some(s(3600))), 3601, Owner::Watched(Some(s(3660)))),
            (lost(Some(s(3600))), 3660, Owner::TakenBack),
            // Once the keeper's, it is not given up again for another loss.
            (Thing { taken_back: true, ..lost(None) }, 3600, Owner::TakenBack),
        ] {
            assert_eq!(owner(&thing, s(now)), expected, "{thing:?} at {now}");
        }
    }
}
