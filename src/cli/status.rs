//! `diskless status`.

use std::fmt::Write as _;

use lexopt::{Arg, Parser};
use serde::Serialize;

use super::{Failed, print};
use crate::engine::host::Host;
use crate::engine::state::{self, State, Status};
use crate::error::{Code, Context, Error};
use crate::keeper::{self, Journal};
use crate::steps::overlay::usage::Usage;

/// So much of what happened to the keeper is shown.
const LAST_EVENTS: usize = 10;

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
    // A journal of the keeper's that cannot be read hides nothing of the boot's.
    let keeper = Journal::read(&host.path(keeper::FILE)).unwrap_or_default();
    let layer = Usage::observe(host).unwrap_or_default();
    if json {
        let all = All { state: &state, layer: layer.as_ref(), keeper: keeper.as_ref() };
        let text = serde_json::to_string_pretty(&all).context(Code::Io, state::FILE)?;
        return print(&format!("{text}\n"));
    }
    let layer = layer.as_ref().map(Usage::describe).unwrap_or_default();
    print(&(describe(&state) + &layer + &keeper.as_ref().map(describe_keeper).unwrap_or_default()))
}

/// Both journals: the boot's as it is, and in it that of the keeper. And how full the writable layer is now.
#[derive(Serialize)]
struct All<'a> {
    #[serde(flatten)]
    state: &'a State,
    #[serde(skip_serializing_if = "Option::is_none")]
    layer: Option<&'a Usage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keeper: Option<&'a Journal>,
}

/// The keeper's journal for people: what it keeps, who looks after it, and the last that happened.
fn describe_keeper(journal: &Journal) -> String {
    let mut text = format!("keeper, pid {}: {}\n", journal.pid, journal.describe());
    for portal in &journal.portals {
        let session = match (portal.sid, portal.state.as_deref()) {
            (Some(sid), Some(state)) => format!("session {sid} {state}"),
            _ => "no session".to_owned(),
        };
        let disk = portal.disk.as_deref().map_or_else(String::new, |disk| format!(", {disk}"));
        let _ = writeln!(text, "  {:<24} {:<10} {session}{disk}", portal.portal, portal.owner);
    }
    if let Some(map) = &journal.map {
        let line = format!("  {:<24} {:<10} {}", "map", map.owner, map.found.as_deref().unwrap_or_default());
        let _ = writeln!(text, "{}", line.trim_end());
    }
    for event in journal.events.iter().rev().take(LAST_EVENTS).rev() {
        let _ = writeln!(text, "  {:>6}.{:03} s  {}", event.at_ms / 1000, event.at_ms % 1000, event.what);
    }
    text
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
        for warning in &step.warnings {
            let _ = writeln!(
                text,
                "  {:<9} WARNING [{}] {}; {}",
                "", warning.code, warning.message, warning.advice
            );
        }
    }
    text
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Pending => "pending",
        Status::Running => "running",
        Status::Done => "done",
        Status::Failed => "failed",
        Status::Held => "held",
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
        let told = |code: &str| Failure { code: code.into(), message: "m".into(), advice: "a".into() };
        done.warnings = vec![told("lun-writable")];
        let mut failed = StepState::pending("iscsi");
        failed.status = Status::Failed;
        failed.error = Some(told("iscsi-auth"));
        let steps = vec![done, failed, StepState::pending("luks")];
        let state = State { status: Status::Failed, steps, ..State::new("b".into(), 3) };
        let expected = "run 3 of this boot: failed
  network   done        2.041 s  there
            WARNING [lun-writable] m; a
  iscsi     failed               [iscsi-auth] m; a
  luks      pending
";
        assert_eq!(describe(&state), expected);
    }

    #[test]
    fn the_status_says_what_the_keeper_keeps() {
        let journal: Journal = serde_json::from_value(serde_json::json!({
            "version": 1, "pid": 211, "doing": "keeping", "wakes": 3,
            "portals": [
                { "portal": "198.18.0.1:3260", "sid": 1, "state": "LOGGED_IN", "disk": "sda", "owner": "iscsid",
                  "since_ms": 41000 },
                { "portal": "198.18.1.1:3260", "owner": "watched", "since_ms": 40000 }
            ],
            "map": { "owner": "keeper", "since_ms": 12000, "found": "3600: 1 path" },
            "memory": { "anonymous": 440_000, "resident": 3_060_000, "locked": 0 },
            "events": [{ "at_ms": 41007, "what": "198.18.0.1:3260: adopted by iscsid (pid 312)" }]
        }))
        .unwrap();
        let expected = "keeper, pid 211: keeps 1 session and the map, 0.4 MiB anonymous, 2.9 MiB resident
  198.18.0.1:3260          iscsid     session 1 LOGGED_IN, sda
  198.18.1.1:3260          watched    no session
  map                      keeper     3600: 1 path
      41.007 s  198.18.0.1:3260: adopted by iscsid (pid 312)
";
        assert_eq!(describe_keeper(&journal), expected);
        let state = State { status: Status::Done, ..State::new("b".into(), 1) };
        let all = serde_json::to_value(All { state: &state, layer: None, keeper: Some(&journal) }).unwrap();
        assert_eq!((&all["run"], &all["keeper"]["pid"]), (&1.into(), &211.into()));
    }
}
