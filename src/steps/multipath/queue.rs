//! Whether reads and writes wait while the map has no path, and for how long.

use std::time::Duration;

use crate::input::document::Queueing;

/// Before the pivot they wait no longer than this: a person should see what is missing.
pub const BOOT_LIMIT: Duration = Duration::from_secs(60);
/// At the node's end nobody needs the answer any more.
pub const END_LIMIT: Duration = Duration::from_secs(5);

/// Where in its life the node is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Phase {
    /// In the initramfs.
    #[default]
    Boot,
    /// The image runs.
    Up,
    /// The node goes down.
    Ending,
}

/// What the decision needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Situation {
    /// Since when no path is active; none: one is.
    pub none_for: Option<Duration>,
    /// What the plan says.
    pub queueing: Queueing,
    /// Where in its life the node is.
    pub phase: Phase,
    /// They wait now.
    pub queues: bool,
}

/// What to tell the map; none: nothing. `true`: they are to wait, `queue_if_no_path`; `false`: they are to fail,
/// `fail_if_no_path`.
pub fn decide(situation: &Situation) -> Option<bool> {
    let wanted = match (limit(situation), situation.none_for) {
        (Some(limit), Some(none_for)) => none_for < limit,
        (Some(limit), None) => !limit.is_zero(),
        (None, _) => true,
    };
    // Once they fail they go on failing until there is a path again: whoever saw an error has drawn his conclusions.
    let wanted = wanted && (situation.queues || situation.none_for.is_none());
    (wanted != situation.queues).then_some(wanted)
}

/// How long the decision holds if nothing else changes; none: for ever.
pub fn holds_for(situation: &Situation) -> Option<Duration> {
    match (limit(situation), situation.none_for) {
        (Some(limit), Some(none_for)) if situation.queues => Some(limit.saturating_sub(none_for)),
        _ => None,
    }
}

/// How long they may wait; none: for ever.
fn limit(situation: &Situation) -> Option<Duration> {
    let of_plan = match situation.queueing {
        Queueing::Fail => Some(Duration::ZERO),
        Queueing::For(limit) => Some(limit),
        Queueing::Forever => None,
    };
    let most = match situation.phase {
        Phase::Boot => BOOT_LIMIT,
        Phase::Up => return of_plan,
        Phase::Ending => END_LIMIT,
    };
    Some(of_plan.map_or(most, |limit| limit.min(most)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_wait_as_long_as_the_plan_and_the_phase_allow() {
        let minute = Queueing::For(Duration::from_secs(60));
        for (none_for, queueing, phase, queues, expected) in [
            // All is well.
            (None, Queueing::Forever, Phase::Boot, true, None),
            (None, minute, Phase::Up, false, Some(true)),
            (None, Queueing::Fail, Phase::Up, true, Some(false)),
            (None, Queueing::Fail, Phase::Up, false, None),
            (None, Queueing::Forever, Phase::Ending, true, None),
            // No path.
            (Some(59), minute, Phase::Up, true, None),
            (Some(60), minute, Phase::Up, true, Some(false)),
            (Some(1), minute, Phase::Up, false, None),
            (Some(1), Queueing::Fail, Phase::Up, true, Some(false)),
            (Some(9999), Queueing::Forever, Phase::Up, true, None),
            (Some(9999), Queueing::Forever, Phase::Up, false, None),
            // It is bounded before the pivot and at the end, whatever the plan says.
            (Some(59), Queueing::Forever, Phase::Boot, true, None),
            (Some(60), Queueing::Forever, Phase::Boot, true, Some(false)),
            (Some(4), Queueing::Forever, Phase::Ending, true, None),
            (Some(5), Queueing::Forever, Phase::Ending, true, Some(false)),
        ] {
            let none_for = none_for.map(Duration::from_secs);
            let situation = Situation { none_for, queueing, phase, queues };
            assert_eq!(decide(&situation), expected, "{situation:?}");
            // Acting on it settles it.
            let after = Situation { queues: expected.unwrap_or(queues), ..situation };
            assert_eq!(decide(&after), None, "{after:?}");
        }
    }

    #[test]
    fn somebody_has_to_look_again_when_the_time_is_over() {
        let situation = Situation {
            none_for: Some(Duration::from_secs(2)),
            queueing: Queueing::Forever,
            phase: Phase::Ending,
            queues: true,
        };
        assert_eq!(holds_for(&situation), Some(Duration::from_secs(3)));
        assert_eq!(holds_for(&Situation { phase: Phase::Up, ..situation }), None);
        assert_eq!(holds_for(&Situation { queues: false, ..situation }), None);
        assert_eq!(holds_for(&Situation { none_for: None, ..situation }), None);
    }
}
