//! The iSCSI disk: a session of the kernel's initiator, and the disk of one LUN in it.
//!
//! Reading order: `plan` (what is to be done), `quorum` (what is enough), `attempts` (what is under way), `session` (how a
//! session is made), `route` (at which addresses),
//! `login` (what is said to the target), `sys::iscsi_netlink` (how the kernel is told), `discovery` (where the target
//! is, if the plan leaves that open). `ask` is for who looks and makes nothing.

mod apply;
mod ask;
mod attempts;
mod chap;
mod discovery;
#[cfg(fuzzing)]
pub mod fuzz;
mod listing;
mod login;
mod look;
mod negotiation;
mod observe;
mod params;
mod paths;
mod pdu;
mod plan;
mod probe;
mod quorum;
mod route;
mod session;
mod socket;
mod status;
mod text;
mod text_pdu;
mod transport;

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

pub use ask::{Asked, Question, asks, discovers, frames};
pub use observe::{Device, Session, disk, is_of_iscsid};
pub use params::wait_as_planned;
pub use paths::{Path, paths};
pub use plan::{Action, Seen};
pub use session::{discard, log_in, log_in_again, log_out};

use attempts::Attempts;

use crate::engine::converge::{Converge, Next, Waiting, converge};
use crate::engine::host::Host;
use crate::engine::run::Drive;
use crate::error::{Error, Result};
use crate::input::document::{Document, Iscsi, TargetPortal};

/// What the plan's portals are to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Portals {
    /// One session, at the first portal that lets it: there is no map that could take more.
    Alternatives,
    /// A session at each.
    Paths,
}

/// What they are in this plan: paths of a map, if there is to be one.
pub fn portals(document: &Document) -> Portals {
    match document.map() {
        Some(_) => Portals::Paths,
        None => Portals::Alternatives,
    }
}

/// The iSCSI step. Done when so many paths as the plan wants are there and can be read, and the others had their time.
///
/// What it starts runs in threads of its own; when it is dropped they are called off, within a second.
pub struct Step<'a> {
    iscsi: &'a Iscsi,
    /// The same for threads.
    owned: Arc<Owned>,
    portals: Portals,
    /// It is of a process that keeps the sessions: see [`Step::keeping`].
    keeps: bool,
    /// When its time is over.
    deadline: Option<Duration>,
    under_way: RefCell<Option<UnderWay>>,
}

/// What a thread needs for a login.
struct Owned {
    iscsi: Iscsi,
    initiator: String,
}

/// What changes while the step goes on.
struct UnderWay {
    attempts: Attempts,
    /// The portals; of a discovery, those found so far.
    places: Vec<TargetPortal>,
    /// The discovery is over.
    discovered: bool,
    enough_since: Option<Duration>,
}

impl<'a> Step<'a> {
    /// The step for this part of a checked plan, for a node that is called `initiator`.
    pub fn new(iscsi: &'a Iscsi, initiator: impl Into<String>, portals: Portals) -> Step<'a> {
        let owned = Arc::new(Owned { iscsi: iscsi.clone(), initiator: initiator.into() });
        Step { iscsi, owned, portals, keeps: false, deadline: None, under_way: RefCell::default() }
    }

    /// The same for whoever keeps the sessions: not done before all portals have one, however long it takes, and what
    /// cannot go away by itself is tried again, too, once a minute. To be driven again and again; a session that has lost
    /// its connection is logged in again. [`Host::wait_for_change`] ends when an attempt does.
    pub fn keeping(iscsi: &'a Iscsi, initiator: impl Into<String>, portals: Portals) -> Step<'a> {
        Step { keeps: true, ..Step::new(iscsi, initiator, portals) }
    }

    /// `iqn... at 198.18.0.1:3260 or 198.18.1.1:3260`
    fn target(&self, portals: &[TargetPortal]) -> String {
        let names: Vec<String> = portals.iter().map(ToString::to_string).collect();
        let target = portals.first().map_or(&*self.iscsi.target, |portal| self.iscsi.target_at(portal));
        format!("{target} at {}", names.join(" or "))
    }
}

/// The step of a boot, which ends with everything that it has started: who keeps the sessions comes after it.
pub struct Boot<'a> {
    /// The plan's part.
    pub iscsi: &'a Iscsi,
    /// The node's name.
    pub initiator: &'a str,
    /// What the portals are to each other.
    pub portals: Portals,
}

impl Drive for Boot<'_> {
    fn drive(&self, host: &Host, limit: Duration, waiting: &mut dyn FnMut(&Waiting)) -> Result<String> {
        let step = Step {
            deadline: Some(host.now().saturating_add(limit)),
            ..Step::new(self.iscsi, self.initiator, self.portals)
        };
        converge(&step, host, limit, waiting)
    }
}

impl Converge for Step<'_> {
    type Seen = Seen;
    type Action = Action;

    fn observe(&self, host: &Host) -> Result<Seen> {
        look::look(self, host)
    }

    fn plan(&self, seen: &Seen) -> Result<Next<Action>> {
        plan::plan(self, seen)
    }

    fn warnings(&self, seen: &Seen) -> Vec<Error> {
        if self.iscsi.require_readonly_lun { Vec::new() } else { plan::writable(self, seen).collect() }
    }

    fn apply(&self, host: &Host, action: Action) -> Result<()> {
        apply::apply(self, host, action)
    }
}

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod mock;
