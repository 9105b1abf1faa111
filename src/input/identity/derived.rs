//! Names derived from what is the node's alone: the same at each boot, and nothing that tells what they come from.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{Origin, own};
use crate::input::config::Config;
use crate::input::document::Document;
use crate::input::facts::Facts;
use crate::input::words::MACHINE_ID as PARAMETER;

/// What tells these names from those that others derive from the same UUID: a random number, never to be changed.
const APPLICATION: &[u8; 16] = b"\x6f\x7b\x1e\x0c\x9d\x52\x4a\x38\xb3\xe6\x27\x41\xd8\x05\xac\x93";
/// The names that are derived, each another one of the same node.
const MACHINE_ID: &str = "machine-id";
const NVME_HOST: &str = "nvme-host";

/// A machine-id (machine-id(5)), and what it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineId {
    /// 32 lower-case hexadecimal digits.
    pub id: String,
    /// What it comes from.
    pub origin: Origin,
}

impl MachineId {
    /// That of the node: the command line's, for systemd itself goes by it whatever the file says; else the plan's; else
    /// derived. None: the node has nothing to derive one from.
    pub fn of(document: &Document, config: &Config, facts: &Facts) -> Option<MachineId> {
        let given =
            [(&config.machine_id, Origin::Parameter(PARAMETER)), (&document.machine_id, Origin::Plan)];
        for (id, origin) in given {
            if let Some(id) = id {
                return Some(MachineId { id: id.clone(), origin });
            }
        }
        let (own, origin) = own(config.boot_mac.as_deref(), facts)?;
        Some(MachineId { id: hex(&derived(own, MACHINE_ID)), origin })
    }
}

/// The UUID by which the node's NVMe host is known (NVM Express Base Specification, section 4.7): its system UUID, as
/// nvme-cli has it, else a derived one. None: the node has nothing to derive one from.
pub fn nvme_host(config: &Config, facts: &Facts) -> Option<String> {
    if let Some(uuid) = &facts.uuid {
        return Some(uuid.clone());
    }
    let (own, _) = own(config.boot_mac.as_deref(), facts)?;
    let hex = hex(&derived(own, NVME_HOST));
    let mut uuid = String::new();
    for (at, digit) in hex.chars().enumerate() {
        if matches!(at, 8 | 12 | 16 | 20) {
            uuid.push('-');
        }
        uuid.push(digit);
    }
    Some(uuid)
}

/// Whether `text` is a machine-id: 32 lower-case hexadecimal digits, neither all 0 nor all f, which systemd takes for none.
pub fn is_machine_id(text: &str) -> bool {
    let hex = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let unset = ['0', 'f'].iter().any(|digit| text.chars().all(|c| c == *digit));
    text.len() == 32 && hex && !unset
}

/// The way of sd_id128_get_machine_app_specific(3): HMAC-SHA256 with what is the node's own as the key, over the
/// application and the name; the first 16 bytes of it, marked as a random UUID (RFC 9562, section 5.4).
fn derived(own: &str, name: &str) -> [u8; 16] {
    let mut id = [0; 16];
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(own.as_bytes()) else { return id };
    mac.update(APPLICATION);
    mac.update(name.as_bytes());
    for (to, from) in id.iter_mut().zip(mac.finalize().into_bytes()) {
        *to = from;
    }
    let [.., version, _, variant, _, _, _, _, _, _, _] = &mut id;
    *version = (*version & 0x0f) | 0x40;
    *variant = (*variant & 0x3f) | 0x80;
    id
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::cmdline::Cmdline;
    use crate::input::facts::{Interface, is_uuid};
    use crate::input::parameters;

    const DISK: &str = "netroot=iscsi:10.0.0.1::::iqn.a:b rd.luks.key=/k root=/dev/mapper/luks_root1";
    const UUID: &str = "4c4c4544-0042-3510-8058-b7c04f4a3233";

    fn read(words: &str) -> (Config, Document) {
        let cmdline = Cmdline::parse(&format!("{DISK} {words}"));
        (Config::from_cmdline(&cmdline).unwrap(), parameters::document(&cmdline).unwrap())
    }

    fn node(uuid: Option<&str>, macs: &[&str]) -> Facts {
        let interface = |(number, mac): (usize, &&str)| Interface {
            name: format!("eth{number}"),
            mac: (*mac).to_owned(),
        };
        let interfaces = macs.iter().enumerate().map(interface).collect();
        Facts { uuid: uuid.map(str::to_owned), interfaces, ..Facts::default() }
    }

    #[test]
    fn whoever_speaks_first() {
        let given = "11112222333344445555666677778888";
        let planned = "aaaabbbbccccddddeeeeffff00001111";
        let (config, mut document) = read(&format!("systemd.machine_id={given}"));
        document.machine_id = Some(planned.into());
        let facts = node(Some(UUID), &[]);
        let of = |config: &Config, document: &Document| {
            let id = MachineId::of(document, config, &facts).unwrap();
            (id.id, id.origin)
        };
        assert_eq!(of(&config, &document), (given.into(), Origin::Parameter(PARAMETER)));
        // systemd takes `firmware` for a word, and leaves out what is no id.
        for word in ["firmware", "1111", &given.to_uppercase().replace('1', "G")] {
            let (config, _) = read(&format!("systemd.machine_id={word}"));
            assert_eq!(of(&config, &document), (planned.into(), Origin::Plan), "{word}");
        }
        document.machine_id = None;
        assert_eq!(of(&read("").0, &document).1, Origin::Uuid);
    }

    /// What was derived once must stay: journals and leases of nodes go by it. Reckoned with Python's hmac and hashlib.
    #[test]
    fn ids_stay_what_they_are() {
        let (config, document) = read("");
        let id = |facts: &Facts| MachineId::of(&document, &config, facts).map(|id| id.id);
        let uuid = node(Some(UUID), &["52:54:00:00:00:01"]);
        let mac = node(None, &["52:54:00:00:00:01"]);
        assert_eq!(id(&uuid).as_deref(), Some("4b596e977250487ca0917906bfa6bbd9"));
        assert_eq!(id(&mac).as_deref(), Some("7cbf645afb1d4e48827645f044e4d786"));
        assert_eq!(id(&Facts::default()), None);
        assert_eq!(nvme_host(&config, &uuid).as_deref(), Some(UUID));
        assert_eq!(nvme_host(&config, &mac).as_deref(), Some("54718603-2dd1-4f69-8c30-964b3c0796c1"));
        assert_eq!(nvme_host(&config, &Facts::default()), None);
    }

    #[test]
    fn the_interface_it_booted_from_goes_before_the_first() {
        let (config, document) = read("BOOTIF=01-52-54-00-00-00-02");
        let both = node(None, &["52:54:00:00:00:01", "52:54:00:00:00:02"]);
        let second = node(None, &["52:54:00:00:00:02"]);
        let booted = MachineId::of(&document, &config, &both).unwrap();
        let (plain, _) = read("");
        assert_eq!(booted.origin, Origin::BootInterface);
        assert_eq!(booted.id, MachineId::of(&document, &plain, &second).unwrap().id);
        assert_ne!(booted.id, MachineId::of(&document, &plain, &both).unwrap().id);
    }

    #[test]
    fn machine_ids() {
        assert!(is_machine_id("11112222333344445555666677778888"));
        for text in [
            "",
            "uninitialized",
            "1111222233334444555566667777888",
            "111122223333444455556666777788889",
            "1111222233334444555566667777888A",
            "00000000000000000000000000000000",
            "ffffffffffffffffffffffffffffffff",
            "11112222-3333-4444-5555-666677778888",
        ] {
            assert!(!is_machine_id(text), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_derived_is_an_id_and_each_is_another(own in "[0-9a-f:-]{1,59}") {
            let (config, document) = read("");
            let facts = node(None, &[&own]);
            let id = MachineId::of(&document, &config, &facts).unwrap().id;
            proptest::prop_assert!(is_machine_id(&id), "{}", id);
            let host = nvme_host(&config, &facts).unwrap();
            proptest::prop_assert!(is_uuid(&host) && host.replace('-', "") != id, "{}", host);
            let version = (id.as_bytes()[12], id.as_bytes()[16]);
            proptest::prop_assert!(version.0 == b'4' && matches!(version.1, b'8' | b'9' | b'a' | b'b'), "{}", id);
        }
    }
}
