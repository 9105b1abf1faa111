//! What LVM2 writes on a physical volume: the label, and the metadata areas that it names. Pure: bytes in, values out.
//!
//! After LVM2's on-disk format, version 2: all numbers are little endian.

use std::fmt;

/// As much of the device as is looked at for a label: it stands in one of the first four sectors.
pub const LABEL_BYTES: usize = 4 * SECTOR;
/// As much of a metadata area as its header takes; the ring of texts begins behind it.
pub const HEADER_BYTES: usize = 512;
const SECTOR: usize = 512;
/// No metadata is longer: lvm2 does not write a quarter of it for the largest groups.
const MOST_TEXT: u64 = 16 << 20;
/// A volume has one or two metadata areas, and one data area.
const MOST_AREAS: usize = 16;

/// Why a label or an area cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// A check sum is wrong.
    Checksum(&'static str),
    /// A field has a value that cannot be.
    Field(&'static str),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Checksum(of) => write!(f, "LVM: wrong check sum of the {of}"),
            Fault::Field(field) => write!(f, "LVM: {field} cannot be"),
        }
    }
}

impl std::error::Error for Fault {}

/// A part of the device, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Area {
    /// From the device's beginning.
    pub offset: u64,
    /// How long.
    pub size: u64,
}

/// A physical volume's label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The volume's UUID, 32 characters without dashes.
    pub uuid: String,
    /// Where its metadata is; nothing, if it is on the group's other volumes alone.
    pub metadata: Vec<Area>,
}

/// The label in the first [`LABEL_BYTES`] of a device; none: it is no physical volume.
///
/// # Errors
/// There is a label, but it cannot be used.
pub fn label(start: &[u8]) -> Result<Option<Label>, Fault> {
    let labelled = (0u64..).zip(start.chunks_exact(SECTOR)).take(LABEL_BYTES / SECTOR);
    for (number, sector) in labelled {
        // The number of the sector tells a label from a copy of one.
        let ours = sector.starts_with(b"LABELONE") && sector.get(24..32) == Some(b"LVM2 001".as_slice());
        if ours && u64_at(sector, 8) == Some(number) {
            return read_label(sector).map(Some);
        }
    }
    Ok(None)
}

fn read_label(sector: &[u8]) -> Result<Label, Fault> {
    let summed = sector.get(20..).unwrap_or_default();
    if u32_at(sector, 16) != Some(checksum(&[summed])) {
        return Err(Fault::Checksum("label"));
    }
    let header = u32_at(sector, 20).and_then(|at| sector.get(at as usize..)).unwrap_or_default();
    let uuid = header.get(..32).and_then(|uuid| str::from_utf8(uuid).ok()).unwrap_or_default();
    if uuid.is_empty() || !uuid.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#".contains(&byte)) {
        return Err(Fault::Field("the UUID of a physical volume"));
    }
    // Behind the device's size: data areas, a zero, metadata areas, a zero.
    let mut areas = header.get(40..).unwrap_or_default().chunks_exact(16).map(|bytes| Area {
        offset: u64_at(bytes, 0).unwrap_or_default(),
        size: u64_at(bytes, 8).unwrap_or_default(),
    });
    for _ in areas.by_ref().take_while(|area| area.offset != 0) {}
    let metadata = areas.take_while(|area| area.offset != 0).take(MOST_AREAS).collect();
    Ok(Label { uuid: uuid.to_owned(), metadata })
}

/// The text in use of a metadata area: the parts of the device that it lies in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// One part, or two where the ring wraps.
    pub parts: Vec<Area>,
    crc: u32,
}

impl Text {
    /// The text, once its parts are read.
    ///
    /// # Errors
    /// The check sum is wrong, or it is no text.
    pub fn decode(&self, parts: &[Vec<u8>]) -> Result<String, Fault> {
        let slices: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        if checksum(&slices) != self.crc {
            return Err(Fault::Checksum("metadata"));
        }
        let mut bytes = slices.concat();
        bytes.truncate(bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len()));
        String::from_utf8(bytes).map_err(|_| Fault::Field("metadata that is no text"))
    }
}

/// Where the text is, from the `header` of the metadata area `area`; none: the area is not in use.
///
/// # Errors
/// The header cannot be used.
pub fn text(area: Area, header: &[u8]) -> Result<Option<Text>, Fault> {
    let summed = header.get(4..HEADER_BYTES).ok_or(Fault::Field("the length of a metadata header"))?;
    if u32_at(header, 0) != Some(checksum(&[summed])) {
        return Err(Fault::Checksum("metadata header"));
    }
    if header.get(4..20) != Some(b" LVM2 x[5A%r0N*>".as_slice()) || u32_at(header, 20) != Some(1) {
        return Err(Fault::Field("the magic or version of a metadata header"));
    }
    let number = |at| u64_at(header, at).unwrap_or_default();
    if (number(24), number(32)) != (area.offset, area.size) {
        return Err(Fault::Field("the place of a metadata header"));
    }
    // The first of the texts that it names is the one in use; the second is one being written.
    let (offset, length) = (number(40), number(48));
    let crc = u32_at(header, 56).unwrap_or_default();
    let ignored = u32_at(header, 60).unwrap_or_default() & 1 != 0;
    if offset == 0 || ignored {
        return Ok(None);
    }
    let ring = HEADER_BYTES as u64;
    let room = area.size.saturating_sub(ring);
    if offset < ring || offset >= area.size || length == 0 || length > room.min(MOST_TEXT) {
        return Err(Fault::Field("the place of the metadata"));
    }
    let fault = || Fault::Field("the place of a metadata area");
    let first = length.min(area.size - offset);
    let start = area.offset.checked_add(offset).ok_or_else(fault)?;
    let mut parts = vec![Area { offset: start, size: first }];
    if first < length {
        let start = area.offset.checked_add(ring).ok_or_else(fault)?;
        parts.push(Area { offset: start, size: length - first });
    }
    Ok(Some(Text { parts, crc }))
}

/// CRC-32 with LVM2's own initial value, and not inverted at its end.
pub(super) fn checksum(parts: &[&[u8]]) -> u32 {
    const INITIAL: u32 = 0xf597_a6cf;
    let mut hasher = crc32fast::Hasher::new_with_initial(!INITIAL);
    for part in parts {
        hasher.update(part);
    }
    !hasher.finalize()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Makes the check sum of a label's sector or of a metadata header right again.
    pub fn sign_label(sector: &mut [u8]) {
        let crc = checksum(&[&sector[20..SECTOR]]);
        sector[16..20].copy_from_slice(&crc.to_le_bytes());
    }

    pub fn sign_header(header: &mut [u8]) {
        let crc = checksum(&[&header[4..HEADER_BYTES]]);
        header[..4].copy_from_slice(&crc.to_le_bytes());
    }

    const UUID: &[u8; 32] = b"aObu8GxCSw6fP3dXSxL8aA9fe43K85X2";
    const AREA: Area = Area { offset: 4096, size: 8192 };

    fn device(sector: usize) -> Vec<u8> {
        let mut start = vec![0; LABEL_BYTES];
        let label = &mut start[sector * SECTOR..][..SECTOR];
        label[..8].copy_from_slice(b"LABELONE");
        label[8] = sector as u8;
        label[20] = 32;
        label[24..32].copy_from_slice(b"LVM2 001");
        label[32..64].copy_from_slice(UUID);
        label[72..80].copy_from_slice(&(1u64 << 20).to_le_bytes());
        label[104..112].copy_from_slice(&AREA.offset.to_le_bytes());
        label[112..120].copy_from_slice(&AREA.size.to_le_bytes());
        sign_label(label);
        start
    }

    fn header(offset: u64, length: u64) -> Vec<u8> {
        let mut header = vec![0; HEADER_BYTES];
        header[4..20].copy_from_slice(b" LVM2 x[5A%r0N*>");
        header[20] = 1;
        for (at, value) in [(24, AREA.offset), (32, AREA.size), (40, offset), (48, length)] {
            header[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        sign_header(&mut header);
        header
    }

    #[test]
    fn a_label_stands_in_one_of_four_sectors() {
        for sector in 0..4 {
            let label = label(&device(sector)).unwrap().unwrap();
            assert_eq!((label.uuid.as_bytes(), label.metadata), (UUID.as_slice(), vec![AREA]), "{sector}");
        }
        assert_eq!(label(&[0; LABEL_BYTES]), Ok(None));
        assert_eq!(label(b"LABELONE"), Ok(None));
        let mut moved = device(1);
        moved[SECTOR + 8] = 2;
        assert_eq!(label(&moved), Ok(None));
        let mut damaged = device(1);
        damaged[SECTOR + 100] ^= 1;
        assert_eq!(label(&damaged), Err(Fault::Checksum("label")));
        let mut nameless = device(0);
        nameless[40] = b'/';
        sign_label(&mut nameless[..SECTOR]);
        assert_eq!(label(&nameless), Err(Fault::Field("the UUID of a physical volume")));
        nameless[20..24].fill(0xff);
        sign_label(&mut nameless[..SECTOR]);
        assert_eq!(label(&nameless), Err(Fault::Field("the UUID of a physical volume")));
    }

    #[test]
    fn the_text_may_go_over_the_end_of_the_ring() {
        let parts = |offset, length| text(AREA, &header(offset, length)).map(|text| text.map(|t| t.parts));
        let part = |offset, size| Area { offset, size };
        assert_eq!(parts(512, 100), Ok(Some(vec![part(4608, 100)])));
        assert_eq!(parts(8092, 100), Ok(Some(vec![part(12188, 100)])));
        assert_eq!(parts(8092, 101), Ok(Some(vec![part(12188, 100), part(4608, 1)])));
        assert_eq!(parts(0, 0), Ok(None));
        let place = Err(Fault::Field("the place of the metadata"));
        for (offset, length) in [(511, 1), (8192, 1), (512, 0), (512, 7681), (u64::MAX, u64::MAX)] {
            assert_eq!(parts(offset, length), place, "{offset} {length}");
        }
        let mut ignored = header(512, 100);
        ignored[60] = 1;
        sign_header(&mut ignored);
        assert_eq!(text(AREA, &ignored), Ok(None));
    }

    #[test]
    fn a_header_that_is_not_the_areas_is_refused() {
        let good = header(512, 100);
        let elsewhere = Area { offset: 512, ..AREA };
        assert_eq!(text(elsewhere, &good), Err(Fault::Field("the place of a metadata header")));
        assert!(text(AREA, &good[..100]).is_err());
        let mut damaged = good.clone();
        damaged[50] ^= 1;
        assert_eq!(text(AREA, &damaged), Err(Fault::Checksum("metadata header")));
        let mut newer = good;
        newer[20] = 2;
        sign_header(&mut newer);
        assert_eq!(text(AREA, &newer), Err(Fault::Field("the magic or version of a metadata header")));
    }

    proptest::proptest! {
        #[test]
        fn any_label_is_read_or_refused(noise: Vec<u8>, at in 20usize..500) {
            let mut start = device(0);
            for (to, from) in start[at..SECTOR].iter_mut().zip(noise) {
                *to = from;
            }
            sign_label(&mut start[..SECTOR]);
            if let Ok(Some(label)) = label(&start) {
                assert!(label.metadata.len() <= MOST_AREAS && label.uuid.len() == 32);
            }
        }

        #[test]
        fn any_header_is_read_or_refused(offset: u64, size: u64, at: u64, length: u64) {
            let area = Area { offset, size };
            let mut header = header(at, length);
            header[24..32].copy_from_slice(&offset.to_le_bytes());
            header[32..40].copy_from_slice(&size.to_le_bytes());
            sign_header(&mut header);
            if let Ok(Some(text)) = text(area, &header) {
                assert_eq!(text.parts.iter().map(|part| part.size).sum::<u64>(), length);
                assert!(length <= MOST_TEXT);
            }
        }
    }
}
