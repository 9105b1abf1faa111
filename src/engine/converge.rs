//! The one trait of all steps and the one loop that drives them.
//!
//! A step looks at the kernel ([`Converge::observe`]), decides without side effects ([`Converge::plan`]) and
//! acts ([`Converge::apply`]), again and again until there is nothing left to do or its time is over. So a step
//! that was interrupted anywhere goes on from there, and one that is done already does nothing.

use std::fmt::Display;
use std::time::Duration;

use super::host::Host;
use crate::error::{Class, Code, Error, Result};

/// What a step decides to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<A> {
    /// Nothing is left to do; says what is there, in a few words.
    Done(String),
    /// Act, then look again.
    Do(A),
    /// Nothing can be done until something changes; names it, as in "waiting for ...".
    Wait(String),
}

/// A step of the boot.
pub trait Converge {
    /// What there is now, as far as the step is concerned.
    type Seen;
    /// One thing to do. Its text names it, as in "could not ...".
    type Action: Display;

    /// Looks, and changes nothing.
    ///
    /// # Errors
    /// What could not be looked at; of class [`Class::Retry`] when looking again may help.
    fn observe(&self, host: &Host) -> Result<Self::Seen>;

    /// Decides. Pure: the same `seen` always gives the same answer.
    ///
    /// # Errors
    /// What was seen makes the step impossible.
    fn plan(&self, seen: &Self::Seen) -> Result<Next<Self::Action>>;

    /// What somebody must know although the step goes on. Asked at each look; what is told again and again is said once.
    fn warnings(&self, _seen: &Self::Seen) -> Vec<Error> {
        Vec::new()
    }

    /// Acts.
    ///
    /// # Errors
    /// The action failed; of class [`Class::Retry`] when it may succeed later.
    fn apply(&self, host: &Host, action: Self::Action) -> Result<()>;
}

/// A step waits: for what, and how much of its time is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// What for: "disk of LUN 1", "portal 10.0.0.1:3260: connection refused".
    pub what: String,
    /// Until the step gives up.
    pub left: Duration,
}

/// The shortest wait between two looks when nothing wakes the step up.
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// The longest.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// So many actions in one step mean that acting changes nothing.
const MOST_ACTIONS: u32 = 1000;

/// Drives `step` until it is done, which gives what it found, or for at most `limit`.
///
/// Between two looks it sleeps until the kernel tells of a change ([`Host::wait_for_change`]), or for a time
/// that doubles up to two seconds, a random part of it off. Each wait is told to `waiting`, and each warning to `host`.
///
/// # Errors
/// The step's own error, at once unless it is of class [`Class::Retry`]; else after `limit` the last such error,
/// or [`Code::Timeout`] with the name of the wait.
pub fn converge<C: Converge>(
    step: &C,
    host: &Host,
    limit: Duration,
    waiting: &mut dyn FnMut(&Waiting),
) -> Result<String> {
    let deadline = host.now().saturating_add(limit);
    let mut pause = FIRST_WAIT;
    let mut actions = 0;
    loop {
        host.changes_seen();
        let next = step.observe(host).and_then(|seen| {
            step.warnings(&seen).into_iter().for_each(|warning| host.warn(warning));
            step.plan(&seen)
        });
        let stalled = match next {
            Ok(Next::Done(what)) => return Ok(what),
            Ok(Next::Do(_)) if actions == MOST_ACTIONS => {
                return Err(Error::new(Code::NotConverging, format!("after {actions} actions")));
            }
            Ok(Next::Do(action)) => match step.apply(host, action) {
                Ok(()) => {
                    actions += 1;
                    pause = FIRST_WAIT;
                    continue;
                }
                Err(error) => Stalled::Failed(error),
            },
            Ok(Next::Wait(what)) => Stalled::Waits(what),
            Err(error) => Stalled::Failed(error),
        };
        if let Stalled::Failed(error) = &stalled
            && error.class() != Class::Retry
        {
            return stalled.give_up(limit);
        }
        let left = deadline.saturating_sub(host.now());
        if left.is_zero() {
            return stalled.give_up(limit);
        }
        waiting(&Waiting { what: stalled.what(), left });
        host.wait_for_change(host.around(pause).min(left));
        pause = pause.saturating_mul(2).min(LONGEST_WAIT);
    }
}

/// Why the loop does not go on.
enum Stalled {
    Waits(String),
    Failed(Error),
}

impl Stalled {
    fn what(&self) -> String {
        match self {
            Stalled::Waits(what) => what.clone(),
            Stalled::Failed(error) => error.to_string(),
        }
    }

    fn give_up(self, limit: Duration) -> Result<String> {
        Err(match self {
            Stalled::Failed(error) => error,
            Stalled::Waits(what) => {
                Error::new(Code::Timeout, what).because(format!("not there after {} s", limit.as_secs()))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// A lamp that needs `needs` pushes; each push fails with `failure` while `failures` last.
    struct Lamp {
        pushes: Cell<u32>,
        needs: u32,
        failures: Cell<u32>,
        failure: Code,
        waits: bool,
    }

    impl Lamp {
        fn new(needs: u32) -> Lamp {
            Lamp { pushes: Cell::new(0), needs, failures: Cell::new(0), failure: Code::Network, waits: false }
        }
    }

    impl Converge for Lamp {
        type Seen = u32;
        type Action = &'static str;

        fn observe(&self, _: &Host) -> Result<u32> {
            Ok(self.pushes.get())
        }

        fn plan(&self, seen: &u32) -> Result<Next<&'static str>> {
            Ok(match *seen {
                seen if seen >= self.needs => Next::Done("light".into()),
                _ if self.waits => Next::Wait("a hand".into()),
                _ => Next::Do("push"),
            })
        }

        fn apply(&self, _: &Host, _: &'static str) -> Result<()> {
            if self.failures.get() > 0 {
                self.failures.set(self.failures.get() - 1);
                return Err(Error::new(self.failure, "lamp"));
            }
            self.pushes.set(self.pushes.get() + 1);
            Ok(())
        }
    }

    const LIMIT: Duration = Duration::from_secs(10);

    #[test]
    fn acts_until_done_and_then_not_at_all() {
        let lamp = Lamp::new(3);
        assert_eq!(converge(&lamp, &Host::fake("/"), LIMIT, &mut |_| ()).unwrap(), "light");
        assert_eq!(lamp.pushes.get(), 3);
        assert_eq!(converge(&lamp, &Host::fake("/"), LIMIT, &mut |_| ()).unwrap(), "light");
        assert_eq!(lamp.pushes.get(), 3);
    }

    #[test]
    fn a_named_wait_ends_at_its_deadline() {
        let lamp = Lamp { waits: true, ..Lamp::new(1) };
        let host = Host::fake("/");
        let mut told = Vec::new();
        let error = converge(&lamp, &host, LIMIT, &mut |w| told.push(w.clone())).unwrap_err();
        assert_eq!(error.code(), Code::Timeout);
        assert!(error.to_string().starts_with("a hand: "), "{error}");
        assert_eq!(host.now(), LIMIT);
        assert_eq!(told.first().map(|w| w.left), Some(LIMIT));
        assert!(told.iter().all(|w| w.what == "a hand"));
    }

    #[test]
    fn retries_what_may_go_away_and_reports_it_at_the_deadline() {
        let lamp = Lamp { failures: Cell::new(3), ..Lamp::new(1) };
        assert!(converge(&lamp, &Host::fake("/"), LIMIT, &mut |_| ()).is_ok());
        let lamp = Lamp { failures: Cell::new(u32::MAX), ..Lamp::new(1) };
        let error = converge(&lamp, &Host::fake("/"), LIMIT, &mut |_| ()).unwrap_err();
        assert_eq!(error.code(), Code::Network);
    }

    #[test]
    fn fails_at_once_on_what_cannot_go_away() {
        let lamp = Lamp { failures: Cell::new(1), failure: Code::IscsiAuth, ..Lamp::new(1) };
        let host = Host::fake("/");
        assert_eq!(converge(&lamp, &host, LIMIT, &mut |_| ()).unwrap_err().code(), Code::IscsiAuth);
        assert_eq!(host.now(), Duration::ZERO);
    }

    #[test]
    fn acting_without_effect_ends() {
        let lamp = Lamp::new(u32::MAX);
        let error = converge(&lamp, &Host::fake("/"), LIMIT, &mut |_| ()).unwrap_err();
        assert_eq!(error.code(), Code::NotConverging);
    }
}
