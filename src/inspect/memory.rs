//! Memory: what is plugged in, and what the kernel has of it.

use std::path::Path;

use super::inventory::Memory;
use super::smbios::Smbios;
use super::{line, names};
use crate::input::facts::Facts;

/// The memory below `root`. What is plugged in is the sum of the modules (SMBIOS type 17), else of what the firmware's map
/// calls memory.
pub fn read(root: &Path, facts: &Facts, firmware: &Smbios) -> Memory {
    let modules: u64 = firmware.memory.iter().map(|module| module.size_mb).fold(0, u64::saturating_add);
    let physical = if modules > 0 { Some(modules) } else { mapped(root) };
    Memory { total: facts.memory, physical_mb: physical }
}

/// MiB in /sys/firmware/memmap, a folder for each part: `start`, `end` (the last byte) and `type`.
fn mapped(root: &Path) -> Option<u64> {
    let folder = "sys/firmware/memmap";
    let size = |name: &String| {
        let word = |file: &str| line(root, &format!("{folder}/{name}/{file}"));
        let number = |file: &str| u64::from_str_radix(word(file)?.strip_prefix("0x")?, 16).ok();
        // Only so does the kernel call what can be used; it is `System RAM` in a virtual machine too.
        (word("type")? == "System RAM").then_some(())?;
        number("end")?.checked_sub(number("start")?)?.checked_add(1)
    };
    let bytes = names(root, folder).iter().filter_map(size).fold(0, u64::saturating_add);
    (bytes > 0).then_some(bytes >> 20)
}
