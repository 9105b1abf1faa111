//! The booted system: the plan and its secrets are gone with the initramfs, but the kernel has the sessions, and the keeper
//! says what there should be.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::{ALL_UNTIL, Look, WAYS_UNTIL, way};
use crate::diagnose::evidence::{Check, Of, Stage};
use crate::error::Code;
use crate::input::portal::Portal;
use crate::keeper::{self, Journal};
use crate::steps::network::Server;

/// A session that is being logged in again is back within this time: iscsid does so with each that it adopts.
const BACK_LIMIT: Duration = Duration::from_secs(4);
/// Between two looks at it.
const PAUSE: Duration = Duration::from_millis(200);
/// So many sessions are looked at.
const MOST_SESSIONS: usize = 32;

/// What there is, or should be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Session {
    portal: Portal,
    /// The kernel's number and state of it; none: there is no session.
    seen: Option<(u32, String)>,
}

pub fn look(look: Look<'_>) {
    let why = "the system is booted: its plan went with the initramfs";
    look.tell(Check::unseen(Stage::Plan, Of::Node, "plan", why));
    let journal = Journal::read(&look.host.path(keeper::FILE)).ok().flatten();
    let sessions = sessions(&look.host.path("/sys/class"), journal.as_ref());
    if sessions.is_empty() {
        look.tell(Check::unseen(Stage::Session, Of::Node, "iSCSI sessions", "there are none"));
    }
    std::thread::scope(|scope| {
        for session in &sessions {
            scope.spawn(|| one(look, session, WAYS_UNTIL));
        }
    });
}

fn one(look: Look<'_>, session: &Session, until: Duration) {
    let Session { portal, seen } = session;
    let class = look.host.path("/sys/class");
    let name = format!("portal {portal}");
    let server = Server::new(portal.host.clone(), portal.port);
    let is_reached = way::look(look, Of::Portal, &name, &server, until).is_some();
    let until = Instant::now() + look.left(ALL_UNTIL, BACK_LIMIT);
    look.tell(match seen {
        Some((sid, state)) => {
            let mut state = state.clone();
            while state != LOGGED_IN && is_reached && Instant::now() < until {
                std::thread::sleep(PAUSE);
                state = state_of(&class, *sid);
            }
            if state == LOGGED_IN {
                Check::ok(Stage::Session, Of::Portal, &name, format!("iSCSI session {sid} is logged in"))
            } else {
                let found = format!("iSCSI session {sid} has lost its connection: {state}");
                Check::bad(Stage::Session, Of::Portal, &name, Code::SessionLost, found)
            }
        }
        None => Check::bad(Stage::Session, Of::Portal, &name, Code::SessionLost, "there is no session at it"),
    });
}

/// The state of a session whose commands reach the target.
const LOGGED_IN: &str = "LOGGED_IN";

/// Empty if it is gone.
fn state_of(class: &Path, sid: u32) -> String {
    let state = fs::read_to_string(class.join(format!("iscsi_session/session{sid}/state")));
    state.unwrap_or_default().trim().to_owned()
}

/// The kernel's sessions, by where they were configured to be, and the portals of the keeper that have none.
fn sessions(class: &Path, journal: Option<&Journal>) -> Vec<Session> {
    let names = fs::read_dir(class.join("iscsi_session")).into_iter().flatten().flatten();
    let sids = names.filter_map(|entry| entry.file_name().to_str()?.strip_prefix("session")?.parse().ok());
    let mut sids: Vec<u32> = sids.take(MOST_SESSIONS).collect();
    sids.sort_unstable();
    let read = |path: String| Some(fs::read_to_string(class.join(path)).ok()?.trim().to_owned());
    let mut found: Vec<Session> = sids
        .into_iter()
        .filter_map(|sid| {
            let connection = |name: &str| read(format!("iscsi_connection/connection{sid}:0/{name}"));
            let host = connection("persistent_address")?;
            let port = connection("persistent_port")?.parse().ok()?;
            Some(Session { portal: Portal { host, port }, seen: Some((sid, state_of(class, sid))) })
        })
        .collect();
    // A portal by name cannot be told from those with an address here; it is the keeper's to say whether it has one.
    let missing =
        journal.into_iter().flat_map(|journal| &journal.portals).filter(|portal| portal.sid.is_none());
    let missing = missing.filter_map(|portal| Portal::parse(&portal.portal));
    let missing: Vec<Portal> =
        missing.filter(|portal| !found.iter().any(|session| session.portal == *portal)).collect();
    found.extend(missing.into_iter().map(|portal| Session { portal, seen: None }));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_that_are_there_and_that_should_be() {
        let class = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("iscsi_session/session2/state", "FAILED\n"),
            ("iscsi_connection/connection2:0/persistent_address", "198.18.0.1\n"),
            ("iscsi_connection/connection2:0/persistent_port", "3260\n"),
            ("iscsi_session/session3/state", "FREE\n"),
        ] {
            let path = class.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let portal = |portal: &str, sid: Option<u32>| keeper::Journal {
            portals: serde_json::from_value(serde_json::json!([
                { "portal": portal, "sid": sid, "owner": "keeper", "since_ms": 1 }
            ]))
            .unwrap(),
            ..Journal::default()
        };
        let there =
            Session { portal: Portal::parse("198.18.0.1").unwrap(), seen: Some((2, "FAILED".into())) };
        let only = std::slice::from_ref(&there);
        assert_eq!(sessions(class.path(), None), only);
        assert_eq!(sessions(class.path(), Some(&portal("198.18.0.1:3260", None))), only);
        let gone = Session { portal: Portal::parse("198.18.1.1").unwrap(), seen: None };
        assert_eq!(sessions(class.path(), Some(&portal("198.18.1.1:3260", None))), [there, gone]);
    }
}
