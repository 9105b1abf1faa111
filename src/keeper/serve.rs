//! When the keeper wakes up: somebody asks, a connection is lost or made, a disk or map changes, one of the image's
//! daemons ends; and once a minute, in case something was missed. While anything is wrong, more often.

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use super::SOCKET;
use super::journal::{self, Doing, Journal, Memory};
use super::keep::{self, Outcome};
use super::look::{self, Look, Watch};
use super::owner::Owner;
use super::wire::{self, Answer, LONGEST_REQUEST, Plan, Request};
use crate::engine::host::Host;
use crate::error::{Code, Context, Error, Result};
use crate::steps::multipath::queue::Phase;
use crate::steps::{handover, iscsi, multipath};
use crate::sys::wake::{self, Events};
use crate::sys::{dm, memory, mount};

/// Between two looks while all is well.
const TICK: Duration = Duration::from_secs(60);
/// Between two looks at nothing.
const IDLE: Duration = Duration::from_secs(24 * 3600);
/// Between two looks while a daemon has not adopted everything yet: what it holds open is no event. And where the kernel
/// does not tell of a daemon's end.
const WATCH: Duration = Duration::from_secs(5);
/// Between two looks while something is wrong: the shortest time, which doubles, and the longest.
const SOON: Duration = Duration::from_secs(1);
const LATE: Duration = Duration::from_secs(10);
/// Whoever asks has sent all of it within this time.
const REQUEST_LIMIT: Duration = Duration::from_secs(2);
/// At the node's end a lost connection may come back for so long.
const END_GRACE: Duration = Duration::from_secs(5);
/// A session is logged out of within this time.
const LOGOUT_LIMIT: Duration = Duration::from_secs(2);

/// Listens where requests come in.
///
/// # Errors
/// [`Code::Keeper`]: another keeper does.
pub fn listen(host: &Host) -> Result<UnixListener> {
    let path = host.path(SOCKET);
    let object = || path.display().to_string();
    if UnixStream::connect(&path).is_ok() {
        return Err(Error::new(Code::Keeper, object()).because("another keeper answers there"));
    }
    // One of a keeper that is no more.
    let _ = std::fs::remove_file(&path);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).context(Code::Keeper, object())?;
    }
    let listener = UnixListener::bind(&path).context(Code::Keeper, object())?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))
        .context(Code::Keeper, object())?;
    listener.set_nonblocking(true).context(Code::Keeper, object())?;
    Ok(listener)
}

/// Serves until it is told to end.
pub fn serve(host: &Host, listener: UnixListener) {
    let mut keeper = Keeper::new(host, listener);
    keeper.journal.note(host.now(), "started");
    keeper.save();
    let mut plan: Option<Box<Plan>> = None;
    loop {
        let order = match &plan {
            None => keeper.idle(),
            Some(plan) => keeper.keep(plan),
        };
        match order {
            Order::Keep(new) => plan = Some(new),
            Order::Forget => plan = None,
            Order::End => return,
        }
    }
}

/// What the keeper is to do from now on.
enum Order {
    Keep(Box<Plan>),
    Forget,
    End,
}

struct Keeper<'a> {
    host: &'a Host,
    listener: UnixListener,
    /// None until there is something to keep: nobody reads them before. And so the other.
    devices: Option<Events>,
    iscsi: Option<Events>,
    /// The ends of the image's daemons.
    daemons: Vec<(u32, OwnedFd)>,
    /// Some end is not seen: the kernel is older than Linux 5.3.
    unfollowed: bool,
    journal: Journal,
    /// The node goes down since then.
    ending: Option<Duration>,
    /// Who handed over, and waits for the answer.
    unanswered: Option<UnixStream>,
    order: Option<Order>,
}

impl<'a> Keeper<'a> {
    fn new(host: &'a Host, listener: UnixListener) -> Keeper<'a> {
        Keeper {
            host,
            listener,
            devices: None,
            iscsi: None,
            daemons: Vec::new(),
            unfollowed: false,
            journal: Journal::default(),
            ending: None,
            unanswered: None,
            order: None,
        }
    }

    /// Waits for something to keep.
    fn idle(&mut self) -> Order {
        if let Some(stream) = self.unanswered.take() {
            self.answer(stream);
        }
        loop {
            // Nothing else concerns it: no event wakes it up, and each is too old by the time it has something to keep.
            self.host.wait_for(&[self.listener.as_fd()], IDLE);
            self.listen();
            if let Some(order) = self.order.take() {
                return order;
            }
        }
    }

    /// Keeps `plan` until there is another order.
    fn keep(&mut self, plan: &Plan) -> Order {
        let host = self.host;
        let mut watch = Watch::default();
        // Without them the next look finds out, which is soon where anything is wrong.
        self.devices = self.devices.take().or_else(|| Events::devices().ok());
        self.iscsi = self.iscsi.take().or_else(|| Events::iscsi().ok());
        self.journal.doing = if self.ending.is_some() { Doing::Ending } else { Doing::Keeping };
        self.journal.note(host.now(), format!("keeps {} portals", plan.iscsi.portals.len()));
        let mut look = self.look(&mut watch, plan);
        self.save();
        if let Some(stream) = self.unanswered.take() {
            // From here on they are kept: the boot goes on while the first pass runs.
            self.answer(stream);
        }
        loop {
            // What is another's is not part of the steps; when that changes, all that they have begun is called off.
            let gate = look.as_ref().map(Gate::of).unwrap_or_default();
            let ours = look.as_ref().and_then(|look| keep::ours(plan, look));
            let kind = if plan.map.is_some() { iscsi::Portals::Paths } else { iscsi::Portals::Alternatives };
            let sessions =
                ours.as_ref().map(|ours| iscsi::Step::keeping(ours, plan.initiator.as_str(), kind));
            let map = plan.map.as_ref().filter(|_| gate.map);
            let map = map.map(|map| multipath::Step::keeping(&plan.iscsi, map, plan.initiator.as_str()));
            let mut pause = SOON;
            loop {
                let outcomes = self.pass(plan, &mut watch, &gate, sessions.as_ref(), map.as_ref());
                self.end_of_life(plan, look.as_ref());
                look = self.look(&mut watch, plan);
                self.tell(&outcomes);
                if let Some(order) = self.order.take() {
                    return order;
                }
                if look.as_ref().map(Gate::of).unwrap_or_default() != gate {
                    break;
                }
                let well = outcomes.iter().all(|outcome| matches!(outcome, Outcome::Well(_)));
                let at_most = self.at_most(look.as_ref(), well, pause);
                if self.wait(at_most) {
                    pause = SOON
                } else {
                    pause = pause.saturating_mul(2).min(LATE)
                }
                if let Some(order) = self.order.take() {
                    return order;
                }
                look = self.look(&mut watch, plan);
                if look.as_ref().map(Gate::of).unwrap_or_default() != gate {
                    break;
                }
            }
        }
    }

    /// What there is; none: it could not be seen, and the journal says why.
    fn look(&mut self, watch: &mut Watch, plan: &Plan) -> Option<Look> {
        let now = self.host.now();
        match watch.look(self.host, plan) {
            Ok(look) => {
                look.tell(plan, &mut self.journal, now);
                self.follow(&look);
                Some(look)
            }
            Err(error) => {
                self.note_once(error.to_string());
                None
            }
        }
    }

    /// Sees to it that the end of each daemon ends a wait.
    fn follow(&mut self, look: &Look) {
        let pids =
            || look.iscsid.iter().chain(&look.multipathd).flat_map(|daemon| daemon.pids.iter().copied());
        self.daemons.retain(|(pid, _)| pids().any(|other| other == *pid));
        self.unfollowed = false;
        for pid in pids() {
            if self.daemons.iter().any(|(other, _)| *other == pid) {
                continue;
            }
            match wake::process(pid) {
                Ok(end) => self.daemons.push((pid, end)),
                // The next look finds out, and comes sooner.
                Err(_) => self.unfollowed = true,
            }
        }
    }

    /// One pass over what is the keeper's.
    fn pass(
        &mut self,
        plan: &Plan,
        watch: &mut Watch,
        gate: &Gate,
        sessions: Option<&iscsi::Step<'_>>,
        map: Option<&multipath::Step<'_>>,
    ) -> Vec<Outcome> {
        let host = self.host;
        // Only once the initramfs's own is no more does it stay so.
        let mut done = handover::keep_again(host);
        // A daemon may have started since: whoever acts looks first.
        let mut may_act = || watch.look(host, plan).is_ok_and(|look| Gate::of(&look) == *gate);
        let mut outcomes = Vec::new();
        if let Some(sessions) = sessions {
            outcomes.push(keep::pass(sessions, host, &mut may_act, &mut |what| done.push(what)));
            if plan.map.is_none() && self.phase() == Phase::Up {
                done.extend(iscsi::wait_as_planned(host, &plan.iscsi, &plan.initiator));
            }
        }
        if let Some(map) = map {
            map.set_phase(self.phase());
            let outcome = keep::pass(map, host, &mut may_act, &mut |what| done.push(what));
            if let Some(journal) = &mut self.journal.map {
                journal.found = Some(outcome.text().to_owned());
            }
            outcomes.push(outcome);
        }
        for what in done {
            self.journal.note(host.now(), what);
        }
        outcomes
    }

    /// Where in its life the node is.
    fn phase(&self) -> Phase {
        if self.ending.is_some() {
            return Phase::Ending;
        }
        // The root of the first process, which is not this one's. No file of it is looked for: that might be a read of the
        // very disk that is lost.
        if mount::is_overlay(&self.host.path("/proc/1/root/")) { Phase::Up } else { Phase::Boot }
    }

    /// Writes what came of a pass into the journal.
    fn tell(&mut self, outcomes: &[Outcome]) {
        for outcome in outcomes {
            if let Outcome::Ailing(what) = outcome {
                self.note_once(what.clone());
            }
        }
        if outcomes.iter().all(|outcome| matches!(outcome, Outcome::Well(_))) {
            // What a login took is not needed for a long time.
            memory::trim();
        }
        self.save();
    }

    /// Notes what was not noted just before: it is said again at each look as long as it lasts.
    fn note_once(&mut self, what: String) {
        // Numbers in it (attempts, seconds) are no news.
        let plain = |text: &str| text.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
        let told = self.journal.events.iter().rev().take(4).any(|event| plain(&event.what) == plain(&what));
        if !told {
            self.journal.note(self.host.now(), what);
        }
    }

    /// How long the next wait is.
    fn at_most(&self, look: Option<&Look>, well: bool, pause: Duration) -> Duration {
        if look.is_none() || !well || self.ending.is_some() {
            return pause;
        }
        let watched = |owner: &Owner| matches!(owner, Owner::Watched(_));
        let owners = look.iter().flat_map(|look| look.portals.iter().map(|portal| &portal.owner));
        let map = look.filter(|_| self.journal.map.is_some()).map(|look| &look.map);
        if self.unfollowed || owners.chain(map).any(watched) { WATCH } else { TICK }
    }

    /// Waits; whether anything happened.
    fn wait(&mut self, at_most: Duration) -> bool {
        let until = Instant::now() + at_most;
        loop {
            let mut fds = vec![self.listener.as_fd()];
            fds.extend(self.devices.as_ref().map(AsFd::as_fd));
            let others = fds.len();
            fds.extend(self.iscsi.as_ref().map(AsFd::as_fd));
            fds.extend(self.daemons.iter().map(|(_, end)| end.as_fd()));
            let left = until.saturating_duration_since(Instant::now());
            // A thread of a step that has done its part has news.
            self.host.wait_for(&fds, left);
            let ready = wake::ready(&fds);
            self.journal.wakes += 1;
            let mut happened = self.host.take_news() || ready.iter().skip(others).any(|ready| *ready);
            if let Some(devices) = &self.devices {
                devices.drain(|message| happened |= concerns(message));
            }
            if let Some(iscsi) = &self.iscsi {
                iscsi.drain(|_| ());
            }
            if ready.first() == Some(&true) {
                self.listen();
                happened |= self.order.is_some() || self.ending.is_some();
            }
            if happened {
                return true;
            }
            if Instant::now() >= until {
                return false;
            }
        }
    }

    /// Takes requests.
    fn listen(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            self.journal.memory = Memory::now(self.host);
            match request(&stream) {
                Ok(Request::Status) => self.answer(stream),
                Ok(Request::Keep(plan)) => {
                    self.order = Some(Order::Keep(plan));
                    // Answered after the first look; two at once is nothing that the agent does.
                    self.unanswered = Some(stream);
                    return;
                }
                Ok(Request::Forget) => {
                    (self.journal.doing, self.journal.map) = (Doing::Idle, None);
                    self.journal.portals.clear();
                    self.journal.note(self.host.now(), "told to keep nothing");
                    self.order = Some(Order::Forget);
                    self.save();
                    // Answered when what was begun is called off.
                    self.unanswered = Some(stream);
                    return;
                }
                Ok(Request::Ending) => {
                    if self.ending.is_none() {
                        self.ending = Some(self.host.now());
                        self.journal.doing = Doing::Ending;
                        self.journal.note(self.host.now(), "the node goes down");
                    }
                    self.answer(stream);
                }
                Ok(Request::End) => {
                    self.journal.doing = Doing::Ended;
                    self.journal.note(self.host.now(), "told to end");
                    self.order = Some(Order::End);
                    self.save();
                    self.answer(stream);
                    return;
                }
                Err(error) => reply(stream, &Answer::Refused(error.to_string())),
            }
        }
    }

    fn answer(&self, stream: UnixStream) {
        reply(stream, &Answer::Journal(Box::new(self.journal.clone())));
    }

    /// At the node's end: what is lost fails soon instead of being waited for.
    fn end_of_life(&mut self, plan: &Plan, look: Option<&Look>) {
        let (Some(since), Some(look)) = (self.ending, look) else {
            return;
        };
        let host = self.host;
        let over = host.now().saturating_sub(since) >= END_GRACE;
        if over && plan.map.is_some() && !look.portals.iter().any(look::Portal::is_up) {
            // First, for after that the sessions' disks are gone. multipathd, if it runs, would not do it.
            for map in look::maps(host, &look.portals) {
                if let Err(error) = dm::message(&map, "fail_if_no_path") {
                    self.note_once(error.to_string());
                }
            }
        }
        for portal in &look.portals {
            let Some((sid, _)) = portal.session else {
                continue;
            };
            if !portal.is_up() && over {
                // Only this ends reads and writes that wait already: a shorter limit is for the next loss.
                self.journal.note(host.now(), format!("gives up iSCSI session {sid}"));
                if let Err(error) = iscsi::log_out(host, sid, LOGOUT_LIMIT) {
                    self.note_once(error.to_string());
                }
            } else {
                let limit = host.path(format!("/sys/class/iscsi_session/session{sid}/recovery_tmo"));
                let _ = std::fs::write(limit, END_GRACE.as_secs().to_string());
            }
        }
    }

    fn save(&mut self) {
        self.journal.memory = Memory::now(self.host);
        if let Err(error) = self.journal.write(&self.host.path(journal::FILE)) {
            log::warn!("{error}");
        }
    }
}

/// Which parts are the keeper's.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Gate {
    portals: Vec<bool>,
    map: bool,
}

impl Gate {
    fn of(look: &Look) -> Gate {
        Gate {
            portals: look.portals.iter().map(|portal| portal.owner.is_keeper()).collect(),
            map: look.map.is_keeper(),
        }
    }
}

/// Whether a uevent concerns the paths: a disk of a session came or went, or a map lost or got a path. An empty one
/// stands for some that were lost.
fn concerns(uevent: &[u8]) -> bool {
    let has = |word: &[u8]| uevent.windows(word.len()).any(|window| window == word);
    uevent.is_empty()
        || has(b"SUBSYSTEM=block\0")
            && (has(b"DM_ACTION=PATH_")
                || has(b"/session") && (has(b"ACTION=add\0") || has(b"ACTION=remove\0")))
}

/// Reads what a process of root asks.
fn request(stream: &UnixStream) -> Result<Request> {
    if !wake::is_of_root(stream) {
        return Err(Error::new(Code::Keeper, SOCKET).because("root alone may ask"));
    }
    let until = Instant::now() + REQUEST_LIMIT;
    // All of it at once: a buffer that grows leaves copies of secrets behind.
    let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(LONGEST_REQUEST));
    let mut chunk = zeroize::Zeroizing::new([0u8; 4096]);
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || bytes.len() > LONGEST_REQUEST - chunk.len() {
            return Err(Error::new(Code::Keeper, SOCKET).because("a request that does not end"));
        }
        stream.set_read_timeout(Some(left)).context(Code::Keeper, SOCKET)?;
        match (&mut &*stream).read(chunk.as_mut_slice()) {
            Ok(0) => return wire::request(&bytes),
            Ok(length) => bytes.extend_from_slice(chunk.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => (),
            Err(error) => return Err(error).context(Code::Keeper, SOCKET),
        }
    }
}

fn reply(mut stream: UnixStream, answer: &Answer) {
    let _ = stream.set_write_timeout(Some(REQUEST_LIMIT));
    // Whoever does not wait for the answer does not need it.
    let _ = stream.write_all(&wire::answer(answer));
}

#[cfg(test)]
#[path = "serve_tests.rs"]
mod tests;
