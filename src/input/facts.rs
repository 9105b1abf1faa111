//! What the node is: its network interfaces, its identity in SMBIOS, its memory.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::size::memory_total;
use crate::error::{Code, Error, Result};

/// What a node can be told apart by, and what plans depend on. As JSON it is what `diskless plan --facts` reads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Facts {
    /// The physical Ethernet and InfiniBand interfaces, by name.
    pub interfaces: Vec<Interface>,
    /// The system UUID of SMBIOS, lower case; none: the firmware has none, or one that cannot be unique.
    pub uuid: Option<String>,
    /// The system's serial number.
    pub serial: Option<String>,
    /// Memory in bytes.
    pub memory: u64,
}

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its hardware address, lower case with colons.
    pub mac: String,
}

impl Facts {
    /// Reads them below `root`; what cannot be read is absent.
    pub fn read(root: &Path) -> Facts {
        let read = |path: &str| fs::read_to_string(root.join(path)).ok();
        // SMBIOS where there is one, else the device tree's names for the same (ePAPR, and LoPAPR for virtual machines).
        let uuid = ["sys/class/dmi/id/product_uuid", "sys/firmware/devicetree/base/vm,uuid"];
        let serial = ["sys/class/dmi/id/product_serial", "sys/firmware/devicetree/base/serial-number"];
        Facts {
            interfaces: interfaces(&root.join("sys/class/net")),
            uuid: uuid.iter().find_map(|path| system_uuid(&read(path)?)),
            serial: serial.iter().find_map(|path| system_serial(&read(path)?)),
            memory: read("proc/meminfo").and_then(|text| memory_total(&text)).unwrap_or_default(),
        }
    }
}

impl Facts {
    /// Facts that somebody wrote down in the file `object`, held to what [`Facts::read`] would give.
    ///
    /// # Errors
    /// [`Code::Facts`]: a UUID or an address is none.
    pub fn checked(self, object: &str) -> Result<Facts> {
        let wrong = |what: String| Err(Error::new(Code::Facts, object).because(what));
        if let Some(uuid) = self.uuid.as_ref().filter(|uuid| system_uuid(uuid).as_ref() != Some(uuid)) {
            return wrong(format!("uuid: {uuid:?} is not a lower-case UUID of one system alone"));
        }
        match self.interfaces.iter().find(|interface| mac(&interface.mac).as_ref() != Some(&interface.mac)) {
            Some(Interface { name, mac }) => {
                wrong(format!("{name}: {mac:?} is not a lower-case hardware address with colons"))
            }
            None => Ok(self),
        }
    }
}

/// The interfaces below /sys/class/net that are hardware: bonds, bridges, VLANs and the loopback have no `device`.
fn interfaces(folder: &Path) -> Vec<Interface> {
    let mut interfaces = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let read = |file: &str| fs::read_to_string(path.join(file)).ok();
        let stacked =
            ["bonding", "bridge", "wireless", "phy80211"].iter().any(|part| path.join(part).exists())
                || read("uevent").is_some_and(|text| text.lines().any(|line| line == "DEVTYPE=vlan"));
        // ARPHRD_ETHER and ARPHRD_INFINIBAND (linux/if_arp.h).
        let wired = read("type").is_some_and(|kind| matches!(kind.trim(), "1" | "32"));
        if !wired || stacked || !path.join("device").exists() {
            continue;
        }
        // In a bond an interface shows the bond's address; its own one is the name that lasts.
        let own = read("bonding_slave/perm_hwaddr").and_then(|text| mac(&text));
        if let (Ok(name), Some(mac)) =
            (entry.file_name().into_string(), own.or_else(|| mac(&read("address")?)))
        {
            interfaces.push(Interface { name, mac });
        }
    }
    interfaces.sort_by(|a, b| a.name.cmp(&b.name));
    interfaces
}

/// A hardware address of Ethernet (6 octets) or InfiniBand (20), lower case with colons; none if it is none, or all zero.
pub fn mac(text: &str) -> Option<String> {
    let text = text.trim().to_ascii_lowercase();
    let octets: Vec<&str> = text.split(':').collect();
    let hex = octets.iter().all(|octet| octet.len() == 2 && octet.bytes().all(|b| b.is_ascii_hexdigit()));
    let unset = octets.iter().all(|octet| *octet == "00");
    (matches!(octets.len(), 6 | 20) && hex && !unset).then_some(text)
}

/// Whether `text` has the shape of a UUID (RFC 9562, section 4), in either case.
pub fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(|group| group.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// UUIDs that makers of boards leave in every one of them.
const PLACEHOLDERS: &[&str] = &[
    "03000200-0400-0500-0006-000700080009",
    "00020003-0004-0005-0006-000700080009",
    "12345678-1234-5678-90ab-cddeefaabbcc",
    "01234567-8910-1112-1314-151617181920",
    "4c4c4544-0000-2010-8020-80c04f202020",
    "fefefefe-fefe-fefe-fefe-fefefefefefe",
    "a0a0a0a0-a0a0-a0a0-a0a0-a0a0a0a0a0a0",
];

/// The system's UUID, lower case; none if it is none, or one that is not the system's alone.
pub fn system_uuid(text: &str) -> Option<String> {
    let text = text.trim_matches(|c: char| c == '\0' || c.is_whitespace()).to_ascii_lowercase();
    // SMBIOS, section 7.2.1: all 0 is "not present", all F "not set".
    let unset = ['0', 'f'].iter().any(|digit| text.chars().all(|c| c == *digit || c == '-'));
    (is_uuid(&text) && !unset && !PLACEHOLDERS.contains(&text.as_str())).then_some(text)
}

/// What stands for "no serial number", in lower case and without what is no letter or digit.
const NO_SERIAL: &[&str] = &[
    "none",
    "na",
    "notspecified",
    "notapplicable",
    "notavailable",
    "tobefilledbyoem",
    "defaultstring",
    "systemserialnumber",
    "serialnumber",
    "oem",
    "unknown",
    "invalid",
    "empty",
    "0123456789",
    "123456789",
    "1234567890",
];

/// The system's serial number; none if it is what stands for none. At most 64 characters.
pub(super) fn system_serial(text: &str) -> Option<String> {
    let text = text.trim_matches(|c: char| c == '\0' || c.is_whitespace());
    let bare: String =
        text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    let one_digit = bare.bytes().all(|b| bare.bytes().next() == Some(b));
    let plain = text.len() <= 64 && !text.chars().any(char::is_control);
    (plain && !one_digit && !NO_SERIAL.contains(&bare.as_str())).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_that_are_the_systems_alone() {
        let good = "4c4c4544-0042-3510-8058-b7c04f4a3233";
        assert_eq!(system_uuid("4C4C4544-0042-3510-8058-B7C04F4A3233\n").as_deref(), Some(good));
        assert_eq!(system_uuid("4c4c4544-0042-3510-8058-b7c04f4a3233\0").as_deref(), Some(good));
        let bad = [
            "",
            "Not Settable",
            "00000000-0000-0000-0000-000000000000",
            "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
            "03000200-0400-0500-0006-000700080009",
            "4c4c4544004235108058b7c04f4a3233",
            "4c4c4544-0042-3510-8058-b7c04f4a323g",
            "4c4c4544-0042-3510-8058-b7c04f4a3233-00",
        ];
        for text in bad {
            assert_eq!(system_uuid(text), None, "{text}");
        }
    }

    #[test]
    fn serial_numbers_that_are_some() {
        assert_eq!(system_serial(" CZ12 3456 \n").as_deref(), Some("CZ12 3456"));
        for text in
            ["", "0", "0000000", "None", "N/A", "To be filled by O.E.M.", "Default string", "..", "a\x01b"]
        {
            assert_eq!(system_serial(text), None, "{text}");
        }
    }

    #[test]
    fn addresses() {
        assert_eq!(mac("52:54:00:AB:CD:01\n").as_deref(), Some("52:54:00:ab:cd:01"));
        let infiniband = "80:00:00:48:fe:80:00:00:00:00:00:00:00:02:c9:03:00:00:10:3b";
        assert_eq!(mac(infiniband).as_deref(), Some(infiniband));
        for text in ["", "00:00:00:00:00:00", "52:54:00:ab:cd", "52:54:00:ab:cd:1", "52-54-00-ab-cd-01", "é"]
        {
            assert_eq!(mac(text), None, "{text}");
        }
    }

    #[test]
    fn a_node_with_a_bond() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let net = |name: &str, kind: &str, address: &str, parts: &[&str]| {
            write(&format!("sys/class/net/{name}/type"), kind);
            write(&format!("sys/class/net/{name}/address"), address);
            for part in parts {
                fs::create_dir(root.path().join(format!("sys/class/net/{name}/{part}"))).unwrap();
            }
        };
        net("lo", "772\n", "00:00:00:00:00:00\n", &[]);
        net("bond0", "1\n", "52:54:00:00:00:01\n", &["bonding"]);
        net("br0", "1\n", "52:54:00:00:00:01\n", &["bridge"]);
        net("eth0.5", "1\n", "52:54:00:00:00:01\n", &[]);
        net("eth1", "1\n", "52:54:00:00:00:01\n", &["device"]);
        net("eth0", "1\n", "52:54:00:00:00:01\n", &["device"]);
        net("wlan0", "1\n", "52:54:00:00:00:09\n", &["device", "phy80211"]);
        write("sys/class/net/eth1/bonding_slave/perm_hwaddr", "52:54:00:00:00:02\n");
        write("sys/class/net/bonding_masters", "bond0\n");
        write("sys/class/dmi/id/product_uuid", "03000200-0400-0500-0006-000700080009\n");
        write("sys/class/dmi/id/product_serial", "CZ1\n");
        write("proc/meminfo", "MemTotal:        1024 kB\n");
        let interface = |name: &str, mac: &str| Interface { name: name.into(), mac: mac.into() };
        let facts = Facts {
            interfaces: vec![interface("eth0", "52:54:00:00:00:01"), interface("eth1", "52:54:00:00:00:02")],
            uuid: None,
            serial: Some("CZ1".into()),
            memory: 1 << 20,
        };
        assert_eq!(Facts::read(root.path()), facts);
        assert_eq!(Facts::read(&root.path().join("nothing")), Facts::default());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_fact_or_none(text: String) {
            let _ = (mac(&text), system_uuid(&text), system_serial(&text));
        }
    }
}
