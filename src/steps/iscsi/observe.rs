//! What sysfs shows of the session and its disk. The disk is found by session and LUN, never by its name.
//!
//! A session is the plan's if it has a target of the plan and the node's own initiator name; `paths` says at which portal
//! it is.

use std::fs;
use std::io;
use std::path::{Path as Folder, PathBuf};
use std::time::Duration;

use super::paths::{Found, Path, paths};
use crate::engine::host::Host;
use crate::error::{Code, Context, Error, Result};
use crate::input::document::Iscsi;
use crate::sys::block::{self, Disk};

/// A disk that is there opens within this time: it is the kernel's own work.
const OPEN_LIMIT: Duration = Duration::from_millis(200);

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
    /// The target lets the node write to it.
    pub writable: bool,
}

impl Session {
    /// Commands reach the target.
    pub fn logged_in(&self) -> bool {
        self.state == "LOGGED_IN"
    }
}

/// The plan's disk at the first portal that has it, if it is there and can be read.
///
/// # Errors
/// [`Code::Io`]: sysfs cannot be read.
pub fn disk(host: &Host, iscsi: &Iscsi, initiator: &str) -> Result<Option<Disk>> {
    Ok(paths(host, iscsi, initiator)?.iter().find_map(Path::disk).cloned())
}

/// Whether a disk is ready to be opened. The open is not waited for: at a target that is silent it takes until the kernel
/// gives up.
pub fn block_ready(node: &Folder) -> bool {
    block::is_ready_within(node, OPEN_LIMIT)
}

/// The sessions with the node's own name and a target of the plan, by their ids, and the half-made ones. `is_ready` tells
/// of a node below /dev that runs whether it can be used.
pub fn sessions(
    host: &Host,
    iscsi: &Iscsi,
    initiator: &str,
    is_ready: impl Fn(&Folder) -> bool + Copy,
) -> Result<(Vec<Found>, Vec<u32>)> {
    let class = host.path("/sys/class/iscsi_session");
    let mut targets: Vec<&str> = iscsi.portals.iter().map(|portal| iscsi.target_at(portal)).collect();
    targets.push(&iscsi.target);
    let mut all = Vec::new();
    let mut half_made = Vec::new();
    for name in names(&class)? {
        let Some(sid) = name.strip_prefix("session").and_then(|sid| sid.parse().ok()) else {
            continue;
        };
        let found = class.join(&name);
        if is_half_made(host, sid, &found, &targets) {
            half_made.push(sid);
            continue;
        }
        let Some(target) = attribute(&found, "targetname").filter(|name| targets.contains(&name.as_str()))
        else {
            continue;
        };
        if attribute(&found, "initiatorname").as_deref() != Some(initiator) {
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
            device: device(host, &folder, iscsi.lun, is_ready)?,
        };
        let connection = connection(host, sid);
        let iscsi_host = host.path("/sys/class/iscsi_host").join(format!("host{number}"));
        all.push(Found {
            target,
            address: attribute(&connection, "persistent_address").unwrap_or_default(),
            port: attribute(&connection, "persistent_port").and_then(|text| text.parse().ok()).unwrap_or(0),
            // What is not set is `(null)`, and `default` where an iscsid says that there is no binding.
            interface: attribute(&iscsi_host, "netdev")
                .filter(|name| !matches!(&**name, "(null)" | "default" | "")),
            source: attribute(&iscsi_host, "ipaddress").and_then(|text| text.parse().ok()),
            session,
        });
    }
    all.sort_by_key(|found| found.session.sid);
    Ok((all, half_made))
}

fn connection(host: &Host, sid: u32) -> PathBuf {
    host.path("/sys/class/iscsi_connection").join(format!("connection{sid}:0"))
}

/// Whoever made the session is dead, and did not come to the login: it was killed before it had set what names the
/// session. That begins with the target; the kernel shows names that are not set as `(null)`, and a port as 0.
fn is_half_made(host: &Host, sid: u32, session: &Folder, targets: &[&str]) -> bool {
    let shows = |folder: &Folder, name, text| attribute(folder, name).as_deref() == Some(text);
    let connection = connection(host, sid);
    let is_unnamed = shows(session, "targetname", "(null)")
        || targets.iter().any(|target| shows(session, "targetname", target))
            && (shows(session, "initiatorname", "(null)")
                || shows(&connection, "persistent_address", "(null)")
                || shows(&connection, "persistent_port", "0"));
    is_unnamed && shows(session, "state", "FREE") && is_orphaned(host, session)
}

/// The process that made the session is no more. Who made it with a second socket is known by no pid, and counts as
/// alive.
fn is_orphaned(host: &Host, session: &Folder) -> bool {
    attribute(session, "creator")
        .and_then(|creator| creator.parse::<u32>().ok())
        .is_some_and(|pid| pid > 0 && !host.path("/proc").join(pid.to_string()).exists())
}

/// Whether an iscsid made session `sid`, and lives.
pub fn is_of_iscsid(host: &Host, sid: u32) -> bool {
    is_supervised(host, &host.path("/sys/class/iscsi_session").join(format!("session{sid}")))
}

/// The process that made the session is an iscsid, and alive.
fn is_supervised(host: &Host, session: &Folder) -> bool {
    attribute(session, "creator").is_some_and(|creator| {
        // A name of digits only: it stays below /proc.
        creator.bytes().all(|c| c.is_ascii_digit())
            && attribute(&host.path("/proc").join(creator), "comm").as_deref() == Some("iscsid")
    })
}

/// The number N of the folder `hostN` that `session` is in.
pub fn scsi_host(session: &Folder) -> Option<u32> {
    session.ancestors().find_map(|folder| folder.file_name()?.to_str()?.strip_prefix("host")?.parse().ok())
}

/// The device of `lun` in the session whose folder this is: `targetH:C:T/H:C:T:LUN` in it.
fn device(
    host: &Host,
    session: &Folder,
    lun: u64,
    is_ready: impl Fn(&Folder) -> bool + Copy,
) -> Result<Option<Device>> {
    let wanted = lun.to_string();
    for target in names(session)? {
        if !target.starts_with("target") {
            continue;
        }
        let target = session.join(target);
        for name in names(&target)? {
            // Other entries (power, uevent) have no colons.
            if name.rsplit_once(':').is_some_and(|(_, lun)| lun == wanted) {
                return scsi_device(host, &target.join(name), is_ready).map(Some);
            }
        }
    }
    Ok(None)
}

fn scsi_device(host: &Host, folder: &Folder, is_ready: impl Fn(&Folder) -> bool + Copy) -> Result<Device> {
    let state = attribute(folder, "state").unwrap_or_default();
    let mut disk = None;
    let (mut held, mut writable) = (false, false);
    if let Some(name) = names(&folder.join("block"))?.into_iter().next() {
        let block = host.path("/sys/block").join(&name);
        held = !names(&block.join("holders"))?.is_empty();
        // The kernel asks the target for its write protection (MODE SENSE) before it makes the disk.
        writable = attribute(&block, "ro").as_deref() == Some("0");
        // Until all of it is there it is none. To open one that does not run might take until it does.
        let dev = attribute(&block, "dev");
        let dev = dev.as_deref().and_then(|dev| dev.split_once(':'));
        let dev = dev.and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
        let sectors = attribute(&block, "size").and_then(|size| size.parse().ok());
        if let (Some(dev), Some(sectors)) = (dev, sectors)
            && (state != "running" || is_ready(&host.path("/dev").join(&name)))
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
        writable,
    })
}

/// The names in a folder, in order; none if there is no such folder.
fn names(folder: &Folder) -> Result<Vec<String>> {
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
fn attribute(folder: &Folder, name: &str) -> Option<String> {
    let path: PathBuf = folder.join(name);
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

#[cfg(test)]
#[path = "observe_tests.rs"]
mod tests;
