//! Does what was decided, each thing in a thread of its own and with a deadline: what the kernel does not come back from
//! is named and left behind.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::plan::Action;
use crate::engine::host::Host;
use crate::error::{Code, Context, Error, Result};
use crate::steps::iscsi;
use crate::sys::{dm, mount, shutdown};

/// What came of an action.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done, in this time.
    Done(Duration),
    /// It could not be done: why.
    Failed(String),
    /// It did not come back in this time.
    Late(Duration),
}

/// The line that tells of it.
pub fn line(action: &Action, outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done(took) => format!("exit: {} in {:.2} s", action.done(), took.as_secs_f64()),
        Outcome::Failed(why) => format!("exit: could not {action}: {why}"),
        Outcome::Late(limit) => {
            format!("exit: could not {action}: not done after {:.0} s, left behind", limit.as_secs_f64())
        }
    }
}

/// Does `action`, for at most `limit`.
pub fn perform(action: &Action, limit: Duration) -> Outcome {
    let owned = action.clone();
    within(limit, move || effect(&owned, limit))
}

/// Runs `work` in a thread of its own for at most `limit`.
pub fn within(limit: Duration, work: impl FnOnce() -> Result<()> + Send + 'static) -> Outcome {
    let (done, wait) = mpsc::channel();
    let begin = Instant::now();
    std::thread::spawn(move || {
        // Nobody may be listening any more.
        let _ = done.send(work());
    });
    match wait.recv_timeout(limit) {
        Ok(Ok(())) => Outcome::Done(begin.elapsed()),
        Ok(Err(error)) => Outcome::Failed(error.to_string()),
        Err(RecvTimeoutError::Timeout) => Outcome::Late(limit),
        Err(RecvTimeoutError::Disconnected) => Outcome::Failed("its thread died".into()),
    }
}

fn effect(action: &Action, limit: Duration) -> Result<()> {
    match action {
        Action::FailWithoutPath { map } => dm::message(map, "fail_if_no_path"),
        Action::SwapOff { path } => shutdown::swap_off(path).context(Code::Kernel, path),
        Action::Unmount { path, lazily } => mount::unmount(path, *lazily),
        Action::Detach { node } => shutdown::detach_loop(&format!("/dev/{node}")).context(Code::Kernel, node),
        Action::Reset { node } => {
            let file = format!("/sys/block/{node}/reset");
            std::fs::write(&file, "1").context(Code::Kernel, file)
        }
        Action::Remove { map } => dm::remove(map),
        Action::LogOut { sid } => iscsi::log_out(&Host::this(), *sid, limit / 2),
        Action::Discard { sid } => iscsi::discard(&Host::this(), *sid),
    }
}

/// Asks the keeper to stop acting and to end, so that it logs in to nothing again. One that does not answer is killed.
pub fn end_keeper(limit: Duration) -> Option<Outcome> {
    let keeper = super::processes::spared(std::path::Path::new("/proc"), "keeper");
    if keeper.is_empty() {
        return None;
    }
    let asked = within(limit, || super::processes::ask_keeper("end", Duration::from_secs(2)));
    for pid in keeper {
        shutdown::kill(pid);
    }
    Some(asked)
}

/// The error of work that is `what`.
pub fn failed(what: &str, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(Code::Io, what).because(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_come_back_is_left_behind_and_named() {
        let (_keep, never) = mpsc::channel::<()>();
        let limit = Duration::from_millis(20);
        let begin = Instant::now();
        let late = within(limit, move || {
            let _ = never.recv();
            Ok(())
        });
        assert!(begin.elapsed() < Duration::from_secs(30));
        let action = Action::Unmount { path: "/oldroot".into(), lazily: false };
        assert_eq!(
            line(&action, &Outcome::Late(Duration::from_secs(2))),
            "exit: could not unmount /oldroot: not done after 2 s, left behind"
        );
        assert_eq!(late, Outcome::Late(limit));
    }

    #[test]
    fn success_and_failure_are_told() {
        let action = Action::Remove { map: "luks_root".into() };
        assert_eq!(
            line(&action, &Outcome::Done(Duration::from_millis(23))),
            "exit: removed map luks_root in 0.02 s"
        );
        let outcome = within(Duration::from_secs(60), || Err(failed("map x", "busy")));
        assert!(matches!(&outcome, Outcome::Failed(why) if why.ends_with(": busy")), "{outcome:?}");
        assert!(line(&action, &outcome).starts_with("exit: could not remove map luks_root: map x"));
        let dead = within(Duration::from_secs(60), || std::panic::resume_unwind(Box::new(())));
        assert_eq!(dead, Outcome::Failed("its thread died".into()));
    }
}
