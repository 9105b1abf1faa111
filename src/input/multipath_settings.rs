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

/// The section `defaults`, in the order of the original's file.
pub const MULTIPATH_SETTINGS: &[MultipathSetting] = &[
    line(
        "polling_interval",
        "10",
        "seconds between two looks of multipathd at a path; grows while it is good",
    ),
    line("failback", "immediate", "multipathd goes back to the best path group as soon as it has a path"),
    line("no_path_retry", "queue", "`queue_if_no_path` among the features in the map's table"),
    line("user_friendly_names", "yes", "multipathd may rename the map to `mpathX`"),
    line("find_multipaths", "yes", "multipathd makes a map of two paths, or of one that it has had before"),
    line("prio", "random", "multipathd's order of paths, and with it the path groups in the map's table"),
    line(
        "uid_attribute",
        "ID_FS_UUID",
        "the WWID of a path, and with it the map's UUID `mpath-WWID`: the LUKS UUID",
    ),
];

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

/// The file.
///
/// # Errors
/// [`Code::PlanInvalid`]: a key that is no word of multipath.conf, or a value that cannot be written in it.
pub fn file(multipath: &Map) -> Result<String> {
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
    Ok(text + "}\n")
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
            file(&plan).unwrap(),
            "# Written by diskless from the boot plan.\ndefaults {\n\tpolling_interval 10\n\tfailback immediate\n\
             \tno_path_retry 30\n\tuser_friendly_names yes\n\tfind_multipaths yes\n\tprio random\n\
             \tuid_attribute ID_FS_UUID\n\tenable_foreign \"\"\n\tpath_selector \"service-time 0\"\n}\n\
             blacklist {\n\tdevnode \"^zram.*\"\n\tdevnode \"^nvme\"\n}\n"
        );
        assert!(
            file(&multipath(serde_json::json!({"blacklist": []}))).unwrap().ends_with("blacklist {\n}\n")
        );
    }

    #[test]
    fn what_cannot_be_written_is_named() {
        for (plan, place) in [
            (serde_json::json!({"defaults": {"prio": "a\"\n}"}}), "multipath.defaults.prio"),
            (serde_json::json!({"defaults": {"a b": "1"}}), "multipath.defaults.a b"),
            (serde_json::json!({"defaults": {"": "1"}}), "multipath.defaults."),
            (serde_json::json!({"blacklist": ["^a", "^b\n"]}), "multipath.blacklist[1]"),
        ] {
            let error = file(&multipath(plan)).unwrap_err();
            assert_eq!(error.code(), Code::PlanInvalid);
            assert!(error.to_string().starts_with(place), "{error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_value_makes_another_line(key in "\\PC{0,8}", value: String, node: String) {
            let plan = Map { defaults: [(key, value)].into(), blacklist: Some(vec![node]), ..Map::default() };
            if let Ok(text) = file(&plan) {
                proptest::prop_assert_eq!(text.lines().filter(|line| !line.starts_with('\t')).count(), 5);
                proptest::prop_assert!(text.lines().filter(|line| line.starts_with('\t')).count() <= 9);
            }
        }
    }
}
