//! multipath.conf of the new root, in the words of multipath.conf(5): a table of the lines that the original procedure
//! used (the preset), and the file that a plan makes of them.

use super::document::Map;
use crate::error::{Code, Error, Result};

/// A line of multipath.conf.
#[derive(Debug)]
pub struct MultipathSetting {
    /// As in the section `defaults`.
    pub key: &'static str,
    /// The original's value.
    pub preset: &'static str,
    /// What the image's multipathd makes of it, which goes by nothing but this file; and the agent, where it does too.
    pub lands: &'static str,
}

const fn line(key: &'static str, preset: &'static str, lands: &'static str) -> MultipathSetting {
    MultipathSetting { key, preset, lands }
}

/// The section `defaults`: the original's lines, as far as they can stand, in its order, and then ours.
pub const MULTIPATH_SETTINGS: &[MultipathSetting] = &[
    line(
        "polling_interval",
        "10",
        "seconds between two looks of multipathd at a path (grows while it is good), and with a number in \
         `no_path_retry` the agent's measure, too",
    ),
    line("failback", "immediate", "multipathd goes back to the best path group as soon as it has a path"),
    line(
        "no_path_retry",
        "queue",
        "`queue_if_no_path` among the features in the map's table, by the agent (after the pivot) and by multipathd; a \
         number: so many times `polling_interval`",
    ),
    line("user_friendly_names", "no", "the map is called by its WWID, as the agent has made it"),
    line(
        "find_multipaths",
        "yes",
        "multipathd makes a map of two paths, or of one whose WWID is in `/etc/multipath/wwids`, as that of the root is",
    ),
    line(
        "path_grouping_policy",
        "group_by_prio",
        "one path group in the map's table, or one for each ALUA state where the target has them: as the agent has made it",
    ),
];

/// A line of the original's file that the preset does not have, or not so.
#[derive(Debug)]
pub struct LeftOut {
    /// As in the section `defaults`.
    pub key: &'static str,
    /// The original's value.
    pub original: &'static str,
    /// What holds in its place, and why.
    pub instead: &'static str,
}

/// What is not in [`MULTIPATH_SETTINGS`] as the original had it.
pub const LEFT_OUT: &[LeftOut] = &[
    LeftOut {
        key: "user_friendly_names",
        original: "yes",
        instead: "`no`: else multipathd would give the map under the running root another name when it takes it over",
    },
    LeftOut {
        key: "prio",
        original: "random",
        instead: "`path_grouping_policy group_by_prio` and the image's own `prio`: by ALUA state, else all paths in one \
                  group. `random` made multipathd go from path to path by chance, and build the map anew when it took it \
                  over",
    },
    LeftOut {
        key: "uid_attribute",
        original: "ID_FS_UUID",
        instead: "`multipath.identify` `luks-uuid`, where servers tell different WWIDs of one image, and then in a section \
                  `device` for their vendor and product alone: in `defaults` it takes any two disks with one UUID on them \
                  for paths to one disk",
    },
];

/// What the map may be kept by, in the words that a `device` section has too. multipathd's own table of vendors goes
/// before `defaults` (it has `no_path_retry 12` for LIO), a section of the file goes before that table.
const OF_THE_MAP: &[&str] = &["path_grouping_policy", "path_selector", "failback", "no_path_retry"];

/// The disk that the paths lead to, as it calls itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// /sys/block/sdX/device/vendor
    pub vendor: String,
    /// /sys/block/sdX/device/model
    pub product: String,
    /// The udev property that tells its paths; none: multipathd's default.
    pub uid_attribute: Option<String>,
}

/// The `devnode` lines of the section `blacklist` in the original's file.
pub const BLACKLIST: &[&str] = &["^zram.*"];

/// The lines of the section `defaults`: the preset's, with the plan's values, and then the plan's other ones.
pub fn defaults(multipath: &Map) -> impl Iterator<Item = (&str, &str)> {
    let own = |key: &str| multipath.defaults.get(key).map(String::as_str);
    let preset = MULTIPATH_SETTINGS.iter().map(move |line| (line.key, own(line.key).unwrap_or(line.preset)));
    let is_preset = |key: &str| MULTIPATH_SETTINGS.iter().any(|line| line.key == key);
    let others = multipath.defaults.iter().filter(move |(key, _)| !is_preset(key));
    preset.chain(others.map(|(key, value)| (key.as_str(), value.as_str())))
}

/// What `key` is in the section `defaults`; empty if it has no such line.
pub fn value<'a>(multipath: &'a Map, key: &str) -> &'a str {
    defaults(multipath).find_map(|(other, value)| (other == key).then_some(value)).unwrap_or_default()
}

/// The file; with `device`, what concerns the map holds for that against multipathd's own table of vendors.
///
/// # Errors
/// [`Code::PlanInvalid`]: a key that is no word of multipath.conf, or a value that cannot be written in it.
pub fn file(multipath: &Map, device: Option<&Device>) -> Result<String> {
    let mut text = String::from("# Written by diskless from the boot plan.\ndefaults {\n");
    for (key, value) in defaults(multipath) {
        text += &entry(&format!("multipath.defaults.{key}"), key, value)?;
    }
    text += "}\nblacklist {\n";
    match &multipath.blacklist {
        Some(own) => {
            for (i, node) in own.iter().enumerate() {
                text += &entry(&format!("multipath.blacklist[{i}]"), "devnode", node)?;
            }
        }
        None => {
            for node in BLACKLIST {
                text += &entry("multipath.blacklist", "devnode", node)?;
            }
        }
    }
    text += "}\n";
    if let Some(device) = device {
        text += &devices(multipath, device)?;
    }
    Ok(text)
}

/// The section `devices`.
fn devices(multipath: &Map, device: &Device) -> Result<String> {
    let mut text = String::from("devices {\ndevice {\n");
    for (key, value) in [("vendor", &device.vendor), ("product", &device.product)] {
        text += &entry(key, key, &pattern(value))?;
    }
    if let Some(attribute) = &device.uid_attribute {
        text += &entry("uid_attribute", "uid_attribute", attribute)?;
    }
    for (key, value) in defaults(multipath).filter(|(key, _)| OF_THE_MAP.contains(key)) {
        text += &entry(&format!("multipath.defaults.{key}"), key, value)?;
    }
    Ok(text + "}\n}\n")
}

/// An extended regular expression (regex(7)) of what the SCSI inquiry says, which may be any bytes: what could mean
/// something else stands for itself as any character.
fn pattern(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '_');
    let text: String = text.trim().chars().map(|c| if plain(c) { c } else { '.' }).collect();
    format!("^{text}$")
}

/// A line within a section; `place` is where it stands in the plan.
fn entry(place: &str, key: &str, value: &str) -> Result<String> {
    let is_word =
        |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    // There is no way to write a quote that all versions read, and a value ends with its line.
    if !is_word(key) || value.contains(|c: char| c == '"' || c.is_control()) {
        let cause = "keys are words, values one line without quotes";
        return Err(Error::new(Code::PlanInvalid, place).because(cause));
    }
    Ok(if is_word(value) { format!("\t{key} {value}\n") } else { format!("\t{key} \"{value}\"\n") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn multipath(value: serde_json::Value) -> Map {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn the_plan_replaces_and_adds() {
        let plan = multipath(serde_json::json!({
            "defaults": {"no_path_retry": "30", "path_selector": "service-time 0", "enable_foreign": ""},
            "blacklist": ["^zram.*", "^nvme"]
        }));
        assert_eq!(
            file(&plan, None).unwrap(),
            "# Written by diskless from the boot plan.\ndefaults {\n\tpolling_interval 10\n\tfailback immediate\n\
             \tno_path_retry 30\n\tuser_friendly_names no\n\tfind_multipaths yes\n\
             \tpath_grouping_policy group_by_prio\n\tenable_foreign \"\"\n\tpath_selector \"service-time 0\"\n}\n\
             blacklist {\n\tdevnode \"^zram.*\"\n\tdevnode \"^nvme\"\n}\n"
        );
        assert!(
            file(&multipath(serde_json::json!({"blacklist": []})), None)
                .unwrap()
                .ends_with("blacklist {\n}\n")
        );
    }

    #[test]
    fn the_device_has_a_section_of_its_own() {
        let plan = multipath(serde_json::json!({"defaults": {"no_path_retry": "6", "prio": "const"}}));
        let mut device = Device {
            vendor: "IET     ".into(),
            product: "VIRTUAL-DISK(\"1\"}".into(),
            uid_attribute: Some("ID_FS_UUID".into()),
        };
        let text = file(&plan, Some(&device)).unwrap();
        let (defaults, devices) = text.split_once("devices {\n").unwrap();
        assert!(!defaults.contains("uid_attribute"), "{text}");
        assert_eq!(
            devices,
            "device {\n\tvendor \"^IET$\"\n\tproduct \"^VIRTUAL-DISK..1..$\"\n\tuid_attribute ID_FS_UUID\n\
             \tfailback immediate\n\tno_path_retry 6\n\tpath_grouping_policy group_by_prio\n}\n}\n"
        );
        device.uid_attribute = None;
        assert!(!file(&plan, Some(&device)).unwrap().contains("uid_attribute"));
    }

    #[test]
    fn what_cannot_be_written_is_named() {
        for (plan, place) in [
            (serde_json::json!({"defaults": {"prio": "a\"\n}"}}), "multipath.defaults.prio"),
            (serde_json::json!({"defaults": {"a b": "1"}}), "multipath.defaults.a b"),
            (serde_json::json!({"defaults": {"": "1"}}), "multipath.defaults."),
            (serde_json::json!({"blacklist": ["^a", "^b\n"]}), "multipath.blacklist[1]"),
        ] {
            let error = file(&multipath(plan), None).unwrap_err();
            assert_eq!(error.code(), Code::PlanInvalid);
            assert!(error.to_string().starts_with(place), "{error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_value_makes_another_line(key in "\\PC{0,8}", value: String, node: String, disk: String) {
            let plan = Map { defaults: [(key, value)].into(), blacklist: Some(vec![node]), ..Map::default() };
            let device = Device { vendor: disk.clone(), product: disk.clone(), uid_attribute: Some(disk) };
            for (device, own, most) in [(None, 5, 8), (Some(&device), 9, 15)] {
                if let Ok(text) = file(&plan, device) {
                    let (within, sections): (Vec<_>, Vec<_>) = text.lines().partition(|line| line.starts_with('\t'));
                    proptest::prop_assert_eq!(sections.len(), own);
                    proptest::prop_assert!(within.len() <= most);
                }
            }
        }
    }
}
