//! A boot as bars over time, for people.

use diskless::report::record::{Kind, Record};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::store::{Call, Heard};
use crate::time::Time;

/// A boot over time; all its times are milliseconds since it began.
///
/// iPXE and the forms are placed by this server's clock, the agent's events by the node's own (their `uptime_ms`), which
/// knows how long things took even if the news of them came late.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Timeline {
    /// When it began: with the first thing that was heard of it, or with its kernel, if that was earlier.
    pub began: Time,
    /// What it went through, in that order; a step that was tried again is there again.
    pub bars: Vec<Bar>,
    /// What happened at a moment, in order.
    pub marks: Vec<Mark>,
}

/// Something that takes its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Bar {
    /// `ipxe`, `kernel` (until the agent is heard of), or a step of the agent.
    pub name: String,
    /// When it began.
    pub began_ms: u64,
    /// When it ended; none: it has not.
    pub ended_ms: Option<u64>,
    /// How.
    pub outcome: Ending,
    /// What it waited for meanwhile.
    pub waits: Vec<Wait>,
}

/// How a bar ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// Well.
    Done,
    /// Not.
    Failed,
    /// It has not, as far as is known.
    Running,
    /// It must have, for the boot went on; how was not heard.
    Unknown,
}

/// A wait, which is told once it has gone on for a while: it began before that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Wait {
    /// For what.
    pub what: String,
    /// When it was first told.
    pub began_ms: u64,
    /// When the step went on; none: it waits.
    pub ended_ms: Option<u64>,
}

/// A moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Mark {
    /// What of.
    pub kind: Sign,
    /// When.
    pub at_ms: u64,
    /// For people: what must be known, what failed; may be empty.
    pub text: String,
}

/// What a mark stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sign {
    /// Somebody must know something.
    Warning,
    /// A step, or the boot before its first step, failed.
    Failed,
    /// The agent is done; the switch to the new root follows.
    Ready,
    /// The booted system says that it runs, for the first time.
    Up,
    /// Its cloud-init says that it is done, for the first time.
    Cloudinit,
}

/// The time line of one boot, of all that was heard of it, in any order.
pub fn timeline(heard: &[Heard]) -> Timeline {
    let first =
        |is: fn(&Call) -> bool| heard.iter().filter(|heard| is(&heard.call)).map(|heard| heard.at.0).min();
    let asked = first(|call| matches!(call, Call::Ipxe { .. }));
    let loaded = first(|call| matches!(call, Call::Kernel));
    let up = first(|call| matches!(call, Call::Up(_)));
    let cloudinit = first(|call| matches!(call, Call::Cloudinit(_)));
    let mut records: Vec<(Time, &Record)> = heard.iter().filter_map(record).collect();
    records.sort_by_key(|(_, record)| record.seq);
    records.dedup_by_key(|(_, record)| record.seq);
    // News takes time: the event that came the fastest says best when the node's clock began. That was after iPXE.
    let booted = records.iter().map(|(at, record)| at.0.saturating_sub(record.uptime_ms)).min();
    let booted = booted.map(|booted| booted.max(loaded.or(asked).unwrap_or(0)));
    let began = [asked, loaded, up, cloudinit, booted].into_iter().flatten().min().unwrap_or(0);

    let since = |at: u64| at.saturating_sub(began);
    let mut drawn =
        Drawn { booted: since(booted.unwrap_or(0)), bars: Vec::new(), marks: Vec::new(), open: None };
    if let Some(asked) = asked {
        drawn.begin("ipxe", since(asked));
    }
    if let Some(loaded) = loaded.or(booted) {
        drawn.begin("kernel", since(loaded));
    }
    for (_, record) in records {
        drawn.event(record);
    }
    for (sign, at) in [(Sign::Up, up), (Sign::Cloudinit, cloudinit)] {
        let Some(at) = at.map(since) else { continue };
        drawn.end(at, Ending::Unknown);
        if drawn.marks.iter().all(|mark| mark.kind != sign) {
            drawn.mark(sign, at, String::new());
        }
    }
    drawn.marks.sort_by_key(|mark| mark.at_ms);
    Timeline { began: Time(began), bars: drawn.bars, marks: drawn.marks }
}

fn record(heard: &Heard) -> Option<(Time, &Record)> {
    match &heard.call {
        Call::Event(record) => Some((heard.at, record)),
        _ => None,
    }
}

/// What is drawn so far. One thing is under way at a time: what begins ends what was.
struct Drawn {
    /// When the node's clock began.
    booted: u64,
    bars: Vec<Bar>,
    marks: Vec<Mark>,
    /// The last bar has not ended.
    open: Option<String>,
}

impl Drawn {
    fn event(&mut self, record: &Record) {
        let now = self.booted.saturating_add(record.uptime_ms);
        let text = || record.detail.clone().unwrap_or_default();
        let step = record.step.as_deref().unwrap_or_default();
        // Whatever the agent says first: it runs.
        if self.open.as_deref() == Some("kernel") {
            self.end(now, Ending::Done);
        }
        match record.event {
            Kind::Run => self.end(now, Ending::Unknown),
            Kind::Start => self.begin(step, now),
            Kind::Waiting => {
                self.goes_on(step, now);
                self.wait(text(), now);
            }
            Kind::Done => {
                self.goes_on(step, now.saturating_sub(record.took_ms.unwrap_or(0)));
                self.end(now, Ending::Done);
            }
            Kind::Failed => {
                if record.step.is_some() {
                    self.goes_on(step, now);
                }
                self.end(now, Ending::Failed);
                self.mark(Sign::Failed, now, record.message.clone().unwrap_or_default());
            }
            // That a boot stands still, or what follows its failure, somebody must know as well.
            Kind::Warning | Kind::Held | Kind::Pause => self.mark(Sign::Warning, now, text()),
            Kind::Ready => {
                self.end(now, Ending::Unknown);
                self.mark(Sign::Ready, now, String::new());
            }
            Kind::Up => {
                self.end(now, Ending::Unknown);
                self.mark(Sign::Up, now, String::new());
            }
            Kind::Down => self.end(now, Ending::Unknown),
            // It is of a system that has booted, and may come days later.
            Kind::Watermark | Kind::Other => (),
            // The next run says so itself.
            Kind::Released => (),
        }
    }

    fn begin(&mut self, name: &str, now: u64) {
        // iPXE is done once there is a kernel; of a step whose end was not heard nobody knows.
        let how = if self.open.as_deref() == Some("ipxe") { Ending::Done } else { Ending::Unknown };
        self.end(now, how);
        let (name, outcome) = (name.to_owned(), Ending::Running);
        self.open = Some(name.clone());
        self.bars.push(Bar { name, began_ms: now, ended_ms: None, outcome, waits: Vec::new() });
    }

    /// `name` is under way; if its beginning was not heard, then since `began` at the latest.
    fn goes_on(&mut self, name: &str, began: u64) {
        if self.open.as_deref() != Some(name) {
            self.begin(name, began);
        }
    }

    fn wait(&mut self, what: String, now: u64) {
        let Some(bar) = self.bars.last_mut() else { return };
        match bar.waits.last_mut() {
            Some(wait) if wait.what == what => {}
            last => {
                if let Some(wait) = last {
                    wait.ended_ms = Some(now);
                }
                bar.waits.push(Wait { what, began_ms: now, ended_ms: None });
            }
        }
    }

    fn end(&mut self, now: u64, outcome: Ending) {
        if self.open.take().is_none() {
            return;
        }
        let Some(bar) = self.bars.last_mut() else { return };
        bar.ended_ms = Some(now.max(bar.began_ms));
        bar.outcome = outcome;
        if let Some(wait) = bar.waits.last_mut() {
            wait.ended_ms = bar.ended_ms;
        }
    }

    fn mark(&mut self, kind: Sign, at_ms: u64, text: String) {
        self.marks.push(Mark { kind, at_ms, text });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::store::Form;

    fn heard(at: u64, call: Call) -> Heard {
        Heard { id: 0, node: "n1".into(), boot: 1, at: Time(at), from: None, call }
    }

    /// An event that arrives `late` ms after it happened; the node's clock began at 10 000.
    fn event(seq: u64, uptime_ms: u64, late: u64, event: Kind, step: &str) -> Heard {
        let step = (!step.is_empty()).then(|| step.to_owned());
        let record = Record::new(event, Duration::from_millis(uptime_ms));
        let record = Record { seq, step, detail: Some("d".into()), message: Some("m".into()), ..record };
        heard(10_000 + uptime_ms + late, Call::Event(Box::new(record)))
    }

    fn text(timeline: &Timeline) -> Vec<String> {
        let bars = timeline.bars.iter().map(|bar| {
            let ended = bar.ended_ms.map_or_else(String::new, |ended| ended.to_string());
            let waits: Vec<_> =
                bar.waits.iter().map(|w| format!(" {}..{:?}", w.began_ms, w.ended_ms)).collect();
            format!("{} {}..{ended} {:?}{}", bar.name, bar.began_ms, bar.outcome, waits.concat())
        });
        bars.chain(timeline.marks.iter().map(|mark| format!("{:?} {} {}", mark.kind, mark.at_ms, mark.text)))
            .collect()
    }

    #[test]
    fn bars_and_marks() {
        let ipxe = || heard(9_000, Call::Ipxe { given: Some("boot".into()) });
        let kernel = || heard(9_900, Call::Kernel);
        let run = || event(1, 1_000, 5, Kind::Run, "");
        let start = || event(2, 1_100, 0, Kind::Start, "iscsi");
        let cases: [(&str, Vec<Heard>, u64, &[&str]); 9] = [
            ("nothing", vec![], 0, &[]),
            ("iPXE alone", vec![ipxe()], 9_000, &["ipxe 0.. Running"]),
            (
                "the kernel loads",
                vec![ipxe(), kernel()],
                9_000,
                &["ipxe 0..900 Done", "kernel 900.. Running"],
            ),
            (
                "a good boot, its news late but for one",
                vec![
                    ipxe(),
                    kernel(),
                    event(1, 1_000, 700, Kind::Run, ""),
                    event(2, 1_100, 600, Kind::Start, "iscsi"),
                    event(3, 2_100, 0, Kind::Waiting, "iscsi"),
                    event(4, 2_500, 9, Kind::Waiting, "iscsi"),
                    event(5, 3_000, 9, Kind::Done, "iscsi"),
                    event(6, 3_100, 9, Kind::Ready, ""),
                    event(7, 9_000, 9, Kind::Up, ""),
                    heard(19_500, Call::Up(Form::default())),
                    heard(30_000, Call::Cloudinit(Form::default())),
                ],
                9_000,
                &[
                    "ipxe 0..900 Done",
                    "kernel 900..2000 Done",
                    "iscsi 2100..4000 Done 3100..Some(4000)",
                    "Ready 4100 ",
                    "Up 10000 ",
                    "Cloudinit 21000 ",
                ],
            ),
            (
                "the agent alone: it began with its kernel",
                vec![event(1, 1_000, 0, Kind::Run, ""), start()],
                10_000,
                &["kernel 0..1000 Done", "iscsi 1100.. Running"],
            ),
            (
                "failed, and tried again",
                vec![
                    run(),
                    start(),
                    event(3, 1_500, 0, Kind::Failed, "iscsi"),
                    event(4, 5_000, 0, Kind::Run, ""),
                    event(5, 5_100, 0, Kind::Start, "iscsi"),
                ],
                10_000,
                &["kernel 0..1000 Done", "iscsi 1100..1500 Failed", "iscsi 5100.. Running", "Failed 1500 m"],
            ),
            (
                "ends and beginnings that were not heard",
                vec![
                    start(),
                    event(4, 2_000, 0, Kind::Waiting, "luks"),
                    event(6, 3_000, 0, Kind::Done, "overlay"),
                ],
                10_000,
                &[
                    "kernel 0..1100 Done",
                    "iscsi 1100..2000 Unknown",
                    "luks 2000..3000 Unknown 2000..Some(3000)",
                    "overlay 3000..3000 Done",
                ],
            ),
            (
                "a failure before the first step, a warning",
                vec![run(), event(2, 1_100, 0, Kind::Warning, ""), event(3, 1_200, 0, Kind::Failed, "")],
                10_000,
                &["kernel 0..1000 Done", "Warning 1100 d", "Failed 1200 m"],
            ),
            (
                "no agent is heard of",
                vec![ipxe(), kernel(), heard(40_000, Call::Up(Form::default()))],
                9_000,
                &["ipxe 0..900 Done", "kernel 900..31000 Unknown", "Up 31000 "],
            ),
        ];
        for (name, heard, began, expected) in cases {
            let timeline = timeline(&heard);
            assert_eq!(timeline.began, Time(began), "{name}");
            assert_eq!(text(&timeline), expected, "{name}");
        }
    }

    #[test]
    fn in_json() {
        let json = serde_json::to_value(timeline(&[heard(9_000, Call::Ipxe { given: None })])).unwrap();
        let bar = r#"{"name": "ipxe", "began_ms": 0, "ended_ms": null, "outcome": "running", "waits": []}"#;
        assert_eq!(json["bars"][0], serde_json::from_str::<serde_json::Value>(bar).unwrap());
        assert_eq!(json["began"], "1970-01-01T00:00:09Z");
    }

    proptest! {
        #[test]
        fn whatever_nodes_say(said in proptest::collection::vec((any::<u64>(), any::<u64>(), 0..11_usize, 0..3_usize), 0..30)) {
            let kinds = [
                Kind::Run, Kind::Start, Kind::Waiting, Kind::Done, Kind::Failed, Kind::Warning, Kind::Ready, Kind::Up,
                Kind::Down, Kind::Watermark, Kind::Other,
            ];
            let heard: Vec<Heard> = said
                .iter()
                .zip(0..)
                .map(|((at, uptime_ms, kind, step), seq)| {
                    let record = Record::new(kinds[*kind], Duration::ZERO);
                    let step = Some(["iscsi", "kernel", ""][*step].to_owned());
                    heard(*at, Call::Event(Box::new(Record { seq, step, uptime_ms: *uptime_ms, ..record })))
                })
                .collect();
            let forwards = timeline(&heard);
            for bar in &forwards.bars {
                prop_assert!(bar.ended_ms.is_none_or(|ended| ended >= bar.began_ms));
                prop_assert_eq!(bar.ended_ms.is_none(), bar.outcome == Ending::Running);
            }
            let backwards = timeline(&heard.iter().rev().cloned().collect::<Vec<_>>());
            prop_assert_eq!(forwards, backwards);
        }
    }
}
