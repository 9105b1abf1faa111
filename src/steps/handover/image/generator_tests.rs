//! What systemd's own generators make of a virtual machine's tables: as they were, and as they are rewritten.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use super::device::Presence;
use super::{crypttab, device, fstab};

const FSTAB: &str = include_str!("../../../../tests/data/fstab/debian-vm");
const CRYPTTAB: &str = include_str!("../../../../tests/data/fstab/debian-vm-crypttab");

/// A node with no disk but that of the root.
fn presence(spec: &str) -> Presence {
    if device::path(spec).is_some() { Presence::Absent } else { Presence::NoDevice }
}

/// The names of what systemd-`name`-generator makes of `table`, which it takes from where `variable` says; none: it is not
/// here.
fn generated(name: &str, variable: &str, table: &[u8]) -> Option<BTreeSet<String>> {
    let program = format!("/usr/lib/systemd/system-generators/systemd-{name}-generator");
    if !Path::new(&program).exists() {
        eprintln!("SKIPPED: no {program} to compare with; .ci/deps installs it");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table");
    std::fs::write(&path, table).unwrap();
    let units = folder.path().join("units");
    std::fs::create_dir(&units).unwrap();
    let status = Command::new(program).args([&units; 3]).env(variable, &path).status().unwrap();
    assert!(status.success());
    let mut found = BTreeSet::new();
    let mut folders = vec![units.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(&units).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    Some(found)
}

#[test]
fn systemd_requires_no_mount_of_a_missing_disk() {
    let Some(before) = generated("fstab", "SYSTEMD_FSTAB", FSTAB.as_bytes()) else { return };
    let gone = ["-.mount", "boot.mount", "boot-efi.mount", "home.mount", "var.mount"];
    for unit in gone {
        assert!(before.contains(&format!("local-fs.target.requires/{unit}")), "{unit}: {before:?}");
    }
    let facts = fstab::Facts { mounted: &["/", "/var"], device: &presence };
    let after = generated("fstab", "SYSTEMD_FSTAB", &fstab::rewrite(FSTAB.as_bytes(), &facts).bytes).unwrap();
    for unit in gone {
        assert!(!after.iter().any(|path| path.ends_with(unit)), "{unit}: {after:?}");
    }
    // What needs no disk is required as before; what may be missing has a bound.
    for unit in ["srv-scratch.mount", "backup.automount"] {
        assert!(after.contains(&format!("local-fs.target.requires/{unit}")), "{unit}: {after:?}");
    }
    assert!(after.contains("local-fs.target.wants/data.mount"), "{after:?}");
    for device in ["by\\x2dlabel-backup", "by\\x2dpartuuid-5d8f1f0e"] {
        let bounded = |path: &String| path.contains(device) && path.ends_with("50-device-timeout.conf");
        assert!(after.iter().any(bounded), "{device}: {after:?}");
    }
    let required = after.iter().filter(|path| path.starts_with("local-fs.target.requires/"));
    assert_eq!(required.count(), 2, "{after:?}");
}

#[test]
fn systemd_opens_no_missing_disk() {
    let Some(before) = generated("cryptsetup", "SYSTEMD_CRYPTTAB", CRYPTTAB.as_bytes()) else { return };
    for name in ["vda3_crypt", "cryptswap1"] {
        assert!(before.contains(&format!("cryptsetup.target.requires/systemd-cryptsetup@{name}.service")));
    }
    let rewritten = crypttab::rewrite(CRYPTTAB.as_bytes(), &presence).bytes;
    let after = generated("cryptsetup", "SYSTEMD_CRYPTTAB", &rewritten).unwrap();
    assert!(after.is_empty(), "{after:?}");
}
