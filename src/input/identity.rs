//! Who the node is: names that are its own alone.

mod derived;

pub use derived::{MachineId, is_machine_id};

use std::fmt;
use std::path::Path;

use super::cmdline::Cmdline;
use super::config::{self, Config};
use super::document::{Document, is_iscsi_name};
use super::facts::Facts;
use super::words::INITIATOR;
use crate::error::{Code, Error, Result};

/// Where open-iscsi keeps a node's initiator name.
pub const BAKED: &str = "/etc/iscsi/initiatorname.iscsi";
/// What names are derived with. The date and domain only have to be nobody else's.
const DERIVED: &str = "iqn.2026-01.node.diskless";

/// Who the node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its name to its iSCSI targets.
    pub initiator: Initiator,
    /// Its machine-id; none: there is nothing that one could be derived from.
    pub machine_id: Option<MachineId>,
    /// The UUID of its NVMe host; none: the same.
    pub nvme_host: Option<String>,
    /// The addresses of its interfaces.
    pub macs: Vec<String>,
}

impl Identity {
    /// That of the node with these facts; `baked` as with [`initiator`].
    ///
    /// # Errors
    /// Those of [`initiator`].
    pub fn of(document: &Document, config: &Config, facts: &Facts, baked: Option<&str>) -> Result<Identity> {
        Ok(Identity {
            initiator: initiator(document, config, facts, baked)?,
            machine_id: MachineId::of(document, config, facts),
            nvme_host: derived::nvme_host(config, facts),
            macs: facts.interfaces.iter().map(|interface| interface.mac.clone()).collect(),
        })
    }

    /// What the person in front must know of it.
    pub fn warnings(&self) -> Vec<String> {
        let no_id = self.machine_id.is_none().then(|| {
            "the node has neither a system UUID nor a network interface to derive a machine-id from: it gets another one at \
             each boot"
                .to_owned()
        });
        self.initiator.warning().into_iter().chain(no_id).collect()
    }
}

/// The node's initiator name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Initiator {
    /// The name.
    pub name: String,
    /// What it comes from.
    pub origin: Origin,
}

/// What a name comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The boot plan.
    Plan,
    /// This parameter on the kernel command line.
    Parameter(&'static str),
    /// The initramfs, which other nodes boot too.
    Initramfs,
    /// The system UUID.
    Uuid,
    /// The address of the interface that the node booted from.
    BootInterface,
    /// The address of this interface, the first by name.
    Interface(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Plan => f.write_str("the plan"),
            Origin::Parameter(name) => write!(f, "{name}="),
            Origin::Initramfs => f.write_str(BAKED),
            Origin::Uuid => f.write_str("the system UUID"),
            Origin::BootInterface => f.write_str("BOOTIF="),
            Origin::Interface(name) => write!(f, "the address of {name}"),
        }
    }
}

impl Initiator {
    /// What the person in front must know of it.
    pub fn warning(&self) -> Option<String> {
        (self.origin == Origin::Initramfs).then(|| {
            format!(
                "{} is the name of every node that boots this initramfs: a second one takes the session of the first away",
                self.name
            )
        })
    }
}

/// The name in the initramfs below `root`, if there is one.
pub fn baked(root: &Path) -> Option<String> {
    let path = root.join(BAKED.trim_start_matches('/'));
    baked_name(&std::fs::read_to_string(path).ok()?).map(str::to_owned)
}

/// The name in the text of an initiatorname.iscsi; none where it only asks for one to be made.
pub(super) fn baked_name(text: &str) -> Option<&str> {
    let name = text.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "InitiatorName").then(|| value.trim())
    })?;
    (!name.is_empty()).then_some(name)
}

/// The node's initiator name: the plan's, else the command line's, else one derived from what is the node's alone.
/// `baked` is the name in the initramfs, which is not: it is used when the command line says so.
///
/// # Errors
/// [`Code::InitiatorShared`]: there is a name in the initramfs and nothing says that the node may use it.
/// [`Code::Initiator`]: the node has nothing that a name can be derived from, or the one in the initramfs is none.
pub fn initiator(
    document: &Document,
    config: &Config,
    facts: &Facts,
    baked: Option<&str>,
) -> Result<Initiator> {
    if let Some(name) = &document.iscsi.initiator {
        return Ok(Initiator { name: name.clone(), origin: Origin::Plan });
    }
    if let Some(name) = &config.initiator {
        return Ok(Initiator { name: name.clone(), origin: Origin::Parameter(INITIATOR) });
    }
    let derived = derived_name(config.boot_mac.as_deref(), facts);
    // What `diskless access --initiator` wrote is the node's own, and open-iscsi's name for it is no other one.
    match baked.filter(|name| derived.as_ref().is_none_or(|derived| derived.name != **name)) {
        Some(_) if !config.shared_initiator => {
            return Err(Error::new(Code::InitiatorShared, BAKED));
        }
        Some(name) if !is_iscsi_name(name) => {
            return Err(Error::new(Code::Initiator, BAKED).because("the name in it is no iSCSI name"));
        }
        Some(name) => return Ok(Initiator { name: name.to_owned(), origin: Origin::Initramfs }),
        None => (),
    }
    derived.ok_or_else(no_name)
}

fn no_name() -> Error {
    Error::new(Code::Initiator, "iscsi.initiator")
        .because("the node has neither a system UUID nor a network interface to derive one from")
}

/// The name that the node has without a plan and without one in the initramfs: the command line's, else a derived one.
/// Whatever else is on the command line may be wrong.
///
/// # Errors
/// [`Code::Initiator`]: there is nothing that one can be derived from.
pub fn name_without_plan(cmdline: &Cmdline, facts: &Facts) -> Result<Initiator> {
    match cmdline.last(INITIATOR).filter(|name| is_iscsi_name(name)) {
        Some(name) => Ok(Initiator { name: name.to_owned(), origin: Origin::Parameter(INITIATOR) }),
        None => derived_name(config::boot_mac(cmdline).as_deref(), facts).ok_or_else(no_name),
    }
}

fn derived_name(boot_mac: Option<&str>, facts: &Facts) -> Option<Initiator> {
    let (id, origin) = own(boot_mac, facts)?;
    Some(Initiator { name: format!("{DERIVED}:{}", id.to_ascii_lowercase().replace(':', "-")), origin })
}

/// What is the node's alone, as text: its system UUID, else the address of the interface it booted from, else that of its
/// first interface by name. None: it has neither.
fn own<'a>(boot_mac: Option<&'a str>, facts: &'a Facts) -> Option<(&'a str, Origin)> {
    match (&facts.uuid, boot_mac, facts.interfaces.first()) {
        (Some(uuid), ..) => Some((uuid, Origin::Uuid)),
        (None, Some(mac), _) => Some((mac, Origin::BootInterface)),
        (None, None, Some(interface)) => Some((&interface.mac, Origin::Interface(interface.name.clone()))),
        (None, None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::cmdline::Cmdline;
    use crate::input::facts::Interface;
    use crate::input::parameters;

    const DISK: &str = "netroot=iscsi:10.0.0.1::::iqn.a:b rd.luks.key=/k root=/dev/mapper/luks_root1";

    fn name(plan: Option<&str>, words: &str, facts: &Facts, baked: Option<&str>) -> Result<Initiator> {
        let cmdline = Cmdline::parse(&format!("{DISK} {words}"));
        let mut document = parameters::document(&cmdline)?;
        document.iscsi.initiator = plan.map(str::to_owned);
        initiator(&document, &Config::from_cmdline(&cmdline)?, facts, baked)
    }

    #[test]
    fn whoever_speaks_first() {
        let mac = |mac: &str| Interface { name: "eth0".into(), mac: mac.into() };
        let all = Facts {
            interfaces: vec![mac("52:54:00:00:00:01"), mac("52:54:00:00:00:02")],
            uuid: Some("4c4c4544-0042-3510-8058-b7c04f4a3233".into()),
            ..Facts::default()
        };
        let macs = Facts { uuid: None, ..all.clone() };
        let none = Facts::default();
        let (given, bootif) = ("rd.iscsi.initiator=iqn.c:d", "BOOTIF=01-52-54-00-00-00-02");
        let shared = "rd.diskless.shared_initiator=1";
        let baked = Some("iqn.x:shared");
        let from_uuid = "iqn.2026-01.node.diskless:4c4c4544-0042-3510-8058-b7c04f4a3233";
        let from_bootif = "iqn.2026-01.node.diskless:52-54-00-00-00-02";
        let from_mac = "iqn.2026-01.node.diskless:52-54-00-00-00-01";
        let good = [
            (Some("iqn.p:q"), given, &all, baked, "iqn.p:q"),
            (None, given, &all, baked, "iqn.c:d"),
            (None, shared, &all, baked, "iqn.x:shared"),
            (None, "", &all, None, from_uuid),
            (None, bootif, &all, None, from_uuid),
            (None, bootif, &macs, None, from_bootif),
            (None, "BOOTIF=x", &macs, None, from_mac),
        ];
        for (plan, words, facts, baked, expected) in good {
            let initiator = name(plan, words, facts, baked).unwrap();
            assert_eq!(initiator.name, expected, "{words}");
            assert_eq!(initiator.warning().is_some(), words == shared, "{words}");
        }
        let bad = [
            ("", &all, baked, Code::InitiatorShared),
            (shared, &all, Some("node1"), Code::Initiator),
            ("", &none, None, Code::Initiator),
        ];
        for (words, facts, baked, code) in bad {
            assert_eq!(name(None, words, facts, baked).unwrap_err().code(), code, "{words}");
        }
    }

    #[test]
    fn the_file_of_open_iscsi() {
        let cases = [
            (
                "## comment\nInitiatorName=iqn.1993-08.org.debian:01:ab\n",
                Some("iqn.1993-08.org.debian:01:ab"),
            ),
            ("InitiatorName = iqn.a:b \n", Some("iqn.a:b")),
            ("GenerateName=yes\n", None),
            ("#InitiatorName=iqn.a:b\n", None),
            ("InitiatorName=\n", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(baked_name(text), expected, "{text}");
        }
        let root = tempfile::tempdir().unwrap();
        assert_eq!(baked(root.path()), None);
        std::fs::create_dir_all(root.path().join("etc/iscsi")).unwrap();
        std::fs::write(root.path().join("etc/iscsi/initiatorname.iscsi"), "InitiatorName=iqn.a:b\n").unwrap();
        assert_eq!(baked(root.path()).as_deref(), Some("iqn.a:b"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_file_of_open_iscsi(text: String) {
            let _ = baked_name(&text);
        }
    }
}
