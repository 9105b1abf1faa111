//! What there is: the sessions at the plan's portals, the image's daemons, and what these have adopted. From it follows
//! who looks after what.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use super::daemons::{self, Daemon};
use super::journal::{self, Journal};
use super::owner::{Owner, State, Thing, owner};
use super::wire::Plan;
use crate::engine::host::Host;
use crate::error::Result;
use crate::steps::iscsi;

/// A portal that is asked whether it answers has so long.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);

/// What there is at one look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Of each portal of the plan.
    pub portals: Vec<Portal>,
    /// Who looks after the map.
    pub map: Owner,
    /// The image's daemons.
    pub iscsid: Option<Daemon>,
    /// The same.
    pub multipathd: Option<Daemon>,
}

/// What there is of a portal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Portal {
    /// Where it is: `198.18.0.1:3260`.
    pub name: String,
    /// Its session: number and state in sysfs.
    pub session: Option<(u32, String)>,
    /// The session's disk.
    pub disk: Option<String>,
    /// Who looks after it.
    pub owner: Owner,
}

impl Portal {
    /// Commands reach the target.
    pub fn is_up(&self) -> bool {
        self.session.as_ref().is_some_and(|(_, state)| state == "LOGGED_IN")
    }
}

/// What is remembered from one look to the next, of a portal or of the map.
#[derive(Debug, Default)]
struct Memory {
    /// The process of the daemon that adopted it.
    adopted_by: Option<u32>,
    /// The daemon that did not, by its start.
    taken_back_from: Option<Duration>,
    /// A portal without a working session answers since then.
    answers: Option<Duration>,
}

impl Memory {
    /// Who looks after it, as of a look at `now`: `holder` is the daemon's process that has it open.
    fn owner(&mut self, daemon: Option<&Daemon>, holder: Option<u32>, state: State, now: Duration) -> Owner {
        let alive = |pid: u32| daemon.is_some_and(|daemon| daemon.pids.contains(&pid));
        self.adopted_by = holder.or(self.adopted_by.filter(|pid| alive(*pid)));
        let since = daemon.map(|daemon| daemon.since);
        let thing = Thing {
            daemon: since,
            adopted: self.adopted_by.is_some(),
            taken_back: self.taken_back_from.is_some() && self.taken_back_from == since,
            state,
        };
        let owner = owner(&thing, now);
        self.taken_back_from = if owner == Owner::TakenBack { since } else { None };
        owner
    }
}

/// Looks, and remembers.
#[derive(Debug, Default)]
pub struct Watch {
    portals: BTreeMap<usize, Memory>,
    map: Memory,
}

impl Watch {
    /// What there is now.
    ///
    /// # Errors
    /// sysfs cannot be read.
    pub fn look(&mut self, host: &Host, plan: &Plan) -> Result<Look> {
        let now = host.now();
        let paths = iscsi::paths(host, &plan.iscsi, &plan.initiator)?;
        let iscsid = daemons::find(host, "iscsid");
        let multipathd = daemons::find(host, "multipathd");
        let sockets = iscsid.as_ref().map(|daemon| sockets(host, daemon)).unwrap_or_default();
        let mut portals = Vec::new();
        // A discovery may have found more than the plan has.
        let found = paths.iter().map(|path| path.portal + 1).max().unwrap_or(0);
        for at in 0..plan.iscsi.portals.len().max(found) {
            let path = paths.iter().find(|path| path.portal == at);
            let session = path.map(|path| &path.session);
            let memory = self.portals.entry(at).or_default();
            let address = session.and_then(|session| address(host, session.sid));
            let up = session.is_some_and(iscsi::Session::logged_in);
            let state = match (session, &iscsid) {
                (None, _) => State::Missing,
                _ if up => State::Up,
                // Who is nobody's but the keeper's is not asked by the way.
                (_, None) => State::Lost(None),
                _ => State::Lost(answers(&mut memory.answers, address, now)),
            };
            let holder = address.filter(|_| up).and_then(|address| sockets.get(&address).copied());
            let disk = session.and_then(|session| session.device.as_ref()?.disk.as_ref());
            let of_plan = plan.iscsi.portals.get(at).map(ToString::to_string);
            portals.push(Portal {
                name: of_plan.or(path.map(|path| path.address.clone())).unwrap_or_default(),
                session: session.map(|session| (session.sid, session.state.clone())),
                disk: disk.map(|disk| disk.name.clone()),
                owner: memory.owner(iscsid.as_ref(), holder, state, now),
            });
        }
        let disks: Vec<String> =
            portals.iter().filter_map(|portal| Some(format!("/dev/{}", portal.disk.as_ref()?))).collect();
        let holder = multipathd.as_ref().and_then(|daemon| holder_of(host, daemon, &disks));
        let state = if portals.iter().any(Portal::is_up) { State::Up } else { State::Lost(None) };
        let map = self.map.owner(multipathd.as_ref(), holder, state, now);
        Ok(Look { portals, map, iscsid, multipathd })
    }
}

/// The ends of the daemon's TCP connections, and the process that has each.
fn sockets(host: &Host, daemon: &Daemon) -> BTreeMap<SocketAddr, u32> {
    let mut inodes = BTreeMap::new();
    for pid in &daemon.pids {
        for file in daemons::open_files(host, *pid) {
            let inode =
                file.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']')?.parse::<u64>().ok());
            inodes.extend(inode.map(|inode| (inode, *pid)));
        }
    }
    let connections = daemons::connections(host).into_iter();
    connections.filter_map(|tcp| Some((tcp.remote, *inodes.get(&tcp.inode)?))).collect()
}

/// The process of `daemon` that has one of `disks` open.
fn holder_of(host: &Host, daemon: &Daemon, disks: &[String]) -> Option<u32> {
    daemon
        .pids
        .iter()
        .copied()
        .find(|pid| daemons::open_files(host, *pid).iter().any(|file| disks.contains(file)))
}

/// The names of multipath's maps on top of the portals' disks.
pub fn maps(host: &Host, portals: &[Portal]) -> Vec<String> {
    let mut names = Vec::new();
    for disk in portals.iter().filter_map(|portal| portal.disk.as_ref()) {
        let holders = std::fs::read_dir(host.path(format!("/sys/block/{disk}/holders")));
        for holder in holders.into_iter().flatten().flatten() {
            let folder = host.path("/sys/block").join(holder.file_name()).join("dm");
            let text = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
            if text("uuid").starts_with("mpath-") {
                names.push(text("name").trim().to_owned());
            }
        }
    }
    names.sort();
    names.dedup();
    names
}

/// Where the session's connection goes, or went.
fn address(host: &Host, sid: u32) -> Option<SocketAddr> {
    let folder = host.path(format!("/sys/class/iscsi_connection/connection{sid}:0"));
    let text = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
    let either = |one: &str, other: &str| text(one).filter(|text| usable(text)).or_else(|| text(other));
    let address = either("address", "persistent_address")?;
    let address: IpAddr = address.trim().split('%').next()?.parse().ok()?;
    Some(SocketAddr::new(address, either("port", "persistent_port")?.trim().parse().ok()?))
}

/// A connection that is lost has neither address nor port any more, or says so in words.
fn usable(text: &str) -> bool {
    !matches!(text.trim(), "" | "0" | "(null)" | "-1")
}

/// Since when the portal answers.
fn answers(since: &mut Option<Duration>, address: Option<SocketAddr>, now: Duration) -> Option<Duration> {
    let connects = |address: SocketAddr| TcpStream::connect_timeout(&address, ANSWER_LIMIT).is_ok();
    *since = if address.is_some_and(connects) { since.or(Some(now)) } else { None };
    *since
}

impl Look {
    /// Writes what there is into the journal, and what has changed as events.
    pub fn tell(&self, plan: &Plan, journal: &mut Journal, now: Duration) {
        let before = std::mem::take(&mut journal.portals);
        for portal in &self.portals {
            let name = portal.name.clone();
            let old = before.iter().find(|old| old.portal == name);
            let owner = journal::word(portal.owner, "iscsid");
            if let Some(what) =
                changed(&name, old.map(|old| old.owner.as_str()), &owner, "iscsid", &self.iscsid)
            {
                journal.note(now, what);
            }
            let state = portal.session.as_ref().map(|(_, state)| state.clone());
            if old.is_some_and(|old| old.state != state) {
                let state = state.as_deref().unwrap_or("gone");
                journal.note(now, format!("{name}: session is {state}"));
            }
            let since_ms =
                old.filter(|old| old.owner == owner).map_or(journal::millis(now), |old| old.since_ms);
            journal.portals.push(journal::Portal {
                portal: name,
                sid: portal.session.as_ref().map(|(sid, _)| *sid),
                state,
                disk: portal.disk.clone(),
                owner,
                since_ms,
            });
        }
        if plan.map.is_none() {
            journal.map = None;
            return;
        }
        let old = journal.map.take();
        let owner = journal::word(self.map, "multipathd");
        let what = changed(
            "map",
            old.as_ref().map(|old| old.owner.as_str()),
            &owner,
            "multipathd",
            &self.multipathd,
        );
        if let Some(what) = what {
            journal.note(now, what);
        }
        let since_ms =
            old.as_ref().filter(|old| old.owner == owner).map_or(journal::millis(now), |old| old.since_ms);
        journal.map = Some(journal::Map { found: old.and_then(|old| old.found), owner, since_ms });
    }
}

/// What happened when something went from one owner to another.
fn changed(
    what: &str,
    before: Option<&str>,
    after: &str,
    name: &str,
    daemon: &Option<Daemon>,
) -> Option<String> {
    if before == Some(after) {
        return None;
    }
    let pids =
        daemon.as_ref().map(|daemon| daemon.pids.iter().map(u32::to_string).collect::<Vec<_>>().join(", "));
    let pids = pids.unwrap_or_default();
    Some(match (before, after) {
        (None, "keeper") => format!("{what}: is the keeper's"),
        (_, "keeper") => format!("{what}: {name} is gone, the keeper has it again"),
        (_, "watched") => format!("{what}: {name} (pid {pids}) runs, the keeper leaves it alone"),
        (_, "taken-back") => {
            format!("{what}: {name} (pid {pids}) has not adopted it in time, the keeper has it again")
        }
        _ => format!("{what}: adopted by {name} (pid {pids})"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_that_is_not_the_one_that_adopted_it_has_to_do_so_anew() {
        let s = Duration::from_secs;
        let daemon = |pid, since| Daemon { pids: vec![pid], since: s(since) };
        let mut memory = Memory::default();
        for (daemon, holder, now, expected) in [
            (None, None, 5, Owner::Keeper),
            (Some(daemon(7, 10)), None, 11, Owner::Watched(Some(s(70)))),
            (Some(daemon(7, 10)), Some(7), 20, Owner::Daemon),
            // The connection is lost, and with it the socket.
            (Some(daemon(7, 10)), None, 500, Owner::Daemon),
            // Started anew.
            (Some(daemon(9, 600)), None, 601, Owner::Watched(Some(s(660)))),
            (Some(daemon(9, 600)), None, 660, Owner::TakenBack),
            (Some(daemon(9, 600)), None, 700, Owner::TakenBack),
            (Some(daemon(11, 800)), None, 801, Owner::Watched(Some(s(860)))),
            (None, None, 900, Owner::Keeper),
        ] {
            assert_eq!(memory.owner(daemon.as_ref(), holder, State::Up, s(now)), expected, "at {now}");
        }
    }

    #[test]
    fn each_change_is_told_once() {
        let daemon = Some(Daemon { pids: vec![7, 8], since: Duration::ZERO });
        let told = |before, after| changed("p", before, after, "iscsid", &daemon);
        assert_eq!(told(Some("keeper"), "keeper"), None);
        assert_eq!(
            told(Some("keeper"), "watched").unwrap(),
            "p: iscsid (pid 7, 8) runs, the keeper leaves it alone"
        );
        assert_eq!(told(Some("watched"), "iscsid").unwrap(), "p: adopted by iscsid (pid 7, 8)");
        assert!(told(Some("iscsid"), "keeper").unwrap().contains("iscsid is gone"));
    }

    #[test]
    fn where_a_connection_goes() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::fake(root.path());
        let folder = root.path().join("sys/class/iscsi_connection/connection3:0");
        std::fs::create_dir_all(&folder).unwrap();
        assert_eq!(address(&host, 3), None);
        for (name, text) in [("persistent_address", "fe80::1%eth0\n"), ("persistent_port", "3260\n")] {
            std::fs::write(folder.join(name), text).unwrap();
        }
        assert_eq!(address(&host, 3), Some("[fe80::1]:3260".parse().unwrap()));
        for (name, text) in [("address", "198.18.0.9\n"), ("port", "3261\n")] {
            std::fs::write(folder.join(name), text).unwrap();
        }
        assert_eq!(address(&host, 3), Some("198.18.0.9:3261".parse().unwrap()));
        std::fs::write(folder.join("address"), "(null)\n").unwrap();
        std::fs::write(folder.join("port"), "0\n").unwrap();
        assert_eq!(address(&host, 3), Some("[fe80::1]:3260".parse().unwrap()));
    }

    #[test]
    fn since_when_a_portal_answers() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().ok();
        let mut since = None;
        for now in [3, 9] {
            assert_eq!(answers(&mut since, address, Duration::from_secs(now)), Some(Duration::from_secs(3)));
        }
        drop(listener);
        assert_eq!(answers(&mut since, address, Duration::from_secs(10)), None);
    }
}
