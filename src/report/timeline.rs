//! All events of this boot, sent or not: `/run/diskless/timeline.jsonl`, a [`Record`] a line, the oldest first. No boot waits
//! for it or fails by it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::record::{Kind, Record};
use super::spool::Spool;
use crate::engine::host::Host;

/// Where it is, on the node.
pub const FILE: &str = "/run/diskless/timeline.jsonl";
/// Its name there.
pub(super) const NAME: &str = "timeline.jsonl";
/// It does not grow beyond this, in bytes: a boot that tries for days tells the same again and again.
const LONGEST: u64 = 1 << 20;

/// Adds `record` to `file`, which is for root alone.
pub fn add(file: &Path, record: &Record) {
    let options = || File::options().append(true).create(true).mode(0o600).open(file);
    let Ok(mut file) = options() else { return };
    let size = file.metadata().map_or(u64::MAX, |metadata| metadata.size());
    if size < LONGEST {
        // One write, so that a reader sees whole lines.
        let _ = file.write_all(&[record.json().as_slice(), b"\n"].concat());
    }
}

/// Adds the event that was queued last in `spool`, on the booted system.
pub fn add_last(host: &Host, spool: &Spool) {
    if let Some(record) = spool.last() {
        add(&host.path(FILE), record);
    }
}

/// The events in `file` of the boot `boot_id`; lines that cannot be read are passed over.
pub fn read(file: &Path, boot_id: &str) -> Vec<Record> {
    let mut text = Vec::new();
    let opened = File::open(file);
    if opened.and_then(|file| file.take(2 * LONGEST).read_to_end(&mut text)).is_err() {
        return Vec::new();
    }
    let lines = text.split(|byte| *byte == b'\n');
    let records = lines.filter_map(|line| serde_json::from_slice::<Record>(line).ok());
    records.filter(|record| record.boot_id == boot_id).collect()
}

/// An event as a line for people; none: the console has another line for it.
pub fn describe(record: &Record) -> Option<String> {
    let part = |part: &Option<String>| part.as_deref().unwrap_or_default().to_owned();
    let (step, detail) = (part(&record.step), part(&record.detail));
    let seconds =
        record.took_ms.map_or_else(String::new, |ms| format!(" in {}.{:03} s", ms / 1000, ms % 1000));
    Some(match record.event {
        Kind::Run => format!("run {} starts: {detail}", record.run),
        Kind::Start => format!("{step} starts: {detail}"),
        Kind::Waiting => format!("{step} waiting for {detail}"),
        Kind::Done => format!("{step} done{seconds}: {detail}"),
        Kind::Failed => {
            format!(
                "{step} failed [{}] {}; {}",
                part(&record.code),
                part(&record.message),
                part(&record.advice)
            )
        }
        Kind::Warning => format!("WARNING: {detail}"),
        Kind::Held | Kind::Released | Kind::Pause => detail,
        Kind::Ready => format!("ready{seconds}"),
        Kind::Up => "the booted system is up".to_owned(),
        Kind::Watermark | Kind::Down | Kind::Other => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn record(event: Kind) -> Record {
        Record { boot_id: "b".into(), run: 2, ..Record::new(event, Duration::from_secs(1)) }
    }

    #[test]
    fn what_is_added_is_read_up_to_a_bound() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("timeline.jsonl");
        assert!(read(&file, "b").is_empty());
        let long = Record { detail: Some("x".repeat(2000)), ..record(Kind::Warning) };
        add(&file, &record(Kind::Run));
        for _ in 0..600 {
            add(&file, &long);
        }
        assert_eq!(file.metadata().unwrap().mode() & 0o7777, 0o600);
        let size = file.metadata().unwrap().size();
        assert!((LONGEST..LONGEST + 4096).contains(&size), "{size}");
        let records = read(&file, "b");
        assert_eq!(
            records.first(),
            Some(&record(Kind::Run))
                .map(|first| Record { time: records[0].time.clone(), ..first.clone() })
                .as_ref()
        );
        assert!(records.len() > 400 && read(&file, "of another boot").is_empty());
        std::fs::write(&file, b"junk\n{}\n\xff").unwrap();
        assert!(read(&file, "b").is_empty());
        // No folder: nothing is written, and nothing fails.
        add(&folder.path().join("none/timeline.jsonl"), &long);
    }

    #[test]
    fn a_line_for_each_event_of_a_boot() {
        let text = |event| {
            describe(&Record {
                step: Some("luks".into()),
                detail: Some("sda".into()),
                took_ms: Some(1042),
                ..record(event)
            })
        };
        assert_eq!(text(Kind::Run).as_deref(), Some("run 2 starts: sda"));
        assert_eq!(text(Kind::Done).as_deref(), Some("luks done in 1.042 s: sda"));
        assert_eq!(text(Kind::Watermark), None);
    }
}
