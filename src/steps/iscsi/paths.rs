//! The paths to the plan's LUN: which session is at which portal.
//!
//! A portal's name may stand for another address by now, and the name server may be away: then target and port alone
//! decide, after the portals with an address have theirs.

use std::net::IpAddr;

use super::observe::{self, Session, block_ready};
use crate::engine::host::Host;
use crate::error::Result;
use crate::input::document::{Iscsi, TargetPortal};
use crate::input::portal::Portal;
use crate::sys::block::Disk;

/// A session that was made for a portal of the plan. It may be on the way, lost, or without a disk yet:
/// [`Path::disk`] tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// The portal's place in the plan's list. Portals that a discovery found beyond those count on from there.
    pub portal: usize,
    /// Where it is, as it was configured: `198.18.0.1:3260`.
    pub address: String,
    /// The session.
    pub session: Session,
}

impl Path {
    /// The disk, if it can be read: the session is logged in and the disk runs.
    pub fn disk(&self) -> Option<&Disk> {
        let device = self.session.device.as_ref().filter(|_| self.session.logged_in())?;
        let is_readable = device.kind == 0 && device.state == "running";
        device.disk.as_ref().filter(|disk| is_readable && disk.sectors > 0)
    }
}

/// A session, and what tells which portal it is at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its target's name.
    pub target: String,
    /// Its portal's address and port as they were configured.
    pub address: String,
    pub port: u16,
    /// The network interface that it is bound to.
    pub interface: Option<String>,
    /// Its own address, while it is connected.
    pub source: Option<IpAddr>,
    /// The session.
    pub session: Session,
}

impl Found {
    /// `198.18.0.1:3260`
    pub fn portal(&self) -> Portal {
        Portal { host: self.address.clone(), port: self.port }
    }
}

/// The sessions at the plan's portals, at most one for each, in the order of the plan. Looking costs no wait, whatever
/// state they are in.
///
/// # Errors
/// [`Code::Io`](crate::error::Code::Io): sysfs cannot be read.
pub fn paths(host: &Host, iscsi: &Iscsi, initiator: &str) -> Result<Vec<Path>> {
    let (found, _) = observe::sessions(host, iscsi, initiator, block_ready)?;
    let mut places = iscsi.portals.clone();
    if iscsi.discovery.is_some() {
        add_places(iscsi, &mut places, &found);
    }
    let mut assigned: Vec<Path> = assign(iscsi, &places, found)
        .into_iter()
        .map(|(portal, found)| Path { portal, address: found.portal().to_string(), session: found.session })
        .collect();
    assigned.sort_by_key(|path| path.portal);
    Ok(assigned)
}

/// Adds to `places` where sessions are that nothing in it says: a discovery may have found more.
pub fn add_places(iscsi: &Iscsi, places: &mut Vec<TargetPortal>, found: &[Found]) {
    for found in found {
        if !places.iter().any(|place| fit(iscsi, place, found).is_some_and(|fit| fit >= ADDRESS)) {
            let target = (found.target != iscsi.target).then(|| found.target.clone());
            let interface = found.interface.clone();
            places.push(TargetPortal { portal: found.portal(), target, interface, source: None });
        }
    }
}

/// Gives each place of `places` at most one session: the best fit first, and of two the one that is logged in.
pub fn assign(iscsi: &Iscsi, places: &[TargetPortal], found: Vec<Found>) -> Vec<(usize, Found)> {
    let mut pairs = Vec::new();
    for (at, place) in places.iter().enumerate() {
        for found in &found {
            if let Some(fit) = fit(iscsi, place, found) {
                let session = &found.session;
                pairs.push((std::cmp::Reverse((fit, session.logged_in())), at, session.sid));
            }
        }
    }
    pairs.sort();
    let mut assigned: Vec<(usize, u32)> = Vec::new();
    for (_, at, sid) in pairs {
        if !assigned.iter().any(|(taken, of)| *taken == at || *of == sid) {
            assigned.push((at, sid));
        }
    }
    let of = |sid| assigned.iter().find(|(_, of)| *of == sid).map(|(at, _)| *at);
    found.into_iter().filter_map(|found| Some((of(found.session.sid)?, found))).collect()
}

/// The addresses are the same.
const ADDRESS: u8 = 4;

/// How well a session fits a portal; none: it is another's.
fn fit(iscsi: &Iscsi, place: &TargetPortal, found: &Found) -> Option<u8> {
    if iscsi.target_at(place) != found.target || place.portal.port != found.port {
        return None;
    }
    let address = match literal(&place.portal.host) {
        Some(host) if literal(&found.address) == Some(host) => ADDRESS,
        Some(_) => return None,
        None => 0,
    };
    let interface = match (&place.interface, &found.interface) {
        (Some(wanted), Some(has)) if wanted != has => return None,
        (wanted, has) if wanted == has => 2,
        _ => 0,
    };
    let source = u8::from(place.source.is_some() && place.source == found.source);
    Some(address + interface + source)
}

/// An address and its interface; none: it is a name.
fn literal(host: &str) -> Option<(IpAddr, Option<&str>)> {
    let (address, interface) = host.split_once('%').map_or((host, None), |(ip, name)| (ip, Some(name)));
    Some((address.parse().ok()?, interface))
}

#[cfg(test)]
#[path = "paths_tests.rs"]
mod tests;
