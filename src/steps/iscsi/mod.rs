//! The iSCSI disk: a session of the kernel's initiator, and the disk of one LUN in it.
//!
//! Reading order: `plan` (what is to be done), `session` (how a session is made), `route` (at which addresses),
//! `login` (what is said to the target), `sys::iscsi_netlink` (how the kernel is told), `discovery` (where the target
//! is, if the plan leaves that open).

mod apply;
mod chap;
mod discovery;
#[cfg(fuzzing)]
pub mod fuzz;
mod listing;
mod login;
mod negotiation;
mod observe;
mod pdu;
mod plan;
mod route;
mod session;
mod socket;
mod status;
mod text;
mod text_pdu;
mod transport;

use std::cell::Cell;
use std::time::Duration;

pub use observe::{Device, Seen, Session, disk};
pub use plan::Action;
pub use session::discard;

use crate::engine::converge::{Converge, Next};
use crate::engine::host::Host;
use crate::error::Result;
use crate::input::document::Iscsi;
use crate::input::portal::Portal;

/// The iSCSI step. Done when the disk of the plan's LUN is there and can be read.
pub struct Step<'a> {
    iscsi: &'a Iscsi,
    initiator: String,
    portals: Vec<Portal>,
    scanned: Cell<Option<Scanned>>,
}

/// The last scan for the LUN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Scanned {
    sid: u32,
    at: Duration,
}

impl<'a> Step<'a> {
    /// The step for this part of a checked plan, for a node that is called `initiator`.
    pub fn new(iscsi: &'a Iscsi, initiator: impl Into<String>) -> Step<'a> {
        let portals = portals(iscsi);
        Step { iscsi, initiator: initiator.into(), portals, scanned: Cell::new(None) }
    }

    /// `iqn... at 198.18.0.1:3260`.
    fn target(&self) -> String {
        let portals: Vec<String> = self.portals.iter().map(ToString::to_string).collect();
        format!("{} at {}", self.iscsi.target, portals.join(" or "))
    }

    /// `LUN 1 of iqn... at 198.18.0.1:3260`.
    fn lun(&self) -> String {
        format!("LUN {} of {}", self.iscsi.lun, self.target())
    }
}

/// The plan's portals without what is their own.
fn portals(iscsi: &Iscsi) -> Vec<Portal> {
    iscsi.portals.iter().map(|target_portal| target_portal.portal.clone()).collect()
}

impl Converge for Step<'_> {
    type Seen = Seen;
    type Action = Action;

    fn observe(&self, host: &Host) -> Result<Seen> {
        observe::observe(self, host)
    }

    fn plan(&self, seen: &Seen) -> Result<Next<Action>> {
        plan::plan(self, seen)
    }

    fn apply(&self, host: &Host, action: Action) -> Result<()> {
        apply::apply(self, host, action)
    }
}

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod mock;
