//! What is to be done next.

use std::fmt;

use super::Step;
use super::observe::{Seen, Session};
use crate::engine::converge::Next;
use crate::error::{Code, Error, Result};

/// One thing to do for the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Make a session.
    Login {
        /// `iqn... at 198.18.0.1:3260`.
        target: String,
    },
    /// Take away a session that is of no use.
    Drop {
        /// The session's id.
        sid: u32,
    },
    /// Make the kernel look for the LUN.
    Scan {
        /// The session's id.
        sid: u32,
        /// The number of its SCSI host.
        host: u32,
        /// The LUN.
        lun: u64,
    },
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Login { target } => write!(f, "log in to {target}"),
            Action::Drop { sid } => write!(f, "drop the dead iSCSI session {sid}"),
            Action::Scan { host, lun, .. } => write!(f, "look for LUN {lun} on SCSI host {host}"),
        }
    }
}

pub fn plan(step: &Step<'_>, seen: &Seen) -> Result<Next<Action>> {
    // Nobody else takes them away, and each costs the kernel a SCSI host.
    if let Some(sid) = seen.half_made.first() {
        return Ok(Next::Do(Action::Drop { sid: *sid }));
    }
    let Some(session) = &seen.session else {
        return Ok(Next::Do(Action::Login { target: step.target() }));
    };
    if !session.logged_in() {
        return Ok(lost(session));
    }
    let Some(device) = &session.device else {
        if seen.scan_due {
            return Ok(Next::Do(Action::Scan { sid: session.sid, host: session.host, lun: step.iscsi.lun }));
        }
        return Err(Error::new(Code::IscsiNoDisk, step.lun()));
    };
    if device.kind != 0 {
        return Err(Error::new(Code::IscsiNoDisk, step.lun())
            .because(format!("it is no disk, but a SCSI device of type {}", device.kind)));
    }
    let disk = match &device.disk {
        Some(disk) if device.state == "running" && disk.sectors > 0 => disk,
        Some(disk) if device.state == "running" => {
            return Ok(Next::Wait(format!("size of disk {} of {}", disk.name, step.lun())));
        }
        Some(disk) => {
            return Ok(Next::Wait(format!(
                "disk {} of {}, which is {}",
                disk.name,
                step.lun(),
                device.state
            )));
        }
        None => return Ok(Next::Wait(format!("disk of {}", step.lun()))),
    };
    // 2048 sectors of 512 bytes are one MiB.
    Ok(Next::Done(format!("{}, {} MiB, {}", disk.name, disk.sectors / 2048, step.lun())))
}

/// A session without a connection: it died, or whoever made it died before it was done.
fn lost(session: &Session) -> Next<Action> {
    if session.supervised {
        return Next::Wait(format!("iscsid to reconnect iSCSI session {}", session.sid));
    }
    match &session.device {
        // To take the disk away would break for good what is on it.
        Some(device) if device.held => Next::Wait(format!(
            "iSCSI session {}, which lost its connection while its disk is in use",
            session.sid
        )),
        _ => Next::Do(Action::Drop { sid: session.sid }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{INITIATOR, iscsi};
    use super::super::observe::Device;
    use super::*;
    use crate::sys::block::Disk;

    const AT: &str = "LUN 1 of iqn.2026-01.example:image at 198.18.0.1:3260";

    fn session(state: &str, device: Option<Device>) -> Session {
        Session { sid: 7, state: state.into(), supervised: false, host: 2, device }
    }

    fn device(state: &str, sectors: Option<u64>) -> Option<Device> {
        Some(Device {
            kind: 0,
            state: state.into(),
            disk: sectors.map(|sectors| Disk { name: "sda".into(), dev: (8, 0), sectors }),
            held: false,
        })
    }

    fn decide(session: Option<Session>, scan_due: bool) -> Result<Next<Action>> {
        let iscsi = iscsi();
        let step = Step::new(&iscsi, INITIATOR);
        plan(&step, &Seen { session, half_made: Vec::new(), scan_due })
    }

    #[test]
    fn one_step_follows_another() {
        let login = Action::Login { target: "iqn.2026-01.example:image at 198.18.0.1:3260".into() };
        let scan = Action::Scan { sid: 7, host: 2, lun: 1 };
        for (session, next) in [
            (None, Next::Do(login)),
            (Some(session("FREE", None)), Next::Do(Action::Drop { sid: 7 })),
            (Some(session("FAILED", device("blocked", Some(8)))), Next::Do(Action::Drop { sid: 7 })),
            (Some(session("LOGGED_IN", None)), Next::Do(scan)),
            (Some(session("LOGGED_IN", device("running", None))), Next::Wait(format!("disk of {AT}"))),
            (
                Some(session("LOGGED_IN", device("running", Some(0)))),
                Next::Wait(format!("size of disk sda of {AT}")),
            ),
            (
                Some(session("LOGGED_IN", device("blocked", Some(8)))),
                Next::Wait(format!("disk sda of {AT}, which is blocked")),
            ),
            (
                Some(session("LOGGED_IN", device("running", Some(1_048_576)))),
                Next::Done(format!("sda, 512 MiB, {AT}")),
            ),
        ] {
            assert_eq!(decide(session, true).unwrap(), next);
        }
    }

    #[test]
    fn what_a_killed_run_left_goes_first() {
        let iscsi = iscsi();
        let seen = Seen { session: session("LOGGED_IN", None).into(), half_made: vec![3, 4], scan_due: true };
        assert_eq!(plan(&Step::new(&iscsi, INITIATOR), &seen).unwrap(), Next::Do(Action::Drop { sid: 3 }));
    }

    #[test]
    fn a_session_in_use_or_supervised_is_not_dropped() {
        let mut held = session("FAILED", device("blocked", Some(8)));
        held.device.as_mut().unwrap().held = true;
        let mut supervised = session("FAILED", None);
        supervised.supervised = true;
        for session in [held, supervised] {
            assert!(matches!(decide(Some(session), true), Ok(Next::Wait(_))));
        }
    }

    #[test]
    fn a_lun_that_a_scan_did_not_find_is_an_error_that_names_it() {
        let error = decide(Some(session("LOGGED_IN", None)), false).unwrap_err();
        assert_eq!(error.code(), Code::IscsiNoDisk);
        assert!(error.to_string().starts_with(AT), "{error}");
    }

    #[test]
    fn a_lun_that_is_no_disk_is_an_error() {
        let mut controller = session("LOGGED_IN", device("running", None));
        controller.device.as_mut().unwrap().kind = 12;
        let error = decide(Some(controller), true).unwrap_err();
        assert_eq!(error.code(), Code::IscsiNoDisk);
        assert!(error.to_string().contains("type 12"), "{error}");
    }
}
