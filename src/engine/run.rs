//! Drives a list of steps, one after the other, and keeps the journal and the console told.

use std::path::PathBuf;
use std::time::Duration;

use super::converge::{Converge, Waiting, converge};
use super::host::Host;
use super::orders::Orders;
use super::policy::announce;
use super::skip;
use super::state::{self, Failure, Held, Next, State, Status, StepState, Why};
use super::trap;
use crate::error::{Code, Error, Result};
use crate::input::document::Report;
use crate::input::trap::Trap;
use crate::report::after_pivot::{self, Destination};
use crate::report::console::Console;
use crate::report::event::Event;
use crate::report::pace::Pace;
use crate::report::phone_home::PhoneHome;
use crate::report::record::Record;
use crate::report::spool;
use crate::sys::{clock, http};

/// How long the new root waits for the last events to be sent. What is left then is sent by the booted system.
const LAST_EVENTS: Duration = Duration::from_secs(1);
/// The same of a boot that failed: it waits for a person anyway.
const LAST_EVENTS_OF_FAILURE: Duration = Duration::from_secs(5);

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

/// How far a run goes.
#[derive(Debug, Clone)]
pub enum Rule {
    /// To the next hold of the command line or of an operator.
    Holds(Trap),
    /// Up to and with this step, or to the end, whatever holds.
    Until(Option<&'static str>),
}

/// Why a run does not go on.
#[derive(Debug)]
pub enum Stop {
    /// It holds before this step, or at its beginning, [`FIRST`](super::orders::FIRST).
    Held(&'static str, Why),
    /// It was to go up to here.
    Reached,
    /// The step failed. It has been told and is in the journal.
    Failed(&'static str, Error),
}

/// One run of the boot.
pub struct Run<'a> {
    host: &'a Host,
    rule: Rule,
    state: State,
    file: PathBuf,
    console: Console,
    pace: Pace,
    reports: PhoneHome,
    report_to: Option<Destination>,
    watermarks: Vec<u8>,
    started: Duration,
    own_before: Duration,
}

impl<'a> Run<'a> {
    /// Starts a run that goes as far as `rule` has it, and is told on `console`. The journal of a former run of this boot is
    /// replaced, and counted.
    pub fn start(host: &'a Host, rule: Rule, console: Console) -> Run<'a> {
        let mut run = Run::of(host, rule, console);
        if let Some(before) = run.before() {
            run.state.run = before.run.saturating_add(1);
            // Beside an agent that waits, a run by hand changes nothing of that.
            run.state.held = before.waits(host).filter(|held| held.pid != std::process::id()).cloned();
            run.state.node = before.node;
        }
        run.reports = PhoneHome::open(host.path(spool::FILE), &run.state.boot_id, run.state.run);
        if let Rule::Holds(trap) = &run.rule {
            run.state.attempt = trap.attempt;
        }
        run.tell(&Event::Run);
        run
    }

    fn of(host: &'a Host, rule: Rule, console: Console) -> Run<'a> {
        let boot_id = host.boot_id();
        Run {
            host,
            rule,
            reports: PhoneHome::open(host.path(spool::FILE), &boot_id, 1),
            state: State::new(boot_id, 1),
            file: host.path(state::FILE),
            console,
            pace: Pace::default(),
            report_to: None,
            watermarks: Vec::new(),
            started: host.now(),
            own_before: own_work(host),
        }
    }

    /// The journal of the last run of this boot. One that cannot be read is no reason not to boot.
    fn before(&self) -> Option<State> {
        State::read(&self.file).ok().flatten().filter(|state| state.boot_id == self.state.boot_id)
    }

    /// Takes up the last run of this boot again: its journal and its number, and nothing is driven.
    pub fn go_on(host: &'a Host, console: Console) -> Run<'a> {
        let mut run = Run::of(host, Rule::Until(None), console);
        if let Some(before) = run.before() {
            run.reports = PhoneHome::open(host.path(spool::FILE), &run.state.boot_id, before.run);
            run.state = State { next: None, ..before };
        }
        run
    }

    /// The node has this name.
    pub fn name(&mut self, name: Option<&str>) {
        self.state.node = name.map(str::to_owned).or_else(|| self.state.node.take());
    }

    /// From here on events are sent as `report` says, those that happened before too; `hostname` is the node's name.
    pub fn report_to(&mut self, report: &Report, hostname: Option<&str>) {
        let sent = self.reports.send_to(&report.url, &self.host.path(http::CA_FILE), hostname);
        warn(sent);
        let destination = Destination {
            url: report.url.clone(),
            phone_home: report.phone_home.clone(),
            hostname: hostname.map(str::to_owned),
        };
        // Now already: a bundle of a boot that fails is sent there too.
        warn(destination.keep(self.host));
        self.report_to = Some(destination);
    }

    /// The booted system is to tell when the use of its writable layer passes one of these percentages.
    pub fn watch_for(&mut self, watermarks: &[u8]) {
        self.watermarks = watermarks.to_vec();
    }

    fn tell(&mut self, event: &Event) {
        let now = self.host.now();
        if self.pace.lets(now, event) {
            self.console.tell(event);
            self.reports.tell(Record::of(event, now));
        }
    }

    /// Drives `steps` to their end, or as far as the run goes; without those that an operator has the boot skip.
    ///
    /// # Errors
    /// Why it does not go on. A failure has been told and is in the journal.
    pub fn steps(&mut self, steps: &[Step<'_>]) -> Result<(), Stop> {
        let skip = Orders::read(self.host).skip;
        let steps: Vec<_> = steps.iter().filter(|step| !skip::leaves_out(&skip, step.name)).collect();
        let first = self.state.steps.len();
        self.state.steps.extend(steps.iter().map(|step| StepState::pending(step.name)));
        for (at, step) in (first..).zip(steps) {
            if let Err(stop) = self.hold(step.name) {
                self.note(at, |state| state.status = Status::Held);
                return Err(stop);
            }
            self.step(at, step).map_err(|error| Stop::Failed(step.name, error))?;
            if matches!(self.rule, Rule::Until(Some(until)) if until == step.name) {
                return Err(Stop::Reached);
            }
        }
        Ok(())
    }

    /// Stops before `step`, or at the beginning, [`FIRST`](super::orders::FIRST), if somebody asked for that.
    ///
    /// # Errors
    /// [`Stop::Held`]
    pub fn hold(&self, step: &'static str) -> Result<(), Stop> {
        let Rule::Holds(trap) = &self.rule else { return Ok(()) };
        match Orders::read(self.host).holds_before(trap, step) {
            Some(why) => Err(Stop::Held(step, why)),
            None => Ok(()),
        }
    }

    /// Whether an agent stands still meanwhile, and goes on when it is told.
    pub fn waits(&self) -> bool {
        self.state.waits(self.host).is_some()
    }

    /// Whether a step of this name is among those that were driven.
    pub fn has(&self, name: &str) -> bool {
        self.state.steps.iter().any(|step| step.name == name)
    }

    /// The step that the run is to stop behind, if there is one.
    pub fn until(&self) -> Option<&'static str> {
        if let Rule::Until(until) = self.rule { until } else { None }
    }

    fn step(&mut self, at: usize, step: &Step<'_>) -> Result<()> {
        let started = self.host.now();
        let own = own_work(self.host);
        self.note(at, |state| {
            state.status = Status::Running;
            state.started_ms = Some(millis(started));
            state.deadline_ms = Some(millis(started.saturating_add(step.limit)));
        });
        self.tell(&Event::Started { step: step.name, about: &step.about });
        let result = step.work.drive(self.host, step.limit, &mut |waiting| self.wait(at, step.name, waiting));
        let took = self.host.now().saturating_sub(started);
        let own = own_work(self.host).saturating_sub(own);
        let warnings = self.host.take_warnings();
        for warning in &warnings {
            self.warn(&format!("[{}] {warning}; {}", warning.code().as_str(), warning.advice()));
        }
        self.note(at, |state| {
            state.warnings = warnings.iter().map(failure).collect();
            state.ended_ms = Some(millis(started.saturating_add(took)));
            state.took_ms = Some(millis(took));
            state.own_us = Some(u64::try_from(own.as_micros()).unwrap_or(u64::MAX));
            (state.waiting_for, state.waiting_since_ms, state.deadline_ms) = (None, None, None);
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
                self.tell(&event);
                Ok(())
            }
            Err(error) => {
                self.failed(step.name, &error);
                Err(error)
            }
        }
    }

    fn wait(&mut self, at: usize, step: &str, waiting: &Waiting) {
        let now = self.host.now();
        let told = self.state.steps.get(at);
        let since = told.and_then(|state| state.waiting_since_ms).map_or(now, Duration::from_millis);
        if told.is_some_and(|state| state.waiting_for.as_ref() != Some(&waiting.what)) {
            self.note(at, |state| {
                state.waiting_for = Some(waiting.what.clone());
                state.waiting_since_ms = Some(millis(since));
            });
        }
        let waited = now.saturating_sub(since);
        self.tell(&Event::Waiting { step, what: &waiting.what, waited, left: waiting.left });
    }

    /// Tells what somebody must know although the boot goes on.
    pub fn warn(&mut self, what: &str) {
        self.tell(&Event::Warning(what));
    }

    /// Says what is no news for the report server.
    pub fn say(&mut self, line: &str) {
        self.console.say(line);
    }

    /// All steps are done. The booted system gets what it needs to go on with the reports.
    pub fn finish(&mut self) {
        self.state.status = Status::Done;
        self.save();
        let now = self.host.now();
        let event = Event::Ready {
            took: now.saturating_sub(self.started),
            own: own_work(self.host).saturating_sub(self.own_before),
        };
        self.tell(&event);
        if !self.watermarks.is_empty() {
            warn(after_pivot::prepare_watch(self.host, &self.watermarks));
        }
        if let Some(destination) = &self.report_to {
            warn(after_pivot::prepare(self.host, destination));
            warn(self.reports.finish(LAST_EVENTS));
        }
    }

    /// The boot ended with `error`, of `step`.
    pub fn failed(&mut self, step: &str, error: &Error) {
        self.state.status = Status::Failed;
        // What comes before all steps is in no list of them.
        if !self.state.steps.iter().any(|state| state.status == Status::Failed) {
            let told =
                StepState { status: Status::Failed, error: Some(failure(error)), ..StepState::pending(step) };
            self.state.steps.push(told);
        }
        self.save();
        self.tell(&Event::Failed { step, error });
    }

    /// It goes on, as somebody said.
    pub fn released(&mut self, what: &str) {
        self.tell(&Event::Released(what));
    }

    /// The boot stands still at `step`, for a person; of a failure, with this code.
    pub fn stands_still(&mut self, step: &str, why: Why, code: Option<Code>) {
        if why != Why::Failure {
            self.state.status = Status::Held;
        }
        let since_ms = millis(self.host.now());
        self.state.held = Some(Held { why, step: step.to_owned(), since_ms, pid: std::process::id() });
        self.save();
        let node = self.state.node.clone().unwrap_or_else(|| trap::name_of(self.host));
        self.tell(&Event::Held { step, what: &trap::standing(&node, step, why, code), code });
    }

    /// The boot failed, and `next` follows in so long.
    pub fn pauses(&mut self, next: Next, left: Duration) {
        let what = format!("boot failed, {}", announce(next.does, left, next.number, next.of));
        self.state.next = Some(next);
        self.save();
        // The console has it from the pause itself.
        self.reports.tell(Record::of(&Event::Pause { what: &what, left }, self.host.now()));
    }

    /// The run ends without the boot.
    pub fn close(mut self) {
        if self.state.status == Status::Running {
            self.state.status = if self.state.held.is_some() { Status::Held } else { Status::Pending };
        }
        self.save();
        // The next run sends what this one could not, even if it is the first to know where to.
        warn(self.reports.finish(LAST_EVENTS_OF_FAILURE));
    }

    fn note(&mut self, at: usize, change: impl FnOnce(&mut StepState)) {
        if let Some(step) = self.state.steps.get_mut(at) {
            change(step);
        }
        self.save();
    }

    fn save(&self) {
        warn(self.state.write(&self.file));
    }
}

/// The boot matters more than its journal and its reports; without them, the console still tells.
fn warn(result: Result<()>) {
    if let Err(error) = result {
        log::warn!("{error}; {}", error.advice());
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
#[path = "run_tests.rs"]
mod tests;
