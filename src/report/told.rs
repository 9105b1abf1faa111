//! What the agent and the keeper told in this boot, from all places where it is kept, as one list.

use std::path::Path;

use serde::Serialize;

use super::record::{Kind, Record};
use super::timeline;
use crate::engine::host::Host;
use crate::keeper::{self, Journal};
use crate::sys::kmsg::{self, Line};

/// No more lines are given, the last ones.
const MOST: usize = 5000;
/// What our lines in the kernel's log begin with.
const OURS: &str = "diskless: ";
/// Two places that tell of the same do so within this time, in milliseconds.
const SAME: u64 = 1000;

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Told {
    /// When, in milliseconds since boot.
    pub at_ms: u64,
    /// Who: `agent`, or `keeper`.
    pub by: &'static str,
    /// Somebody must know it.
    pub warning: bool,
    /// What.
    pub text: String,
}

impl Told {
    /// The line for people.
    pub fn describe(&self) -> String {
        let who = if self.by == "keeper" { "keeper: " } else { "" };
        format!("{:>6}.{:03} s  {who}{}", self.at_ms / 1000, self.at_ms % 1000, self.text)
    }
}

/// All there is on `host`; `log` are the lines of the kernel's log.
pub fn read(host: &Host, log: &[Line]) -> Vec<Told> {
    let records = timeline::read(&host.path(timeline::FILE), &host.boot_id());
    let keeper = Journal::read(&host.path(keeper::FILE)).ok().flatten();
    merge(log, &records, keeper.as_ref())
}

/// A line of the kernel's log, if it is ours.
pub fn of_log(line: &Line) -> Option<Told> {
    let text = line.text.strip_prefix(OURS)?;
    Some(Told { at_ms: line.at_us / 1000, by: "agent", warning: line.level <= 4, text: text.to_owned() })
}

/// The events of the keeper's journal.
pub fn of_keeper(journal: &Journal) -> impl Iterator<Item = Told> {
    let told = |event: &keeper::Event| Told {
        at_ms: event.at_ms,
        by: "keeper",
        warning: false,
        text: plain(&event.what),
    };
    journal.events.iter().map(told)
}

fn merge(log: &[Line], records: &[Record], keeper: Option<&Journal>) -> Vec<Told> {
    let mut all: Vec<Told> = log.iter().filter_map(of_log).collect();
    // What is older than that has been overwritten. The console does not tell that something starts, or is up.
    let oldest = log.first().map_or(u64::MAX, |line| line.at_us / 1000);
    let missing = records.iter().filter(|record| {
        matches!(record.event, Kind::Run | Kind::Start | Kind::Up) || record.uptime_ms < oldest
    });
    all.extend(missing.filter_map(|record| {
        let warning = matches!(record.event, Kind::Failed | Kind::Warning);
        let text = plain(&timeline::describe(record)?);
        Some(Told { at_ms: record.uptime_ms, by: "agent", warning, text })
    }));
    let is_told = |event: &Told, all: &[Told]| {
        all.iter().any(|told| told.at_ms.abs_diff(event.at_ms) <= SAME && told.text.ends_with(&event.text))
    };
    let of_keeper: Vec<Told> = keeper.into_iter().flat_map(self::of_keeper).collect();
    let missing: Vec<Told> = of_keeper.into_iter().filter(|event| !is_told(event, &all)).collect();
    all.extend(missing);
    // Stable: what happened at the same time stays in its order.
    all.sort_by_key(|told| told.at_ms);
    let surplus = all.len().saturating_sub(MOST);
    all.split_off(surplus)
}

fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The kernel's log of `host` as it is now; empty where it cannot be read.
pub fn kernel_log(host: &Host) -> Vec<Line> {
    let path = host.path(KERNEL_LOG);
    kmsg::Log::open(Path::new(&path)).map(|mut log| log.lines()).unwrap_or_default()
}

/// Where the kernel's log is.
pub const KERNEL_LOG: &str = "/dev/kmsg";

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn line(at_ms: u64, text: &str) -> Line {
        Line { level: 6, at_us: at_ms * 1000, text: text.into() }
    }

    fn record(event: Kind, at_ms: u64, detail: &str) -> Record {
        let step = Some("luks".to_owned());
        Record { step, detail: Some(detail.into()), ..Record::new(event, Duration::from_millis(at_ms)) }
    }

    #[test]
    fn each_thing_stands_there_once_in_its_order() {
        let log = [
            line(2000, "usb 1-1: new"),
            line(2500, "diskless: luks done in 0.1 s: sda"),
            line(9000, "diskless: keeper: session 1 is lost"),
        ];
        let records = [
            record(Kind::Done, 1000, "overwritten"),
            record(Kind::Start, 2400, "sda"),
            record(Kind::Done, 2500, "sda"),
            record(Kind::Failed, 1500, "x\ny"),
        ];
        let mut journal = Journal::default();
        journal.note(Duration::from_millis(9001), "session 1 is lost");
        journal.note(Duration::from_millis(9900), "session 1 is back");
        let texts: Vec<String> = merge(&log, &records, Some(&journal)).iter().map(Told::describe).collect();
        assert_eq!(
            texts,
            [
                "     1.000 s  luks done: overwritten",
                "     1.500 s  luks failed [] ; ",
                "     2.400 s  luks starts: sda",
                "     2.500 s  luks done in 0.1 s: sda",
                "     9.000 s  keeper: session 1 is lost",
                "     9.900 s  keeper: session 1 is back",
            ]
        );
    }

    #[test]
    fn the_last_lines_are_given() {
        let log: Vec<Line> = (0..MOST as u64 + 10).map(|at| line(at, "diskless: x")).collect();
        let told = merge(&log, &[], None);
        assert_eq!((told.len(), told[0].at_ms), (MOST, 10));
    }
}
