//! The JSON area as it is written: every field that may be there, nothing judged yet. All of it has a bounded
//! size, because the area has (at most 4 MiB), and no field holds a tree of unknown values.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::super::metadata::Size;

/// The whole area (LUKS2 on-disk format specification 1.1, chapter 3). Tokens are not read.
#[derive(Deserialize)]
pub struct Json {
    pub keyslots: BTreeMap<u32, Keyslot>,
    pub segments: BTreeMap<u32, Segment>,
    pub digests: BTreeMap<u32, Digest>,
    pub config: Config,
}

#[derive(Deserialize)]
pub struct Keyslot {
    #[serde(rename = "type")]
    pub kind: String,
    pub key_size: Option<u32>,
    pub priority: Option<u32>,
    pub af: Option<Af>,
    pub area: Option<Area>,
    pub kdf: Option<Kdf>,
}

#[derive(Deserialize)]
pub struct Af {
    #[serde(rename = "type")]
    pub kind: String,
    pub stripes: Option<u32>,
    pub hash: Option<String>,
}

#[derive(Deserialize)]
pub struct Area {
    #[serde(rename = "type")]
    pub kind: String,
    pub offset: Decimal,
    pub size: Decimal,
    pub encryption: Option<String>,
    pub key_size: Option<u32>,
}

#[derive(Deserialize)]
pub struct Kdf {
    #[serde(rename = "type")]
    pub kind: String,
    pub salt: Option<String>,
    pub hash: Option<String>,
    pub iterations: Option<u32>,
    pub time: Option<u32>,
    pub memory: Option<u32>,
    pub cpus: Option<u32>,
}

#[derive(Deserialize)]
pub struct Segment {
    #[serde(rename = "type")]
    pub kind: String,
    pub offset: Decimal,
    pub size: Size,
    pub iv_tweak: Option<Decimal>,
    pub encryption: Option<String>,
    pub sector_size: Option<u32>,
    pub integrity: Option<Integrity>,
    #[serde(default)]
    pub flags: Vec<String>,
}

#[derive(Deserialize)]
pub struct Integrity {
    #[serde(rename = "type")]
    pub kind: String,
}

#[derive(Deserialize)]
pub struct Digest {
    #[serde(rename = "type")]
    pub kind: String,
    pub keyslots: Vec<Decimal>,
    pub segments: Vec<Decimal>,
    pub hash: Option<String>,
    pub iterations: Option<u32>,
    pub salt: Option<String>,
    pub digest: Option<String>,
}

#[derive(Deserialize)]
pub struct Config {
    pub json_size: Decimal,
    pub keyslots_size: Decimal,
    #[serde(default)]
    pub flags: Vec<String>,
    pub requirements: Option<Requirements>,
}

#[derive(Deserialize)]
pub struct Requirements {
    #[serde(default)]
    pub mandatory: Vec<String>,
}

/// A number of 64 bits, which the format writes as a string of decimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal(pub u64);

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
        let text = String::deserialize(deserializer)?;
        decimal(&text).map(Decimal).ok_or_else(|| D::Error::custom(format!("{text:?} is no number")))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Size, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "dynamic" {
            return Ok(Size::Dynamic);
        }
        decimal(&text).map(Size::Bytes).ok_or_else(|| D::Error::custom(format!("{text:?} is no size")))
    }
}

/// `str::parse` would take a sign as well.
fn decimal(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_strings_of_digits() {
        let parse = |text: &str| serde_json::from_str::<Decimal>(text).ok().map(|number| number.0);
        assert_eq!(parse("\"0\""), Some(0));
        assert_eq!(parse("\"18446744073709551615\""), Some(u64::MAX));
        for bad in ["\"18446744073709551616\"", "\"+1\"", "\"-1\"", "\"\"", "\" 1\"", "\"0x10\"", "1", "null"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert_eq!(serde_json::from_str::<Size>("\"dynamic\"").unwrap(), Size::Dynamic);
        assert_eq!(serde_json::from_str::<Size>("\"512\"").unwrap(), Size::Bytes(512));
    }
}
