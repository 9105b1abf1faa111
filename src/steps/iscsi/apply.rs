//! Acts: starts what the plan says, in a thread.

use std::fs;
use std::sync::Arc;

use super::attempts::{News, Place, Work};
use super::plan::Action;
use super::{Portals, Step, probe, session};
use crate::engine::host::Host;
use crate::error::{Code, Context, Error, Result};
use crate::sys::flag::Flag;
use crate::sys::module;

pub fn apply(step: &Step<'_>, host: &Host, action: Action) -> Result<()> {
    match action {
        Action::Sweep { sid } => session::discard(host, sid),
        Action::Start { place, work, .. } => start(step, host, place, work),
    }
}

fn start(step: &Step<'_>, host: &Host, place: Place, work: Work) -> Result<()> {
    let mut under_way = step.under_way.borrow_mut();
    let Some(under_way) = under_way.as_mut() else {
        return Ok(());
    };
    let portals = match (place, step.portals) {
        (None, _) | (_, Portals::Alternatives) => step.iscsi.portals.clone(),
        (Some(at), Portals::Paths) => under_way.places.get(at).cloned().into_iter().collect(),
    };
    let owned = Arc::clone(&step.owned);
    under_way.attempts.start(host, place, work, move |host, cancel| {
        let (iscsi, name) = (&owned.iscsi, owned.initiator.as_str());
        match work {
            Work::Discover => match &iscsi.discovery {
                Some(discovery) => {
                    session::discover(host, iscsi, discovery, name, &portals, cancel).map(News::Found)
                }
                None => Ok(News::Done),
            },
            Work::LogIn => session::log_in_any(host, iscsi, name, &portals, cancel).map(|_| News::Done),
            Work::LogInAgain(sid) => {
                session::log_in_again_any(host, iscsi, name, sid, &portals, cancel).map(|()| News::Done)
            }
            Work::Scan(sid) => scan(host, sid, iscsi.lun, cancel).map(|()| News::Done),
            Work::Read(sid) => probe::read(host, iscsi, name, &portals, sid, cancel).map(|()| News::Done),
            Work::Drop(sid) => session::discard(host, sid).map(|()| News::Done),
        }
    });
    Ok(())
}

fn scan(host: &Host, sid: u32, lun: u64, cancel: &Flag) -> Result<()> {
    // It makes disks of SCSI devices.
    module::load(host, &["sd_mod"])?;
    let object = || format!("iSCSI session {sid}");
    cancel.check().context(Code::Io, object())?;
    let device = fs::canonicalize(host.path(format!("/sys/class/iscsi_session/session{sid}/device")));
    let device = device.context(Code::Io, object())?;
    let number = super::observe::scsi_host(&device)
        .ok_or_else(|| Error::new(Code::Io, object()).because("it has no SCSI host"))?;
    let scan = host.path(format!("/sys/class/scsi_host/host{number}/scan"));
    // Channel, target, LUN: a session is target 0 of a host of its own. Only this LUN, for a scan of
    // all takes longer and brings disks that are none of the node's.
    fs::write(&scan, format!("0 0 {lun}")).context(Code::Io, scan.display().to_string())
}

#[cfg(test)]
#[path = "apply_tests.rs"]
mod tests;
