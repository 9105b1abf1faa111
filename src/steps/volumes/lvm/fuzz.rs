//! Fuzz targets of this folder; see [`crate::fuzz`].

use super::group;
use super::label::{HEADER_BYTES, LABEL_BYTES, checksum, label, text as metadata};
use super::{Physical, read, volumes};
use crate::steps::volumes::fuzz::Bytes;

const SECTOR: usize = 512;

/// Of the device, most of which cannot be read.
const SECTORS: u64 = 1 << 24;

/// A device with a physical volume.
pub fn device(data: &[u8]) {
    if let Ok(Some(physical)) = read(&Bytes(data), "disk", (254, 0), SECTORS) {
        maps(&[physical]);
    }
}

/// A device on which all check sums are right.
pub fn signed(data: &[u8]) {
    let mut disk = data.to_vec();
    for sector in disk.chunks_exact_mut(SECTOR).take(LABEL_BYTES / SECTOR) {
        put(sector, 16, &checksum(&[sector.get(20..).unwrap_or_default()]).to_le_bytes());
    }
    let areas = label(&disk).ok().flatten().map(|label| label.metadata).unwrap_or_default();
    for area in areas {
        let at = usize::try_from(area.offset).unwrap_or(usize::MAX);
        let Some(header) = disk.get(at..).and_then(|rest| rest.get(..HEADER_BYTES)) else { continue };
        let mut header = header.to_vec();
        put(&mut header, 4, b" LVM2 x[5A%r0N*>\x01\0\0\0");
        put(&mut header, 24, &area.offset.to_le_bytes());
        put(&mut header, 32, &area.size.to_le_bytes());
        sign(&mut header);
        if let Ok(Some(text)) = metadata(area, &header) {
            let parts = text.parts.iter().map(|part| {
                let start = usize::try_from(part.offset).ok()?;
                disk.get(start..start.checked_add(usize::try_from(part.size).ok()?)?)
            });
            if let Some(parts) = parts.collect::<Option<Vec<&[u8]>>>() {
                put(&mut header, 56, &checksum(&parts).to_le_bytes());
                sign(&mut header);
            }
        }
        put(&mut disk, at, &header);
    }
    device(&disk);
}

fn sign(header: &mut [u8]) {
    let sum = checksum(&[header.get(4..).unwrap_or_default()]);
    put(header, 0, &sum.to_le_bytes());
}

fn put(bytes: &mut [u8], at: usize, data: &[u8]) {
    for (to, from) in bytes.iter_mut().skip(at).zip(data) {
        *to = *from;
    }
}

/// The metadata of a group whose physical volumes are all there.
pub fn text(data: &[u8]) {
    let Ok(group) = group::parse(&String::from_utf8_lossy(data)) else { return };
    let physical = group.disks.iter().enumerate().map(|(i, disk)| Physical {
        name: "disk".into(),
        uuid: disk.uuid.clone(),
        device: (254, u32::try_from(i).unwrap_or(0)),
        sectors: SECTORS,
        groups: vec![group.clone()],
        faults: Vec::new(),
    });
    // More would only take longer.
    maps(&physical.take(4).collect::<Vec<_>>());
}

fn maps(physical: &[Physical]) {
    for logical in volumes(physical) {
        assert!(!logical.name.contains(['/', ' ', '\n', '\0']), "{}", logical.name);
        let Ok(map) = logical.map else { continue };
        assert!(map.name.len() <= 127 && map.uuid.len() <= 128);
        let mut end = 0;
        for target in map.table {
            assert_eq!(target.start, end);
            assert!(target.length > 0 && !target.params.contains(['\n', '\0']));
            end = target.start + target.length;
        }
    }
}
