//! How the paths to the disk become one map, and how the image's own multipathd is to keep it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use crate::input::multipath_settings;

/// `"off"`, or an object.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(with = "super::schema::Multipath"))]
pub enum Multipath {
    /// No map: the disk of the first portal that has it is taken as it is.
    Off,
    /// A map, of one path too: others may come later. An empty object is the original's way.
    Map(Map),
}

/// How the map is made, and multipath.conf of the new root, in its words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Map {
    /// What tells that two LUNs are paths to one disk.
    pub identify: Identify,
    /// The section `defaults`: replaces or adds to the preset's lines.
    pub defaults: BTreeMap<String, String>,
    /// The `devnode` lines of the section `blacklist`; none: the preset's.
    pub blacklist: Option<Vec<String>>,
}

/// What tells that two LUNs are paths to one disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Identify {
    /// The WWID that they tell (VPD page 0x83).
    #[default]
    Wwid,
    /// The UUID in their LUKS header, where the servers of one image tell different WWIDs.
    LuksUuid,
}

/// What becomes of reads and writes while the map has no path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queueing {
    /// They fail at once.
    Fail,
    /// They wait so long, and then fail.
    For(Duration),
    /// They wait.
    Forever,
}

impl Map {
    /// What becomes of reads and writes while the map has no path: `no_path_retry`, `fail` (or 0), `queue`, or so many
    /// looks at the paths, `polling_interval` seconds apart (multipath.conf(5)).
    pub fn queueing(&self) -> Queueing {
        match multipath_settings::value(self, "no_path_retry") {
            "fail" => Queueing::Fail,
            "queue" => Queueing::Forever,
            looks => {
                let number = |text: &str| text.parse::<u32>().unwrap_or_default();
                let interval = number(multipath_settings::value(self, "polling_interval"));
                match u64::from(number(looks)) * u64::from(interval) {
                    0 => Queueing::Fail,
                    seconds => Queueing::For(Duration::from_secs(seconds)),
                }
            }
        }
    }

    /// What the kernel chooses a path of a group by: one of its selectors with the number of its arguments and them, as
    /// they stand in a map's table, `service-time 0`.
    pub fn path_selector(&self) -> &str {
        match multipath_settings::value(self, "path_selector") {
            "" => "service-time 0",
            selector => selector,
        }
    }
}

impl<'de> Deserialize<'de> for Multipath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Multipath, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Multipath;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"off\", or an object")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Multipath, E> {
                if text == "off" {
                    Ok(Multipath::Off)
                } else {
                    Err(E::invalid_value(Unexpected::Str(text), &self))
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Multipath, A::Error> {
                Map::deserialize(MapAccessDeserializer::new(map)).map(Multipath::Map)
            }
        }
        deserializer.deserialize_any(Either)
    }
}
