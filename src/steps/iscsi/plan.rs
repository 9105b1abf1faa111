//! What is to be done next.

use std::fmt;
use std::time::Duration;

use super::attempts::{Place, Tries, Work};
use super::observe::{Device, Session};
use super::quorum::{self, State, Verdict};
use super::{Portals, Step};
use crate::engine::converge::Next;
use crate::error::{Code, Error, Result};
use crate::sys::block::Disk;

/// So long after a scan without effect the next one is worth it: the target may have been given the LUN since.
pub const RESCAN_AFTER: Duration = Duration::from_secs(5);

/// One thing to do for the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Take away a session that was left half made.
    Sweep {
        /// The session's id.
        sid: u32,
    },
    /// Start something at a portal.
    Start {
        /// Where.
        place: Place,
        /// What.
        work: Work,
        /// The same for people: `log in to iqn... at 198.18.0.1:3260`.
        about: String,
    },
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Sweep { sid } => write!(f, "drop the dead iSCSI session {sid}"),
            Action::Start { about, .. } => f.write_str(about),
        }
    }
}

/// What there is of the plan's disk.
#[derive(Debug, Clone)]
pub struct Seen {
    /// One for each portal; for alternatives, one for all.
    pub paths: Vec<PathSeen>,
    /// The discovery, unless there is none or it is over.
    pub discovery: Option<Tries>,
    /// Sessions that somebody who is dead left behind before they could be used.
    pub half_made: Vec<u32>,
    /// The time of all this.
    pub now: Duration,
    /// Since when so many paths are up as the plan wants; none: they are not.
    pub enough_since: Option<Duration>,
}

/// What there is at a portal.
#[derive(Debug, Clone)]
pub struct PathSeen {
    /// `iqn... at 198.18.0.1:3260`
    pub target: String,
    /// `198.18.0.1:3260`
    pub portal: String,
    /// The session at it.
    pub session: Option<Session>,
    /// What was done so far.
    pub tries: Tries,
}

/// What a path comes to.
enum Judged<'a> {
    Up(&'a Disk),
    Do(Work),
    Pending(Waits),
}

/// Why it is not there.
enum Waits {
    For(String),
    Failed(Error),
}

pub fn is_up(path: &PathSeen) -> bool {
    disk_of(path).is_some_and(|(session, device, _)| {
        // What is in use was read.
        device.held || path.tries.read == Some(session.sid)
    })
}

/// The disk of a path that is logged in and runs.
fn disk_of(path: &PathSeen) -> Option<(&Session, &Device, &Disk)> {
    let session = path.session.as_ref().filter(|session| session.logged_in())?;
    let device = session.device.as_ref().filter(|device| device.kind == 0 && device.state == "running")?;
    Some((session, device, device.disk.as_ref().filter(|disk| disk.sectors > 0)?))
}

pub fn plan(step: &Step<'_>, seen: &Seen) -> Result<Next<Action>> {
    // Nobody else takes them away, and each costs the kernel a SCSI host.
    if let Some(sid) = seen.half_made.first() {
        return Ok(Next::Do(Action::Sweep { sid: *sid }));
    }
    if let Some(tries) = &seen.discovery
        && is_due(step, seen, tries)
    {
        let about = format!("ask where {} is", step.iscsi.target);
        return Ok(Next::Do(Action::Start { place: None, work: Work::Discover, about }));
    }
    let judged: Vec<Judged<'_>> = seen.paths.iter().map(|path| judge(step, seen, path)).collect();
    for ((place, path), judged) in seen.paths.iter().enumerate().zip(&judged) {
        if let Judged::Do(work) = judged {
            let about = about(step, path, *work);
            return Ok(Next::Do(Action::Start { place: Some(place), work: *work, about }));
        }
    }
    decide(step, seen, &judged)
}

fn about(step: &Step<'_>, path: &PathSeen, work: Work) -> String {
    let lun = step.iscsi.lun;
    match work {
        Work::Discover | Work::LogIn => format!("log in to {}", path.target),
        Work::LogInAgain(sid) => format!("log iSCSI session {sid} in to {} again", path.target),
        Work::Scan(sid) => format!("look for LUN {lun} in iSCSI session {sid}"),
        Work::Read(sid) => format!("read the first sectors of LUN {lun} in iSCSI session {sid}"),
        Work::Drop(sid) => format!("drop the dead iSCSI session {sid}"),
    }
}

/// An attempt may be made by now.
fn is_due(step: &Step<'_>, seen: &Seen, tries: &Tries) -> bool {
    // In a boot what somebody has to repair is not tried again; who keeps the sessions does, now and then.
    tries.running.is_none() && seen.now >= tries.not_before && (step.keeps || !tries.is_hopeless())
}

fn judge<'a>(step: &Step<'_>, seen: &Seen, path: &'a PathSeen) -> Judged<'a> {
    let tries = &path.tries;
    if let Some((work, _)) = tries.running {
        // While one attempt follows the other, the reason is what people want to know.
        return Judged::Pending(match &tries.error {
            Some(error) => Waits::Failed(error.clone()),
            None => Waits::For(format!("{work} at {}", path.portal)),
        });
    }
    let or = |work: Work| {
        if is_due(step, seen, tries) {
            return Judged::Do(work);
        }
        Judged::Pending(match &tries.error {
            Some(error) => Waits::Failed(error.clone()),
            None => Waits::For(format!("{work} at {}", path.portal)),
        })
    };
    let Some(session) = &path.session else {
        return or(Work::LogIn);
    };
    let held = session.device.as_ref().is_some_and(|device| device.held);
    if !session.logged_in() {
        let refused = tries.error.as_ref().is_some_and(|error| error.code() == Code::Kernel);
        return match session.state.as_str() {
            _ if session.supervised => {
                Judged::Pending(Waits::For(format!("iscsid to reconnect iSCSI session {}", session.sid)))
            }
            // Never logged in.
            "FREE" if session.device.is_none() => or(Work::Drop(session.sid)),
            // The kernel does not take it back: a new one, if nothing is on its disk.
            _ if !held && refused && seen.now >= tries.not_before => Judged::Do(Work::Drop(session.sid)),
            // One that was lost for long, too: a target that did not notice has it still, and would have two.
            _ => or(Work::LogInAgain(session.sid)),
        };
    }
    let lun = || format!("LUN {} of {}", step.iscsi.lun, path.target);
    let Some(device) = &session.device else {
        let due = tries
            .scanned
            .is_none_or(|(sid, at)| sid != session.sid || seen.now.saturating_sub(at) >= RESCAN_AFTER);
        return match &tries.error {
            _ if due => Judged::Do(Work::Scan(session.sid)),
            Some(error) => Judged::Pending(Waits::Failed(error.clone())),
            None => Judged::Pending(Waits::Failed(Error::new(Code::IscsiNoDisk, lun()))),
        };
    };
    if device.kind != 0 {
        let cause = format!("it is no disk, but a SCSI device of type {}", device.kind);
        return Judged::Pending(Waits::Failed(Error::new(Code::IscsiNoDisk, lun()).because(cause)));
    }
    match (disk_of(path), &device.disk) {
        (Some((_, _, disk)), _) if is_up(path) => Judged::Up(disk),
        (Some(_), _) => or(Work::Read(session.sid)),
        (None, Some(disk)) if device.state == "running" => {
            Judged::Pending(Waits::For(format!("size of disk {} of {}", disk.name, lun())))
        }
        (None, Some(disk)) => {
            Judged::Pending(Waits::For(format!("disk {} of {}, which is {}", disk.name, lun(), device.state)))
        }
        (None, None) => Judged::Pending(Waits::For(format!("disk of {}", lun()))),
    }
}

/// No action is due: is it enough?
fn decide(step: &Step<'_>, seen: &Seen, judged: &[Judged<'_>]) -> Result<Next<Action>> {
    let state = |path: &PathSeen, judged: &Judged<'_>| match judged {
        Judged::Up(_) => State::Up,
        _ if path.tries.is_hopeless() => State::Hopeless,
        _ => State::Pending,
    };
    let mut states: Vec<State> =
        seen.paths.iter().zip(judged).map(|(path, judged)| state(path, judged)).collect();
    // A discovery may bring any number of paths. One that is over brings no more.
    let discovery = seen.discovery.as_ref();
    let missing = usize::from(discovery.is_some()) * step.least_paths();
    let of_discovery =
        if discovery.is_some_and(Tries::is_hopeless) { State::Hopeless } else { State::Pending };
    states.extend(std::iter::repeat_n(of_discovery, missing));
    let enough_for = seen.enough_since.map(|since| seen.now.saturating_sub(since));
    match quorum::decide(&states, step.least_paths(), step.grace_left(seen), enough_for) {
        Verdict::Go => match writable(step, seen).next() {
            // A path that comes later is for the map to refuse.
            Some(error) if step.iscsi.require_readonly_lun && !step.keeps => Err(error),
            _ => Ok(Next::Done(done(step, seen, judged))),
        },
        Verdict::Wait => wait(step, seen, judged, enough_for.is_some()),
        Verdict::Fail => Err(hopeless(step, seen)),
    }
}

/// What the target lets the node write to: an error for each path.
pub fn writable(step: &Step<'_>, seen: &Seen) -> impl Iterator<Item = Error> {
    let disks = seen.paths.iter().filter(|path| is_up(path)).filter_map(|path| Some((path, disk_of(path)?)));
    let writable = disks.filter(|(_, (_, device, _))| device.writable);
    writable.map(|(path, (_, _, disk))| {
        let object = format!("disk {}, LUN {} of {}", disk.name, step.iscsi.lun, path.target);
        Error::new(Code::LunWritable, object)
    })
}

fn hopeless(step: &Step<'_>, seen: &Seen) -> Error {
    let all = seen.paths.iter().map(|path| &path.tries).chain(&seen.discovery);
    let mut errors = all.filter(|tries| tries.is_hopeless()).filter_map(|tries| tries.error.clone());
    errors.next().unwrap_or_else(|| {
        Error::new(Code::IscsiNoTarget, &step.iscsi.target).because(format!(
            "{} portals were found, and {} paths are wanted",
            seen.paths.len(),
            step.least_paths()
        ))
    })
}

/// `path 2 of 2: REASON, attempt 7`; the reason alone where there is only one path.
fn named(seen: &Seen, at: usize, reason: &str) -> String {
    let count = seen.paths.get(at).map_or(0, |path| path.tries.count);
    let attempt = if count > 1 { format!(", attempt {count}") } else { String::new() };
    match seen.paths.len() {
        0 | 1 => reason.to_owned(),
        all => format!("path {} of {all}: {reason}{attempt}", at + 1),
    }
}

fn reason(waits: &Waits) -> String {
    match waits {
        Waits::For(what) => what.clone(),
        Waits::Failed(error) => error.to_string(),
    }
}

fn wait(step: &Step<'_>, seen: &Seen, judged: &[Judged<'_>], enough: bool) -> Result<Next<Action>> {
    let mut reasons = Vec::new();
    let mut errors = Vec::new();
    for (at, judged) in judged.iter().enumerate() {
        if let Judged::Pending(waits) = judged {
            reasons.push(named(seen, at, &reason(waits)));
            if let Waits::Failed(error) = waits {
                errors.push(error.clone());
            }
        }
    }
    if let Some(tries) = &seen.discovery {
        reasons.push(match (&tries.error, tries.running) {
            (Some(error), _) => error.to_string(),
            (None, _) => format!("discovery of {}", step.iscsi.target),
        });
        errors.extend(tries.error.clone());
    }
    let all = reasons.join("; ");
    if enough || errors.len() < reasons.len() {
        // Something is still on its way.
        return Ok(Next::Wait(all));
    }
    // At the end of its time the step fails with what is told here: of one path, its own error.
    let Some(last) = errors.pop() else {
        return Ok(Next::Wait(all));
    };
    if seen.paths.len() < 2 && errors.is_empty() {
        return Err(last);
    }
    let up = judged.iter().filter(|judged| matches!(judged, Judged::Up(_))).count();
    let object = format!("{up} of {} paths, {} are wanted", seen.paths.len(), step.least_paths());
    Err(Error::new(last.code(), object).because(all))
}

/// `2 of 2 paths: sda 198.18.0.1:3260, sdb 198.18.1.1:3260`, and why the others are not there.
fn done(step: &Step<'_>, seen: &Seen, judged: &[Judged<'_>]) -> String {
    let mut up = Vec::new();
    let mut others = Vec::new();
    for ((at, path), judged) in seen.paths.iter().enumerate().zip(judged) {
        match judged {
            // 2048 sectors of 512 bytes are one MiB.
            Judged::Up(disk) if seen.paths.len() == 1 => {
                return format!(
                    "{}, {} MiB, LUN {} of {}",
                    disk.name,
                    disk.sectors / 2048,
                    step.iscsi.lun,
                    path.target
                );
            }
            Judged::Up(disk) => up.push(format!("{} {}", disk.name, path.portal)),
            Judged::Pending(waits) => others.push(format!("; {}", named(seen, at, &reason(waits)))),
            Judged::Do(_) => (),
        }
    }
    format!("{} of {} paths: {}{}", up.len(), seen.paths.len(), up.join(", "), others.concat())
}

impl Step<'_> {
    /// So many paths have to be up.
    pub(super) fn least_paths(&self) -> usize {
        match self.portals {
            Portals::Alternatives => 1,
            Portals::Paths => usize::try_from(self.iscsi.min_paths).unwrap_or(usize::MAX),
        }
    }

    /// How long others are waited for once there are enough; none: for ever. The step's own time ends it, too: it would
    /// be a failure with all that is needed there.
    fn grace_left(&self, seen: &Seen) -> Option<Duration> {
        if self.keeps {
            return None;
        }
        let grace = Duration::from_secs(self.iscsi.grace.into());
        let until_end = self.deadline.map(|deadline| {
            deadline.saturating_sub(LAST_LOOK).saturating_sub(seen.enough_since.unwrap_or_default())
        });
        Some(until_end.map_or(grace, |left| left.min(grace)))
    }
}

/// Before the end of its time the step looks once more.
const LAST_LOOK: Duration = Duration::from_secs(3);

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
