//! PCI devices, from sysfs.

use std::path::Path;

use super::inventory::PciDevice;
use super::{line, names};

/// Those below `root`, by address.
pub fn read(root: &Path) -> Vec<PciDevice> {
    let folder = "sys/bus/pci/devices";
    let device = |bus: String| {
        let word = |file: &str| line(root, &format!("{folder}/{bus}/{file}"));
        let hex = |file: &str| Some(word(file)?.strip_prefix("0x")?.to_owned());
        Some(PciDevice {
            vendor_id: hex("vendor")?,
            product_id: hex("device")?,
            class: hex("class")?,
            revision: hex("revision"),
            numa_node_id: word("numa_node"),
            bus,
        })
    };
    names(root, folder).into_iter().filter_map(device).collect()
}
