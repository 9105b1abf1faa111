//! `diskless status --watch`.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use super::super::{Failed, print};
use super::full;
use crate::engine::host::Host;
use crate::engine::state::{self, State, Status};
use crate::report::brief::Brief;

/// Between two looks at the journal.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// So often the times on a screen go on, though nothing else changes.
const REDRAW: u32 = 4;
/// Up to the corner of the screen, and clear what is below (ECMA-48: CUP, ED).
const CLEAR: &str = "\x1b[H\x1b[J";

/// Shows where the boot stands until all of its steps are done.
pub fn watch(host: &Host) -> Result<(), Failed> {
    let mut watch = Watch::default();
    let is_terminal = std::io::stdout().is_terminal();
    let mut shown: Option<State> = None;
    for look in 0_u32.. {
        let state = State::read(&host.path(state::FILE))?;
        let is_news = shown != state;
        match &state {
            None if look == 0 => print("the agent has not run in this boot\n")?,
            Some(state) if is_terminal && (is_news || look % REDRAW == 0) => {
                print(&format!("{CLEAR}{}", full(host, state)))?;
            }
            Some(state) if !is_terminal && is_news => {
                let lines = watch.lines(&Brief::of(host, Some(state)), state, host.now());
                print(&lines.iter().map(|line| format!("{line}\n")).collect::<String>())?;
            }
            _ => (),
        }
        // Whoever reads a pipe sees it now. That it cannot be written to any more, the next line finds out.
        let _ = std::io::stdout().flush();
        if state.as_ref().is_some_and(|state| state.status == Status::Done) {
            return Ok(());
        }
        shown = state;
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

/// What was said of the boot.
#[derive(Debug, Default)]
struct Watch {
    prompt: Option<String>,
    steps: Vec<(String, Status, Option<String>)>,
}

impl Watch {
    /// A line for each change since the last look.
    fn lines(&mut self, brief: &Brief, state: &State, now: Duration) -> Vec<String> {
        let mut lines = Vec::new();
        let steps = state.steps.iter().map(|step| {
            let what = step.error.as_ref().map(|error| format!("[{}] {}", error.code, error.message));
            (step.name.clone(), step.status, what.or_else(|| step.waiting_for.clone()))
        });
        let steps: Vec<_> = steps.collect();
        for step in steps.iter().filter(|step| step.1 != Status::Pending && !self.steps.contains(step)) {
            let (name, status, what) = step;
            let what = what.as_ref().map_or_else(String::new, |what| format!(": {what}"));
            lines.push(format!("{name} {}{what}", super::text::word(*status)));
        }
        let prompt = format!("{:?} {}", std::mem::discriminant(&brief.stand), brief.prompt());
        if self.prompt.as_ref() != Some(&prompt) {
            lines.push(brief.stands(now));
        }
        (self.prompt, self.steps) = (Some(prompt), steps);
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::state::{Failure, StepState};

    #[test]
    fn each_change_is_a_line_and_nothing_else_is() {
        let host = Host::fake("/nonexistent");
        let mut watch = Watch::default();
        let mut state = State::new("b".into(), 1);
        let mut lines = |state: &State| watch.lines(&Brief::of(&host, Some(state)), state, Duration::ZERO);
        state.steps = ["network", "iscsi"].map(StepState::pending).into();
        state.steps[0].status = Status::Running;
        assert_eq!(lines(&state), ["network running", "at work on network"]);
        assert!(lines(&state).is_empty());
        state.steps[0].waiting_for = Some("server".into());
        assert_eq!(lines(&state), ["network running: server"]);
        state.steps[0] = StepState { status: Status::Done, ..StepState::pending("network") };
        state.steps[1].status = Status::Failed;
        state.steps[1].error =
            Some(Failure { code: "timeout".into(), message: "m".into(), advice: "a".into() });
        state.status = Status::Failed;
        let expected = [
            "network done",
            "iscsi failed: [timeout] m",
            "step iscsi failed [timeout], and no agent waits to go on",
        ];
        assert_eq!(lines(&state), expected);
    }

    #[test]
    fn it_ends_with_the_boot() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::fake(root.path());
        let state = State { status: Status::Done, ..State::new("b".into(), 1) };
        state.write(&host.path(state::FILE)).unwrap();
        watch(&host).unwrap();
    }
}
