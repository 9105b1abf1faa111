//! Device-mapper maps: a map is a value ([`Map`]), loaded as a whole and then waited for, with a deadline.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use devicemapper::{DM, DevId, Device, DmFlags, DmName, DmOptions, DmUdevFlags, DmUuid};

use crate::error::{Code, Context, Error, Result};

/// One line of a table, in sectors of 512 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// First sector of the map.
    pub start: u64,
    /// How many sectors.
    pub length: u64,
    /// The target's type: `linear`, `crypt`.
    pub kind: String,
    /// The target's parameters, as in `dmsetup table`. Never with a key in them: keys go through the keyring.
    pub params: String,
}

/// A map as it is to be, always read-only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Map {
    /// The name below /dev/mapper; 127 bytes at most.
    pub name: String,
    /// The DM UUID, by which other tools recognise the map; 128 bytes at most.
    pub uuid: String,
    /// The table.
    pub table: Vec<Target>,
}

/// A map the kernel has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Existing {
    /// Its DM UUID; empty if it has none.
    pub uuid: String,
    /// The device number, (major, minor).
    pub device: (u32, u32),
    /// It has a table and is not suspended.
    pub active: bool,
    /// Its table is read-only.
    pub read_only: bool,
}

/// The map called `name`, if there is one.
///
/// # Errors
/// `name` cannot be a map's name, or the kernel has no device-mapper.
pub fn find(name: &str) -> Result<Option<Existing>> {
    let object = || format!("map {name}");
    let dm = DM::new().context(Code::Kernel, object())?;
    let id = DevId::Name(DmName::new(name).context(Code::Kernel, object())?);
    // The only way to fail here for a good name is that there is no such map (ENXIO).
    let Ok(info) = dm.device_info(&id) else {
        return Ok(None);
    };
    let device = info.device();
    Ok(Some(Existing {
        uuid: info.uuid().map(ToString::to_string).unwrap_or_default(),
        device: (device.major, device.minor),
        active: info.flags().contains(DmFlags::DM_ACTIVE_PRESENT)
            && !info.flags().contains(DmFlags::DM_SUSPEND),
        read_only: info.flags().contains(DmFlags::DM_READONLY),
    }))
}

/// The name of the map with the DM UUID `uuid`, if there is one.
///
/// # Errors
/// `uuid` cannot be a map's UUID, or the kernel has no device-mapper.
pub fn name_of(uuid: &str) -> Result<Option<String>> {
    let object = || format!("map with UUID {uuid}");
    let dm = DM::new().context(Code::Kernel, object())?;
    let id = DevId::Uuid(DmUuid::new(uuid).context(Code::Kernel, object())?);
    // As in `find`.
    let info = dm.device_info(&id).ok();
    Ok(info.and_then(|info| info.name().map(ToString::to_string)))
}

/// The names of all maps the kernel has.
///
/// # Errors
/// The kernel has no device-mapper.
pub fn names() -> Result<Vec<String>> {
    let object = || "maps".to_owned();
    let dm = DM::new().context(Code::Kernel, object())?;
    let maps = dm.list_devices().context(Code::Kernel, object())?;
    Ok(maps.into_iter().map(|(name, ..)| name.to_string()).collect())
}

/// The active table of the map `name`, as the kernel prints it.
///
/// # Errors
/// There is no such map.
pub fn table(name: &str) -> Result<Vec<Target>> {
    read(name, DmFlags::DM_STATUS_TABLE)
}

/// The state of the map `name`: a line for each target, whose `params` are its state. Does not wait for I/O of the map.
///
/// # Errors
/// There is no such map.
pub fn status(name: &str) -> Result<Vec<Target>> {
    read(name, DmFlags::DM_NOFLUSH)
}

fn read(name: &str, flags: DmFlags) -> Result<Vec<Target>> {
    let object = || format!("map {name}");
    let dm = DM::new().context(Code::Kernel, object())?;
    let id = DevId::Name(DmName::new(name).context(Code::Kernel, object())?);
    let options = DmOptions::default().set_flags(flags);
    let (_, lines) = dm.table_status(&id, options).context(Code::Kernel, object())?;
    let target = |(start, length, kind, params)| Target { start, length, kind, params };
    Ok(lines.into_iter().map(target).collect())
}

/// Sends `text` to the first target of the map `name`: `reinstate_path 8:16`, `fail_if_no_path`.
///
/// # Errors
/// There is no such map, or its target refuses.
pub fn message(name: &str, text: &str) -> Result<()> {
    let object = || format!("map {name}: {text}");
    let dm = DM::new().context(Code::Kernel, object())?;
    let id = DevId::Name(DmName::new(name).context(Code::Kernel, object())?);
    dm.target_msg(&id, None, text).context(Code::Kernel, object())?;
    Ok(())
}

/// Removes the map `name`, which nobody has open. udev, which may be gone by then, is not waited for.
///
/// # Errors
/// It is in use, or there is no such map.
pub fn remove(name: &str) -> Result<()> {
    let object = || format!("map {name}");
    let dm = DM::new().context(Code::Kernel, object())?;
    let id = DevId::Name(DmName::new(name).context(Code::Kernel, object())?);
    dm.device_remove(&id, DmOptions::default()).context(Code::Kernel, object())?;
    Ok(())
}

/// Creates `map`, read-only, and waits until udev has seen to it, for at most `limit`. A map of this name and
/// UUID that an interrupted run left without a table is completed.
///
/// Keys that the table names must be in a keyring of the calling thread.
///
/// # Errors
/// The kernel refuses the map (nothing of it is left then), or udev was not done within `limit`.
pub fn create(map: &Map, limit: Duration) -> Result<()> {
    load_first(map)?;
    resume(&map.name, Resume::First, Until::UdevIsDone, limit)
}

/// The same, but does not wait for udev, which goes on with the map on its own.
///
/// # Errors
/// The kernel refuses the map (nothing of it is left then), or was not done within `limit`.
pub fn create_ahead_of_udev(map: &Map, limit: Duration) -> Result<()> {
    load_first(map)?;
    resume(&map.name, Resume::First, Until::IsActive, limit)
}

fn load_first(map: &Map) -> Result<()> {
    let object = || format!("map {}", map.name);
    let dm = DM::new().context(Code::Kernel, object())?;
    let name = DmName::new(&map.name).context(Code::Kernel, object())?;
    let uuid = DmUuid::new(&map.uuid).context(Code::Kernel, object())?;
    let read_only = DmOptions::default().set_flags(DmFlags::DM_READONLY);
    if find(&map.name)?.is_none() {
        dm.device_create(name, Some(uuid), read_only).context(Code::Kernel, object())?;
    }
    let id = DevId::Name(name);
    if let Err(cause) = dm.table_load(&id, &lines(map), read_only) {
        // Without a table it is of no use to anyone.
        let _ = dm.device_remove(&id, DmOptions::default());
        return Err(Error::new(Code::Kernel, object()).because(cause));
    }
    Ok(())
}

/// Gives the active map `map.name` another table of the same size, read-only or not as it is, within `limit`. Reads and
/// writes that are on their way come back first, those that are queued stay so. udev, which may need this very map for its
/// work, is not waited for.
///
/// # Errors
/// The kernel refuses the table (the map keeps its own), or not all was done within `limit`.
pub fn reload(map: &Map, read_only: bool, limit: Duration) -> Result<()> {
    let object = || format!("map {}", map.name);
    let dm = DM::new().context(Code::Kernel, object())?;
    let id = DevId::Name(DmName::new(&map.name).context(Code::Kernel, object())?);
    let flags = if read_only { DmFlags::DM_READONLY } else { DmFlags::empty() };
    dm.table_load(&id, &lines(map), DmOptions::default().set_flags(flags)).context(Code::Kernel, object())?;
    resume(&map.name, Resume::Again, Until::IsActive, limit)
}

fn lines(map: &Map) -> Vec<(u64, u64, String, String)> {
    let line = |target: &Target| (target.start, target.length, target.kind.clone(), target.params.clone());
    map.table.iter().map(line).collect()
}

/// Which table it is that becomes the active one.
#[derive(Debug, Clone, Copy)]
enum Resume {
    /// The map's first.
    First,
    /// Another one with the same content.
    Again,
}

/// What a resume is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    /// udev has seen to the map.
    UdevIsDone,
    /// The kernel works with the table.
    IsActive,
}

/// How often the kernel is asked whether it does.
const LOOK: Duration = Duration::from_millis(2);

/// Makes the loaded table the active one. The crate then waits for udev on a semaphore, without end: so that
/// happens in a thread of its own, and this waits for it with a deadline.
fn resume(name: &str, which: Resume, until: Until, limit: Duration) -> Result<()> {
    let (done, wait) = mpsc::channel();
    let owned = name.to_owned();
    std::thread::spawn(move || {
        // Nobody may be listening any more: then the answer is of no use either.
        let _ = done.send(resume_and_wait(&owned, which));
    });
    let start = Instant::now();
    let who = match until {
        Until::UdevIsDone => "udev",
        Until::IsActive => "the kernel",
    };
    loop {
        let left = limit.saturating_sub(start.elapsed());
        let pause = if until == Until::IsActive { LOOK.min(left) } else { left };
        if let Ok(result) = wait.recv_timeout(pause) {
            return result;
        }
        if until == Until::IsActive && is_resumed(name)? {
            return Ok(());
        }
        if left.is_zero() {
            return Err(Error::new(Code::Timeout, format!("map {name}"))
                .because(format!("{who} did not finish with it within {} s", limit.as_secs())));
        }
    }
}

/// The map has a table, and none that is loaded and not used yet.
fn is_resumed(name: &str) -> Result<bool> {
    let object = || format!("map {name}");
    let dm = DM::new().context(Code::Kernel, object())?;
    let id = DevId::Name(DmName::new(name).context(Code::Kernel, object())?);
    let flags = dm.device_info(&id).context(Code::Kernel, object())?.flags();
    let is_waiting = flags.intersects(DmFlags::DM_SUSPEND | DmFlags::DM_INACTIVE_PRESENT);
    Ok(flags.contains(DmFlags::DM_ACTIVE_PRESENT) && !is_waiting)
}

/// multipath-tools' own flag of a table that only has other paths: its udev rules then look at nothing anew.
const SAME_CONTENT: DmUdevFlags = DmUdevFlags::from_bits_retain(0x100);

fn resume_and_wait(name: &str, which: Resume) -> Result<()> {
    let object = || format!("map {name}");
    let dm = DM::new().context(Code::Kernel, object())?;
    let id = DevId::Name(DmName::new(name).context(Code::Kernel, object())?);
    // Without these flags udev takes the map for one of nobody, and systemd never has a unit for it.
    let flags = DmUdevFlags::DM_UDEV_DISABLE_LIBRARY_FALLBACK;
    let options = match which {
        Resume::First => DmOptions::default().set_udev_flags(flags),
        // A flush, or a frozen file system, would wait for reads that wait for this table.
        Resume::Again => DmOptions::default()
            .set_flags(DmFlags::DM_NOFLUSH | DmFlags::DM_SKIP_LOCKFS)
            .set_udev_flags(flags | SAME_CONTENT),
    };
    dm.device_suspend(&id, options).context(Code::Kernel, object())?;
    Ok(())
}

/// The name of a map's node below /dev and /sys/block.
pub fn node((_, minor): (u32, u32)) -> String {
    format!("dm-{minor}")
}

/// `major:minor`, as tables name devices.
pub fn number((major, minor): (u32, u32)) -> String {
    Device { major, minor }.to_string()
}
