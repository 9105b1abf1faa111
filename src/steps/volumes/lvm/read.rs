//! Reads physical volumes: label, then metadata areas, then the group that they describe.

use std::os::unix::fs::FileExt;

use super::group::{self, Group};
use super::label::{self, Area, HEADER_BYTES, LABEL_BYTES};

/// A physical volume that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Physical {
    /// What people know it by: `luks_root2`.
    pub name: String,
    /// Its UUID, without dashes.
    pub uuid: String,
    /// The device number, (major, minor).
    pub device: (u32, u32),
    /// The device's size in sectors of 512 bytes.
    pub sectors: u64,
    /// The groups that its metadata areas describe, each the same one if all are well.
    pub groups: Vec<Group>,
    /// What is wrong with other metadata areas.
    pub faults: Vec<String>,
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The physical volume on `disk`, a device of `sectors` sectors that people know as `name`; none: it is none.
///
/// # Errors
/// The device cannot be read, or its label is damaged.
pub fn read(
    disk: &impl FileExt,
    name: &str,
    device: (u32, u32),
    sectors: u64,
) -> Result<Option<Physical>, Cause> {
    if sectors < (LABEL_BYTES / 512) as u64 {
        return Ok(None);
    }
    let mut start = vec![0; LABEL_BYTES];
    disk.read_exact_at(&mut start, 0)?;
    let Some(label) = label::label(&start)? else {
        return Ok(None);
    };
    let (mut groups, mut faults) = (Vec::new(), Vec::new());
    for area in label.metadata {
        match read_area(disk, area, sectors) {
            Ok(group) => groups.extend(group),
            Err(fault) => faults.push(format!("metadata area at byte {}: {fault}", area.offset)),
        }
    }
    let name = name.to_owned();
    Ok(Some(Physical { name, uuid: label.uuid, device, sectors, groups, faults }))
}

fn read_area(disk: &impl FileExt, area: Area, sectors: u64) -> Result<Option<Group>, Cause> {
    // A label is made with check sums, not with sense: nothing beyond the device is read or allocated for.
    let end = area.offset.checked_add(area.size);
    if end.is_none_or(|end| end > sectors.saturating_mul(512)) {
        return Err("it is not on the device".into());
    }
    let mut header = vec![0; HEADER_BYTES];
    disk.read_exact_at(&mut header, area.offset)?;
    let Some(text) = label::text(area, &header)? else {
        return Ok(None);
    };
    let mut parts = Vec::new();
    for part in &text.parts {
        let mut bytes = vec![0; usize::try_from(part.size)?];
        disk.read_exact_at(&mut bytes, part.offset)?;
        parts.push(bytes);
    }
    group::parse(&text.decode(&parts)?).map(Some)
}
