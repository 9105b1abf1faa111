//! Decides what to do about the map.

use std::fmt;

use super::identify::difference;
use super::observe::{Found, Known, Seen};
use super::queue;
use super::reads::Answer;
use super::table::{Layout, Member, Number};
use crate::engine::converge::Next;
use crate::error::{Code, Error, Result};
use crate::sys::dm::{Map, Target, number};

/// One thing to do about the map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Make it.
    Create(Map),
    /// Give it another table.
    Reload {
        /// The map with the table.
        map: Map,
        /// The map is read-only, and stays so.
        read_only: bool,
    },
    /// Send I/O to a path again.
    Reinstate {
        /// The map.
        map: String,
        /// `sda at 198.18.0.1:3260`
        name: String,
        /// The path's session and disk.
        key: super::reads::Key,
    },
    /// Let I/O wait while there is no path, or fail.
    Queue {
        /// The map.
        map: String,
        /// It is to wait.
        wait: bool,
    },
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Create(map) => write!(f, "make map {}", map.name),
            Action::Reload { map, .. } => write!(f, "give map {} the paths that there are now", map.name),
            Action::Reinstate { map, name, .. } => write!(f, "use path {name} of map {map} again"),
            Action::Queue { map, wait: true } => write!(f, "let reads of map {map} wait for a path"),
            Action::Queue { map, wait: false } => {
                write!(f, "let reads of map {map} fail, for no path has come")
            }
        }
    }
}

/// The DM UUID of the map of `wwid`, by which multipathd recognises it.
pub fn uuid(wwid: &str) -> String {
    format!("mpath-{wwid}")
}

/// The paths, sorted out.
#[derive(Default)]
struct Sorted<'a> {
    /// In the map, or fit to be.
    members: Vec<&'a Found>,
    /// Being read.
    pending: Vec<&'a Found>,
    /// Not known what they lead to, and why.
    silent: Vec<(&'a Found, String)>,
    /// They lead to another disk, or to one that is not to be written to and can be.
    refused: Option<Error>,
}

/// What to do next.
///
/// # Errors
/// [`Code::PathMismatch`]: a path leads to another disk; while there is a map, only when nothing else is to be done.
/// [`Code::LunWritable`]: a path can be written to and must not; the same.
/// [`Code::PathSilent`]: no path tells what it leads to. [`Code::PathMap`]: a map of this name is there, and it is another.
pub fn plan(seen: &Seen) -> Result<Next<Action>> {
    let sorted = sort(seen);
    match &seen.map {
        Some(map) if map.active => keep(seen, map, sorted),
        _ => create(seen, sorted),
    }
}

fn sort(seen: &Seen) -> Sorted<'_> {
    let mut sorted = Sorted::default();
    let in_map: Vec<Number> = seen.map.iter().flat_map(|map| map.layout.paths()).collect();
    for found in &seen.paths {
        // The kernel gives its number to no other disk while the map has it.
        if in_map.contains(&found.path.disk.dev) {
            sorted.members.push(found);
        } else if found.path.live && seen.require_readonly && found.traits.writable {
            let error = || Error::new(Code::LunWritable, format!("path {}", found.path.name()));
            sorted.refused.get_or_insert_with(error);
        } else if found.path.live {
            match &found.identity {
                Answer::Read(identity) => {
                    let wrong = seen.reference.as_ref().and_then(|known| difference(known, identity));
                    match wrong {
                        None => sorted.members.push(found),
                        Some(difference) => {
                            sorted.refused.get_or_insert_with(|| mismatch(seen, found, difference));
                        }
                    }
                }
                Answer::Pending => sorted.pending.push(found),
                Answer::Late => sorted.silent.push((found, "no answer to a read".into())),
                Answer::Failed(cause) => sorted.silent.push((found, cause.clone())),
            }
        }
    }
    sorted
}

/// Names both paths.
fn mismatch(seen: &Seen, wrong: &Found, difference: String) -> Error {
    let is_reference = |found: &&Found| matches!((&found.identity, &seen.reference), (Answer::Read(one), Some(other)) if one == other);
    let other = match (seen.paths.iter().find(is_reference), &seen.map) {
        (Some(found), _) => found.path.name(),
        (None, Some(map)) => format!("map {}", map.name),
        (None, None) => "the others".into(),
    };
    Error::new(Code::PathMismatch, format!("path {} beside {other}", wrong.path.name())).because(difference)
}

fn create(seen: &Seen, sorted: Sorted<'_>) -> Result<Next<Action>> {
    if let Some(refused) = sorted.refused {
        return Err(refused);
    }
    let Some((layout, reference)) =
        layout(&sorted.members, &[], waits_at_first(seen)).zip(seen.reference.as_ref())
    else {
        if let [first, ..] = sorted.pending.as_slice() {
            return Ok(Next::Wait(format!("path {} to be read", first.path.name())));
        }
        return match sorted.silent.first() {
            Some((found, cause)) => Err(silent(found, cause)),
            None => Ok(Next::Wait("a path to the disk".into())),
        };
    };
    if let Some(foreign) = &seen.foreign {
        return Err(Error::new(Code::PathMap, format!("map {}", reference.wwid))
            .because(format!("there is one of this name, of something else: {foreign:?}")));
    }
    // Left by an interrupted run.
    let name = seen.map.as_ref().map_or_else(|| reference.wwid.clone(), |map| map.name.clone());
    Ok(Next::Do(Action::Create(map(name, &reference.wwid, reference.sectors, &layout, &seen.selector))))
}

/// Reads and writes wait in a new map, as they do while it has a path.
fn waits_at_first(seen: &Seen) -> bool {
    let situation = queue::Situation { none_for: None, queues: true, ..seen.situation };
    queue::decide(&situation).unwrap_or(true)
}

fn keep(seen: &Seen, known: &Known, sorted: Sorted<'_>) -> Result<Next<Action>> {
    if let Some(wait) = queue::decide(&seen.situation) {
        return Ok(Next::Do(Action::Queue { map: known.name.clone(), wait }));
    }
    let failed =
        |found: &Found| known.states.iter().any(|state| state.path == found.path.disk.dev && !state.active);
    let answers = sorted.members.iter().find(|found| failed(found) && found.check == Some(Answer::Read(())));
    if let Some(found) = answers {
        return Ok(Next::Do(Action::Reinstate {
            map: known.name.clone(),
            name: found.path.name(),
            key: found.key(),
        }));
    }
    if let Some(layout) = better(known, &sorted.members) {
        let map = map(known.name.clone(), &known.wwid, known.sectors, &layout, &seen.selector);
        return Ok(Next::Do(Action::Reload { map, read_only: known.read_only }));
    }
    if let Some(refused) = sorted.refused {
        return Err(refused);
    }
    if known.active_paths() == 0 {
        return Ok(Next::Wait(format!("a path of map {}", known.name)));
    }
    if let [first, ..] = sorted.pending.as_slice() {
        return Ok(Next::Wait(format!("path {} to be read", first.path.name())));
    }
    if seen.keeping {
        if let Some(found) = sorted.members.iter().find(|found| failed(found) && found.path.live) {
            return Ok(Next::Wait(format!("path {} to answer", found.path.name())));
        }
        if let Some((found, cause)) = sorted.silent.first() {
            return Err(silent(found, cause));
        }
    }
    Ok(Next::Done(told(known, &sorted)))
}

/// The table that the map should have instead of its own; none: it is good as it is.
fn better(known: &Known, members: &[&Found]) -> Option<Layout> {
    if members.is_empty() {
        return None;
    }
    let wanted = layout(members, &known.unlisted, known.layout.queueing)?;
    if wanted.is_like(&known.layout) {
        return None;
    }
    let mut numbers: [Vec<Number>; 2] = [known.layout.paths().collect(), wanted.paths().collect()];
    numbers.iter_mut().for_each(|numbers| numbers.sort_unstable());
    let [now, then] = numbers;
    // While a path's state is in transition nobody knows its group: that is no reason to move the others.
    let is_known = members.iter().all(|found| found.traits.priority.is_some());
    (now != then || is_known).then_some(wanted)
}

fn layout(found: &[&Found], unlisted: &[Member], queueing: bool) -> Option<Layout> {
    let mut members: Vec<Member> = found.iter().map(|found| found.path.member(&found.traits)).collect();
    members.extend(unlisted);
    Layout::of(&members, queueing)
}

fn map(name: String, wwid: &str, sectors: u64, layout: &Layout, selector: &str) -> Map {
    let params = layout.params(selector);
    let table = vec![Target { start: 0, length: sectors, kind: "multipath".into(), params }];
    Map { name, uuid: uuid(wwid), table }
}

fn silent(found: &Found, cause: &str) -> Error {
    Error::new(Code::PathSilent, format!("path {}", found.path.name())).because(cause)
}

/// `3600...: 2 paths, sda at 198.18.0.1:3260, sdb at 198.18.1.1:3260 (failed)`
fn told(known: &Known, sorted: &Sorted<'_>) -> String {
    let mut paths = Vec::new();
    for state in &known.states {
        let found = sorted.members.iter().find(|found| found.path.disk.dev == state.path);
        let name = found.map_or_else(|| number(state.path), |found| found.path.name());
        paths.push(if state.active { name } else { format!("{name} (failed)") });
    }
    let count = match paths.len() {
        1 => "1 path".into(),
        count => format!("{count} paths"),
    };
    let mut text = format!("{}: {count}, {}", known.name, paths.join(", "));
    if known.layout.groups.len() > 1 {
        text.push_str(&format!(", in {} groups", known.layout.groups.len()));
    }
    for (found, cause) in &sorted.silent {
        text.push_str(&format!("; left out: {}: {cause}", found.path.name()));
    }
    text
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
