//! The operational keys of a session: what is offered, and what comes out of an answer (RFC 7143, section 13).

use std::fmt;

use super::text::{self, Writer};

/// MaxRecvDataSegmentLength declared to the target, in bytes.
const MAX_RECV: u32 = 262_144;
/// MaxBurstLength offered, in bytes.
const MAX_BURST: u32 = 16_776_192;
/// FirstBurstLength offered, in bytes.
const FIRST_BURST: u32 = 262_144;
/// MaxOutstandingR2T offered.
const MAX_R2T: u32 = 1;
/// DefaultTime2Wait offered, in seconds.
const TIME_TO_WAIT: u32 = 2;
/// DefaultTime2Retain offered, in seconds: 0, for a session at error recovery level 0 keeps no tasks.
const TIME_TO_RETAIN: u32 = 0;
/// Data segment lengths and burst lengths (RFC 7143, sections 13.12 to 13.14).
const LENGTHS: (u32, u32) = (512, 0x00ff_ffff);
/// Seconds of the two time keys (RFC 7143, sections 13.15 and 13.16).
const SECONDS: (u32, u32) = (0, 3600);

/// The operational values of a session. [`Values::default`] is what holds for each key that nobody negotiates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Values {
    /// The largest data segment this side takes, in bytes.
    pub max_recv: u32,
    /// The largest data segment the target takes, in bytes.
    pub max_xmit: u32,
    /// Each write waits for the target's R2T.
    pub initial_r2t: bool,
    /// Commands may carry data.
    pub immediate_data: bool,
    /// Bytes of one sequence of data.
    pub max_burst: u32,
    /// Bytes that may be sent without an R2T; never more than `max_burst`.
    pub first_burst: u32,
    /// R2Ts outstanding in one task.
    pub max_r2t: u32,
    /// Data PDUs come in the order of their addresses.
    pub pdu_in_order: bool,
    /// So do sequences.
    pub sequence_in_order: bool,
    /// The target's portal group tag, if it told it.
    pub portal_group: Option<u16>,
}

impl Default for Values {
    fn default() -> Values {
        Values {
            max_recv: 8192,
            max_xmit: 8192,
            initial_r2t: true,
            immediate_data: true,
            max_burst: 262_144,
            first_burst: 65_536,
            max_r2t: 1,
            pdu_in_order: true,
            sequence_in_order: true,
            portal_group: None,
        }
    }
}

/// A key whose value cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadValue {
    /// The key's name.
    pub key: String,
    /// What the target made of it.
    pub value: String,
}

impl fmt::Display for BadValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}, which is no value for it", self.key, self.value)
    }
}

/// Puts all offers.
pub fn offer(keys: &mut Writer) {
    // No digests: TCP and Ethernet have their own, and each costs processor time for every byte.
    keys.put("HeaderDigest", "None");
    keys.put("DataDigest", "None");
    keys.put("ErrorRecoveryLevel", "0");
    keys.put("InitialR2T", "No");
    keys.put("ImmediateData", "Yes");
    keys.put("MaxBurstLength", &MAX_BURST.to_string());
    keys.put("FirstBurstLength", &FIRST_BURST.to_string());
    keys.put("MaxOutstandingR2T", &MAX_R2T.to_string());
    keys.put("MaxConnections", "1");
    keys.put("DataPDUInOrder", "Yes");
    keys.put("DataSequenceInOrder", "Yes");
    keys.put("DefaultTime2Wait", &TIME_TO_WAIT.to_string());
    keys.put("DefaultTime2Retain", &TIME_TO_RETAIN.to_string());
    keys.put("MaxRecvDataSegmentLength", &MAX_RECV.to_string());
}

/// What a key of the target is to the initiator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// An answer to an offer, or a declaration: there is nothing to answer.
    Taken,
    /// An offer that has to be answered with this word.
    Answer(&'static str),
}

impl Values {
    /// Takes the target's `key` into the values.
    ///
    /// An answer of `Irrelevant`, `NotUnderstood` or `Reject` leaves the key's default.
    ///
    /// # Errors
    /// The value is none for this key.
    pub fn take(&mut self, key: &str, value: &str) -> Result<Meaning, BadValue> {
        let bad = || BadValue {
            key: key.into(),
            value: value.chars().take(40).flat_map(char::escape_default).collect(),
        };
        let within = |(least, most): (u32, u32)| {
            text::number(value).filter(|number| (least..=most).contains(number)).ok_or_else(bad)
        };
        let boolean = || text::boolean(value).ok_or_else(bad);
        let must_be = |only: &str| if value == only { Ok(()) } else { Err(bad()) };
        if OFFERED.contains(&key) && matches!(value, "Irrelevant" | "NotUnderstood" | "Reject") {
            return Ok(Meaning::Taken);
        }
        match key {
            "HeaderDigest" | "DataDigest" => must_be("None")?,
            "ErrorRecoveryLevel" => must_be("0")?,
            "MaxConnections" => must_be("1")?,
            "InitialR2T" => self.initial_r2t = boolean()?,
            "ImmediateData" => self.immediate_data = boolean()?,
            // Either side's Yes is the result, and ours is.
            "DataPDUInOrder" | "DataSequenceInOrder" => boolean().map(|_| ())?,
            "MaxBurstLength" => self.max_burst = within(LENGTHS)?.min(MAX_BURST),
            "FirstBurstLength" => self.first_burst = within(LENGTHS)?.min(FIRST_BURST),
            "MaxOutstandingR2T" => self.max_r2t = within((1, 0xffff))?.min(MAX_R2T),
            // Whoever logs in again has timers of its own.
            "DefaultTime2Wait" | "DefaultTime2Retain" => within(SECONDS).map(|_| ())?,
            "MaxRecvDataSegmentLength" => self.max_xmit = within(LENGTHS)?,
            "TargetPortalGroupTag" => {
                self.portal_group = Some(u16::try_from(within((0, 0xffff))?).map_err(|_| bad())?);
            }
            "TargetAlias" | "TargetAddress" => (),
            // Obsolete: whoever still offers them is to be told so (RFC 7143, section 13.25).
            "IFMarker" | "OFMarker" | "IFMarkInt" | "OFMarkInt" => return Ok(Meaning::Answer("Reject")),
            // Nothing is answered to an answer.
            _ if value == "NotUnderstood" => (),
            _ => return Ok(Meaning::Answer("NotUnderstood")),
        }
        Ok(Meaning::Taken)
    }

    /// The values that hold at the end: with what was declared to the target, and consistent with each other.
    pub fn settled(mut self) -> Values {
        self.max_recv = MAX_RECV;
        // The kernel refuses to start a connection otherwise, and a target may leave one of them at its default.
        self.first_burst = self.first_burst.min(self.max_burst);
        self
    }
}

/// The keys of [`offer`].
const OFFERED: [&str; 14] = [
    "HeaderDigest",
    "DataDigest",
    "ErrorRecoveryLevel",
    "InitialR2T",
    "ImmediateData",
    "MaxBurstLength",
    "FirstBurstLength",
    "MaxOutstandingR2T",
    "MaxConnections",
    "DataPDUInOrder",
    "DataSequenceInOrder",
    "DefaultTime2Wait",
    "DefaultTime2Retain",
    "MaxRecvDataSegmentLength",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn after(keys: &[(&str, &str)]) -> Values {
        let mut values = Values::default();
        for (key, value) in keys {
            assert_eq!(values.take(key, value), Ok(Meaning::Taken), "{key}={value}");
        }
        values.settled()
    }

    #[test]
    fn what_is_offered_and_what_counts_as_offered_is_the_same() {
        let mut keys = Writer::new();
        offer(&mut keys);
        let keys = keys.finish();
        let offered: Vec<&str> = text::parse(&keys).unwrap().into_iter().map(|(key, _)| key).collect();
        assert_eq!(offered, OFFERED);
    }

    #[test]
    fn numbers_come_out_as_the_smaller_of_both() {
        let values = after(&[
            ("MaxBurstLength", "0x40000"),
            ("FirstBurstLength", "16777215"),
            ("MaxOutstandingR2T", "8"),
            ("DefaultTime2Wait", "5"),
            ("DefaultTime2Retain", "20"),
            ("MaxRecvDataSegmentLength", "65536"),
            ("InitialR2T", "No"),
            ("ImmediateData", "No"),
            ("TargetPortalGroupTag", "3"),
        ]);
        assert_eq!(
            values,
            Values {
                max_recv: MAX_RECV,
                max_xmit: 65536,
                initial_r2t: false,
                immediate_data: false,
                max_burst: 262_144,
                first_burst: 262_144,
                portal_group: Some(3),
                ..Values::default()
            }
        );
    }

    #[test]
    fn the_first_burst_never_exceeds_the_burst() {
        assert_eq!(after(&[("MaxBurstLength", "4096")]).first_burst, 4096);
    }

    #[test]
    fn refused_offers_leave_the_default() {
        let values = after(&[
            ("FirstBurstLength", "Irrelevant"),
            ("MaxBurstLength", "Reject"),
            ("HeaderDigest", "NotUnderstood"),
        ]);
        assert_eq!(values, Values::default().settled());
    }

    #[test]
    fn foreign_keys_are_answered() {
        for (key, value, meaning) in [
            ("X-com.example.fast", "Yes", Meaning::Answer("NotUnderstood")),
            ("X-com.example.fast", "NotUnderstood", Meaning::Taken),
            ("IFMarker", "No", Meaning::Answer("Reject")),
            ("TargetAlias", "store", Meaning::Taken),
        ] {
            assert_eq!(Values::default().take(key, value), Ok(meaning), "{key}={value}");
        }
    }

    #[test]
    fn values_out_of_range_are_named() {
        for (key, value) in [
            ("HeaderDigest", "CRC32C"),
            ("ErrorRecoveryLevel", "1"),
            ("MaxConnections", "2"),
            ("InitialR2T", "yes"),
            ("MaxBurstLength", "511"),
            ("MaxBurstLength", "16777216"),
            ("MaxOutstandingR2T", "0"),
            ("DefaultTime2Wait", "3601"),
            ("TargetPortalGroupTag", "65536"),
            ("MaxRecvDataSegmentLength", "many"),
        ] {
            let error = Values::default().take(key, value).unwrap_err();
            assert_eq!((error.key.as_str(), error.value.as_str()), (key, value));
        }
    }
}
