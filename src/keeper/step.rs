//! The boot's step: hands the sessions, and the map over them, to the keeper.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::journal::{Doing, Journal};
use super::process::NAME;
use super::wire::Request;
use super::{client, unit};
use crate::engine::converge::{Converge, Next};
use crate::engine::host::Host;
use crate::error::{Code, Context, Error, Result};
use crate::input::document::{Iscsi, Map};
use crate::steps::iscsi;
use crate::sys::resolve;

/// systemd has started it together with the agent: by now it is there, or it will not come.
const PATIENCE: Duration = Duration::from_secs(5);
/// The same of one that the step itself has started.
const PATIENCE_OF_OWN: Duration = Duration::from_secs(10);
/// A portal's name is resolved within this time.
const RESOLVE_LIMIT: Duration = Duration::from_secs(5);

/// The step. It never fails the boot: without a keeper the root is as good, until a connection is lost.
pub struct Step<'a> {
    iscsi: &'a Iscsi,
    map: Option<&'a Map>,
    initiator: String,
    /// When the step looked first.
    began: Cell<Option<Duration>>,
    /// When it started a keeper itself.
    started: Cell<Option<Duration>>,
    /// What the keeper answered when it was given this run's plan. It is not asked again: it is busy with its first pass,
    /// and the boot has no need to wait for that.
    handed: RefCell<Option<Journal>>,
    /// Why it has not.
    failed: RefCell<Option<String>>,
}

impl<'a> Step<'a> {
    /// The step for these parts of a checked plan, for a node that is called `initiator`.
    pub fn new(iscsi: &'a Iscsi, map: Option<&'a Map>, initiator: impl Into<String>) -> Step<'a> {
        Step {
            iscsi,
            map,
            initiator: initiator.into(),
            began: Cell::new(None),
            started: Cell::new(None),
            handed: RefCell::new(None),
            failed: RefCell::new(None),
        }
    }
}

/// What there is of the keeper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its journal, if it answers.
    journal: Option<Journal>,
    /// It was given this run's plan.
    handed: bool,
    /// It was given it, and refused.
    failed: Option<String>,
    /// A keeper was started by the step.
    started: bool,
    /// So long there was time for it to come.
    waited: Duration,
}

/// One thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Start it.
    Start,
    /// Give it the plan.
    HandOver,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Action::Start => "start the keeper",
            Action::HandOver => "hand the sessions to the keeper",
        })
    }
}

impl Converge for Step<'_> {
    type Seen = Seen;
    type Action = Action;

    fn observe(&self, host: &Host) -> Result<Seen> {
        let now = host.now();
        if self.began.get().is_none() {
            self.began.set(Some(now));
        }
        let from = self.started.get().or(self.began.get()).unwrap_or(now);
        let handed = self.handed.borrow().clone();
        Ok(Seen {
            handed: handed.is_some(),
            journal: handed.or_else(|| client::ask(host, &Request::Status).ok()),
            failed: self.failed.borrow().clone(),
            started: self.started.get().is_some(),
            waited: now.saturating_sub(from),
        })
    }

    fn plan(&self, seen: &Seen) -> Result<Next<Action>> {
        Ok(match &seen.journal {
            _ if seen.failed.is_some() => Next::Done(without(seen.failed.as_deref().unwrap_or_default())),
            Some(journal) if seen.handed && journal.doing == Doing::Keeping => Next::Done(journal.describe()),
            Some(_) => Next::Do(Action::HandOver),
            None if seen.started && seen.waited >= PATIENCE_OF_OWN => {
                Next::Done(without("it does not start"))
            }
            None if !seen.started && seen.waited >= PATIENCE => Next::Do(Action::Start),
            None => Next::Wait("keeper".to_owned()),
        })
    }

    fn apply(&self, host: &Host, action: Action) -> Result<()> {
        let done = match action {
            Action::Start => start(host).map(|()| self.started.set(Some(host.now()))),
            Action::HandOver => self.hand_over(host).map(|journal| *self.handed.borrow_mut() = Some(journal)),
        };
        // The boot goes on without.
        if let Err(error) = done {
            log::warn!("{error}; {}", error.advice());
            *self.failed.borrow_mut() = Some(error.to_string());
        }
        Ok(())
    }
}

fn without(why: &str) -> String {
    format!("nobody reconnects a lost session until iscsid runs: {why}")
}

impl Step<'_> {
    fn hand_over(&self, host: &Host) -> Result<Journal> {
        // First, for it is what lets systemd know the keeper after the switch.
        unit::prepare(host)?;
        let iscsi = with_addresses(host, self.iscsi, &self.initiator);
        client::hand_over(host, &iscsi, self.map, &self.initiator)
    }
}

/// `iscsi` with addresses in the place of names: the one that there is a session at, or else the first one.
fn with_addresses(host: &Host, iscsi: &Iscsi, initiator: &str) -> Iscsi {
    let mut resolved = iscsi.clone();
    let paths = iscsi::paths(host, iscsi, initiator).unwrap_or_default();
    for (at, path) in resolved.portals.iter_mut().enumerate() {
        let portal = &mut path.portal;
        if portal.host.contains(':') || portal.host.parse::<std::net::IpAddr>().is_ok() {
            continue;
        }
        let session = paths.iter().find(|path| path.portal == at).and_then(|path| {
            let folder = format!("/sys/class/iscsi_connection/connection{}:0", path.session.sid);
            std::fs::read_to_string(host.path(folder).join("persistent_address")).ok()
        });
        if let Some(address) = session {
            portal.host = address.trim().to_owned();
            continue;
        }
        match resolve::socket_addresses(&host.path("/"), &portal.host, portal.port, RESOLVE_LIMIT) {
            Ok(addresses) => {
                portal.host =
                    addresses.first().map(SocketAddr::ip).map_or_else(String::new, |ip| ip.to_string())
            }
            Err(error) => log::warn!("{error}: the keeper cannot log in there"),
        }
    }
    // One without an address would stand in the way of the others.
    resolved.portals.retain(|path| !path.portal.host.is_empty());
    resolved
}

/// Starts a keeper, where systemd has not: the unit is not installed, or has failed.
fn start(host: &Host) -> Result<()> {
    let mut command = Command::new(host.path("/proc/self/exe"));
    command.arg0(NAME).arg("keeper").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Its end is not waited for: it outlives the agent.
    command.process_group(0).spawn().map(drop).context(Code::Keeper, "keeper").map_err(|error: Error| error)
}
