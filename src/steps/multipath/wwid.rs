//! The name of a disk, as udev has it: from the VPD pages that sysfs shows.
//!
//! multipathd takes `ID_SERIAL` of udev for a disk's WWID, and that is what systemd's scsi_id prints: the best
//! designator of page 0x83 that is the LUN's own (SPC-4, 7.8.6), as its type, one digit, and its value; else page 0x80.
//! A map by another name would be renamed by multipathd, or made a second time.

/// Bytes of a page that are looked at. A page's length has 16 bits.
pub const LONGEST_PAGE: u64 = 65540;
/// Characters that a WWID may have: the DM UUID `mpath-WWID` must fit in 128 with its end.
const LONGEST: usize = 128 - 1 - "mpath-".len();

/// Code set 1: binary. 2 is ASCII, 3 is UTF-8.
const BINARY: u8 = 1;

const T10: u8 = 1;
const EUI64: u8 = 2;
const NAA: u8 = 3;
const SCSI_NAME: u8 = 8;

/// A designator of page 0x83.
#[derive(Debug, Clone, Copy)]
struct Designator<'a> {
    code_set: u8,
    kind: u8,
    value: &'a [u8],
}

/// The WWID of a disk with these VPD pages, as sysfs shows them in binary; none: they name no LUN.
pub fn wwid(page_83: Option<&[u8]>, page_80: Option<&[u8]>, vendor: &str, model: &str) -> Option<String> {
    let designators: Vec<Designator<'_>> = page_83.map(own_designators).unwrap_or_default();
    best(&designators)
        .map(name)
        .or_else(|| serial(page_80?, vendor, model))
        .or_else(|| designators.iter().copied().find(|found| found.kind == SCSI_NAME).map(name))
        .map(|text| plain(&text))
        .filter(|wwid| wwid.len() > 1 && wwid.len() <= LONGEST)
}

/// What names the LUN itself, not its port or its target; what does not fit in the page is left out.
fn own_designators(page: &[u8]) -> Vec<Designator<'_>> {
    let mut found = Vec::new();
    let Some((&[_, 0x83, high, low], list)) = page.split_first_chunk::<4>() else {
        return found;
    };
    let mut rest = list.get(..usize::from(u16::from_be_bytes([high, low]))).unwrap_or(list);
    while let Some((&[first, second, _, length], behind)) = rest.split_first_chunk::<4>() {
        let Some((value, next)) = behind.split_at_checked(length.into()) else {
            break;
        };
        if second & 0x30 == 0 && !value.is_empty() {
            found.push(Designator { code_set: first & 0x0f, kind: second & 0x0f, value });
        }
        rest = next;
    }
    found
}

/// The one that scsi_id takes: of several that are as good, the first.
fn best<'a>(designators: &[Designator<'a>]) -> Option<Designator<'a>> {
    let rank = |found: &Designator<'_>| {
        let naa = found.value.first().map(|byte| byte >> 4);
        let base = match (found.kind, naa) {
            (NAA, Some(6)) => 0,
            (NAA, Some(5)) => 2,
            (NAA, _) => 4,
            (EUI64, _) => 6,
            (T10, _) => 8,
            _ => return None,
        };
        Some(base + u8::from(found.code_set != BINARY))
    };
    designators
        .iter()
        .filter_map(|found| Some((rank(found)?, *found)))
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, found)| found)
}

fn name(designator: Designator<'_>) -> String {
    let Designator { code_set, kind, value } = designator;
    let value = if code_set == BINARY { hex(value) } else { text(value) };
    format!("{kind:x}{value}")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Up to the first NUL: vendors fill up with them.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
}

/// scsi_id's name for a disk that has a serial number alone.
fn serial(page: &[u8], vendor: &str, model: &str) -> Option<String> {
    let (&[_, 0x80, high, low], rest) = page.split_first_chunk::<4>()? else {
        return None;
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let serial = text(rest.get(..length).unwrap_or(rest));
    // The fields of the INQUIRY data are 8 and 16 bytes.
    (!serial.trim().is_empty()).then(|| format!("S{vendor:<8}{model:<16}{serial}"))
}

/// As udev writes values: blanks around it go, blanks inside become one `_`, and so does what is not plain.
fn plain(text: &str) -> String {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let keep = |c: char| c.is_ascii_alphanumeric() || "#+-.:=@_".contains(c);
    words.join("_").chars().map(|c| if keep(c) { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn designator(code_set: u8, kind: u8, value: &[u8]) -> Vec<u8> {
        [&[code_set, kind, 0, value.len() as u8], value].concat()
    }

    fn page(designators: &[Vec<u8>]) -> Vec<u8> {
        let list = designators.concat();
        [&[0, 0x83][..], &(list.len() as u16).to_be_bytes(), &list].concat()
    }

    fn of(designators: &[Vec<u8>]) -> Option<String> {
        wwid(Some(&page(designators)), None, "", "")
    }

    fn bytes(hex: &str) -> Vec<u8> {
        let hex: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        hex.chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    /// Pages of tgt 1.0.85, and what scsi_id of systemd 252 printed as ID_SERIAL: by default, and with `--page=0x80`.
    #[test]
    fn pages_of_a_target_are_named_as_scsi_id_names_them() {
        let page_83 = bytes(
            "00830048 02010024 49455420202020203030303130303031 00000000000000000000000000000000 00000000
             01030008 3000000100000001 01030010 60000000000000000e00000000010001",
        );
        let page_80 =
            bytes("00800024 202020202020202020202020 20202020202020202020202020202020 2020 626561663131");
        let found = |page_83| wwid(page_83, Some(&page_80), "IET", "VIRTUAL-DISK");
        assert_eq!(found(Some(page_83.as_slice())).as_deref(), Some("360000000000000000e00000000010001"));
        assert_eq!(found(None).as_deref(), Some("SIET_VIRTUAL-DISK_beaf11"));
    }

    #[test]
    fn the_best_designator_is_taken() {
        let t10 = designator(2, T10, b"IET     00010001");
        let eui = designator(1, EUI64, &[0, 0x25, 0x38, 0, 0, 0, 0, 9]);
        let naa = |first| designator(1, NAA, &[first, 0x01, 0x40, 0x5a]);
        let scsi_name = designator(3, SCSI_NAME, b"iqn.2026-01.org.example:image,0x0001");
        for (designators, expected) in [
            (vec![t10.clone()], Some("1IET_00010001")),
            (vec![t10.clone(), eui.clone()], Some("20025380000000009")),
            (vec![eui.clone(), naa(0x20)], Some("32001405a")),
            (vec![naa(0x20), naa(0x50)], Some("35001405a")),
            (vec![naa(0x50), naa(0x60), naa(0x61)], Some("36001405a")),
            (vec![t10.clone(), scsi_name.clone()], Some("1IET_00010001")),
            (vec![scsi_name], Some("8iqn.2026-01.org.example:image_0x0001")),
            // Of the port, of the target.
            (vec![designator(1, 0x10 | NAA, &[0x60]), designator(1, 0x20 | NAA, &[0x60])], None),
            // Port groups, MD5, vendor's own: nothing that is the LUN's name everywhere.
            (vec![designator(1, 5, &[0, 0, 0, 1]), designator(2, 0, b"x")], None),
            (vec![], None),
        ] {
            assert_eq!(of(&designators).as_deref(), expected, "{designators:?}");
        }
    }

    #[test]
    fn blanks_and_fillers_are_as_udev_writes_them() {
        for (value, expected) in [
            (&b"  LIO-ORG  disk0:1234 \0\0\0"[..], "1_LIO-ORG_disk0:1234"),
            (b"IET     00010001\0\0\0\0", "1IET_00010001"),
            (b"a/b\xff", "1a_b_"),
        ] {
            assert_eq!(of(&[designator(2, T10, value)]).as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_serial_number_names_a_disk_with_vendor_and_model() {
        let page_80 = b"\0\x80\0\x0a beaf11   ";
        let found = |page| wwid(None, Some(page), "IET", "VIRTUAL-DISK");
        assert_eq!(found(page_80).as_deref(), Some("SIET_VIRTUAL-DISK_beaf11"));
        assert_eq!(found(b"\0\x80\0\x04    "), None);
        assert_eq!(found(b"\0\x83\0\x04abcd"), None);
        // It is not asked where the LUN has a name.
        let page_83 = page(&[designator(1, NAA, &[0x60, 1])]);
        assert_eq!(wwid(Some(&page_83), Some(page_80), "", "").as_deref(), Some("36001"));
    }

    #[test]
    fn a_page_that_lies_about_its_length() {
        let mut bytes = page(&[designator(1, NAA, &[0x60, 1]), designator(1, NAA, &[0x61, 2])]);
        bytes[3] = 200;
        assert_eq!(wwid(Some(&bytes), None, "", "").as_deref(), Some("36001"));
        bytes[7] = 200;
        assert_eq!(wwid(Some(&bytes), None, "", ""), None);
    }

    #[test]
    fn no_name_is_longer_than_a_uuid_of_a_map_can_be() {
        let long = |length| of(&[designator(2, T10, &vec![b'x'; length])]).map(|name| name.len());
        assert_eq!(long(LONGEST - 1), Some(LONGEST));
        assert_eq!(long(LONGEST), None);
    }

    proptest! {
        #[test]
        fn any_page_is_survived(
            page_83 in prop::collection::vec(any::<u8>(), 0..300),
            page_80 in prop::collection::vec(any::<u8>(), 0..80),
            list in prop::collection::vec((0u8..4, 0u8..16, prop::collection::vec(any::<u8>(), 0..40)), 0..6),
        ) {
            let made: Vec<Vec<u8>> = list.iter().map(|(set, kind, value)| designator(*set, *kind, value)).collect();
            for page_83 in [page_83, page(&made)] {
                if let Some(name) = wwid(Some(&page_83), Some(&page_80), "V", "M") {
                    prop_assert!(name.len() <= LONGEST && !name.contains('/') && name.is_ascii());
                }
            }
        }
    }
}
