//! From the paths to the mounted root: what the steps of the boot themselves see, and what they would do next.

use std::time::{Duration, Instant};

use super::plan::{Known, is_given};
use super::{ALL_UNTIL, Look};
use crate::diagnose::evidence::{Check, Of, Outcome, Stage};
use crate::engine::converge::{Converge, Next};
use crate::engine::host::Host;
use crate::error::{Code, Result};
use crate::input::document::{Backing, Document, Header, KeySource};
use crate::steps::iscsi::Path;
use crate::steps::{handover, luks, modules, multipath, overlay, volumes, zram};

/// So long a step may wait for what it reads in threads of its own.
const WAIT_LIMIT: Duration = Duration::from_secs(3);
/// Between two looks of it.
const PAUSE: Duration = Duration::from_millis(100);

pub fn look(look: Look<'_>, known: &Known, paths: &[Path]) {
    let Known { document, identity } = known;
    let host = look.host.alike();
    let disk = Disk { look, host: &host, document, runs: paths.iter().any(runs) };
    if document.overlay.backing == Backing::Zram {
        disk.glance(Stage::Zram, "writable layer", &zram::Step::new(&document.overlay));
    }
    let initiator = identity.initiator.name.as_str();
    if let Some(map) = document.map() {
        let step = multipath::Step::new(&document.iscsi, map, initiator);
        if !disk.is_done(Stage::Map, "map of the paths", &step) {
            disk.key_is_there();
            return;
        }
    }
    if !disk.is_opened(initiator) {
        return;
    }
    let lowers = document.overlay.mounts.iter().flat_map(|mount| mount.lower.names());
    let wanted: Vec<String> = lowers.map(str::to_owned).collect();
    if disk.is_done(Stage::Volumes, "volumes", &volumes::Step::new(&document.luks.name, wanted))
        && disk.is_done(Stage::Root, "root", &overlay::Step::new(&document.overlay))
        && disk.is_done(
            Stage::NewRootModules,
            "modules of the new root",
            &modules::Step { required: document.handover.require_modules },
        )
    {
        match handover::Step::new(document, identity) {
            Ok(step) => disk.glance(Stage::Handover, "new root", &step),
            Err(error) => look.tell(Check::failed(Stage::Handover, Of::Node, "new root", &error)),
        }
    }
}

/// The kernel says that commands to its device reach it.
fn runs(path: &Path) -> bool {
    path.session.logged_in() && path.session.device.as_ref().is_some_and(|device| device.state == "running")
}

struct Disk<'a> {
    look: Look<'a>,
    host: &'a Host,
    document: &'a Document,
    /// There is a path whose disk is to be had.
    runs: bool,
}

impl Disk<'_> {
    /// What `step` makes of what it sees, once nothing is being read any more.
    fn next<C: Converge>(&self, step: &C) -> Result<Next<C::Action>> {
        let until = Instant::now() + self.look.left(ALL_UNTIL, WAIT_LIMIT);
        loop {
            let next = step.observe(self.host).and_then(|seen| step.plan(&seen));
            // Without a path nothing is being read.
            if !matches!(next, Ok(Next::Wait(_))) || !self.runs || Instant::now() >= until {
                return next;
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn check<A: std::fmt::Display>(&self, stage: Stage, object: &str, next: &Result<Next<A>>) -> Check {
        match next {
            Ok(Next::Done(what)) => Check::ok(stage, Of::Node, object, what),
            Ok(Next::Do(action)) => Check::open(stage, Of::Node, object, format!("the boot would {action}")),
            Ok(Next::Wait(what)) => {
                Check::open(stage, Of::Node, object, format!("the boot would wait for {what}"))
            }
            Err(error) => Check::failed(stage, Of::Node, object, error),
        }
    }

    fn glance<C: Converge>(&self, stage: Stage, object: &str, step: &C) {
        self.is_done(stage, object, step);
    }

    /// Tells how far `step` is; whether it is done.
    fn is_done<C: Converge>(&self, stage: Stage, object: &str, step: &C) -> bool {
        let check = self.check(stage, object, &self.next(step));
        let is_done = check.outcome == Outcome::Ok;
        self.look.tell(check);
        is_done
    }

    /// The encrypted disk; whether it is open.
    fn is_opened(&self, initiator: &str) -> bool {
        let luks = &self.document.luks;
        if let Some(Header::Url(url)) = &luks.header {
            // It is not fetched just to be looked at.
            is_given(self.look, Stage::Header, url, Code::LuksHeaderMissing, ALL_UNTIL);
            return false;
        }
        let find = |host: &Host| multipath::disk(host, self.document, initiator);
        // An open takes its time, and as long as it does there is no disk.
        let until = Instant::now() + self.look.left(ALL_UNTIL, WAIT_LIMIT);
        let found = loop {
            match find(self.host) {
                Ok(None) if self.runs && Instant::now() < until => std::thread::sleep(PAUSE),
                found => break found,
            }
        };
        let object = "encrypted disk";
        let check = match found {
            Ok(Some(_)) => None,
            Ok(None) if self.runs => {
                let why = format!("its path runs, and it does not open within {} s", WAIT_LIMIT.as_secs());
                Some(Check::bad(Stage::Header, Of::Node, object, Code::PathSilent, why))
            }
            Ok(None) => {
                Some(Check::unseen(Stage::Header, Of::Node, object, "there is no disk that could be read"))
            }
            Err(error) => Some(Check::failed(Stage::Header, Of::Node, object, &error)),
        };
        if let Some(check) = check {
            self.look.tell(check);
            self.key_is_there();
            return false;
        }
        let step = luks::Step::new(luks, find);
        let next = self.next(&step);
        if let Ok(Next::Do(open)) = &next {
            let volume = &open.volume;
            let found = format!("{} header, UUID {}", volume.version, volume.uuid);
            self.look.tell(Check::ok(Stage::Header, Of::Node, &volume.name, found));
            self.look.tell(self.check(Stage::Open, &luks.name, &next));
            if self.key_is_there() {
                self.key_opens(&step, open);
            }
            return false;
        }
        let stage = if next.is_err() { Stage::Header } else { Stage::Open };
        let check = self.check(stage, &luks.name, &next);
        let is_open = check.outcome == Outcome::Ok;
        self.look.tell(check);
        is_open
    }

    /// Whether there is a key that can be tried here and now.
    fn key_is_there(&self) -> bool {
        let luks = &self.document.luks;
        let path = match &luks.key {
            KeySource::Url(url) => {
                is_given(self.look, Stage::Key, url, Code::LuksKeyMissing, ALL_UNTIL);
                return false;
            }
            KeySource::File(path) => path,
        };
        match luks::source::key(self.host, luks) {
            Ok(_) => {
                self.look.tell(Check::open(Stage::Key, Of::Node, path, "it is there"));
                true
            }
            Err(error) => {
                self.look.tell(Check::failed(Stage::Key, Of::Node, path, &error));
                false
            }
        }
    }

    /// Tries the key. The time that this takes is the keyslot's to say: whoever waits for the evidence may not wait for
    /// all of it.
    fn key_opens<'b>(&self, step: &luks::Step<'b>, open: &luks::Open) {
        let object = &open.volume.name;
        if let Some(pid) = self.look.boot_at_work() {
            let why =
                format!("a boot is at work (pid {pid}), and two at once may need more memory than there is");
            self.look.tell(Check::unseen(Stage::Key, Of::Node, object, why));
            return;
        }
        self.look.tell(match step.try_key(self.host, open) {
            Ok(keyslot) => {
                Check::ok(Stage::Key, Of::Node, object, format!("the key opens keyslot {keyslot}"))
            }
            Err(error) => Check::failed(Stage::Key, Of::Node, object, &error),
        });
    }
}
