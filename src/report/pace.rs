//! How often a wait is told.

use std::time::Duration;

use super::event::Event;

/// A wait shorter than this is not worth a word.
const SHORT: Duration = Duration::from_secs(1);
/// A wait for the same thing is told again after this.
const AGAIN: Duration = Duration::from_secs(10);

/// What was told of the wait that goes on.
#[derive(Debug, Default)]
pub struct Pace(Option<Told>);

#[derive(Debug)]
struct Told {
    step: String,
    what: String,
    since: Duration,
    last: Option<Duration>,
}

impl Pace {
    /// Whether `event`, which happened `now`, is to be told: everything is, but a wait only once it is a second old
    /// and then every ten.
    pub fn lets(&mut self, now: Duration, event: &Event) -> bool {
        let Event::Waiting { step, what, .. } = event else {
            self.0 = None;
            return true;
        };
        match &mut self.0 {
            Some(told) if told.step == *step && told.what == *what => {
                let last = told.last.map_or(told.since + SHORT, |last| last + AGAIN);
                if now < last {
                    return false;
                }
                told.last = Some(now);
                true
            }
            _ => {
                let (step, what) = ((*step).to_owned(), (*what).to_owned());
                self.0 = Some(Told { step, what, since: now, last: None });
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_told_after_a_second_and_then_every_ten() {
        let mut pace = Pace::default();
        let mut told = Vec::new();
        for tenth in 0..250u64 {
            let now = Duration::from_millis(tenth * 100);
            let event = Event::Waiting { step: "iscsi", what: "disk", left: Duration::ZERO };
            if pace.lets(now, &event) {
                told.push(now.as_millis());
            }
        }
        assert_eq!(told, [1000, 11000, 21000]);
    }
}
