//! An event as the report server gets it: JSON, described for its readers in `docs/report.md`.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::event::Event;
use super::watermark::Change;
use crate::steps::overlay::usage::Resource;
use crate::sys::clock;

/// Of this format.
pub const VERSION: &str = "1.0";
/// No text of a record is longer, in characters.
const LONGEST_TEXT: usize = 2000;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The agent was started.
    Run,
    /// A step was.
    Start,
    /// A step waits.
    Waiting,
    /// A step is done.
    Done,
    /// A step, or the boot before its first step, failed.
    Failed,
    /// The boot goes on, and somebody must know this.
    Warning,
    /// The boot stands still for a person, before a step or where one failed.
    Held,
    /// It goes on: somebody let it.
    Released,
    /// The boot failed, and something follows by itself.
    Pause,
    /// All steps are done; the switch to the new root follows.
    Ready,
    /// The booted system says so itself.
    Up,
    /// The writable layer of the booted system has passed a watermark, or come back from one.
    Watermark,
    /// The node goes down: the last that is heard of this boot.
    Down,
    /// What a later version tells, and this one does not know.
    #[serde(other)]
    Other,
}

/// One event. What it does not have is left out of the JSON; members of a newer version are passed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// [`VERSION`].
    pub version: String,
    /// The kernel's random boot id.
    pub boot_id: String,
    /// How often the agent was started in this boot.
    pub run: u32,
    /// Counts the events of one boot, from 1. One that comes twice is the same event.
    pub seq: u64,
    /// When, by the node's clock, which may be wrong.
    pub time: String,
    /// When, in milliseconds since the node's boot.
    pub uptime_ms: u64,
    /// What happened.
    pub event: Kind,
    /// The node's name, once it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// The step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// What it is about, waits for, or found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Until the step gives up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_ms: Option<u64>,
    /// How long it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
    /// How much of that was the agent's own work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_ms: Option<u64>,
    /// The stable code of the failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Its object, meaning and cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// What of the writable layer is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<Resource>,
    /// How much of it, of a hundred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
    /// The highest watermark that is passed; none: none is any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watermark: Option<u8>,
}

impl Record {
    /// A record of what happens now, `uptime` after the boot; its boot and number are for the spool to fill in.
    pub fn new(event: Kind, uptime: Duration) -> Record {
        Record {
            version: VERSION.to_owned(),
            boot_id: String::new(),
            run: 0,
            seq: 0,
            time: clock::utc(SystemTime::now()),
            uptime_ms: millis(uptime),
            event,
            hostname: None,
            step: None,
            detail: None,
            left_ms: None,
            took_ms: None,
            own_ms: None,
            code: None,
            message: None,
            advice: None,
            resource: None,
            percent: None,
            watermark: None,
        }
    }

    /// The record of `event`.
    pub fn of(event: &Event, uptime: Duration) -> Record {
        let new = |kind, step: &str, detail: &str| Record {
            step: Some(step.to_owned()),
            detail: Some(short(detail)),
            ..Record::new(kind, uptime)
        };
        match event {
            Event::Run => Record {
                detail: Some(concat!("diskless ", env!("CARGO_PKG_VERSION")).to_owned()),
                ..Record::new(Kind::Run, uptime)
            },
            Event::Started { step, about } => new(Kind::Start, step, about),
            Event::Waiting { step, what, left, .. } => {
                Record { left_ms: Some(millis(*left)), ..new(Kind::Waiting, step, what) }
            }
            Event::Done { step, took, detail } => {
                Record { took_ms: Some(millis(*took)), ..new(Kind::Done, step, detail) }
            }
            Event::Failed { step, error } => Record {
                step: Some((*step).to_owned()),
                code: Some(error.code().as_str().to_owned()),
                message: Some(short(&error.to_string())),
                advice: Some(error.advice().to_owned()),
                ..Record::new(Kind::Failed, uptime)
            },
            Event::Warning(what) => {
                Record { detail: Some(short(what)), ..Record::new(Kind::Warning, uptime) }
            }
            Event::Held { step, what, code } => {
                Record { code: code.map(|code| code.as_str().to_owned()), ..new(Kind::Held, step, what) }
            }
            Event::Released(what) => {
                Record { detail: Some(short(what)), ..Record::new(Kind::Released, uptime) }
            }
            Event::Pause { what, left } => Record {
                detail: Some(short(what)),
                left_ms: Some(millis(*left)),
                ..Record::new(Kind::Pause, uptime)
            },
            Event::Ready { took, own } => Record {
                took_ms: Some(millis(*took)),
                own_ms: Some(millis(*own)),
                ..Record::new(Kind::Ready, uptime)
            },
        }
    }

    /// The record of a watermark's `change`.
    pub fn of_watermark(change: &Change, uptime: Duration) -> Record {
        Record {
            detail: Some(short(&change.text)),
            resource: Some(change.resource),
            percent: Some(change.percent),
            watermark: change.passed,
            ..Record::new(Kind::Watermark, uptime)
        }
    }

    /// Its JSON.
    pub fn json(&self) -> Vec<u8> {
        // Strings and numbers alone: that cannot fail.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

fn short(text: &str) -> String {
    text.chars().take(LONGEST_TEXT).collect()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Code, Error};

    #[test]
    fn the_documented_events_are_ours() {
        let error =
            Error::new(Code::IscsiAuth, "target iqn.2026-01.org.example:image").because("status 02/01");
        let second = Duration::from_secs(1);
        let events = [
            Event::Run,
            Event::Started { step: "iscsi", about: "LUN 1" },
            Event::Waiting { step: "iscsi", what: "disk of LUN 1", waited: second, left: second },
            Event::Done { step: "iscsi", took: second, detail: "/dev/sda" },
            Event::Failed { step: "iscsi", error: &error },
            Event::Warning("w"),
            Event::Held { step: "luks", what: "w", code: Some(Code::IscsiAuth) },
            Event::Released("w"),
            Event::Pause { what: "w", left: second },
            Event::Ready { took: second, own: second },
        ];
        let ours: Vec<Record> = events.iter().map(|event| Record::of(event, second)).collect();
        let text = include_str!("../../docs/report.md");
        let examples = text.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap());
        let documented: Vec<Record> = examples.map(|text| serde_json::from_str(text).unwrap()).collect();
        let up = Record { hostname: Some("node1".into()), ..Record::new(Kind::Up, second) };
        let down = Record { detail: Some("d".into()), ..Record::new(Kind::Down, second) };
        let change = Change {
            resource: Resource::Space,
            percent: 86,
            passed: Some(85),
            rises: true,
            text: "t".into(),
        };
        let watermark = Record::of_watermark(&change, second);
        for ours in ours.iter().chain([&up, &watermark, &down]) {
            let documented = documented.iter().find(|record| record.event == ours.event).unwrap();
            let members = |record: &Record| -> Vec<String> {
                let value: serde_json::Value = serde_json::from_slice(&record.json()).unwrap();
                let members = value.as_object().unwrap().keys().cloned();
                members.filter(|member| member != "hostname").collect()
            };
            assert_eq!(members(documented), members(ours), "{:?}", ours.event);
            assert_eq!(documented.version, ours.version);
            for member in members(ours) {
                assert!(text.contains(&format!("| `{member}` |")), "{member} is not described");
            }
        }
    }

    #[test]
    fn what_a_later_version_tells_is_no_reason_to_refuse_it() {
        let json = Record::new(Kind::Up, Duration::ZERO).json();
        let text =
            String::from_utf8(json).unwrap().replace("\"up\"", "\"dances\"").replace("{", "{\"colour\":7,");
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap().event, Kind::Other);
    }

    #[test]
    fn no_text_is_endless() {
        let long = "ä".repeat(10_000);
        let record = Record::of(&Event::Started { step: "a", about: &long }, Duration::ZERO);
        assert_eq!(record.detail.unwrap().chars().count(), LONGEST_TEXT);
    }
}
