//! Drives a list of steps, one after the other, and keeps the journal and the console told.

use std::path::PathBuf;
use std::time::Duration;

use super::converge::{Converge, Waiting, converge};
use super::host::Host;
use super::state::{self, Failure, State, Status, StepState};
use crate::error::{Error, Result};
use crate::input::document::Report;
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

/// One run of the agent.
pub struct Run<'a> {
    host: &'a Host,
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
    /// Starts a run. The journal of a former run of this boot is replaced, and counted.
    pub fn start(host: &'a Host) -> Run<'a> {
        let file = host.path(state::FILE);
        let boot_id = host.boot_id();
        // A journal that cannot be read is no reason not to boot.
        let before = State::read(&file).ok().flatten().filter(|state| state.boot_id == boot_id);
        let run = before.map_or(1, |state| state.run.saturating_add(1));
        let reports = PhoneHome::open(host.path(spool::FILE), &boot_id, run);
        let mut run = Run {
            host,
            state: State { version: 1, boot_id, run, status: Status::Running, steps: Vec::new() },
            file,
            console: Console::open(host),
            pace: Pace::default(),
            reports,
            report_to: None,
            watermarks: Vec::new(),
            started: host.now(),
            own_before: own_work(host),
        };
        run.tell(&Event::Run);
        run
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
        let event = Event::Waiting { step, what: &waiting.what, left: waiting.left };
        self.tell(&event);
        let told = self.state.steps.get(at).and_then(|state| state.waiting_for.as_ref());
        if told != Some(&waiting.what) {
            self.note(at, |state| state.waiting_for = Some(waiting.what.clone()));
        }
    }

    /// Tells what somebody must know although the boot goes on.
    pub fn warn(&mut self, what: &str) {
        self.tell(&Event::Warning(what));
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

    /// The run ends with `error`, of `step`.
    pub fn failed(&mut self, step: &str, error: &Error) {
        self.state.status = Status::Failed;
        self.save();
        self.tell(&Event::Failed { step, error });
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
mod tests {
    use super::*;
    use crate::engine::converge::Next;
    use crate::error::Code;
    use crate::report::record::Kind;
    use crate::sys::http::fixture::{Answer, Server, answer};

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
    fn the_report_server_gets_what_the_console_gets_across_runs() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::fake(root.path());
        for (path, text) in [("/proc/sys/kernel/random/boot_id", "b7c2\n"), ("/proc/self/exe", "agent")] {
            std::fs::create_dir_all(host.path(path).parent().unwrap()).unwrap();
            std::fs::write(host.path(path), text).unwrap();
        }
        // The first run fails before it knows whom to tell.
        assert!(Run::start(&host).steps(&[step("network", Some(Code::Network))]).is_err());
        let server = Server::start(vec![answer("200 OK", "")]);
        let mut run = Run::start(&host);
        run.steps(&[step("plan", None)]).unwrap();
        run.report_to(&Report { url: server.url.clone(), phone_home: None }, Some("node1"));
        run.watch_for(&[90]);
        run.finish();
        let told: Vec<Record> = server
            .requests()
            .iter()
            .map(|request| serde_json::from_str(request.split_once("\n\n").unwrap().1).unwrap())
            .collect();
        let told: Vec<_> = told.iter().map(|record| (record.run, record.seq, record.event)).collect();
        let first = [(1, 1, Kind::Run), (1, 2, Kind::Start), (1, 3, Kind::Waiting), (1, 4, Kind::Failed)];
        let second = [(2, 5, Kind::Run), (2, 6, Kind::Start), (2, 7, Kind::Done), (2, 8, Kind::Ready)];
        assert_eq!(told, [first, second].concat());
        for unit in ["diskless-report.service", "diskless-watch.service", "diskless-watch.timer"] {
            assert!(host.path("/run/systemd/system").join(unit).exists(), "{unit}");
        }
    }

    #[test]
    fn a_report_server_that_is_silent_costs_a_second() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::fake(root.path());
        let server = Server::start(vec![Answer::Silence]);
        let started = std::time::Instant::now();
        let mut run = Run::start(&host);
        run.report_to(&Report { url: server.url.clone(), phone_home: None }, None);
        let steps: Vec<Step> = ["a", "b", "c"].map(|name| step(name, None)).into();
        run.steps(&steps).unwrap();
        run.finish();
        assert!(started.elapsed() < LAST_EVENTS + Duration::from_millis(500), "{:?}", started.elapsed());
        let left = std::fs::read_to_string(host.path(spool::FILE)).unwrap();
        assert!(left.contains("\"event\":\"run\"") && left.contains("\"event\":\"ready\""), "{left}");
    }

    /// Has to act once, and warns at each look.
    struct Warns(std::cell::Cell<bool>);

    impl Converge for Warns {
        type Seen = bool;
        type Action = &'static str;

        fn observe(&self, _: &Host) -> Result<bool> {
            Ok(self.0.get())
        }

        fn plan(&self, acted: &bool) -> Result<Next<&'static str>> {
            Ok(if *acted { Next::Done("there".into()) } else { Next::Do("act") })
        }

        fn warnings(&self, _: &bool) -> Vec<Error> {
            vec![Error::new(Code::LunWritable, "disk sda")]
        }

        fn apply(&self, _: &Host, _: &'static str) -> Result<()> {
            self.0.set(true);
            Ok(())
        }
    }

    #[test]
    fn a_warning_is_told_once_and_is_in_the_journal() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::fake(root.path());
        std::fs::create_dir(root.path().join("dev")).unwrap();
        std::fs::write(root.path().join("dev/kmsg"), "").unwrap();
        let warns = Step { work: Box::new(Warns(false.into())), ..step("iscsi", None) };
        Run::start(&host).steps(&[warns, step("luks", None)]).unwrap();
        let shown = std::fs::read_to_string(root.path().join("dev/kmsg")).unwrap();
        let warning =
            "WARNING: [lun-writable] disk sda: the target lets nodes write to the image; export the LUN";
        assert_eq!(shown.matches(warning).count(), 1, "{shown}");
        let state = State::read(&host.path(state::FILE)).unwrap().unwrap();
        let codes = state.steps[0].warnings.iter().map(|warning| warning.code.as_str());
        assert_eq!(codes.collect::<Vec<_>>(), ["lun-writable"]);
        assert!(state.steps[1].warnings.is_empty() && host.take_warnings().is_empty());
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
        assert_eq!((state.steps[1].started_ms, state.steps[1].ended_ms), (Some(0), Some(5000)));
        assert_eq!(state.steps[1].error.as_ref().unwrap().code, "network");

        let mut run = Run::start(&host);
        run.steps(&[step("a", None)]).unwrap();
        run.finish();
        let state = State::read(&host.path(state::FILE)).unwrap().unwrap();
        assert_eq!((state.run, state.status), (2, Status::Done));
    }
}
