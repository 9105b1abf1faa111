//! Looks: at sysfs, and at what the attempts have come to.

use std::path::Path as Folder;

use super::attempts::Attempts;
use super::observe::{self, Session};
use super::paths::{Found, add_places, assign};
use super::plan::{PathSeen, Seen, is_up};
use super::{Portals, Step, UnderWay};
use crate::engine::host::Host;
use crate::error::Result;

pub fn look(step: &Step<'_>, host: &Host) -> Result<Seen> {
    // A disk is ready when it was read; that is an attempt of its own.
    let ready = |_: &Folder| true;
    let (found, half_made) = observe::sessions(host, step.iscsi, &step.owned.initiator, ready)?;
    let mut under_way = step.under_way.borrow_mut();
    let under_way = under_way.get_or_insert_with(|| UnderWay {
        attempts: Attempts::new(host),
        places: if step.discovers() { Vec::new() } else { step.iscsi.portals.clone() },
        discovered: !step.discovers(),
        enough_since: None,
    });
    let discovered = under_way.attempts.collect(host);
    under_way.discovered |= !discovered.is_empty();
    for portal in discovered {
        if !under_way.places.contains(&portal) {
            under_way.places.push(portal);
        }
    }
    let paths = match step.portals {
        Portals::Alternatives => vec![alternatives(step, under_way, found)],
        Portals::Paths => each(step, under_way, found),
    };
    let up = paths.iter().filter(|path| is_up(path)).count();
    for (at, path) in paths.iter().enumerate() {
        if is_up(path) {
            under_way.attempts.forgive(Some(at));
        }
    }
    if up < step.least_paths() {
        under_way.enough_since = None;
    } else if under_way.enough_since.is_none() {
        under_way.enough_since = Some(host.now());
    }
    Ok(Seen {
        paths,
        discovery: (!under_way.discovered).then(|| under_way.attempts.at(None)),
        half_made,
        now: host.now(),
        enough_since: under_way.enough_since,
    })
}

/// One path: the session at any of the portals, one that is logged in if there is one.
fn alternatives(step: &Step<'_>, under_way: &UnderWay, found: Vec<Found>) -> PathSeen {
    let mut sessions: Vec<Session> = if step.iscsi.discovery.is_some() {
        // It may find another portal each time.
        found.into_iter().map(|found| found.session).collect()
    } else {
        assign(step.iscsi, &under_way.places, found).into_iter().map(|(_, found)| found.session).collect()
    };
    sessions.sort_by_key(|session| (!session.logged_in(), session.sid));
    let names: Vec<String> = step.iscsi.portals.iter().map(ToString::to_string).collect();
    PathSeen {
        target: step.target(&step.iscsi.portals),
        portal: names.join(" or "),
        session: sessions.into_iter().next(),
        tries: under_way.attempts.at(Some(0)),
    }
}

/// A path for each portal.
fn each(step: &Step<'_>, under_way: &mut UnderWay, found: Vec<Found>) -> Vec<PathSeen> {
    if step.discovers() {
        add_places(step.iscsi, &mut under_way.places, &found);
    }
    let mut assigned = assign(step.iscsi, &under_way.places, found);
    let places = under_way.places.iter().enumerate();
    places
        .map(|(at, place)| PathSeen {
            target: step.target(std::slice::from_ref(place)),
            portal: place.to_string(),
            session: assigned
                .iter()
                .position(|(of, _)| *of == at)
                .map(|position| assigned.swap_remove(position).1.session),
            tries: under_way.attempts.at(Some(at)),
        })
        .collect()
}

impl Step<'_> {
    /// The portals are asked where the paths are.
    pub(super) fn discovers(&self) -> bool {
        self.portals == Portals::Paths && self.iscsi.discovery.is_some()
    }
}
