//! How the node was booted, and what its firmware vouches for.

use std::path::Path;

use super::inventory::{Boot, SecureBoot, Tpm};
use super::{line, names};
use crate::input::cmdline::Cmdline;
use crate::input::facts::mac;

/// UEFI's variables of its own (UEFI specification, section 3.3, EFI_GLOBAL_VARIABLE).
const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";

/// How the node below `root` was booted.
pub fn read(root: &Path, cmdline: &Cmdline) -> Boot {
    let is_uefi = root.join("sys/firmware/efi").exists();
    Boot {
        current_boot_mode: if is_uefi { "uefi" } else { "bios" },
        pxe_interface: cmdline.last("BOOTIF").and_then(bootif),
    }
}

/// The address in `BOOTIF=01-52-54-00-00-00-01`: before it is its hardware type, which may be left out.
pub fn bootif(value: &str) -> Option<String> {
    let octets: Vec<&str> = value.split(['-', ':']).collect();
    let octets = if octets.len() == 7 { octets.get(1..)? } else { &octets };
    mac(&octets.join(":"))
}

/// Whether firmware checks what it starts.
pub fn secure_boot(root: &Path) -> SecureBoot {
    if !root.join("sys/firmware/efi").exists() {
        return SecureBoot::None;
    }
    // Four bytes of attributes, and the value (Documentation/filesystems/efivarfs.rst).
    let value = |name: &str| {
        let bytes = std::fs::read(root.join(format!("sys/firmware/efi/efivars/{name}-{GLOBAL}"))).ok()?;
        bytes.get(4).copied()
    };
    match (value("SecureBoot"), value("SetupMode")) {
        (Some(1), _) => SecureBoot::Enabled,
        (Some(_), Some(1)) => SecureBoot::Setup,
        (Some(_), _) => SecureBoot::Disabled,
        (None, _) => SecureBoot::Unknown,
    }
}

/// The first TPM. Only whether files are there is looked at: to read some of them asks the module itself.
pub fn tpm(root: &Path) -> Option<Tpm> {
    let folder = format!("sys/class/tpm/{}", names(root, "sys/class/tpm").first()?);
    let version = match line(root, &format!("{folder}/tpm_version_major")).as_deref() {
        Some("2") => Some("2.0"),
        Some("1") => Some("1.2"),
        // Before Linux 5.6 the kernel does not say it; but ACPI has one id for all of 2.0, and `caps` are those of 1.2.
        _ if line(root, &format!("{folder}/device/firmware_node/hid")).as_deref() == Some("MSFT0101") => {
            Some("2.0")
        }
        _ if ["caps", "device/caps"].iter().any(|file| root.join(&folder).join(file).exists()) => Some("1.2"),
        _ => None,
    };
    Some(Tpm { version })
}
