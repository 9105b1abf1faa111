//! The tables of the firmware (DMTF DSP0134, System Management BIOS reference specification 3.7). Pure but for [`Smbios::read`].

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;

use super::inventory::{Case, Firmware, MemoryDevice, Redfish, SystemVendor};
use super::line;

/// Where the kernel shows them, to root alone.
const TABLE: &str = "sys/firmware/dmi/tables/DMI";
/// Where it shows some of it to all.
const IDS: &str = "sys/class/dmi/id";
/// A table is not longer; real ones have some KiB.
const LONGEST: u64 = 1 << 20;
/// More structures are not read.
const MOST: usize = 10_000;
/// The end of the table, section 7.45.
const END: u8 = 127;

/// A structure: its type, its fixed part from the header on, and the strings that its fields name by number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Structure<'a> {
    /// Its type.
    pub kind: u8,
    /// Header (type, length, handle) and fields.
    pub fixed: &'a [u8],
    strings: &'a [u8],
}

impl<'a> Structure<'a> {
    /// The string that the byte at `offset` names; none: none, empty, or beyond the end.
    pub fn string(&self, offset: usize) -> Option<String> {
        let number = usize::from(self.byte(offset)?).checked_sub(1)?;
        let bytes = self.strings.split(|byte| *byte == 0).nth(number)?;
        let text = String::from_utf8_lossy(bytes);
        let text = text.trim();
        (!text.is_empty() && !text.contains(char::is_control)).then(|| text.to_owned())
    }

    fn byte(&self, offset: usize) -> Option<u8> {
        self.fixed.get(offset).copied()
    }

    fn word(&self, offset: usize) -> Option<u16> {
        Some(u16::from_le_bytes(*self.fixed.get(offset..)?.first_chunk()?))
    }

    fn double_word(&self, offset: usize) -> Option<u32> {
        Some(u32::from_le_bytes(*self.fixed.get(offset..)?.first_chunk()?))
    }
}

/// The structures of a table, up to its end or to where it cannot be read.
pub fn structures(table: &[u8]) -> impl Iterator<Item = Structure<'_>> {
    let mut rest = table;
    let next = std::iter::from_fn(move || {
        let (kind, length) = (*rest.first()?, usize::from(*rest.get(1)?));
        // Header: type, length, handle.
        let (fixed, after) = rest.split_at_checked(length).filter(|_| length >= 4)?;
        // Strings end with a zero each, all of them with one more; no strings are two zeros.
        let end = after.windows(2).position(|pair| pair == [0, 0])?;
        rest = after.get(end + 2..).unwrap_or_default();
        (kind != END).then_some(Structure { kind, fixed, strings: after.get(..end).unwrap_or_default() })
    });
    next.take(MOST)
}

/// What a table says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Smbios {
    /// Type 0.
    pub firmware: Firmware,
    /// Type 1: manufacturer, product and serial number.
    pub system: Case,
    /// Type 2, the first one.
    pub board: Case,
    /// Type 3, the first one.
    pub chassis: Case,
    /// Type 17, those that are plugged in.
    pub memory: Vec<MemoryDevice>,
    /// Type 42, the first one.
    pub redfish: Option<Redfish>,
}

impl Smbios {
    /// Reads the table below `root`, or what the kernel shows of it to all.
    pub fn read(root: &Path) -> Smbios {
        use std::io::Read as _;
        let mut table = Vec::new();
        let file = std::fs::File::open(root.join(TABLE));
        match file.and_then(|file| file.take(LONGEST).read_to_end(&mut table)) {
            Ok(length) if length > 0 => Smbios::of(&table),
            _ => Smbios::of_ids(root),
        }
    }

    fn of_ids(root: &Path) -> Smbios {
        let word = |name: &str| line(root, &format!("{IDS}/{name}"));
        let case = |maker: &str, product: &str, serial: &str, tag: &str| Case {
            manufacturer: word(maker),
            product: word(product),
            serial: word(serial),
            asset_tag: word(tag),
        };
        Smbios {
            firmware: Firmware {
                vendor: word("bios_vendor"),
                version: word("bios_version"),
                build_date: word("bios_date"),
            },
            system: case("sys_vendor", "product_name", "product_serial", ""),
            board: case("board_vendor", "board_name", "board_serial", "board_asset_tag"),
            chassis: case("chassis_vendor", "", "chassis_serial", "chassis_asset_tag"),
            memory: Vec::new(),
            redfish: None,
        }
    }

    /// Reads a table.
    pub fn of(table: &[u8]) -> Smbios {
        let mut found = Smbios::default();
        let mut seen = [false; 4];
        for structure in structures(table) {
            let first =
                seen.get_mut(usize::from(structure.kind)).is_none_or(|seen| !std::mem::replace(seen, true));
            let text = |offset: usize| structure.string(offset);
            match structure.kind {
                0 if first => {
                    found.firmware = Firmware { vendor: text(4), version: text(5), build_date: text(8) };
                }
                1 if first => {
                    found.system =
                        Case { manufacturer: text(4), product: text(5), serial: text(7), asset_tag: None };
                }
                2 if first => {
                    found.board =
                        Case { manufacturer: text(4), product: text(5), serial: text(7), asset_tag: text(8) };
                }
                3 if first => {
                    found.chassis =
                        Case { manufacturer: text(4), product: None, serial: text(7), asset_tag: text(8) };
                }
                17 => found.memory.extend(module(&structure)),
                42 => found.redfish = found.redfish.or_else(|| redfish(structure.fixed)),
                _ => (),
            }
        }
        found
    }

    /// As Ironic has it; `serial` is the system's where it is a real one.
    pub fn vendor(&self, serial: Option<&str>) -> SystemVendor {
        SystemVendor {
            product_name: self.system.product.clone(),
            serial_number: serial.map(str::to_owned).or_else(|| self.system.serial.clone()),
            manufacturer: self.system.manufacturer.clone(),
            firmware: self.firmware.clone(),
        }
    }
}

/// A memory module (section 7.18); none: nothing is plugged in, or nobody knows how much.
fn module(structure: &Structure<'_>) -> Option<MemoryDevice> {
    let size_mb = match structure.word(0x0c)? {
        0 | 0xffff => return None,
        // The real size is in a field of its own.
        0x7fff => u64::from(structure.double_word(0x1c)? & 0x7fff_ffff),
        // The upper bit says that it is KiB.
        size if size & 0x8000 != 0 => u64::from(size & 0x7fff) >> 10,
        size => u64::from(size),
    };
    Some(MemoryDevice {
        locator: structure.string(0x10),
        size_mb,
        speed_mts: structure.word(0x15).filter(|speed| !matches!(speed, 0 | 0xffff)),
        manufacturer: structure.string(0x17),
        part: structure.string(0x1a),
    })
}

/// The service of Redfish on the host's own side (section 7.43; DMTF DSP0270, section 9, table "Redfish over IP protocol").
fn redfish(fixed: &[u8]) -> Option<Redfish> {
    /// Network host interface.
    const NETWORK: u8 = 0x40;
    /// Redfish over IP.
    const OVER_IP: u8 = 4;
    let (kind, length) = (*fixed.get(4)?, usize::from(*fixed.get(5)?));
    let (count, mut records) = fixed.get(6..)?.get(length..)?.split_first()?;
    for _ in 0..*count {
        let [record, length, rest @ ..] = records else { return None };
        let (data, rest) = rest.split_at_checked(usize::from(*length))?;
        if kind == NETWORK && *record == OVER_IP {
            return service(data);
        }
        records = rest;
    }
    None
}

/// After the service's UUID (16 bytes), the host's own address (its assignment and format, address and mask) and how the
/// service's address is found: its format, address, mask and port.
fn service(data: &[u8]) -> Option<Redfish> {
    let rest = data.get(16 + 1 + 1 + 16 + 16 + 1..)?;
    let (format, rest) = rest.split_first()?;
    let bytes = rest.first_chunk::<16>()?;
    let address = match format {
        1 => Ipv4Addr::from(*bytes.first_chunk::<4>()?).to_string(),
        2 => Ipv6Addr::from(*bytes).to_string(),
        _ => return None,
    };
    let port = u16::from_le_bytes(*rest.get(32..)?.first_chunk()?);
    Some(Redfish { address, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn structure(kind: u8, fields: &[u8], strings: &[&str]) -> Vec<u8> {
        let mut bytes = vec![kind, fields.len() as u8 + 4, 0, 1];
        bytes.extend(fields);
        strings.iter().for_each(|text| bytes.extend(format!("{text}\0").into_bytes()));
        bytes.extend(if strings.is_empty() { &[0, 0][..] } else { &[0] });
        bytes
    }

    /// A module of this size: the field of old, and that of later versions.
    fn size(old: u16, later: u32) -> Vec<u8> {
        let mut fields = vec![0; 0x20 - 4];
        fields[0x0c - 4..0x0e - 4].copy_from_slice(&old.to_le_bytes());
        fields[0x10 - 4] = 1;
        fields[0x1c - 4..].copy_from_slice(&later.to_le_bytes());
        structure(17, &fields, &["A1"])
    }

    #[test]
    fn modules_by_their_sizes() {
        let table = [
            size(16384, 0),
            size(0, 0),
            size(0xffff, 0),
            size(0x7fff, 65536),
            size(0x8000 | 4096, 0),
            structure(END, &[], &[]),
            size(1, 0),
        ];
        let found = Smbios::of(&table.concat());
        let sizes: Vec<u64> = found.memory.iter().map(|module| module.size_mb).collect();
        assert_eq!(sizes, [16384, 65536, 4], "what comes after the end is not the table's");
        assert_eq!(found.memory[0].locator.as_deref(), Some("A1"));
    }

    #[test]
    fn the_first_of_each_kind_is_the_machine_and_text_is_plain() {
        let fields = [1, 2, 0, 3, 4];
        let table = [
            structure(1, &fields, &["Maker", " Product ", "S1"]),
            structure(1, &fields, &["Other", "Other", "S2"]),
            structure(2, &fields, &["Board\x1b[2J", "", "S3", "tag"]),
            vec![9, 200, 0],
        ];
        let found = Smbios::of(&table.concat());
        assert_eq!(found.system.product.as_deref(), Some("Product"));
        assert_eq!(found.vendor(Some("real")).serial_number.as_deref(), Some("real"));
        assert_eq!(found.vendor(None).serial_number.as_deref(), Some("S1"));
        assert_eq!(found.board.manufacturer, None);
    }

    #[test]
    fn redfish_from_inside() {
        let mut data = vec![0; 51];
        data.push(1);
        data.extend(
            [[169, 254, 0, 17].as_slice(), &[0; 12], &[0; 16], &443u16.to_le_bytes(), &[0; 5]].concat(),
        );
        let mut fields = vec![0x40, 2, 9, 9, 2, 3, 1, 0, 4, data.len() as u8];
        fields.extend(&data);
        let found = Smbios::of(&structure(42, &fields, &[])).redfish;
        assert_eq!(found, Some(Redfish { address: "169.254.0.17".into(), port: 443 }));
        fields[0] = 0x41;
        assert_eq!(Smbios::of(&structure(42, &fields, &[])).redfish, None);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_a_table(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300), kind in 0u8..43) {
            let _ = Smbios::of(&bytes);
            let _ = Smbios::of(&structure(kind, bytes.get(..200.min(bytes.len())).unwrap_or_default(), &["a", "b"]));
        }
    }
}
