//! Acts: on the kernel's initiator, and on its SCSI hosts.

use std::fs;

use super::plan::Action;
use super::{Scanned, Step, session};
use crate::engine::host::Host;
use crate::error::{Code, Context, Result};
use crate::sys::module;

pub fn apply(step: &Step<'_>, host: &Host, action: Action) -> Result<()> {
    match action {
        Action::Login { .. } => session::log_in(host, step.iscsi, &step.initiator, &step.portals).map(|_| ()),
        Action::Drop { sid } => session::discard(host, sid),
        Action::Scan { sid, host: number, lun } => {
            // It makes disks of SCSI devices.
            module::load(host, &["sd_mod"])?;
            let scan = host.path(format!("/sys/class/scsi_host/host{number}/scan"));
            // Channel, target, LUN: a session is target 0 of a host of its own. Only this LUN, for a scan of
            // all takes longer and brings disks that are none of the node's.
            fs::write(&scan, format!("0 0 {lun}")).context(Code::Io, scan.display().to_string())?;
            step.scanned.set(Some(Scanned { sid, at: host.now() }));
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{INITIATOR, Machine, iscsi};
    use super::*;
    use crate::engine::converge::{Converge, Next, converge};
    use std::time::Duration;

    #[test]
    fn a_scan_asks_for_the_lun_alone_and_is_not_repeated_at_once() {
        let machine = Machine::new();
        machine.session(7, "LOGGED_IN");
        machine.write("/sys/module/sd_mod/initstate", "live");
        machine.write("/sys/class/scsi_host/host7/scan", "");
        let iscsi = iscsi();
        let step = Step::new(&iscsi, INITIATOR);
        let host = machine.host();
        let Next::Do(scan) = step.plan(&step.observe(&host).unwrap()).unwrap() else {
            panic!("no scan");
        };
        step.apply(&host, scan).unwrap();
        assert_eq!(machine.read("/sys/class/scsi_host/host7/scan"), "0 0 1");
        let error = step.plan(&step.observe(&host).unwrap()).unwrap_err();
        assert_eq!(error.code(), Code::IscsiNoDisk);
    }

    #[test]
    fn a_lun_that_never_comes_ends_with_its_own_code() {
        let machine = Machine::new();
        machine.session(7, "LOGGED_IN");
        machine.write("/sys/module/sd_mod/initstate", "live");
        machine.write("/sys/class/scsi_host/host7/scan", "");
        let iscsi = iscsi();
        let limit = Duration::from_secs(90);
        let error = converge(&Step::new(&iscsi, INITIATOR), &machine.host(), limit, &mut |_| ()).unwrap_err();
        assert_eq!(error.code(), Code::IscsiNoDisk);
    }

    #[test]
    fn a_disk_that_is_there_is_done_without_acting() {
        let machine = Machine::new();
        machine.session(7, "LOGGED_IN");
        machine.disk(7, 1, "sda");
        let iscsi = iscsi();
        let done = converge(&Step::new(&iscsi, INITIATOR), &machine.host(), Duration::ZERO, &mut |_| ());
        assert_eq!(done.unwrap(), "sda, 1 MiB, LUN 1 of iqn.2026-01.example:image at 198.18.0.1:3260");
    }
}
