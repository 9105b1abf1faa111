//! Points in time, as plans write them (RFC 3339), and the clock of a node that may be wrong.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::sys::clock;

/// A point in time, in seconds since 1970 in UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub u64);

impl Time {
    /// `2026-01-31T23:59:59Z`, or with an offset like `+01:00` (RFC 3339, section 5.6). Parts of a second are passed
    /// over. None: it is no such text, or before 1970.
    pub fn parse(text: &str) -> Option<Time> {
        let (date, rest) = text.split_once(['T', 't'])?;
        let (time, offset) = match rest.strip_suffix(['Z', 'z']) {
            Some(time) => (time, 0),
            None => {
                let (time, offset) = rest.split_at_checked(rest.len().checked_sub(6)?)?;
                (time, self::offset(offset)?)
            }
        };
        let (time, part) = time.split_once('.').unwrap_or((time, "0"));
        if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
        let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
        // A leap second is the second before it once more.
        if hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let seconds = days(year, month, day)? * 86400 + hour * 3600 + minute * 60 + second.min(59) - offset;
        u64::try_from(seconds).ok().map(Time)
    }
}

/// `+01:00`, in seconds.
fn offset(text: &str) -> Option<i64> {
    let sign = match text.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let [hours, minutes] = numbers(text.get(1..)?, ':', [2, 2])?;
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 3600 + minutes * 60))
}

/// Numbers of so many digits each, with `between` between them.
fn numbers<const N: usize>(text: &str, between: char, digits: [usize; N]) -> Option<[i64; N]> {
    let mut numbers = [0; N];
    let mut parts = text.split(between);
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next()?;
        if part.len() != digits || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

/// Days from 1970-01-01 to that day; none: there is no such day.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let longest = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=longest).contains(&day) {
        return None;
    }
    // Years from March on, so that the leap day is the last one of its year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let of_years = year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // From 0000-03-01 to 1970-01-01.
    Some(of_years + (153 * month + 2) / 5 + day - 1 - 719_468)
}

impl From<SystemTime> for Time {
    /// Before 1970 it is 1970.
    fn from(time: SystemTime) -> Time {
        Time(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A text has four digits for the year: no greater number comes from one.
        f.write_str(&clock::utc(UNIX_EPOCH + Duration::from_secs(self.0.min(253_402_300_799))))
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        let text = String::deserialize(deserializer)?;
        Time::parse(&text)
            .ok_or_else(|| D::Error::custom(format!("{text:?} is no time like \"2026-01-31T23:59:59Z\"")))
    }
}

/// What is known of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// What the node's clock says.
    pub says: Time,
    /// When the initramfs was made: no clock that is right stands before that.
    pub made: Time,
}

impl Clock {
    /// Whether it is plainly wrong. All that is known then is that it is later than [`Clock::made`].
    pub fn is_wrong(self) -> bool {
        self.says < self.made
    }

    /// The time; of a clock that is wrong, the earliest that it can be.
    pub fn now(self) -> Time {
        self.says.max(self.made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_date_reads_them() {
        // From `date -u -d TEXT +%s`.
        let cases = [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-28T23:59:59Z", 951_782_399),
            ("2000-02-29T00:00:00z", 951_782_400),
            ("2000-03-01t00:00:00.75Z", 951_868_800),
            ("2026-12-31T23:59:59Z", 1_798_761_599),
            ("2100-03-01T01:30:00+01:30", 4_107_542_400),
            ("2100-02-28T19:00:00-05:00", 4_107_542_400),
            ("2016-12-31T23:59:60Z", 1_483_228_799),
        ];
        for (text, seconds) in cases {
            assert_eq!(Time::parse(text), Some(Time(seconds)), "{text}");
        }
        let bad = [
            "",
            "Z",
            "2026-01-31",
            "2026-01-31T23:59:59",
            "2026-01-31 23:59:59Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-04-31T00:00:00Z",
            "2026-01-31T24:00:00Z",
            "2026-01-31T23:59:59.Z",
            "2026-01-31T23:59:59+1:00",
            "2026-01-31T23:59:59+01:0é",
            "2026-1-31T23:59:59Z",
            "1969-12-31T23:59:59Z",
            "2026-01-31T23:59:59Z ",
        ];
        for text in bad {
            assert_eq!(Time::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_clock_before_the_initramfs_is_wrong() {
        let clock = |says, made| Clock { says: Time(says), made: Time(made) };
        assert!(clock(1, 2).is_wrong() && !clock(2, 2).is_wrong());
        assert_eq!([clock(1, 2).now(), clock(3, 2).now()], [Time(2), Time(3)]);
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_again(seconds in 0u64..253_402_300_800) {
            proptest::prop_assert_eq!(Time::parse(&Time(seconds).to_string()), Some(Time(seconds)));
        }

        #[test]
        fn any_text_is_a_time_or_none(text in "[-+:.TZ0-9é]{0,30}") {
            let _ = Time::parse(&text);
        }
    }
}
