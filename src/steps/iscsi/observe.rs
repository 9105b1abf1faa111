//! What sysfs shows of the session and its disk. The disk is found by session and LUN, never by its name.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Step, portal};
use crate::engine::host::Host;
use crate::error::{Code, Context, Error, Result};
use crate::input::document::Iscsi;
use crate::sys::block::Disk;

/// So long after a scan without effect the next one is worth it: the target may have been given the LUN since.
const RESCAN_AFTER: Duration = Duration::from_secs(5);

/// What there is of the plan's disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The session with the plan's target, portal and initiator name; one that is logged in, if any is.
    pub session: Option<Session>,
    /// No scan for the LUN was made in this session, or one long ago.
    pub scan_due: bool,
}

/// A session of the kernel's initiator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub sid: u32,
    /// Its state: `LOGGED_IN`, `FAILED` (the connection is lost), `FREE` (lost for long, or never logged in).
    pub state: String,
    /// An iscsid that runs made it, and takes care of it.
    pub supervised: bool,
    /// The number of its SCSI host.
    pub host: u32,
    /// The SCSI device of the plan's LUN.
    pub device: Option<Device>,
}

/// A SCSI device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The peripheral device type; 0 is a disk.
    pub kind: u32,
    /// Its state: `running`, `blocked`, `transport-offline`, ...
    pub state: String,
    /// The disk, as soon as the kernel has made one of it.
    pub disk: Option<Disk>,
    /// Another block device is on top of it: a map, an md array.
    pub held: bool,
}

impl Session {
    /// Commands reach the target.
    pub fn logged_in(&self) -> bool {
        self.state == "LOGGED_IN"
    }
}

/// The plan's disk, if it is there and can be read.
///
/// # Errors
/// [`Code::Io`]: sysfs cannot be read. [`Code::PlanPortals`]: not exactly one portal.
pub fn disk(host: &Host, iscsi: &Iscsi, initiator: &str) -> Result<Option<Disk>> {
    Ok(session(host, iscsi, initiator, portal(iscsi)?)?
        .filter(Session::logged_in)
        .and_then(|session| session.device)
        .filter(|device| device.state == "running")
        .and_then(|device| device.disk)
        .filter(|disk| disk.sectors > 0))
}

pub fn observe(step: &Step<'_>, host: &Host) -> Result<Seen> {
    let session = session(host, step.iscsi, &step.initiator, step.portal)?;
    let sid = session.as_ref().map(|session| session.sid);
    let scan_due = step.scanned.get().is_none_or(|scanned| {
        Some(scanned.sid) != sid || host.now().saturating_sub(scanned.at) >= RESCAN_AFTER
    });
    Ok(Seen { session, scan_due })
}

fn session(host: &Host, iscsi: &Iscsi, initiator: &str, portal: SocketAddr) -> Result<Option<Session>> {
    let class = host.path("/sys/class/iscsi_session");
    let mut best: Option<Session> = None;
    for name in names(&class)? {
        let Some(sid) = name.strip_prefix("session").and_then(|sid| sid.parse().ok()) else {
            continue;
        };
        let found = class.join(&name);
        if attribute(&found, "targetname").as_deref() != Some(&iscsi.target)
            || attribute(&found, "initiatorname").as_deref() != Some(initiator)
            || !is_at(host, sid, portal)
        {
            continue;
        }
        // It may go away between two looks at it; then there is nothing to tell of it.
        let Ok(folder) = fs::canonicalize(found.join("device")) else {
            continue;
        };
        let Some(number) = scsi_host(&folder) else {
            continue;
        };
        let session = Session {
            sid,
            state: attribute(&found, "state").unwrap_or_default(),
            supervised: is_supervised(host, &found),
            host: number,
            device: device(host, &folder, iscsi.lun)?,
        };
        if best.as_ref().is_none_or(|best| !best.logged_in()) {
            best = Some(session);
        }
    }
    Ok(best)
}

/// The session's portal as it was configured is `portal`.
fn is_at(host: &Host, sid: u32, portal: SocketAddr) -> bool {
    let connection = host.path("/sys/class/iscsi_connection").join(format!("connection{sid}:0"));
    let address = attribute(&connection, "persistent_address").and_then(|text| text.parse().ok());
    let port = attribute(&connection, "persistent_port").and_then(|text| text.parse().ok());
    address == Some(portal.ip()) && port == Some(portal.port())
}

/// The process that made the session is an iscsid, and alive.
fn is_supervised(host: &Host, session: &Path) -> bool {
    attribute(session, "creator").is_some_and(|creator| {
        // A name of digits only: it stays below /proc.
        creator.bytes().all(|c| c.is_ascii_digit())
            && attribute(&host.path("/proc").join(creator), "comm").as_deref() == Some("iscsid")
    })
}

/// The number N of the folder `hostN` that `session` is in.
fn scsi_host(session: &Path) -> Option<u32> {
    session.ancestors().find_map(|folder| folder.file_name()?.to_str()?.strip_prefix("host")?.parse().ok())
}

/// The device of `lun` in the session whose folder this is: `targetH:C:T/H:C:T:LUN` in it.
fn device(host: &Host, session: &Path, lun: u64) -> Result<Option<Device>> {
    let wanted = lun.to_string();
    for target in names(session)? {
        if !target.starts_with("target") {
            continue;
        }
        let target = session.join(target);
        for name in names(&target)? {
            // Other entries (power, uevent) have no colons.
            if name.rsplit_once(':').is_some_and(|(_, lun)| lun == wanted) {
                return scsi_device(host, &target.join(name)).map(Some);
            }
        }
    }
    Ok(None)
}

fn scsi_device(host: &Host, folder: &Path) -> Result<Device> {
    let mut disk = None;
    let mut held = false;
    if let Some(name) = names(&folder.join("block"))?.into_iter().next() {
        let block = host.path("/sys/block").join(&name);
        held = !names(&block.join("holders"))?.is_empty();
        // Both are there as soon as the disk is; until then it is none.
        let dev = attribute(&block, "dev");
        let dev = dev.as_deref().and_then(|dev| dev.split_once(':'));
        let dev = dev.and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
        let sectors = attribute(&block, "size").and_then(|size| size.parse().ok());
        if let (Some(dev), Some(sectors)) = (dev, sectors) {
            disk = Some(Disk { name, dev, sectors });
        }
    }
    Ok(Device {
        // What cannot be read is gone again; u32::MAX is no type.
        kind: attribute(folder, "type").and_then(|kind| kind.parse().ok()).unwrap_or(u32::MAX),
        state: attribute(folder, "state").unwrap_or_default(),
        disk,
        held,
    })
}

/// The names in a folder, in order; none if there is no such folder.
fn names(folder: &Path) -> Result<Vec<String>> {
    let object = || folder.display().to_string();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::new(Code::Io, object()).because(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.context(Code::Io, object())?;
        // sysfs has only ASCII names.
        names.extend(entry.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

/// An attribute's text. Some cannot be read before the session is complete: these count as absent.
fn attribute(folder: &Path, name: &str) -> Option<String> {
    let path: PathBuf = folder.join(name);
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{INITIATOR, Machine, iscsi};
    use super::*;

    #[test]
    fn an_empty_machine_has_nothing() {
        let machine = Machine::new();
        let iscsi = iscsi();
        let seen = observe(&Step::new(&iscsi, INITIATOR).unwrap(), &machine.host()).unwrap();
        assert_eq!(seen, Seen { session: None, scan_due: true });
        assert_eq!(disk(&machine.host(), &iscsi, INITIATOR).unwrap(), None);
    }

    #[test]
    fn the_disk_is_found_by_session_and_lun() {
        let machine = Machine::new();
        machine.session(7, "LOGGED_IN");
        machine.disk(7, 0, "sda");
        machine.disk(7, 1, "sdb");
        let iscsi = iscsi();
        let expected = Disk { name: "sdb".into(), dev: (8, 1), sectors: 2048 };
        assert_eq!(disk(&machine.host(), &iscsi, INITIATOR).unwrap(), Some(expected.clone()));
        let seen = observe(&Step::new(&iscsi, INITIATOR).unwrap(), &machine.host()).unwrap();
        assert_eq!(
            seen.session,
            Some(Session {
                sid: 7,
                state: "LOGGED_IN".into(),
                supervised: false,
                host: 7,
                device: Some(Device { kind: 0, state: "running".into(), disk: Some(expected), held: false })
            })
        );
    }

    #[test]
    fn foreign_sessions_do_not_count() {
        let iscsi = iscsi();
        for (file, text) in [
            ("iscsi_session/session7/targetname", "iqn.2026-01.example:other"),
            ("iscsi_session/session7/targetname", "(null)"),
            ("iscsi_session/session7/initiatorname", "iqn.2026-01.example:n2"),
            ("iscsi_connection/connection7:0/persistent_address", "198.18.0.2"),
            ("iscsi_connection/connection7:0/persistent_port", "3261"),
        ] {
            let machine = Machine::new();
            machine.session(7, "LOGGED_IN");
            machine.write(&format!("/sys/class/{file}"), text);
            assert_eq!(
                session(&machine.host(), &iscsi, INITIATOR, portal(&iscsi).unwrap()).unwrap(),
                None,
                "{file}"
            );
        }
    }

    #[test]
    fn a_session_that_is_logged_in_wins() {
        let iscsi = iscsi();
        for states in [["FAILED", "LOGGED_IN"], ["LOGGED_IN", "FREE"]] {
            let machine = Machine::new();
            machine.session(1, states[0]);
            machine.session(2, states[1]);
            let session = session(&machine.host(), &iscsi, INITIATOR, portal(&iscsi).unwrap()).unwrap();
            assert!(session.unwrap().logged_in());
        }
    }

    #[test]
    fn a_disk_that_cannot_be_read_is_none_for_others() {
        let iscsi = iscsi();
        for (file, text) in [
            ("/sys/class/iscsi_session/session7/state", "FAILED"),
            ("/sys/block/sda/size", "0"),
            ("/sys/devices/platform/host7/session7/target7:0:0/7:0:0:1/state", "blocked"),
        ] {
            let machine = Machine::new();
            machine.session(7, "LOGGED_IN");
            machine.disk(7, 1, "sda");
            assert!(disk(&machine.host(), &iscsi, INITIATOR).unwrap().is_some());
            machine.write(file, text);
            assert_eq!(disk(&machine.host(), &iscsi, INITIATOR).unwrap(), None, "{file}");
        }
    }

    #[test]
    fn an_iscsid_that_runs_supervises_its_sessions() {
        let iscsi = iscsi();
        let machine = Machine::new();
        machine.session(7, "FAILED");
        let supervised = || {
            let session = session(&machine.host(), &iscsi, INITIATOR, portal(&iscsi).unwrap()).unwrap();
            session.unwrap().supervised
        };
        assert!(!supervised());
        machine.write("/proc/321/comm", "iscsid");
        assert!(supervised());
        machine.write("/proc/321/comm", "sleep");
        assert!(!supervised());
    }

    #[test]
    fn what_is_on_top_of_a_disk_holds_it() {
        let machine = Machine::new();
        machine.session(7, "LOGGED_IN");
        machine.disk(7, 1, "sda");
        machine.write("/sys/block/sda/holders/dm-0/dev", "253:0");
        let iscsi = iscsi();
        let session = session(&machine.host(), &iscsi, INITIATOR, portal(&iscsi).unwrap()).unwrap().unwrap();
        assert!(session.device.unwrap().held);
    }

    #[test]
    fn a_scan_is_due_once_in_a_while_and_in_each_session() {
        let machine = Machine::new();
        machine.session(7, "LOGGED_IN");
        let iscsi = iscsi();
        let step = Step::new(&iscsi, INITIATOR).unwrap();
        let host = machine.host();
        assert!(observe(&step, &host).unwrap().scan_due);
        step.scanned.set(Some(super::super::Scanned { sid: 7, at: host.now() }));
        assert!(!observe(&step, &host).unwrap().scan_due);
        host.wait_for_change(RESCAN_AFTER);
        assert!(observe(&step, &host).unwrap().scan_due);
        step.scanned.set(Some(super::super::Scanned { sid: 6, at: host.now() }));
        assert!(observe(&step, &host).unwrap().scan_due);
    }
}
