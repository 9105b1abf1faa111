//! Points in time, as they are stored and shown.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Milliseconds since 1970, by this server's clock. As text and in JSON: `2026-01-31T08:00:01Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Time(pub u64);

impl Time {
    /// Now.
    pub fn now() -> Time {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Time(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// How long ago `earlier` was; nothing if it was not.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// A duration as people write it: `90s`, `3m`, `2h`, `1d`; none if it is nothing of these, or zero.
pub fn duration(text: &str) -> Option<Duration> {
    let (number, seconds) = match text.char_indices().last()? {
        (at, 's') => (text.get(..at)?, 1),
        (at, 'm') => (text.get(..at)?, 60),
        (at, 'h') => (text.get(..at)?, 60 * 60),
        (at, 'd') => (text.get(..at)?, 24 * 60 * 60),
        _ => return None,
    };
    // To `str::parse` a plus would be a part of a number.
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = number.parse().ok().filter(|number| digits && *number > 0)?;
    number.checked_mul(seconds).map(Duration::from_secs)
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&diskless::sys::clock::utc(UNIX_EPOCH + Duration::from_millis(self.0)))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Time {
    type Err = humantime::TimestampError;

    /// As RFC 3339 writes it, in UTC.
    fn from_str(text: &str) -> Result<Time, Self::Err> {
        let since = humantime::parse_rfc3339(text)?.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Time(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)))
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "date-time", "examples": ["2026-01-31T08:00:01Z"]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_it_is_written() {
        let time = Time(1_769_846_401_000);
        assert_eq!(time.to_string(), "2026-01-31T08:00:01Z");
        assert_eq!(time.to_string().parse(), Ok(time));
        for wrong in ["", "now", "2026-01-31", "2026-01-31T08:00:01", "2026-13-31T08:00:01Z"] {
            assert!(wrong.parse::<Time>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations() {
        let cases = [
            ("90s", Some(90)),
            ("3m", Some(180)),
            ("2h", Some(7200)),
            ("1d", Some(86400)),
            ("0s", None),
            ("3", None),
        ];
        for (text, seconds) in cases {
            assert_eq!(duration(text), seconds.map(Duration::from_secs), "{text}");
        }
        for text in
            ["", "m", "+3m", "-3m", "1.5h", "3 m", "99999999999999999999s", "99999999999999999d", "3é"]
        {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_time_or_none(text: String, near in "[0-9T:.Z-]{0,40}") {
            let _ = (text.parse::<Time>(), near.parse::<Time>(), duration(&text), duration(&near));
        }
    }
}
