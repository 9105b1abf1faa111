//! Drives a list of steps, one after the other, and keeps the journal and the console told.

use std::path::PathBuf;
use std::time::Duration;

use super::converge::{Converge, Waiting, converge};
use super::host::Host;
use super::state::{self, Failure, State, Status, StepState};
use crate::error::{Error, Result};
use crate::report::{console::Console, event::Event};
use crate::sys::clock;

/// A step of the boot: what it is called, what it is about, how long it may take, and what it does.
pub struct Step<'a> {
    /// The name, for people and scripts.
    pub name: &'static str,
    /// What it is to bring about, for people: "LUN 1 of iqn... at 198.18.0.1:3260 as iqn...". Without secrets.
    pub about: String,
    /// How long it may take.
    pub limit: Duration,
    /// What it does.
    pub work: Box<dyn Drive + 'a>,
}

/// Any [`Converge`], whatever it sees and does.
pub trait Drive {
    /// [`converge`] on it.
    ///
    /// # Errors
    /// Those of [`converge`].
    fn drive(&self, host: &Host, limit: Duration, waiting: &mut dyn FnMut(&Waiting)) -> Result<String>;
}

impl<C: Converge> Drive for C {
    fn drive(&self, host: &Host, limit: Duration, waiting: &mut dyn FnMut(&Waiting)) -> Result<String> {
        converge(self, host, limit, waiting)
    }
}

/// One run of the agent.
pub struct Run<'a> {
    host: &'a Host,
    state: State,
    file: PathBuf,
    console: Console,
    started: Duration,
    own_before: Duration,
}

impl<'a> Run<'a> {
    /// Starts a run. The journal of a former run of this boot is replaced, and counted.
    pub fn start(host: &'a Host) -> Run<'a> {
        let file = host.path(state::FILE);
        let boot_id = std::fs::read_to_string(host.path("/proc/sys/kernel/random/boot_id"));
        let boot_id = boot_id.unwrap_or_default().trim().to_owned();
        // A journal that cannot be read is no reason not to boot.
        let before = State::read(&file).ok().flatten().filter(|state| state.boot_id == boot_id);
        let run = before.map_or(1, |state| state.run.saturating_add(1));
        Run {
            host,
            state: State { version: 1, boot_id, run, status: Status::Running, steps: Vec::new() },
            file,
            console: Console::open(host),
            started: host.now(),
            own_before: own_work(host),
        }
    }

    /// Drives `steps` to their end, or to the first failure.
    ///
    /// # Errors
    /// That of the step that failed; it has been told and is in the journal.
    pub fn steps(&mut self, steps: &[Step<'_>]) -> Result<()> {
        let first = self.state.steps.len();
        self.state.steps.extend(steps.iter().map(|step| StepState::pending(step.name)));
        for (at, step) in (first..).zip(steps) {
            self.step(at, step)?;
        }
        Ok(())
    }

    fn step(&mut self, at: usize, step: &Step<'_>) -> Result<()> {
        let started = self.host.now();
        let own = own_work(self.host);
        self.note(at, |state| {
            state.status = Status::Running;
            state.started_ms = Some(millis(started));
        });
        let result = step.work.drive(self.host, step.limit, &mut |waiting| self.wait(at, step.name, waiting));
        let took = self.host.now().saturating_sub(started);
        let own = own_work(self.host).saturating_sub(own);
        self.note(at, |state| {
            state.took_ms = Some(millis(took));
            state.own_us = Some(u64::try_from(own.as_micros()).unwrap_or(u64::MAX));
            state.waiting_for = None;
            match &result {
                Ok(detail) => {
                    state.status = Status::Done;
                    state.detail = Some(detail.clone());
                }
                Err(error) => {
                    state.status = Status::Failed;
                    state.error = Some(failure(error));
                }
            }
        });
        match result {
            Ok(detail) => {
                let event = Event::Done { step: step.name, took, detail: &detail };
                self.console.tell(self.host.now(), &event);
                Ok(())
            }
            Err(error) => {
                self.failed(step.name, &error);
                Err(error)
            }
        }
    }

    fn wait(&mut self, at: usize, step: &str, waiting: &Waiting) {
        let event = Event::Waiting { step, what: &waiting.what, left: waiting.left };
        self.console.tell(self.host.now(), &event);
        let told = self.state.steps.get(at).and_then(|state| state.waiting_for.as_ref());
        if told != Some(&waiting.what) {
            self.note(at, |state| state.waiting_for = Some(waiting.what.clone()));
        }
    }

    /// Tells what somebody must know although the boot goes on.
    pub fn warn(&mut self, what: &str) {
        self.console.tell(self.host.now(), &Event::Warning(what));
    }

    /// All steps are done.
    pub fn finish(&mut self) {
        self.state.status = Status::Done;
        self.save();
        let now = self.host.now();
        let event = Event::Ready {
            took: now.saturating_sub(self.started),
            own: own_work(self.host).saturating_sub(self.own_before),
        };
        self.console.tell(now, &event);
    }

    /// The run ends with `error`, of `step`.
    pub fn failed(&mut self, step: &str, error: &Error) {
        self.state.status = Status::Failed;
        self.save();
        self.console.tell(self.host.now(), &Event::Failed { step, error });
    }

    fn note(&mut self, at: usize, change: impl FnOnce(&mut StepState)) {
        if let Some(step) = self.state.steps.get_mut(at) {
            change(step);
        }
        self.save();
    }

    fn save(&self) {
        // The boot matters more than its journal; without one, the console still tells.
        if let Err(error) = self.state.write(&self.file) {
            log::warn!("{error}");
        }
    }
}

/// The agent's own work so far: processor time in user space, less what key derivation takes by design.
fn own_work(host: &Host) -> Duration {
    clock::process_user_time().saturating_sub(host.derivation_time())
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn failure(error: &Error) -> Failure {
    Failure {
        code: error.code().as_str().to_owned(),
        message: error.to_string(),
        advice: error.advice().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::converge::Next;
    use crate::error::Code;

    /// Done at once, or never.
    struct Fixed(Option<Code>);

    impl Converge for Fixed {
        type Seen = ();
        type Action = &'static str;

        fn observe(&self, _: &Host) -> Result<()> {
            Ok(())
        }

        fn plan(&self, (): &()) -> Result<Next<&'static str>> {
            match self.0 {
                None => Ok(Next::Done("there".into())),
                Some(code) => Err(Error::new(code, "thing")),
            }
        }

        fn apply(&self, _: &Host, _: &'static str) -> Result<()> {
            Ok(())
        }
    }

    fn step(name: &'static str, code: Option<Code>) -> Step<'static> {
        Step { name, about: String::new(), limit: Duration::from_secs(5), work: Box::new(Fixed(code)) }
    }

    #[test]
    fn the_journal_tells_what_was_done_what_failed_and_what_is_left() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::fake(root.path());
        let mut run = Run::start(&host);
        let steps = [step("a", None), step("b", Some(Code::Network)), step("c", None)];
        assert_eq!(run.steps(&steps).unwrap_err().code(), Code::Network);
        let state = State::read(&host.path(state::FILE)).unwrap().unwrap();
        assert_eq!((state.run, state.status), (1, Status::Failed));
        let of_steps: Vec<_> = state.steps.iter().map(|step| (step.name.as_str(), step.status)).collect();
        assert_eq!(of_steps, [("a", Status::Done), ("b", Status::Failed), ("c", Status::Pending)]);
        assert_eq!(state.steps[1].took_ms, Some(5000));
        assert_eq!(state.steps[1].error.as_ref().unwrap().code, "network");

        let mut run = Run::start(&host);
        run.steps(&[step("a", None)]).unwrap();
        run.finish();
        let state = State::read(&host.path(state::FILE)).unwrap().unwrap();
        assert_eq!((state.run, state.status), (2, Status::Done));
    }
}
