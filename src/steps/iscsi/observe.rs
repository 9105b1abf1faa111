//! What sysfs shows of the session and its disk. The disk is found by session and LUN, never by its name.
//!
//! A session is the plan's if it has the plan's target and the node's own initiator name, and the address of the
//! portal if the plan has one. A portal's name may stand for another address by now, and the name server may be away;
//! a discovery may choose another portal each time: then the two names alone decide.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Step;
use crate::engine::host::Host;
use crate::error::{Code, Context, Error, Result};
use crate::input::document::Iscsi;
use crate::input::portal::Portal;
use crate::sys::block::{self, Disk};

/// So long after a scan without effect the next one is worth it: the target may have been given the LUN since.
const RESCAN_AFTER: Duration = Duration::from_secs(5);

/// What there is of the plan's disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The session with the plan's target, portal and initiator name; one that is logged in, if any is.
    pub session: Option<Session>,
    /// Sessions that somebody who is dead left behind before they could be used.
    pub half_made: Vec<u32>,
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
/// [`Code::Io`]: sysfs cannot be read.
pub fn disk(host: &Host, iscsi: &Iscsi, initiator: &str) -> Result<Option<Disk>> {
    Ok(sessions(host, iscsi, initiator, &super::portals(iscsi))?
        .0
        .filter(Session::logged_in)
        .and_then(|session| session.device)
        .filter(|device| device.state == "running")
        .and_then(|device| device.disk)
        .filter(|disk| disk.sectors > 0))
}

pub fn observe(step: &Step<'_>, host: &Host) -> Result<Seen> {
    let (session, half_made) = sessions(host, step.iscsi, &step.initiator, &step.portals)?;
    let sid = session.as_ref().map(|session| session.sid);
    let scan_due = step.scanned.get().is_none_or(|scanned| {
        Some(scanned.sid) != sid || host.now().saturating_sub(scanned.at) >= RESCAN_AFTER
    });
    Ok(Seen { session, half_made, scan_due })
}

/// The session at one of `portals`, and the half-made ones.
fn sessions(
    host: &Host,
    iscsi: &Iscsi,
    initiator: &str,
    portals: &[Portal],
) -> Result<(Option<Session>, Vec<u32>)> {
    let class = host.path("/sys/class/iscsi_session");
    let mut best: Option<Session> = None;
    let mut half_made = Vec::new();
    for name in names(&class)? {
        let Some(sid) = name.strip_prefix("session").and_then(|sid| sid.parse().ok()) else {
            continue;
        };
        let found = class.join(&name);
        if is_half_made(host, sid, &found, &iscsi.target) {
            half_made.push(sid);
            continue;
        }
        let discovered = iscsi.discovery.is_some();
        if attribute(&found, "targetname").as_deref() != Some(&iscsi.target)
            || attribute(&found, "initiatorname").as_deref() != Some(initiator)
            || !portals.iter().any(|portal| discovered || is_at(host, sid, portal))
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
    Ok((best, half_made))
}

/// The session's portal as it was configured is `portal`.
fn is_at(host: &Host, sid: u32, portal: &Portal) -> bool {
    let connection = connection(host, sid);
    let port = attribute(&connection, "persistent_port").and_then(|text| text.parse().ok());
    let address = attribute(&connection, "persistent_address").unwrap_or_default();
    port == Some(portal.port) && literal(&portal.host).is_none_or(|host| literal(&address) == Some(host))
}

fn connection(host: &Host, sid: u32) -> PathBuf {
    host.path("/sys/class/iscsi_connection").join(format!("connection{sid}:0"))
}

/// An address and its interface; none: it is a name.
fn literal(host: &str) -> Option<(IpAddr, Option<&str>)> {
    let (address, interface) = host.split_once('%').map_or((host, None), |(ip, name)| (ip, Some(name)));
    Some((address.parse().ok()?, interface))
}

/// Whoever made the session is dead, and did not come to the login: it was killed before it had set what names the
/// session. That begins with the target; the kernel shows names that are not set as `(null)`, and a port as 0.
fn is_half_made(host: &Host, sid: u32, session: &Path, target: &str) -> bool {
    let shows = |folder: &Path, name, text| attribute(folder, name).as_deref() == Some(text);
    let connection = connection(host, sid);
    let is_unnamed = shows(session, "targetname", "(null)")
        || shows(session, "targetname", target)
            && (shows(session, "initiatorname", "(null)")
                || shows(&connection, "persistent_address", "(null)")
                || shows(&connection, "persistent_port", "0"));
    is_unnamed && shows(session, "state", "FREE") && is_orphaned(host, session)
}

/// The process that made the session is no more. Who made it with a second socket is known by no pid, and counts as
/// alive.
fn is_orphaned(host: &Host, session: &Path) -> bool {
    attribute(session, "creator")
        .and_then(|creator| creator.parse::<u32>().ok())
        .is_some_and(|pid| pid > 0 && !host.path("/proc").join(pid.to_string()).exists())
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
    let state = attribute(folder, "state").unwrap_or_default();
    let mut disk = None;
    let mut held = false;
    if let Some(name) = names(&folder.join("block"))?.into_iter().next() {
        let block = host.path("/sys/block").join(&name);
        held = !names(&block.join("holders"))?.is_empty();
        // Until all of it is there it is none. To open one that does not run might take until it does.
        let dev = attribute(&block, "dev");
        let dev = dev.as_deref().and_then(|dev| dev.split_once(':'));
        let dev = dev.and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
        let sectors = attribute(&block, "size").and_then(|size| size.parse().ok());
        if let (Some(dev), Some(sectors)) = (dev, sectors)
            && (state != "running" || block::is_ready(&host.path("/dev").join(&name)))
        {
            disk = Some(Disk { name, dev, sectors });
        }
    }
    Ok(Device {
        // What cannot be read is gone again; u32::MAX is no type.
        kind: attribute(folder, "type").and_then(|kind| kind.parse().ok()).unwrap_or(u32::MAX),
        state,
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
#[path = "observe_tests.rs"]
mod tests;
