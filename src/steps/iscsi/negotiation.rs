//! The operational keys of a session: what is offered, and what comes out of an answer (RFC 7143, section 13).

use std::fmt;

use super::text::{self, Writer};
use crate::input::settings::Settings;

/// MaxOutstandingR2T offered.
const MAX_R2T: u32 = 1;
/// DefaultTime2Wait offered, in seconds.
const TIME_TO_WAIT: u32 = 2;
/// DefaultTime2Retain offered, in seconds: 0, for a session at error recovery level 0 keeps no tasks.
const TIME_TO_RETAIN: u32 = 0;
/// Data segment lengths and burst lengths (RFC 7143, sections 13.12 to 13.14).
const LENGTHS: (u32, u32) = (512, 0x00ff_ffff);
/// The one digest there is.
const CRC32C: &str = "CRC32C";
/// Seconds of the two time keys (RFC 7143, sections 13.15 and 13.16).
const SECONDS: (u32, u32) = (0, 3600);

/// What the initiator offers. The rest of the keys is the same for all plans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// HeaderDigest: `None`, `CRC32C`, or both, the more wanted first.
    pub header_digest: String,
    /// DataDigest, in the same words.
    pub data_digest: String,
    /// MaxRecvDataSegmentLength, in bytes.
    pub max_recv: u32,
    /// What a session with a disk has on top; none for a discovery, where these keys are irrelevant.
    pub disk: Option<DiskOffer>,
}

/// What is offered for a session with a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskOffer {
    /// InitialR2T.
    pub initial_r2t: bool,
    /// ImmediateData.
    pub immediate_data: bool,
    /// MaxBurstLength, in bytes.
    pub max_burst: u32,
    /// FirstBurstLength, in bytes.
    pub first_burst: u32,
    /// The largest segment that is sent even if the target takes larger ones, in bytes; none: what it takes.
    pub max_xmit: Option<u32>,
}

impl Offer {
    /// For a session with a disk, by the plan's settings.
    pub fn for_disk(settings: &Settings) -> Offer {
        let max_burst = settings.number("node.session.iscsi.MaxBurstLength");
        let max_xmit = settings.number("node.conn[0].iscsi.MaxXmitDataSegmentLength");
        Offer {
            header_digest: settings.effective("node.conn[0].iscsi.HeaderDigest").to_owned(),
            data_digest: settings.effective("node.conn[0].iscsi.DataDigest").to_owned(),
            max_recv: settings.number("node.conn[0].iscsi.MaxRecvDataSegmentLength"),
            disk: Some(DiskOffer {
                initial_r2t: settings.flag("node.session.iscsi.InitialR2T"),
                immediate_data: settings.flag("node.session.iscsi.ImmediateData"),
                max_burst,
                // More than MaxBurstLength must not be offered (RFC 7143, section 13.14).
                first_burst: settings.number("node.session.iscsi.FirstBurstLength").min(max_burst),
                max_xmit: (max_xmit > 0).then_some(max_xmit),
            }),
        }
    }

    /// For a discovery, by the plan's settings. Without digests: a few texts over TCP need none.
    pub fn for_discovery(settings: &Settings) -> Offer {
        Offer {
            header_digest: "None".into(),
            data_digest: "None".into(),
            max_recv: settings.number("discovery.sendtargets.iscsi.MaxRecvDataSegmentLength"),
            disk: None,
        }
    }

    /// The keys and their values.
    fn keys(&self) -> Vec<(&'static str, String)> {
        let yes_no = |value: bool| if value { "Yes" } else { "No" }.to_owned();
        let mut keys = vec![
            ("HeaderDigest", self.header_digest.clone()),
            ("DataDigest", self.data_digest.clone()),
            ("ErrorRecoveryLevel", "0".into()),
        ];
        if let Some(disk) = &self.disk {
            keys.extend([
                ("InitialR2T", yes_no(disk.initial_r2t)),
                ("ImmediateData", yes_no(disk.immediate_data)),
                ("MaxBurstLength", disk.max_burst.to_string()),
                ("FirstBurstLength", disk.first_burst.to_string()),
                ("MaxOutstandingR2T", MAX_R2T.to_string()),
                ("MaxConnections", "1".into()),
                ("DataPDUInOrder", yes_no(true)),
                ("DataSequenceInOrder", yes_no(true)),
            ]);
        }
        keys.extend([
            ("DefaultTime2Wait", TIME_TO_WAIT.to_string()),
            ("DefaultTime2Retain", TIME_TO_RETAIN.to_string()),
            ("MaxRecvDataSegmentLength", self.max_recv.to_string()),
        ]);
        keys
    }

    /// Puts all of them.
    pub fn put(&self, keys: &mut Writer) {
        for (key, value) in self.keys() {
            keys.put(key, &value);
        }
    }
}

/// The operational values of a session. [`Values::default`] is what holds for each key that nobody negotiates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Values {
    /// Headers carry a CRC32C.
    pub header_digest: bool,
    /// So do data.
    pub data_digest: bool,
    /// The largest data segment this side takes, in bytes.
    pub max_recv: u32,
    /// The largest data segment that is sent to the target, in bytes.
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
            header_digest: false,
            data_digest: false,
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
    pub fn take(&mut self, offer: &Offer, key: &str, value: &str) -> Result<Meaning, BadValue> {
        let bad = || BadValue { key: key.into(), value: text::quote(value) };
        let within = |(least, most): (u32, u32)| {
            text::number(value).filter(|number| (least..=most).contains(number)).ok_or_else(bad)
        };
        let boolean = || text::boolean(value).ok_or_else(bad);
        let must_be = |only: &str| if value == only { Ok(()) } else { Err(bad()) };
        // Some answer None to whoever wants CRC32C alone: what comes of that is settled at the end.
        let digest = |offered: &str| {
            let offered = value == "None" || offered.split(',').any(|word| word == value);
            if offered { Ok(value == CRC32C) } else { Err(bad()) }
        };
        if matches!(value, "Irrelevant" | "NotUnderstood" | "Reject")
            && offer.keys().iter().any(|(offered, _)| *offered == key)
        {
            return Ok(Meaning::Taken);
        }
        match key {
            "HeaderDigest" => self.header_digest = digest(&offer.header_digest)?,
            "DataDigest" => self.data_digest = digest(&offer.data_digest)?,
            "ErrorRecoveryLevel" => must_be("0")?,
            "MaxConnections" => must_be("1")?,
            "InitialR2T" => self.initial_r2t = boolean()?,
            "ImmediateData" => self.immediate_data = boolean()?,
            // Either side's Yes is the result, and ours is.
            "DataPDUInOrder" | "DataSequenceInOrder" => boolean().map(|_| ())?,
            "MaxBurstLength" => self.max_burst = within(LENGTHS)?,
            "FirstBurstLength" => self.first_burst = within(LENGTHS)?,
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

    /// The values that hold at the end: with what was offered and declared to the target, and consistent with each
    /// other.
    ///
    /// # Errors
    /// The plan wants a digest without a choice, and the target does not do it.
    pub fn settled(mut self, offer: &Offer) -> Result<Values, NoDigest> {
        for (key, offered, done) in [
            ("HeaderDigest", &offer.header_digest, self.header_digest),
            ("DataDigest", &offer.data_digest, self.data_digest),
        ] {
            if offered == CRC32C && !done {
                return Err(NoDigest { key });
            }
        }
        self.max_recv = offer.max_recv;
        if let Some(disk) = &offer.disk {
            // Either side's Yes, either side's No, the smaller of both: also for keys that the target left out.
            self.initial_r2t |= disk.initial_r2t;
            self.immediate_data &= disk.immediate_data;
            self.max_burst = self.max_burst.min(disk.max_burst);
            self.first_burst = self.first_burst.min(disk.first_burst);
            self.max_xmit = self.max_xmit.min(disk.max_xmit.unwrap_or(u32::MAX));
        }
        // The kernel refuses to start a connection otherwise, and a target may leave one of them at its default.
        self.first_burst = self.first_burst.min(self.max_burst);
        Ok(self)
    }
}

/// The target does not do the digest that the plan insists on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoDigest {
    key: &'static str,
}

impl fmt::Display for NoDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the plan has {key} CRC32C alone, and the target does without; offer None too",
            key = self.key
        )
    }
}

#[cfg(test)]
#[path = "negotiation_tests.rs"]
mod tests;
