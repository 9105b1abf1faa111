//! The journal, `/run/diskless/state.json`: what the agent did and is doing, for people, scripts and the booted
//! system. It is never asked what exists (the kernel is), and there is no secret in it.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::host::Host;
use crate::error::{Code, Context, Result};
use crate::sys::whole_file;

/// Where the journal is, on the node.
pub const FILE: &str = "/run/diskless/state.json";

/// How far a boot, or a step of it, has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Its turn has not come.
    Pending,
    /// At work.
    Running,
    /// Done.
    Done,
    /// Given up.
    Failed,
    /// The boot stands still before it, until somebody lets it go on.
    Held,
}

/// The journal of one boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Of this format: 1.
    pub version: u32,
    /// The kernel's random boot id: tells this boot's journal from another's.
    pub boot_id: String,
    /// How often the agent was started in this boot.
    pub run: u32,
    /// Of the boot as a whole.
    pub status: Status,
    /// The node's name, once it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// How often the node was booted since it was last up, if somebody counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// In the order of the boot.
    pub steps: Vec<StepState>,
    /// The boot stands still for a person, at a hold or after a failure, and an agent waits to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// The boot failed, and this follows by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Next>,
}

/// Why a boot stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Why {
    /// `rd.diskless=trap`.
    Mode,
    /// `rd.break=diskless-STEP`.
    Parameter,
    /// `diskless hold`.
    Order,
    /// A step failed; it is in the journal with its error.
    Failure,
}

/// A boot that stands still for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Why.
    pub why: Why,
    /// The step that it stands before, `first` where it has done nothing yet; or that failed, `input` where it had not come
    /// to a step.
    pub step: String,
    /// Since when, in milliseconds since boot (CLOCK_BOOTTIME).
    pub since_ms: u64,
    /// The agent that waits. Once there is no such process, nobody goes on by itself.
    pub pid: u32,
}

/// What follows a failure by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Does {
    /// The boot is tried again.
    Retry,
    /// The machine starts anew.
    Reboot,
    /// The machine is switched off.
    PowerOff,
}

/// What follows a failure by itself, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Next {
    /// What.
    pub does: Does,
    /// When, in milliseconds since boot (CLOCK_BOOTTIME).
    pub at_ms: u64,
    /// For the how many-th time, from 1; none: nobody counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u32>,
    /// Of how many; none: without end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<u32>,
    /// The agent that waits for it.
    pub pid: u32,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepState {
    /// The step's name.
    pub name: String,
    /// How far it has come.
    pub status: Status,
    /// When it started, in milliseconds since boot (CLOCK_BOOTTIME).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_ms: Option<u64>,
    /// When it ended, done or failed, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_ms: Option<u64>,
    /// How long it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
    /// How much of that was the agent's own: processor time in user space, without key derivation. The rest is
    /// the kernel, the network, the target and udev.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_us: Option<u64>,
    /// What it waits for now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_for: Option<String>,
    /// Since when it waits, for that or something else, in milliseconds since boot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_since_ms: Option<u64>,
    /// When it gives up, likewise; only while it is at work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    /// What it found or made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What somebody must know although it went on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Failure>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

/// An error or a warning, as scripts read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The stable code.
    pub code: String,
    /// Object, meaning and cause.
    pub message: String,
    /// What to do.
    pub advice: String,
}

impl StepState {
    /// A step whose turn has not come.
    pub fn pending(name: &str) -> StepState {
        StepState {
            name: name.to_owned(),
            status: Status::Pending,
            started_ms: None,
            ended_ms: None,
            took_ms: None,
            own_us: None,
            waiting_for: None,
            waiting_since_ms: None,
            deadline_ms: None,
            detail: None,
            warnings: Vec::new(),
            error: None,
        }
    }
}

impl State {
    /// The journal of run number `run` of the boot `boot_id`, at its beginning.
    pub fn new(boot_id: String, run: u32) -> State {
        State {
            version: 1,
            boot_id,
            run,
            status: Status::Running,
            node: None,
            attempt: None,
            steps: Vec::new(),
            held: None,
            next: None,
        }
    }

    /// Why the boot stands still, if the agent that is to go on with it lives.
    pub fn waits(&self, host: &Host) -> Option<&Held> {
        self.held.as_ref().filter(|held| is_alive(host, held.pid))
    }

    /// What follows a failure by itself, if the agent that is to do it lives.
    pub fn pauses(&self, host: &Host) -> Option<&Next> {
        self.next.as_ref().filter(|next| is_alive(host, next.pid))
    }

    /// Writes it to `file`, which always holds either the old journal or the new one, whole.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, file: &Path) -> Result<()> {
        let object = || file.display().to_string();
        let mut text = serde_json::to_vec_pretty(self).context(Code::Io, object())?;
        text.push(b'\n');
        whole_file::write(file, &text, 0o644, None)
    }

    /// Reads `file`; none if there is no such file.
    ///
    /// # Errors
    /// It is there and is not a journal.
    pub fn read(file: &Path) -> Result<Option<State>> {
        let object = || file.display().to_string();
        match std::fs::read(file) {
            Ok(text) => serde_json::from_slice(&text).context(Code::Io, object()).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).context(Code::Io, object()),
        }
    }
}

fn is_alive(host: &Host, pid: u32) -> bool {
    host.path(format!("/proc/{pid}")).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("diskless/state.json");
        assert_eq!(State::read(&file).unwrap(), None);
        let mut step = StepState::pending("iscsi");
        step.status = Status::Failed;
        step.error = Some(Failure { code: "timeout".into(), message: "m".into(), advice: "a".into() });
        let held = Held { why: Why::Failure, step: "iscsi".into(), since_ms: 7, pid: 1 };
        let next = Next { does: Does::PowerOff, at_ms: 9, number: Some(1), of: None, pid: 1 };
        let steps = vec![StepState::pending("network"), step];
        let state = State {
            status: Status::Failed,
            steps,
            held: Some(held),
            next: Some(next),
            ..State::new("b".into(), 2)
        };
        state.write(&file).unwrap();
        assert_eq!(State::read(&file).unwrap(), Some(state));
        std::fs::write(&file, "{").unwrap();
        assert_eq!(State::read(&file).unwrap_err().code(), Code::Io);
    }
}
