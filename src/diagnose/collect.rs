//! The evidence, from a process of its own.
//!
//! A read of a disk whose paths are all gone may not come back, and a process with such a thread does not end before the
//! kernel lets go of it. So what looks is another process than what answers to the operator: it tells each check when it
//! has it, and is left behind when its time is over.

use std::io::{BufRead, BufReader, Read};
use std::process::{ChildStdout, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::evidence::{Check, Of, Stage};
use crate::error::{Code, Context, Error, Result};

/// After this time nothing is waited for any more.
pub const LIMIT: Duration = Duration::from_secs(9);
/// No evidence is longer; what else comes is dropped.
const MOST: u64 = 1 << 20;

/// Runs this program as `diskless diagnose --evidence`, and gives what it has told within `limit`.
///
/// # Errors
/// [`Code::Io`]: it cannot be started.
pub fn collect(limit: Duration) -> Result<Vec<Check>> {
    let until = Instant::now() + limit;
    let object = "/proc/self/exe";
    let mut process = Command::new(object)
        .args(["diagnose", "--evidence"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context(Code::Io, object)?;
    let output = process.stdout.take().ok_or_else(|| Error::new(Code::Io, object))?;
    let (tell, told) = channel();
    std::thread::Builder::new()
        .name("evidence".into())
        .spawn(move || read(output, &tell))
        .context(Code::Io, object)?;
    let mut evidence = Vec::new();
    let why_not_whole = loop {
        match told.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(Line::Check(check)) => evidence.push(*check),
            Ok(Line::End(_)) => break None,
            Err(RecvTimeoutError::Timeout) => {
                break Some(format!("something did not come back within {} s", limit.as_secs()));
            }
            Err(RecvTimeoutError::Disconnected) => break Some("the process that looks has died".to_owned()),
        }
    };
    // It is not waited for: it may hang in the kernel for longer than anybody has time.
    let _ = process.kill();
    evidence.extend(why_not_whole.map(|why| Check::unseen(Stage::Journal, Of::Node, "the rest", why)));
    evidence.sort_by_key(|check| check.stage);
    Ok(evidence)
}

/// What that process tells, a line each.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Line {
    /// Evidence.
    Check(Box<Check>),
    /// That was all.
    End(End),
}

/// The word for it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// It has looked at everything.
    End,
}

fn read(output: ChildStdout, tell: &Sender<Line>) {
    for line in BufReader::new(output.take(MOST)).lines() {
        let Ok(line) = line else { return };
        // One line that cannot be read costs no other.
        if let Ok(line) = serde_json::from_str(&line)
            && tell.send(line).is_err()
        {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_check_or_the_end() {
        let check = Check::ok(Stage::Tcp, Of::Portal, "portal 198.18.0.1:3260", "it takes connections");
        for line in [Line::Check(Box::new(check)), Line::End(End::End)] {
            let text = serde_json::to_string(&line).unwrap();
            assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), line, "{text}");
        }
        assert!(serde_json::from_str::<Line>("{\"stage\": \"tcp\"}").is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_line_is_read_or_refused(line in "\\PC{0,80}") {
            let _ = serde_json::from_str::<Line>(&line);
        }
    }
}
