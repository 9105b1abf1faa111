//! Disks, from sysfs and udev's links.

use std::path::Path;

use super::inventory::Disk;
use super::{line, link_name, names, number, resolved};

/// Kinds of block devices that are no disks of a node, by the beginning of their name.
const NO_DISK: &[&str] = &["sr", "fd", "ram", "loop", "zram", "dm-", "md", "nbd"];

/// Those below `root`, by name.
pub fn read(root: &Path) -> Vec<Disk> {
    let is_disk = |name: &String| {
        !NO_DISK.iter().any(|prefix| name.starts_with(prefix))
            && root.join("sys/block").join(name).join("device").exists()
    };
    names(root, "sys/block").into_iter().filter(is_disk).filter_map(|name| disk(root, &name)).collect()
}

fn disk(root: &Path, name: &str) -> Option<Disk> {
    let folder = format!("sys/block/{name}");
    let word = |file: &str| line(root, &format!("{folder}/{file}"));
    let sectors: u64 = number(root, &format!("{folder}/size"))?;
    // A drive without a medium.
    (sectors > 0).then_some(())?;
    let transport = transport(root, &folder, name);
    let wwid = word("wwid").or_else(|| word("device/wwid"));
    let (wwn, extension) = wwid.as_deref().and_then(naa).unzip();
    let extension = extension.flatten();
    Some(Disk {
        name: format!("/dev/{name}"),
        model: word("device/model"),
        size: sectors.saturating_mul(512),
        rotational: word("queue/rotational").as_deref() == Some("1"),
        wwn_with_extension: wwn
            .as_ref()
            .map(|wwn| format!("{wwn}{}", extension.as_deref().unwrap_or_default())),
        wwn_vendor_extension: extension.map(|digits| format!("0x{digits}")),
        wwn,
        serial: word("device/serial").or_else(|| word("serial")).or_else(|| unit_serial(root, &folder)),
        vendor: word("device/vendor").filter(|vendor| !vendor.starts_with("0x")),
        hctl: link_name(root, &format!("{folder}/device")).filter(|name| is_hctl(name)),
        by_path: by_path(root, name),
        uuid: None,
        transport,
    })
}

/// A name by the IEEE in what the kernel says of a disk, `naa.5000c500a1b2c3d4`: the first 16 digits, and the rest of those
/// that have 32 (SPC-4, section 7.8.6.6).
pub fn naa(wwid: &str) -> Option<(String, Option<String>)> {
    let digits = wwid.strip_prefix("naa.").or_else(|| wwid.strip_prefix("eui."))?;
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let (name, more) = digits.split_at_checked(16).filter(|_| is_hex)?;
    Some((format!("0x{name}"), (!more.is_empty()).then(|| more.to_owned())))
}

/// The serial number of a SCSI disk in its vital product data (SPC-4, section 7.8.18): a header of four bytes, with the
/// length in the last two.
fn unit_serial(root: &Path, folder: &str) -> Option<String> {
    let page = std::fs::read(root.join(folder).join("device/vpd_pg80")).ok()?;
    let length = u16::from_be_bytes([*page.get(2)?, *page.get(3)?]);
    let text = page.get(4..)?.get(..usize::from(length))?;
    let text = String::from_utf8_lossy(text);
    let text = text.trim_matches(|c: char| c == '\0' || c.is_whitespace());
    (!text.is_empty() && !text.contains(char::is_control)).then(|| text.to_owned())
}

fn is_hctl(name: &str) -> bool {
    name.split(':').count() == 4 && name.bytes().all(|byte| byte.is_ascii_digit() || byte == b':')
}

/// What the disk is behind, by the devices on the way to it.
fn transport(root: &Path, folder: &str, name: &str) -> Option<&'static str> {
    let way = resolved(root, folder)?;
    let has = |prefix: &str| {
        way.iter().any(|part| {
            let rest = part.to_str().and_then(|part| part.strip_prefix(prefix));
            rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        })
    };
    [("session", "iscsi"), ("usb", "usb"), ("ata", "sata"), ("virtio", "virtio"), ("nvme", "nvme")]
        .into_iter()
        .find_map(|(prefix, word)| has(prefix).then_some(word))
        .or_else(|| name.starts_with("sd").then_some("scsi"))
}

/// udev's name for the disk by its way there; the shortest, for there may be a second one.
fn by_path(root: &Path, name: &str) -> Option<String> {
    let folder = "dev/disk/by-path";
    let links = names(root, folder).into_iter();
    let ours = links.filter(|link| link_name(root, &format!("{folder}/{link}")).as_deref() == Some(name));
    ours.min_by_key(String::len).map(|link| format!("/{folder}/{link}"))
}
