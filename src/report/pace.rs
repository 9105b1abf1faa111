//! How often a wait is told.

use std::time::Duration;

use super::event::Event;

/// A wait shorter than this is not worth a word.
const SHORT: Duration = Duration::from_secs(1);
/// A wait for the same thing is told again after this.
const AGAIN: Duration = Duration::from_secs(10);
/// One for another thing is told after this: portals that take turns are not to fill a screen.
const OTHER: Duration = Duration::from_secs(2);

/// What was told of the wait that goes on.
#[derive(Debug, Default)]
pub struct Pace(Option<Told>);

#[derive(Debug)]
struct Told {
    step: String,
    what: String,
    at: Duration,
}

impl Pace {
    /// Whether `event`, which happened `now`, is to be told: everything is, but a wait only once it is a second old, then
    /// every ten, and sooner when it is for something else.
    pub fn lets(&mut self, now: Duration, event: &Event) -> bool {
        let Event::Waiting { step, what, waited, .. } = event else {
            self.0 = None;
            return true;
        };
        let next = match &self.0 {
            Some(told) if told.step == *step && told.what == *what => told.at + AGAIN,
            Some(told) if told.step == *step => told.at + OTHER,
            _ => Duration::ZERO,
        };
        if *waited < SHORT || now < next {
            return false;
        }
        self.0 = Some(Told { step: (*step).to_owned(), what: (*what).to_owned(), at: now });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When a wait that looks every tenth of a second is told, in milliseconds; `what` it is for at which time.
    fn told(what: impl Fn(u64) -> &'static str) -> Vec<u128> {
        let mut pace = Pace::default();
        let times = (0..250u64).map(|tenth| Duration::from_millis(tenth * 100));
        let wait = |now: Duration| Event::Waiting {
            step: "iscsi",
            what: what(now.as_secs()),
            waited: now,
            left: Duration::ZERO,
        };
        times.filter(|now| pace.lets(*now, &wait(*now))).map(|now| now.as_millis()).collect()
    }

    #[test]
    fn a_wait_is_told_after_a_second_and_then_every_ten() {
        assert_eq!(told(|_| "disk"), [1000, 11000, 21000]);
    }

    #[test]
    fn another_wait_is_told_soon_and_waits_that_take_turns_are_told_too() {
        assert_eq!(told(|second| if second < 4 { "portal" } else { "disk" }), [1000, 4000, 14000, 24000]);
        let turns = told(|second| if second % 2 == 0 { "a" } else { "b" });
        assert!((5..=12).contains(&turns.len()), "{turns:?}");
    }
}
