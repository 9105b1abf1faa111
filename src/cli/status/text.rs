//! What `diskless status` says, for people.

use std::fmt::Write as _;
use std::time::Duration;

use crate::engine::state::{State, Status};
use crate::keeper::Journal;
use crate::report::brief::{Brief, for_people};

/// So much of what happened to the keeper is shown.
const LAST_EVENTS: usize = 10;

/// The node, how the boot is driven (`how`), and where it stands at the time `now` since the node's boot.
pub fn head(brief: &Brief, state: &State, how: &str, now: Duration) -> String {
    let mut text = format!("{}; up for {}\n", brief.who(), for_people(now));
    let boots =
        state.attempt.map_or_else(String::new, |boots| format!(", boot {boots} since the node was last up"));
    // Writing to a string cannot fail.
    let _ = writeln!(text, "run {} of this boot{boots}{how}: {}", state.run, brief.stands(now));
    if let Some(waits) = brief.waits(now) {
        let _ = writeln!(text, "  {waits}");
    }
    text
}

/// The commands that are of use now.
pub fn next(brief: &Brief) -> String {
    let lines = brief.next_lines();
    if lines.is_empty() { lines } else { format!("next:\n{lines}") }
}

/// The keeper's journal for people: what it keeps, who looks after it, and the last that happened.
pub fn keeper(journal: &Journal) -> String {
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
pub fn steps(state: &State) -> String {
    let mut text = String::new();
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

/// The word for it.
pub fn word(status: Status) -> &'static str {
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
    use crate::report::brief::Stand;

    #[test]
    fn a_line_a_step_says_what_matters_most() {
        let mut done = StepState::pending("network");
        (done.status, done.took_ms, done.detail) = (Status::Done, Some(2041), Some("there".into()));
        let told = |code: &str| Failure { code: code.into(), message: "m".into(), advice: "a".into() };
        done.warnings = vec![told("lun-writable")];
        let mut failed = StepState::pending("iscsi");
        failed.status = Status::Failed;
        failed.error = Some(told("iscsi-auth"));
        let list = vec![done, failed, StepState::pending("luks")];
        let state =
            State { status: Status::Failed, steps: list, attempt: Some(2), ..State::new("b".into(), 3) };
        let expected = "  network   done        2.041 s  there
            WARNING [lun-writable] m; a
  iscsi     failed               [iscsi-auth] m; a
  luks      pending
";
        assert_eq!(steps(&state), expected);
        let brief = Brief {
            node: "node1".into(),
            addresses: Vec::new(),
            stand: Stand::Failed,
            step: Some("iscsi".into()),
            failure: Some(told("iscsi-auth")),
            wait: None,
        };
        assert_eq!(
            head(&brief, &state, ", mode trap", Duration::from_secs(200)),
            "node1; up for 3 min 20 s\nrun 3 of this boot, boot 2 since the node was last up, mode trap: step iscsi failed \
             [iscsi-auth], and no agent waits to go on\n"
        );
        assert!(next(&brief).starts_with("next:\n  diskless diagnose"));
        assert_eq!(next(&Brief { stand: Stand::Done, ..brief }), "");
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
        assert_eq!(keeper(&journal), expected);
    }
}
