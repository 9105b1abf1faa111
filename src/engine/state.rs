//! The journal, `/run/diskless/state.json`: what the agent did and is doing, for people, scripts and the booted
//! system. It is never asked what exists (the kernel is), and there is no secret in it.

use std::path::Path;

use serde::{Deserialize, Serialize};

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
    /// In the order of the boot.
    pub steps: Vec<StepState>,
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
        let state = State {
            version: 1,
            boot_id: "b".into(),
            run: 2,
            status: Status::Failed,
            steps: vec![StepState::pending("network"), step],
        };
        state.write(&file).unwrap();
        assert_eq!(State::read(&file).unwrap(), Some(state));
        std::fs::write(&file, "{").unwrap();
        assert_eq!(State::read(&file).unwrap_err().code(), Code::Io);
    }
}
