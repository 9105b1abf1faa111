//! What the image's multipathd is to know of the map below the root: which one it is, and how its paths are told.

use std::path::{Path, PathBuf};

use super::files::{Content, File};
use crate::engine::host::Host;
use crate::error::Result;
use crate::input::document::{Identify, Map};
use crate::input::multipath_settings::{self, Device};
use crate::input::secret::Secret;

/// What a map's UUID begins with in device-mapper; the WWID follows.
const UUID_PREFIX: &str = "mpath-";
/// So many devices on top of each other are no disk that this agent made.
const MOST_LEVELS: usize = 8;
/// The udev property of our rule, by which multipathd tells the paths of a map that is named by a LUKS UUID.
const PROPERTY: &str = "ID_DISKLESS_UUID";

/// The map below the root, as the kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its name.
    pub name: String,
    /// What its UUID says.
    pub wwid: String,
    /// Its paths, as they call themselves: /sys/block/sdX/device/{vendor,model}.
    pub vendor: String,
    /// The same.
    pub product: String,
}

/// The map below the one that is called `top`; none: there is no such map.
pub fn below(host: &Host, top: &str) -> Option<Found> {
    let block = host.path("/sys/block");
    let entries = std::fs::read_dir(&block).ok()?.flatten();
    let mut disk =
        entries.map(|entry| entry.path()).find(|disk| text(&disk.join("dm/name")).as_deref() == Some(top))?;
    for _ in 0..MOST_LEVELS {
        let wwid =
            text(&disk.join("dm/uuid")).and_then(|uuid| Some(uuid.strip_prefix(UUID_PREFIX)?.to_owned()));
        let below = slaves(&block, &disk);
        if let Some(wwid) = wwid {
            let told = |name: &str| below.iter().find_map(|path| text(&path.join("device").join(name)));
            return Some(Found {
                name: text(&disk.join("dm/name"))?,
                wwid,
                vendor: told("vendor").unwrap_or_default(),
                product: told("model").unwrap_or_default(),
            });
        }
        disk = below.into_iter().next()?;
    }
    None
}

fn slaves(block: &Path, disk: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(disk.join("slaves")).into_iter().flatten().flatten();
    let mut slaves: Vec<PathBuf> = entries.map(|entry| block.join(entry.file_name())).collect();
    slaves.sort();
    slaves
}

fn text(path: &Path) -> Option<String> {
    Some(std::fs::read_to_string(path).ok()?.trim().to_owned())
}

/// The files for a multipathd that is to go on with the map `found`; none: there is none yet.
///
/// # Errors
/// [`crate::error::Code::PlanInvalid`]: the plan has a line for multipath.conf that cannot be written.
pub fn files(map: &Map, found: Option<&Found>) -> Result<Vec<File>> {
    let file = |path: &str, content| File { path: path.into(), mode: 0o644, content };
    let whole = |text: String| Content::Whole(Secret::new(text.into()));
    let plain = |text: &str| !text.is_empty() && !text.contains(|c: char| c == '"' || c.is_control());
    // What these files have no way to write is left to multipathd's own ways.
    let Some(found) = found.filter(|found| plain(&found.name) && plain(&found.wwid)) else {
        return Ok(vec![file("/etc/multipath.conf", whole(multipath_settings::file(map, None)?))]);
    };
    let by_uuid = map.identify == Identify::LuksUuid;
    let device = Device {
        vendor: found.vendor.clone(),
        product: found.product.clone(),
        uid_attribute: by_uuid.then(|| PROPERTY.to_owned()),
    };
    let told = !found.vendor.is_empty() && !found.product.is_empty();
    let mut text = multipath_settings::file(map, told.then_some(&device))?;
    text += &section(found);
    let mut files = vec![
        file("/etc/multipath.conf", whole(text)),
        file("/etc/multipath/wwids", Content::Line(format!("/{}/", found.wwid))),
    ];
    if by_uuid && told {
        files.push(file("/etc/udev/rules.d/50-diskless-paths.rules", whole(rules(found))));
    }
    Ok(files)
}

/// The section `multipaths`: the map keeps its name whatever `user_friendly_names` and the image's bindings say, and
/// nobody looks for partitions on it, for it is encrypted.
fn section(found: &Found) -> String {
    format!(
        "multipaths {{\nmultipath {{\n\twwid \"{}\"\n\talias \"{}\"\n\tskip_kpartx yes\n}}\n}}\n",
        found.wwid, found.name
    )
}

/// udev(7). multipath's own rule asks `multipath -u` for a path before the rules that read what is on it, and that goes
/// by udev's properties: without this rule it would never know one by its LUKS UUID.
fn rules(found: &Found) -> String {
    let Found { wwid, vendor, product, .. } = found;
    let (vendor, product) = (pattern(vendor), pattern(product));
    format!(
        "\
# Written by diskless: which disks are paths to the root, where servers tell different WWIDs of one image.
ACTION!=\"add|change\", GOTO=\"diskless_end\"
SUBSYSTEM!=\"block\", GOTO=\"diskless_end\"
KERNEL!=\"sd*\", GOTO=\"diskless_end\"
ENV{{DEVTYPE}}!=\"disk\", GOTO=\"diskless_end\"
# What was a path stays one while it cannot be read.
IMPORT{{db}}=\"{PROPERTY}\"
ENV{{{PROPERTY}}}!=\"?*\", ATTRS{{vendor}}==\"{vendor}\", ATTRS{{model}}==\"{product}\", IMPORT{{builtin}}=\"blkid\"
ENV{{{PROPERTY}}}!=\"?*\", ENV{{ID_FS_TYPE}}==\"crypto_LUKS\", ENV{{ID_FS_UUID}}==\"{wwid}\", ENV{{{PROPERTY}}}=\"{wwid}\"
LABEL=\"diskless_end\"
"
    )
}

/// As udev matches it: what could mean something else stands for itself as any character.
fn pattern(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.');
    text.chars().map(|c| if plain(c) { c } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::handover::written::is_listed;

    fn found(name: &str, wwid: &str) -> Found {
        Found { name: name.into(), wwid: wwid.into(), vendor: "IET".into(), product: "VIRTUAL-DISK".into() }
    }

    fn map(plan: serde_json::Value) -> Map {
        serde_json::from_value(plan).unwrap()
    }

    /// The files as path and text.
    fn texts(map: &Map, found: Option<&Found>) -> Vec<(String, String)> {
        let files = files(map, found).unwrap().into_iter();
        files
            .map(|file| {
                let bytes = file.content.bytes(b"", None).unwrap();
                (file.path, String::from_utf8_lossy(&bytes).into_owned())
            })
            .collect()
    }

    #[test]
    fn the_map_is_the_one_below_the_opened_disk() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::fake(root.path());
        assert_eq!(below(&host, "luks"), None);
        for (disk, file, text) in [
            ("dm-0", "dm/name", "3600\n"),
            ("dm-0", "dm/uuid", "mpath-3600\n"),
            ("dm-1", "dm/name", "luks\n"),
            ("dm-1", "dm/uuid", "CRYPT-LUKS2-0-luks\n"),
            ("dm-2", "dm/name", "plain\n"),
            ("dm-2", "dm/uuid", "CRYPT-LUKS2-1-plain\n"),
            ("dm-1", "slaves/dm-0", ""),
            ("dm-0", "slaves/sda", ""),
            ("dm-2", "slaves/sdb", ""),
            ("sda", "device/vendor", "IET     \n"),
            ("sda", "device/model", "VIRTUAL-DISK    \n"),
            ("sdb", "device/vendor", "IET     \n"),
        ] {
            let path = root.path().join("sys/block").join(disk).join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        assert_eq!(below(&host, "luks"), Some(found("3600", "3600")));
        assert_eq!(below(&host, "plain"), None);
        assert_eq!(below(&host, "other"), None);
    }

    #[test]
    fn the_map_keeps_its_name_and_its_wwid_is_known() {
        let files = texts(&map(serde_json::json!({})), Some(&found("root", "3600")));
        let paths: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["/etc/multipath.conf", "/etc/multipath/wwids"]);
        let conf = &files[0].1;
        assert!(conf.contains("\tvendor \"^IET$\"\n\tproduct \"^VIRTUAL-DISK$\"\n"), "{conf}");
        assert!(conf.ends_with("\twwid \"3600\"\n\talias \"root\"\n\tskip_kpartx yes\n}\n}\n"), "{conf}");
        assert!(!conf.contains("uid_attribute"), "{conf}");
        assert_eq!(files[1].1, "/3600/\n");
    }

    #[test]
    fn a_luks_uuid_tells_paths_of_this_vendor_and_product_alone() {
        let files = texts(&map(serde_json::json!({"identify": "luks-uuid"})), Some(&found("5f-1", "5f-1")));
        let (defaults, devices) = files[0].1.split_once("devices {").unwrap();
        assert!(!defaults.contains("uid_attribute"), "{defaults}");
        assert!(devices.contains("\tuid_attribute ID_DISKLESS_UUID\n"), "{devices}");
        assert!(files.iter().all(|(path, _)| is_listed(path, &[])));
        let (path, rules) = &files[2];
        assert_eq!(path, "/etc/udev/rules.d/50-diskless-paths.rules");
        assert!(
            rules.contains("ATTRS{vendor}==\"IET\", ATTRS{model}==\"VIRTUAL-DISK\", IMPORT{builtin}"),
            "{rules}"
        );
        assert!(rules.contains("ENV{ID_FS_UUID}==\"5f-1\", ENV{ID_DISKLESS_UUID}=\"5f-1\"\n"), "{rules}");
    }

    #[test]
    fn without_a_map_or_a_way_to_write_it_the_plan_alone_is_told() {
        let map = map(serde_json::json!({}));
        assert_eq!(texts(&map, None).len(), 1);
        for found in [found("a\"b", "1"), found("", "1"), found("a", "1\n2")] {
            assert_eq!(texts(&map, Some(&found)), texts(&map, None));
        }
        assert_eq!(pattern("A/B*[c]"), "A?B??c?");
    }
}
