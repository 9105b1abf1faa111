//! Takes a node apart: what `plan` says, in its order, told on the console as it is done.

use std::time::{Duration, Instant};

use super::perform::{self, Outcome, within};
use super::plan::{Action, Seen, plan};
use super::verb::Verb;
use super::{OLD_ROOT, observe, processes};
use crate::engine::host::Host;
use crate::engine::state::{self, State};
use crate::error::Result;
use crate::report::after_pivot::Destination;
use crate::report::console::Console;
use crate::report::record::{Kind, Record};
use crate::report::spool::{self, Spool};
use crate::sys::http::Client;
use crate::sys::shutdown;

/// How long the parts may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Limits {
    /// One action.
    each: Duration,
    /// All actions.
    whole: Duration,
}

/// While the target is there: an unmount writes nothing (the image is read-only, the rest is memory), and a target
/// answers a log-out at once or never.
const WITH_TARGET: Limits = Limits { each: Duration::from_secs(3), whole: Duration::from_secs(15) };
/// Without it nothing waits any more for something that may still come.
const WITHOUT_TARGET: Limits = Limits { each: Duration::from_secs(1), whole: Duration::from_secs(6) };
/// Where udev listens.
const UDEV: &str = "/run/udev/control";
/// The keeper may take so long to end.
const KEEPER: Duration = Duration::from_secs(2);
/// The last report may take so long: a dead server does not hold up the end.
pub const LAST_REPORT: Duration = Duration::from_secs(2);

/// Says a line where somebody may read it.
pub fn say(line: &str) {
    Console::of_machine(&Host::this()).say(line);
}

/// What would be done on `host` now, in order, a line each.
pub fn dry_run(host: &Host) -> Vec<String> {
    let seen = observe::observe(host, "");
    let keeper = processes::spared(&host.path("/proc"), "keeper");
    let keeper = keeper.iter().map(|pid| format!("end the keeper, process {pid}"));
    keeper.chain(plan(&seen, false).iter().map(ToString::to_string)).collect()
}

/// Takes the node apart whose old root is at /oldroot, and reports that it goes down.
pub fn work(verb: Verb) {
    let host = Host::this();
    let mut console = Console::of_machine(&host);
    let begin = Instant::now();
    console.say(&format!("exit: {verb}"));
    // Who watches whether this comes to an end at all is done: it has.
    for watcher in processes::spared(&host.path("/proc"), "--watch") {
        shutdown::kill(watcher);
    }
    match perform::end_keeper(KEEPER) {
        None => (),
        Some(Outcome::Done(took)) => {
            console.say(&format!("exit: ended the keeper in {:.2} s", took.as_secs_f64()));
        }
        Some(_) => console.say("exit: killed the keeper, which did not answer"),
    }
    // Where this is, device-mapper's changes wait for udev, and udev is gone.
    let _ = std::fs::remove_file(host.path(UDEV));
    let left = take_apart(&mut console, begin);
    let detail = match left.is_empty() {
        true => format!("{verb}, nothing left behind"),
        false => format!("{verb}, left behind: {}", names(&left).join(", ")),
    };
    console.say(&format!("exit: {detail}, after {:.2} s", begin.elapsed().as_secs_f64()));
    report(&mut console, detail);
}

/// Twice, for what one thing held may be free when another is gone; what is left after that.
fn take_apart(console: &mut Console, begin: Instant) -> Seen {
    let host = Host::this();
    let mut seen = observe::observe(&host, OLD_ROOT);
    for lazily in [false, true] {
        let limits = if seen.is_cut_off() { WITHOUT_TARGET } else { WITH_TARGET };
        for action in plan(&seen, lazily) {
            let left = limits.whole.saturating_sub(begin.elapsed());
            if left.is_zero() {
                console.say(&format!("exit: no time left to {action}"));
                continue;
            }
            let outcome = perform::perform(&action, limits.each.min(left));
            if is_news(&action) || !matches!(outcome, Outcome::Done(_)) {
                console.say(&perform::line(&action, &outcome));
            }
        }
        seen = observe::observe(&host, OLD_ROOT);
        if seen.is_empty() {
            break;
        }
    }
    seen
}

/// That the kernel's own file systems are unmounted is not: every system has a dozen of them.
fn is_news(action: &Action) -> bool {
    let Action::Unmount { path, .. } = action else { return true };
    let path = path.strip_prefix(OLD_ROOT).unwrap_or(path);
    let kernels = ["/proc", "/sys", "/dev", "/run"];
    !kernels.iter().any(|kernels| path.starts_with(kernels)) || path.starts_with("/run/diskless/")
}

/// What is left, by name.
fn names(seen: &Seen) -> Vec<String> {
    let maps = seen.maps.iter().map(|map| format!("map {}", map.name));
    let sessions = seen.sessions.iter().map(|session| format!("iSCSI session {}", session.sid));
    let others = [&seen.mounts, &seen.swaps, &seen.loops, &seen.zrams].into_iter().flatten().cloned();
    others.chain(maps).chain(sessions).collect()
}

/// Tells the report server of the plan, if it has one, that the node goes down; no longer than [`LAST_REPORT`].
fn report(console: &mut Console, detail: String) {
    let host = Host::this();
    let Ok(destination) = Destination::read(&host) else { return };
    match within(LAST_REPORT, move || send(&Host::this(), &destination, detail, LAST_REPORT)) {
        Outcome::Done(took) => console.say(&format!("exit: reported in {:.2} s", took.as_secs_f64())),
        Outcome::Failed(why) => console.say(&format!("exit: could not report: {why}")),
        Outcome::Late(_) => console.say("exit: could not report: the server does not answer"),
    }
}

/// Sends what other reports left unsent, and that the node goes down as `detail` says.
pub fn send(host: &Host, destination: &Destination, detail: String, limit: Duration) -> Result<()> {
    let file = host.path(spool::FILE);
    let mut spool = Spool::read(&file, &host.boot_id());
    let run = State::read(&host.path(state::FILE)).ok().flatten().map_or(1, |state| state.run);
    let hostname = destination.hostname.clone();
    let down = Record { hostname, detail: Some(detail), ..Record::new(Kind::Down, host.now()) };
    spool.push(run, down);
    let client = Client::new(&destination.url, limit, &Destination::ca(host))?;
    while let Some(record) = spool.first().cloned() {
        client.post_json(&record.json()).map_err(|failure| {
            failure.into_error(&destination.url, crate::error::Code::Report, crate::error::Code::Report)
        })?;
        spool.remove(record.seq);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::http::fixture::{Server, answer};

    #[test]
    fn the_last_report_comes_behind_what_was_unsent() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::fake(root.path());
        let mut spool = Spool::read(&host.path(spool::FILE), "");
        spool.push(1, Record::new(Kind::Up, Duration::ZERO));
        spool.write(&host.path(spool::FILE)).unwrap();
        let server = Server::start(vec![answer("204 No Content", "")]);
        let destination =
            Destination { url: server.url.clone(), phone_home: None, hostname: Some("node1".into()) };
        send(&host, &destination, "poweroff, nothing left behind".into(), LAST_REPORT).unwrap();
        let requests = server.requests();
        assert_eq!(requests.len(), 2);
        assert!(requests[0].contains("\"event\":\"up\""), "{requests:?}");
        for member in ["\"event\":\"down\"", "\"seq\":2", "\"hostname\":\"node1\"", "nothing left behind"] {
            assert!(requests[1].contains(member), "{member}: {requests:?}");
        }
        let dead = Destination { url: "http://127.0.0.1:1/".into(), ..destination };
        assert!(send(&host, &dead, String::new(), LAST_REPORT).is_err());
    }

    #[test]
    fn what_every_system_has_is_no_news() {
        let told = |path: &str| is_news(&Action::Unmount { path: path.into(), lazily: false });
        assert!(told("/oldroot") && told("/oldroot/var") && told("/oldroot/run/diskless/rw"));
        assert!(!told("/oldroot/sys/fs/cgroup") && !told("/oldroot/proc"));
        assert!(is_news(&Action::LogOut { sid: 1 }));
    }

    #[test]
    fn what_is_left_is_named() {
        let left = Seen {
            mounts: vec!["/oldroot".into()],
            sessions: vec![super::super::plan::Session { sid: 3, logged_in: true }],
            ..Seen::default()
        };
        assert_eq!(names(&left), ["/oldroot", "iSCSI session 3"]);
    }
}
