//! What follows a failure. Pure: the policy, and how often it was tried, give what comes next.

use std::fmt;
use std::time::Duration;

use super::state::Does;
use crate::input::trap::{Emergency, OnFailure, Trap};

/// The pause before the boot is tried again: the first, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(10 * 60));
/// The pause before the machine starts anew.
const REBOOT: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(15 * 60));
/// The pause before the machine is switched off or stopped: so long somebody in front may read why, and hold it.
const END: Duration = Duration::from_secs(30);

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The boot holds for a person.
    Trap,
    /// After a pause, which is to be drawn around `pause`, something is done.
    Pause {
        /// How long it is at the most.
        pause: Duration,
        /// What follows it.
        does: Does,
        /// For the how many-th time, from 1; none: nobody counts.
        number: Option<u32>,
        /// Of how many; none: without end.
        of: Option<u32>,
    },
    /// The machine ends, for nobody may have a shell on it.
    End(Emergency),
}

/// What follows the failure number `failures` (from 1) of this boot.
pub fn after_failure(trap: &Trap, failures: u32) -> Then {
    let counted = |(first, longest): (Duration, Duration), does, number: u32, of: Option<u32>| {
        if of.is_some_and(|of| number > of) {
            return person(trap);
        }
        let pause = first.saturating_mul(1 << number.saturating_sub(1).min(16)).min(longest);
        Then::Pause { pause, does, number: Some(number), of }
    };
    match (trap.on_failure, trap.attempt) {
        (OnFailure::Trap, _) => person(trap),
        (OnFailure::PowerOff, _) => Then::Pause { pause: END, does: Does::PowerOff, number: None, of: None },
        (OnFailure::Retry(of), _) => counted(RETRY, Does::Retry, failures.max(1), of),
        // Boot number 1 failed: start number 1 anew.
        (OnFailure::Reboot(of), Some(attempt)) => counted(REBOOT, Does::Reboot, attempt, of),
        // A node has no memory of its own. Of a count that nobody keeps only none at all is known to be used up.
        (OnFailure::Reboot(Some(0)), None) => person(trap),
        (OnFailure::Reboot(_), None) => {
            Then::Pause { pause: REBOOT.1, does: Does::Reboot, number: None, of: None }
        }
    }
}

/// A person is to see it; where none may, the machine ends.
fn person(trap: &Trap) -> Then {
    if trap.no_shell { Then::End(trap.emergency) } else { Then::Trap }
}

impl fmt::Display for Does {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Does::Retry => "trying again",
            Does::Reboot => "rebooting",
            Does::PowerOff => "powering off",
        })
    }
}

/// What is about to be done, for the console: `rebooting in 42 s: reboot 2 of 5`.
pub fn announce(does: Does, left: Duration, number: Option<u32>, of: Option<u32>) -> String {
    let word = match does {
        Does::Retry => "retry",
        Does::Reboot => "reboot",
        Does::PowerOff => "",
    };
    let number = match (number, of) {
        (Some(number), Some(of)) => format!(": {word} {number} of {of}"),
        (Some(number), None) => format!(": {word} {number}"),
        (None, _) => String::new(),
    };
    // Rounded up: 0 s would be now.
    format!("{does} in {} s{number}", left.as_millis().div_ceil(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn then(on_failure: OnFailure, attempt: Option<u32>, failures: u32) -> Then {
        after_failure(&Trap { on_failure, attempt, ..Trap::default() }, failures)
    }

    fn pause(seconds: u64, does: Does, number: Option<u32>, of: Option<u32>) -> Then {
        Then::Pause { pause: Duration::from_secs(seconds), does, number, of }
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let retries: Vec<Then> = (1..=8).map(|number| then(OnFailure::Retry(None), None, number)).collect();
        let seconds = [10, 20, 40, 80, 160, 320, 600, 600];
        let expected: Vec<Then> =
            (1..).zip(seconds).map(|(number, s)| pause(s, Does::Retry, Some(number), None)).collect();
        assert_eq!(retries, expected);
        let reboots: Vec<Then> =
            (1..=7).map(|attempt| then(OnFailure::Reboot(None), Some(attempt), 1)).collect();
        let seconds = [30, 60, 120, 240, 480, 900, 900];
        let expected: Vec<Then> =
            (1..).zip(seconds).map(|(number, s)| pause(s, Does::Reboot, Some(number), None)).collect();
        assert_eq!(reboots, expected);
        assert_eq!(
            then(OnFailure::Retry(None), None, u32::MAX),
            pause(600, Does::Retry, Some(u32::MAX), None)
        );
    }

    #[test]
    fn a_count_ends_in_the_trap() {
        assert_eq!(then(OnFailure::Trap, None, 1), Then::Trap);
        assert_eq!(then(OnFailure::Retry(Some(2)), None, 2), pause(20, Does::Retry, Some(2), Some(2)));
        assert_eq!(then(OnFailure::Retry(Some(2)), None, 3), Then::Trap);
        assert_eq!(then(OnFailure::Retry(Some(0)), None, 1), Then::Trap);
        assert_eq!(then(OnFailure::Reboot(Some(2)), Some(2), 1), pause(60, Does::Reboot, Some(2), Some(2)));
        assert_eq!(then(OnFailure::Reboot(Some(2)), Some(3), 1), Then::Trap);
        // A boot that is tried by hand beside it is no other boot.
        assert_eq!(then(OnFailure::Reboot(Some(2)), Some(2), 9), pause(60, Does::Reboot, Some(2), Some(2)));
    }

    #[test]
    fn where_nobody_counts_reboots_the_pause_is_the_longest() {
        for of in [None, Some(3)] {
            assert_eq!(then(OnFailure::Reboot(of), None, 1), pause(900, Does::Reboot, None, None));
        }
        assert_eq!(then(OnFailure::Reboot(Some(0)), None, 1), Then::Trap);
        assert_eq!(then(OnFailure::PowerOff, None, 1), pause(30, Does::PowerOff, None, None));
    }

    #[test]
    fn without_a_shell_the_machine_ends_where_it_would_trap() {
        let trap = |on_failure| Trap {
            on_failure,
            no_shell: true,
            emergency: Emergency::PowerOff,
            ..Trap::default()
        };
        let end = Then::End(Emergency::PowerOff);
        assert_eq!(after_failure(&trap(OnFailure::Trap), 1), end);
        assert_eq!(after_failure(&trap(OnFailure::Retry(Some(1))), 2), end);
        assert_eq!(
            after_failure(&trap(OnFailure::Retry(Some(1))), 1),
            pause(10, Does::Retry, Some(1), Some(1))
        );
    }

    #[test]
    fn what_is_about_to_be_done_is_said() {
        let ms = Duration::from_millis;
        assert_eq!(announce(Does::Retry, ms(41_001), Some(1), Some(5)), "trying again in 42 s: retry 1 of 5");
        assert_eq!(announce(Does::Reboot, ms(900_000), None, None), "rebooting in 900 s");
        assert_eq!(announce(Does::Reboot, ms(30_000), Some(7), None), "rebooting in 30 s: reboot 7");
        assert_eq!(announce(Does::PowerOff, ms(500), None, None), "powering off in 1 s");
    }
}
