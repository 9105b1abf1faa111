//! Which paths there are, what they lead to, and what the map makes of them.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use super::Step;
use super::identify::{self, Identity};
use super::path::{self, Path, Traits};
use super::queue::Situation;
use super::reads::{Answer, Key};
use super::table::{Layout, Member, State, states};
use crate::engine::host::Host;
use crate::error::Result;
use crate::input::document::{Identify, Iscsi};
use crate::steps::iscsi::{self, Session};
use crate::sys::block::{self, Disk};
use crate::sys::dm;

/// So long a path that was put to use again and failed has to wait for the next time.
const REST: Duration = Duration::from_secs(5);

/// Paths and map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The map.
    pub map: Option<Known>,
    /// The paths, in the order of the plan's portals.
    pub paths: Vec<Found>,
    /// What a path must be like to be one; none: nobody knows yet.
    pub reference: Option<Identity>,
    /// The DM UUID of a map that has the name which this one should have, and is another one.
    pub foreign: Option<String>,
    /// What decides about queueing.
    pub situation: Situation,
    /// What the kernel is to choose a path by.
    pub selector: String,
    /// A path to a LUN that is not write protected is refused.
    pub require_readonly: bool,
    /// See [`Step::keeping`].
    pub keeping: bool,
}

/// The map as the kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its name below /dev/mapper.
    pub name: String,
    /// Behind `mpath-` in its DM UUID.
    pub wwid: String,
    /// It has a table, and is not suspended.
    pub active: bool,
    /// It is read-only.
    pub read_only: bool,
    /// Its size in sectors of 512 bytes.
    pub sectors: u64,
    /// Its table.
    pub layout: Layout,
    /// The state of its paths.
    pub states: Vec<State>,
    /// Those of its paths that are no path of the plan at the moment, but still there: a disk that does not take an open
    /// just now. Only what is gone for good is dropped.
    pub unlisted: Vec<Member>,
}

/// A path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Which.
    pub path: Path,
    /// What sysfs tells of it.
    pub traits: Traits,
    /// What disk it leads to.
    pub identity: Answer<Identity>,
    /// Whether it answers, where that was asked because the map has given it up.
    pub check: Option<Answer<()>>,
}

impl Found {
    pub fn key(&self) -> Key {
        (self.path.sid, self.path.disk.dev)
    }
}

impl Known {
    /// How many paths the kernel sends I/O to.
    pub fn active_paths(&self) -> usize {
        self.states.iter().filter(|state| state.active).count()
    }
}

/// The paths that have a disk.
///
/// # Errors
/// sysfs cannot be read.
pub fn paths(host: &Host, iscsi: &Iscsi, initiator: &str) -> Result<Vec<Path>> {
    let paths = iscsi::paths(host, iscsi, initiator)?;
    Ok(paths.into_iter().filter_map(|path| of_session(iscsi, path)).collect())
}

fn of_session(iscsi: &Iscsi, path: iscsi::Path) -> Option<Path> {
    let live = path.disk().is_some();
    let portal = iscsi.portals.get(path.portal).map(ToString::to_string);
    let Session { sid, device, .. } = path.session;
    let disk = device.filter(|device| device.kind == 0)?.disk?;
    // A portal that was discovered has no place in the plan.
    Some(Path { portal: portal.unwrap_or(path.address), sid, disk, live })
}

pub fn observe(step: &Step<'_>, host: &Host) -> Result<Seen> {
    let paths = paths(host, step.iscsi, &step.initiator)?;
    let mut found: Vec<Found> = paths.into_iter().map(|path| identify(step, host, path)).collect();
    step.samples.collect(host);
    for found in &mut found {
        settle(step, found);
    }
    let map = known(host, &found)?;
    set_reference(step, map.as_ref(), &found);
    if let Some(map) = &map {
        check(step, host, map, &mut found);
    }
    let is_there = |key: Key| found.iter().any(|found| found.key() == key);
    step.samples.retain(is_there);
    step.checks.retain(is_there);
    step.reinstated.borrow_mut().retain(|key, _| is_there(*key));
    let situation = situation(step, host, map.as_ref());
    let reference = step.reference.borrow().clone();
    let foreign = match (&map, &reference) {
        (None, Some(reference)) => dm::find(&reference.wwid)?.map(|map| map.uuid),
        _ => None,
    };
    Ok(Seen {
        map,
        paths: found,
        reference,
        foreign,
        situation,
        selector: step.map.path_selector().to_owned(),
        require_readonly: step.iscsi.require_readonly_lun,
        keeping: step.keeping,
    })
}

/// What is known of a path at once; starts to read what is to be read of it.
fn identify(step: &Step<'_>, host: &Host, path: Path) -> Found {
    let traits = path::traits(host, &path.disk.name);
    let mut found = Found { path, traits, identity: Answer::Pending, check: None };
    match step.map.identify {
        Identify::Wwid => {
            found.identity = match &found.traits.wwid {
                Some(wwid) => Answer::Read(Identity {
                    wwid: wwid.clone(),
                    sectors: found.path.disk.sectors,
                    samples: None,
                }),
                None => Answer::Failed("it tells no WWID (VPD pages 0x83, 0x80)".into()),
            };
        }
        Identify::LuksUuid if found.path.live => {
            let (node, sectors) = (node(host, &found.path.disk), found.path.disk.sectors);
            step.samples.start(host, found.key(), move || {
                File::open(&node)
                    .and_then(|file| identify::read(&file, sectors))
                    .map_err(|error| format!("{}: {error}", node.display()))
            });
        }
        Identify::LuksUuid => (),
    }
    found
}

/// Takes the answer of the read that [`identify`] started.
fn settle(step: &Step<'_>, found: &mut Found) {
    let sectors = found.path.disk.sectors;
    if let Some(answer) = step.samples.answer(found.key()) {
        found.identity = match answer {
            Answer::Read((wwid, samples)) => Answer::Read(Identity { wwid, sectors, samples: Some(samples) }),
            Answer::Pending => Answer::Pending,
            Answer::Late => Answer::Late,
            Answer::Failed(cause) => Answer::Failed(cause),
        };
    }
}

fn node(host: &Host, disk: &Disk) -> PathBuf {
    host.path("/dev").join(&disk.name)
}

/// The map that is on the paths, or that has the name of one: its own paths may all have gone.
fn known(host: &Host, found: &[Found]) -> Result<Option<Known>> {
    let disks: Vec<&Disk> = found.iter().map(|found| &found.path.disk).collect();
    let (name, wwid) = match path::map(host, &disks) {
        Some(mapped) => (mapped.name, mapped.wwid),
        None => {
            let identities = found.iter().filter_map(|found| match &found.identity {
                Answer::Read(identity) => Some(&identity.wwid),
                _ => None,
            });
            let mut there = None;
            for wwid in identities {
                if let Some(name) = dm::name_of(&super::plan::uuid(wwid))? {
                    there = Some((name, wwid.clone()));
                    break;
                }
            }
            match there {
                Some(there) => there,
                None => return Ok(None),
            }
        }
    };
    let Some(existing) = dm::find(&name)? else {
        return Ok(None);
    };
    let empty = Layout { queueing: false, handler: None, groups: Vec::new() };
    let mut known = Known {
        name,
        wwid,
        active: existing.active,
        read_only: existing.read_only,
        sectors: 0,
        layout: empty,
        states: Vec::new(),
        unlisted: Vec::new(),
    };
    if existing.active {
        if let [line] = dm::table(&known.name)?.as_slice()
            && line.kind == "multipath"
            && let Some(layout) = Layout::parse(&line.params)
        {
            known.sectors = line.length;
            let is_listed = |path| found.iter().any(|found| found.path.disk.dev == path);
            let others = layout.paths().filter(|path| !is_listed(*path));
            known.unlisted = others.filter_map(|path| path::member(host, path)).collect();
            known.layout = layout;
        }
        if let [line] = dm::status(&known.name)?.as_slice() {
            known.states = states(&line.params).unwrap_or_default();
        }
    }
    Ok(Some(known))
}

/// The map's own paths say what the others must be like; without a map the first that answers.
fn set_reference(step: &Step<'_>, map: Option<&Known>, found: &[Found]) {
    let read = |found: &Found| match &found.identity {
        Answer::Read(identity) => Some(identity.clone()),
        _ => None,
    };
    let mut reference = step.reference.borrow_mut();
    let Some(map) = map.filter(|map| map.active) else {
        // A look that sees nothing takes nothing back.
        if let Some(identity) = found.iter().filter(|found| found.path.live).find_map(read) {
            *reference = Some(identity);
        }
        return;
    };
    if reference.as_ref().is_some_and(|known| known.wwid == map.wwid) {
        return;
    }
    let members: Vec<(u32, u32)> = map.layout.paths().collect();
    let of_map = found.iter().filter(|found| members.contains(&found.path.disk.dev)).find_map(read);
    // None of its paths can be asked any more: its name and its size are all that is left of them.
    *reference = of_map
        .filter(|identity| identity.wwid == map.wwid)
        .or_else(|| Some(Identity { wwid: map.wwid.clone(), sectors: map.sectors, samples: None }));
}

/// Asks those paths again that the map has given up and that should work.
fn check(step: &Step<'_>, host: &Host, map: &Known, found: &mut [Found]) {
    let now = host.now();
    let is_failed =
        |found: &Found| map.states.iter().any(|state| state.path == found.path.disk.dev && !state.active);
    for found in found.iter().filter(|found| is_failed(found) && found.path.live) {
        let is_resting =
            step.reinstated.borrow().get(&found.key()).is_some_and(|at| now.saturating_sub(*at) < REST);
        if !is_resting {
            let (node, block_size) = (node(host, &found.path.disk), found.traits.block_size);
            step.checks.start(host, found.key(), move || {
                block::read_past_cache(&node, block_size)
                    .map_err(|error| format!("{}: {error}", node.display()))
            });
        }
    }
    step.checks.collect(host);
    for found in found {
        if is_failed(found) && found.path.live {
            found.check = step.checks.answer(found.key());
        } else {
            // The next failure is another one.
            let key = found.key();
            step.checks.retain(|other| other != key);
        }
    }
}

fn situation(step: &Step<'_>, host: &Host, map: Option<&Known>) -> Situation {
    let now = host.now();
    let is_without = map.is_some_and(|map| map.active && map.active_paths() == 0);
    let since = is_without.then(|| step.none_since.get().unwrap_or(now));
    step.none_since.set(since);
    Situation {
        none_for: since.map(|since| now.saturating_sub(since)),
        queueing: step.map.queueing(),
        phase: step.phase.get(),
        queues: map.is_some_and(|map| map.layout.queueing),
    }
}

#[cfg(test)]
#[path = "observe_tests.rs"]
mod tests;
