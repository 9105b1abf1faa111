//! What a person must know at first sight: where the boot stands, why, and what to do next. Pure, and the same on the
//! console, in the shell's prompt and greeting, and in `diskless status`.

use std::fmt::Write as _;
use std::time::Duration;

use crate::engine::host::Host;
use crate::engine::state::{Does, Failure, Held, Next, State, Status, StepState, Why};
use crate::sys::address;

/// Where a boot stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stand {
    /// The agent has not run.
    NotRun,
    /// At work.
    Running,
    /// It stands still for a person, and an agent waits to go on.
    Held(Held),
    /// It failed, and this follows by itself.
    Pausing(Next),
    /// It failed, and nobody goes on by itself.
    Failed,
    /// Somebody has run a part of it, and nobody goes on by itself.
    Stopped,
    /// All steps are done.
    Done,
}

/// What a person must know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brief {
    /// The node's name; or the kernel's word for a node that has none.
    pub node: String,
    /// Its addresses, each with the interface.
    pub addresses: Vec<String>,
    /// Where the boot stands.
    pub stand: Stand,
    /// The step that it is at, or that failed.
    pub step: Option<String>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// What the step waits for: what, since when, until when, in milliseconds since boot.
    pub wait: Option<(String, u64, Option<u64>)>,
}

impl Brief {
    /// That of `host`, with this journal.
    pub fn of(host: &Host, state: Option<&State>) -> Brief {
        let name = std::fs::read_to_string(host.path("/proc/sys/kernel/hostname")).unwrap_or_default();
        let node = state.and_then(|state| state.node.clone()).unwrap_or_else(|| name.trim().to_owned());
        let addresses = address::by_interface().into_iter().filter(|(interface, _)| interface != "lo");
        let addresses = addresses.flat_map(|(interface, all)| {
            all.into_iter().map(move |address| format!("{address} ({interface})"))
        });
        let stand = match state {
            None => Stand::NotRun,
            Some(state) => match (state.waits(host), state.pauses(host), state.status) {
                (Some(held), ..) => Stand::Held(held.clone()),
                (None, Some(next), _) => Stand::Pausing(next.clone()),
                (None, None, Status::Done) => Stand::Done,
                (None, None, Status::Failed) => Stand::Failed,
                (None, None, Status::Held | Status::Pending) => Stand::Stopped,
                (None, None, Status::Running) => Stand::Running,
            },
        };
        Brief { addresses: addresses.collect(), ..Brief::at(node, stand, state) }
    }

    fn at(node: String, stand: Stand, state: Option<&State>) -> Brief {
        let steps = state.map(|state| state.steps.as_slice()).unwrap_or_default();
        let step = |status: Status| steps.iter().find(|step| step.status == status);
        let failed = step(Status::Failed);
        let at = match &stand {
            Stand::Held(held) if held.why != Why::Failure => None,
            Stand::Held(_) | Stand::Failed | Stand::Pausing(_) => failed,
            Stand::Running => step(Status::Running),
            Stand::NotRun | Stand::Stopped | Stand::Done => None,
        };
        let held = match &stand {
            Stand::Held(held) => Some(held.step.clone()),
            _ => None,
        };
        let wait = |step: &StepState| {
            let what = step.waiting_for.clone()?;
            Some((what, step.waiting_since_ms.or(step.started_ms)?, step.deadline_ms))
        };
        let node = if node.is_empty() || node == "(none)" { "this node".to_owned() } else { node };
        Brief {
            node,
            addresses: Vec::new(),
            step: held.or_else(|| at.map(|step| step.name.clone())),
            failure: at.and_then(|step| step.error.clone()),
            wait: at.and_then(wait),
            stand,
        }
    }

    /// `node1, 198.18.0.2 (eth0)`
    pub fn who(&self) -> String {
        std::iter::once(&self.node).chain(&self.addresses).cloned().collect::<Vec<_>>().join(", ")
    }

    /// Where the boot stands at the time `now` since the node's boot, in one line.
    pub fn stands(&self, now: Duration) -> String {
        let step = self.step.as_deref().unwrap_or("its beginning");
        let failed = || match (&self.step, &self.failure) {
            (Some(step), Some(failure)) => format!("step {step} failed [{}]", failure.code),
            (Some(step), None) => format!("{step} failed"),
            (None, _) => "the boot failed".to_owned(),
        };
        match &self.stand {
            Stand::NotRun => "the agent has not run in this boot".to_owned(),
            Stand::Running => format!("at work on {step}"),
            Stand::Held(Held { why: Why::Failure, since_ms, .. }) => {
                format!("stands still for you since {}: {}", for_people(age(now, *since_ms)), failed())
            }
            Stand::Held(Held { why, since_ms, .. }) => {
                let why = match why {
                    Why::Mode => "rd.diskless=trap",
                    Why::Parameter => "rd.break=",
                    Why::Order | Why::Failure => "diskless hold",
                };
                let since = for_people(age(now, *since_ms));
                let step = if step == "first" { "its first step" } else { step };
                format!("stands still for you since {since}, before {step}, as {why} has it")
            }
            Stand::Pausing(Next { does, at_ms, number, of, .. }) => {
                let what = match does {
                    Does::Retry => "trying again",
                    Does::Reboot => "starting anew",
                    Does::PowerOff => "switching off",
                };
                let left = for_people(Duration::from_millis(*at_ms).saturating_sub(now));
                let count = match (number, of) {
                    (Some(number), Some(of)) => format!(", {number} of {of}"),
                    (Some(number), None) => format!(", for the {number}. time"),
                    (None, _) => String::new(),
                };
                format!("{}; {what} in {left}{count}", failed())
            }
            Stand::Failed => format!("{}, and no agent waits to go on", failed()),
            Stand::Stopped => "not all steps are done, and no agent waits to go on".to_owned(),
            Stand::Done => "all steps are done".to_owned(),
        }
    }

    /// What the step waits for, at the time `now` since the node's boot: `waiting 12 s for ..., 168 s left`.
    pub fn waits(&self, now: Duration) -> Option<String> {
        let (what, since, deadline) = self.wait.as_ref()?;
        let left = deadline.map(|deadline| {
            let left = Duration::from_millis(deadline).saturating_sub(now);
            format!(", {} s left", left.as_secs())
        });
        Some(format!("waiting {} s for {what}{}", age(now, *since).as_secs(), left.unwrap_or_default()))
    }

    /// The commands that are of use now, the likeliest first, each with what it does.
    pub fn next(&self) -> &'static [(&'static str, &'static str)] {
        const RETRY: (&str, &str) = ("diskless retry", "goes on from there");
        const DIAGNOSE: (&str, &str) = ("diskless diagnose", "looks for the cause");
        match &self.stand {
            Stand::NotRun => &[("diskless retry", "starts the boot")],
            Stand::Running => &[
                ("diskless status --watch", "follows it"),
                ("diskless hold", "has it stand still before the next step"),
            ],
            Stand::Held(Held { why: Why::Failure, .. }) => {
                &[DIAGNOSE, RETRY, ("diskless release", "has the boot try again by itself")]
            }
            Stand::Held(_) => &[
                ("diskless release", "goes on with the boot"),
                ("diskless resume", "goes on to the next hold"),
            ],
            Stand::Pausing(_) => &[("diskless hold", "keeps it here"), DIAGNOSE, RETRY],
            Stand::Failed => &[DIAGNOSE, RETRY],
            Stand::Stopped => &[RETRY],
            Stand::Done => &[],
        }
    }

    /// The greeting of a shell at the time `now`: node, step, cause, next command.
    pub fn greeting(&self, now: Duration) -> String {
        let mut text = format!("{}\n{}\n", self.who(), self.stands(now));
        // Writing to a string cannot fail.
        if let Some(Failure { message, advice, .. }) = &self.failure {
            let _ = writeln!(text, "  {message}\n  {advice}");
        }
        if let Some(waits) = self.waits(now) {
            let _ = writeln!(text, "  {waits}");
        }
        text + &self.next_lines()
    }

    /// A line for each of [`Brief::next`].
    pub fn next_lines(&self) -> String {
        self.next().iter().map(|(command, does)| format!("  {command:<24} {does}\n")).collect()
    }

    /// What a prompt shows of it: `iscsi: timeout`, `iscsi`, `before luks`; empty when there is nothing to say.
    pub fn prompt(&self) -> String {
        match (&self.stand, &self.step, &self.failure) {
            (_, Some(step), Some(failure)) => format!("{step}: {}", failure.code),
            (Stand::Held(held), Some(step), None) if held.why != Why::Failure => format!("before {step}"),
            (_, Some(step), None) => step.clone(),
            (Stand::NotRun, ..) => "not run".to_owned(),
            (Stand::Failed, ..) => "failed".to_owned(),
            (Stand::Stopped, ..) => "stopped".to_owned(),
            _ => String::new(),
        }
    }
}

fn age(now: Duration, since_ms: u64) -> Duration {
    now.saturating_sub(Duration::from_millis(since_ms))
}

/// `42 s`, `3 min 10 s`, `2 h 5 min`
pub fn for_people(time: Duration) -> String {
    match time.as_secs() {
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min {} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(name: &str, status: Status) -> StepState {
        StepState { status, ..StepState::pending(name) }
    }

    fn state() -> State {
        let mut failed = step("luks", Status::Failed);
        failed.error = Some(Failure {
            code: "luks-no-key".into(),
            message: "disk sda: no keyslot opens with this key".into(),
            advice: "check the key".into(),
        });
        let mut state = State::new("b".into(), 1);
        state.steps = vec![step("iscsi", Status::Done), failed, step("volumes", Status::Pending)];
        state.status = Status::Failed;
        state
    }

    fn brief(stand: Stand, state: Option<&State>) -> Brief {
        Brief { addresses: vec!["198.18.0.2 (eth0)".into()], ..Brief::at("node1".into(), stand, state) }
    }

    fn held(why: Why, step: &str) -> Stand {
        Stand::Held(Held { why, step: step.into(), since_ms: 10_000, pid: 1 })
    }

    const NOW: Duration = Duration::from_secs(200);

    #[test]
    fn a_failure_says_node_step_cause_and_what_next() {
        let state = state();
        let brief = brief(held(Why::Failure, "luks"), Some(&state));
        assert_eq!(
            brief.greeting(NOW),
            "node1, 198.18.0.2 (eth0)
stands still for you since 3 min 10 s: step luks failed [luks-no-key]
  disk sda: no keyslot opens with this key
  check the key
  diskless diagnose        looks for the cause
  diskless retry           goes on from there
  diskless release         has the boot try again by itself
"
        );
        assert_eq!(brief.prompt(), "luks: luks-no-key");
    }

    #[test]
    fn where_it_stands_in_a_line_and_in_a_prompt() {
        let state = state();
        let pause =
            |number, of| Stand::Pausing(Next { does: Does::Retry, at_ms: 242_000, number, of, pid: 1 });
        for (stand, line, prompt) in [
            (Stand::NotRun, "the agent has not run in this boot", "not run"),
            (Stand::Done, "all steps are done", ""),
            (Stand::Stopped, "not all steps are done, and no agent waits to go on", "stopped"),
            (
                held(Why::Order, "volumes"),
                "stands still for you since 3 min 10 s, before volumes, as diskless hold has it",
                "before volumes",
            ),
            (
                held(Why::Mode, "first"),
                "stands still for you since 3 min 10 s, before its first step, as rd.diskless=trap has it",
                "before first",
            ),
            (
                Stand::Failed,
                "step luks failed [luks-no-key], and no agent waits to go on",
                "luks: luks-no-key",
            ),
            (
                pause(Some(2), Some(5)),
                "step luks failed [luks-no-key]; trying again in 42 s, 2 of 5",
                "luks: luks-no-key",
            ),
            (pause(None, None), "step luks failed [luks-no-key]; trying again in 42 s", "luks: luks-no-key"),
        ] {
            let state = (!matches!(stand, Stand::NotRun)).then_some(&state);
            let brief = brief(stand, state);
            assert_eq!((brief.stands(NOW).as_str(), brief.prompt().as_str()), (line, prompt));
        }
    }

    #[test]
    fn a_wait_says_since_when_and_how_long_still() {
        let mut state = state();
        let mut waits = step("iscsi", Status::Running);
        waits.waiting_for = Some("portal 198.18.0.1:3260: refused".into());
        (waits.waiting_since_ms, waits.deadline_ms) = (Some(188_000), Some(368_000));
        state.steps = vec![waits];
        let brief = brief(Stand::Running, Some(&state));
        assert_eq!(
            brief.waits(NOW).as_deref(),
            Some("waiting 12 s for portal 198.18.0.1:3260: refused, 168 s left")
        );
        assert_eq!((brief.stands(NOW).as_str(), brief.prompt().as_str()), ("at work on iscsi", "iscsi"));
    }

    #[test]
    fn a_node_without_a_name_and_times_for_people() {
        assert_eq!(Brief::at("(none)".into(), Stand::NotRun, None).node, "this node");
        let texts = [0, 119, 120, 7199, 7200].map(|seconds| for_people(Duration::from_secs(seconds)));
        assert_eq!(texts, ["0 s", "119 s", "2 min 0 s", "119 min 59 s", "2 h 0 min"]);
    }
}
