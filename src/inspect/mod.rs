//! LOOK: what the node is made of, for people, and for an inventory that takes it.
//!
//! [`inventory`] says what there is to know, in the shapes of Ironic's inspection. A file each reads one kind of part
//! below the host's root; [`smbios`], [`lldp`] and [`lan`] are parsers of what firmware, a switch and a BMC say. What only the
//! running kernel can be asked is in [`live`].

mod boot;
mod disk;
#[cfg(fuzzing)]
pub mod fuzz;
mod interface;
pub mod inventory;
pub mod lan;
mod live;
pub mod lldp;
mod memory;
mod pci;
mod processor;
pub mod smbios;
#[cfg(test)]
mod tests;
mod text;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::engine::host::Host;
use crate::input::cmdline::Cmdline;
use crate::input::facts::Facts;
use crate::input::redact;
use inventory::{Inspection, Inventory, More};
pub use live::Live;
pub use text::describe;

/// How long a switch may be listened to: it speaks every 30 seconds (IEEE 802.1AB, msgTxInterval).
pub const LONGEST_LISTENING: Duration = Duration::from_secs(120);

/// Inspects the node, and listens for `listening` to what its switches say; no time: not at all.
pub fn inspect(host: &Host, listening: Duration) -> Inspection {
    let facts = Facts::read(&host.path("/"));
    read(host, &facts, &Live::ask(host, &facts, listening))
}

/// What the files of `host` say, with what was asked of its kernel.
fn read(host: &Host, facts: &Facts, live: &Live) -> Inspection {
    let root = host.path("/");
    let words = std::fs::read(root.join("proc/cmdline")).unwrap_or_default();
    let words = String::from_utf8_lossy(&words);
    let firmware = smbios::Smbios::read(&root);
    let pci_devices = pci::read(&root);
    let boot = boot::read(&root, &Cmdline::parse(&words));
    let hostname = line(&root, "proc/sys/kernel/hostname").unwrap_or_default();
    Inspection {
        boot_interface: boot.pxe_interface.clone(),
        inventory: Inventory {
            interfaces: interface::read(&root, facts, live),
            cpu: processor::read(&root),
            disks: disk::read(&root),
            memory: memory::read(&root, facts, &firmware),
            bmc_address: live.bmc.address.map(|address| address.to_string()),
            bmc_v6address: live.bmc.v6_address.map(|address| address.to_string()),
            bmc_mac: live.bmc.mac.clone(),
            system_vendor: firmware.vendor(facts.serial.as_deref()),
            boot,
            hostname,
        },
        lldp_raw: live.raw_lldp(),
        diskless: More {
            version: env!("CARGO_PKG_VERSION"),
            boot_id: host.boot_id(),
            uuid: facts.uuid.clone(),
            kernel: line(&root, "proc/sys/kernel/osrelease").unwrap_or_default(),
            command_line: redact::cmdline(&words),
            board: firmware.board.clone(),
            chassis: firmware.chassis.clone(),
            secure_boot: boot::secure_boot(&root),
            tpm: boot::tpm(&root),
            gpus: pci_devices.iter().filter(|device| device.is_display()).cloned().collect(),
            memory_devices: firmware.memory.clone(),
            redfish: firmware.redfish.clone(),
        },
        pci_devices,
    }
}

/// The one line of a file below `root`; none: it is not there, empty, or no text.
fn line(root: &Path, path: &str) -> Option<String> {
    let text = std::fs::read_to_string(root.join(path)).ok()?;
    let text = text.trim_matches(|c: char| c == '\0' || c.is_whitespace());
    (!text.is_empty()).then(|| text.to_owned())
}

/// The number in a file below `root`.
fn number<T: std::str::FromStr>(root: &Path, path: &str) -> Option<T> {
    line(root, path)?.parse().ok()
}

/// The names in a folder below `root`, in their order; none of it: an empty list.
fn names(root: &Path, folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(root.join(folder)).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// Where a link below `root` leads, as a path below it.
fn resolved(root: &Path, path: &str) -> Option<PathBuf> {
    let path = root.join(path).canonicalize().ok()?;
    Some(path.strip_prefix(root.canonicalize().ok()?).ok()?.to_owned())
}

/// The last part of what the link `path` below `root` leads to.
fn link_name(root: &Path, path: &str) -> Option<String> {
    Some(std::fs::read_link(root.join(path)).ok()?.file_name()?.to_str()?.to_owned())
}
