//! The iSCSI disk: a session of the kernel's initiator, and the disk of one LUN in it.
//!
//! Reading order: `plan` (what is to be done), `session` (how a session is made), `login` (what is said to the
//! target), `sys::iscsi_netlink` (how the kernel is told).

mod apply;
mod chap;
mod login;
mod negotiation;
mod observe;
mod pdu;
mod plan;
mod session;
// Only a discovery would need it outside of tests.
#[cfg(test)]
mod socket;
mod status;
mod text;
mod transport;

use std::cell::Cell;
use std::net::SocketAddr;
use std::time::Duration;

pub use observe::{Device, Seen, Session, disk};
pub use plan::Action;

use crate::engine::converge::{Converge, Next};
use crate::engine::host::Host;
use crate::error::{Code, Error, Result};
use crate::input::document::Iscsi;

/// The iSCSI step. Done when the disk of the plan's LUN is there and can be read.
pub struct Step<'a> {
    iscsi: &'a Iscsi,
    initiator: String,
    portal: SocketAddr,
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
    ///
    /// # Errors
    /// [`Code::PlanPortals`]: not exactly one portal.
    pub fn new(iscsi: &'a Iscsi, initiator: impl Into<String>) -> Result<Step<'a>> {
        Ok(Step { iscsi, initiator: initiator.into(), portal: portal(iscsi)?, scanned: Cell::new(None) })
    }

    /// `LUN 1 of iqn... at 198.18.0.1:3260`.
    fn lun(&self) -> String {
        format!("LUN {} of {} at {}", self.iscsi.lun, self.iscsi.target, self.portal)
    }
}

/// The one portal of the plan.
fn portal(iscsi: &Iscsi) -> Result<SocketAddr> {
    match iscsi.portals.as_slice() {
        [portal] => match portal.host.parse() {
            Ok(address) => Ok(SocketAddr::new(address, portal.port)),
            Err(_) => {
                Err(Error::new(Code::PlanPortals, portal.to_string()).because("names are not resolved yet"))
            }
        },
        portals => Err(Error::new(Code::PlanPortals, "iscsi.portals")
            .because(format!("{} portals; exactly one is possible so far", portals.len()))),
    }
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
