use super::*;
use crate::engine::converge::Next;
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

fn begin(host: &Host) -> Run<'_> {
    Run::start(host, Rule::Holds(Trap::default()), Console::open(host))
}

fn code(stop: Result<(), Stop>) -> Option<Code> {
    if let Err(Stop::Failed(_, error)) = stop { Some(error.code()) } else { None }
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
    let mut first = begin(&host);
    assert_eq!(code(first.steps(&[step("network", Some(Code::Network))])), Some(Code::Network));
    first.close();
    let server = Server::start(vec![answer("200 OK", "")]);
    let mut run = begin(&host);
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
    let mut run = begin(&host);
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
    begin(&host).steps(&[warns, step("luks", None)]).unwrap();
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
fn a_hold_stops_before_its_step_and_is_in_the_journal() {
    let root = tempfile::tempdir().unwrap();
    let host = Host::fake(root.path());
    std::fs::create_dir_all(root.path().join("dev")).unwrap();
    std::fs::create_dir_all(root.path().join("proc").join(std::process::id().to_string())).unwrap();
    std::fs::write(root.path().join("dev/kmsg"), "").unwrap();
    let trap = Trap { holds: vec!["luks"], attempt: Some(2), ..Trap::default() };
    let steps = || ["iscsi", "luks", "exit"].map(|name| step(name, None));
    let mut first = Run::start(&host, Rule::Holds(trap.clone()), Console::open(&host));
    let Err(Stop::Held("luks", Why::Parameter)) = first.steps(&steps()) else { panic!("no hold") };
    first.name(Some("node1"));
    first.stands_still("luks", Why::Parameter, None);
    first.close();
    let shown = std::fs::read_to_string(root.path().join("dev/kmsg")).unwrap();
    assert!(
        shown.contains("TRAP: node1 stands before luks: rd.break=diskless-luks; `diskless resume`"),
        "{shown}"
    );
    let journal = || State::read(&host.path(state::FILE)).unwrap().unwrap();
    let held = journal().held.unwrap();
    assert_eq!((held.why, held.step.as_str(), held.pid), (Why::Parameter, "luks", std::process::id()));
    assert_eq!((journal().status, journal().attempt), (Status::Held, Some(2)));
    let of_steps: Vec<_> = journal().steps.iter().map(|step| step.status).collect();
    assert_eq!(of_steps, [Status::Done, Status::Held, Status::Pending]);

    // By hand, up to a step, and with one that is skipped.
    Orders::change(&host, |orders| orders.skip.push("exit".into())).unwrap();
    let mut by_hand = Run::start(&host, Rule::Until(Some("luks")), Console::open(&host));
    assert!(matches!(by_hand.steps(&steps()), Err(Stop::Reached)));
    by_hand.close();
    let names: Vec<_> = journal().steps.iter().map(|step| (step.name.clone(), step.status)).collect();
    assert_eq!(names, [("iscsi".into(), Status::Done), ("luks".into(), Status::Done)]);
    Orders::change(&host, |orders| orders.resume(Some("luks"))).unwrap();
    let mut second = Run::start(&host, Rule::Holds(trap), Console::open(&host));
    second.steps(&steps()).unwrap();
    second.finish();
    let state = journal();
    assert_eq!((state.status, state.held, state.node.as_deref()), (Status::Done, None, Some("node1")));
}

#[test]
fn a_run_by_hand_leaves_the_agent_that_waits_in_the_journal() {
    let root = tempfile::tempdir().unwrap();
    let host = Host::fake(root.path());
    let held = |pid| Some(Held { why: Why::Failure, step: "iscsi".into(), since_ms: 1, pid });
    for (pid, kept) in [(4_000_000, true), (4_000_001, false)] {
        std::fs::create_dir_all(root.path().join("proc/4000000")).unwrap();
        let state = State { held: held(pid), ..State::new(String::new(), 1) };
        state.write(&host.path(state::FILE)).unwrap();
        let mut run = Run::start(&host, Rule::Until(None), Console::open(&host));
        run.steps(&[step("iscsi", None)]).unwrap();
        run.close();
        let state = State::read(&host.path(state::FILE)).unwrap().unwrap();
        assert_eq!(state.held.is_some(), kept, "{pid}");
    }
}

#[test]
fn the_journal_tells_what_was_done_what_failed_and_what_is_left() {
    let root = tempfile::tempdir().unwrap();
    let host = Host::fake(root.path());
    let mut run = begin(&host);
    let steps = [step("a", None), step("b", Some(Code::Network)), step("c", None)];
    assert_eq!(code(run.steps(&steps)), Some(Code::Network));
    let state = State::read(&host.path(state::FILE)).unwrap().unwrap();
    assert_eq!((state.run, state.status), (1, Status::Failed));
    let of_steps: Vec<_> = state.steps.iter().map(|step| (step.name.as_str(), step.status)).collect();
    assert_eq!(of_steps, [("a", Status::Done), ("b", Status::Failed), ("c", Status::Pending)]);
    assert_eq!(state.steps[1].took_ms, Some(5000));
    assert_eq!((state.steps[1].started_ms, state.steps[1].ended_ms), (Some(0), Some(5000)));
    assert_eq!(state.steps[1].error.as_ref().unwrap().code, "network");

    let mut run = begin(&host);
    run.steps(&[step("a", None)]).unwrap();
    run.finish();
    let state = State::read(&host.path(state::FILE)).unwrap().unwrap();
    assert_eq!((state.run, state.status), (2, Status::Done));
}
