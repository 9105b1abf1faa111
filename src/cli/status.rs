//! `diskless status`.

use std::fmt::Write as _;

use lexopt::{Arg, Parser};

use super::{Failed, print};
use crate::engine::host::Host;
use crate::engine::state::{self, State, Status};
use crate::error::{Code, Context, Error};

/// Says what the last run did, and what it waits for.
pub fn main(args: &mut Parser, host: &Host) -> Result<(), Failed> {
    let mut json = false;
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("json") => json = true,
            other => return Err(other.unexpected().into()),
        }
    }
    let file = host.path(state::FILE);
    let Some(state) = State::read(&file)? else {
        return Err(Error::new(Code::NotRun, file.display().to_string()).into());
    };
    if json {
        let text = serde_json::to_string_pretty(&state).context(Code::Io, state::FILE)?;
        return print(&format!("{text}\n"));
    }
    print(&describe(&state))
}

/// The journal for people: a line a step.
fn describe(state: &State) -> String {
    let mut text = format!("run {} of this boot: {}\n", state.run, word(state.status));
    for step in &state.steps {
        let took = step.took_ms.map_or_else(String::new, |ms| format!("{}.{:03} s", ms / 1000, ms % 1000));
        let what = match (&step.error, &step.waiting_for, &step.detail) {
            (Some(error), ..) => format!("[{}] {}; {}", error.code, error.message, error.advice),
            (None, Some(waiting), _) => format!("waiting for {waiting}"),
            (None, None, Some(detail)) => detail.clone(),
            (None, None, None) => String::new(),
        };
        let line = format!("  {:<9} {:<8} {took:>10}  {what}", step.name, word(step.status));
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Pending => "pending",
        Status::Running => "running",
        Status::Done => "done",
        Status::Failed => "failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::state::{Failure, StepState};

    #[test]
    fn the_status_says_for_each_step_what_matters_most() {
        let mut done = StepState::pending("network");
        (done.status, done.took_ms, done.detail) = (Status::Done, Some(2041), Some("there".into()));
        let mut failed = StepState::pending("iscsi");
        failed.status = Status::Failed;
        failed.error = Some(Failure { code: "iscsi-auth".into(), message: "m".into(), advice: "a".into() });
        let state = State {
            version: 1,
            boot_id: "b".into(),
            run: 3,
            status: Status::Failed,
            steps: vec![done, failed, StepState::pending("luks")],
        };
        let expected = "run 3 of this boot: failed
  network   done        2.041 s  there
  iscsi     failed               [iscsi-auth] m; a
  luks      pending
";
        assert_eq!(describe(&state), expected);
    }
}
