//! `disklessd timeline`: what took how long in a boot.

use std::fmt::Write;
use std::time::Duration;

use lexopt::Parser;

use super::asking::{Takes, plain, print_json};
use super::{Failed, print};
use crate::error::Error;
use crate::serve::operator::answer::{Bundle, Bundles};
use crate::state::{Bar, Ending, Sign, Timeline};

const TAKES: Takes = Takes {
    help: "\
usage: disklessd timeline NODE [--boot NUMBER] [--json]

What took how long in the node's newest boot, or in that of the number, which GET /v1/nodes/NODE/boots tells;
and the bundles that it has sent, by their place in the API.
  --json    as the API says it: GET /v1/nodes/NODE/timeline
",
    flags: &["json"],
    values: &["boot"],
};

/// Without a terminal.
const USUAL_WIDTH: usize = 100;
/// No bar is drawn shorter.
const LEAST_BARS: usize = 20;

/// The verb.
pub fn main(args: &mut Parser) -> Result<(), Failed> {
    let Some(given) = TAKES.read(args)? else { return Ok(()) };
    let [node] = given.words.as_slice() else {
        return Err(lexopt::Error::from("the time line of which node? Of one").into());
    };
    let boot = given.value("boot").unwrap_or("latest");
    let part = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let path = format!("/v1/nodes/{}/timeline?boot={}", part(node).replace('+', "%20"), part(boot));
    let server = given.server()?;
    if given.has("json") {
        let answer: serde_json::Value = server.get(&path, Duration::ZERO).map_err(Error::from)?;
        return print_json(&answer);
    }
    let timeline: Timeline = server.get(&path, Duration::ZERO).map_err(Error::from)?;
    let width = terminal_size::terminal_size().map_or(USUAL_WIDTH, |(width, _)| usize::from(width.0));
    print(&drawn(&timeline, width))?;
    let path = format!("/v1/nodes/{}/bundles", part(node).replace('+', "%20"));
    // A server of an earlier version has none.
    let bundles =
        server.get::<Bundles>(&path, Duration::ZERO).map(|bundles| bundles.bundles).unwrap_or_default();
    print(
        &bundles
            .iter()
            .map(|bundle| format!("{path}/{} of {}\n", bundle.id, said(bundle)))
            .collect::<String>(),
    )
}

/// `boot 7, 2026-01-31T08:00:00Z, 341 KiB`
fn said(bundle: &Bundle) -> String {
    let boot = bundle.boot.map_or_else(|| plain(&bundle.boot_id), |number| format!("boot {number}"));
    format!("{boot}, {}, {} KiB", bundle.at, bundle.bytes.div_ceil(1024))
}

/// The bars, in lines of `width` characters where that is enough for their names.
fn drawn(timeline: &Timeline, width: usize) -> String {
    let ends = |bar: &Bar| bar.ended_ms.unwrap_or(bar.began_ms);
    let end = timeline.bars.iter().map(ends).chain(timeline.marks.iter().map(|mark| mark.at_ms)).max();
    let end = end.unwrap_or(0).max(1);
    let longest = timeline.bars.iter().map(|bar| plain(&bar.name).chars().count()).max().unwrap_or(0);
    // Name, bar, duration ("1234.5s"), how it ended ("  unknown").
    let bars = width.saturating_sub(longest + 20).max(LEAST_BARS);
    let mut text = String::new();
    // A String takes everything.
    let _ = writeln!(text, "began {}, {} in all", timeline.began, seconds(end));
    for bar in &timeline.bars {
        let name = plain(&bar.name);
        let took =
            bar.ended_ms.map_or_else(|| "...".to_owned(), |end| seconds(end.saturating_sub(bar.began_ms)));
        let how = match bar.outcome {
            Ending::Done => "",
            Ending::Failed => "  failed",
            Ending::Running => "  running",
            Ending::Unknown => "  unknown",
        };
        let _ = writeln!(text, "{name:longest$} {} {took:>8}{how}", line(bar, end, bars));
        for wait in &bar.waits {
            let to =
                wait.ended_ms.map_or_else(|| "still".to_owned(), |end| format!("until {}", seconds(end)));
            let _ = writeln!(
                text,
                "{:longest$}   waited from {}, {to}: {}",
                "",
                seconds(wait.began_ms),
                plain(&wait.what)
            );
        }
    }
    for mark in &timeline.marks {
        let sign = match mark.kind {
            Sign::Warning => "warning",
            Sign::Failed => "failed",
            Sign::Ready => "ready",
            Sign::Up => "up",
            Sign::Cloudinit => "cloudinit",
        };
        let _ = writeln!(
            text,
            "{}",
            format!("{:>8}  {sign} {}", seconds(mark.at_ms), plain(&mark.text)).trim_end()
        );
    }
    text
}

/// A bar of `=` (of `-` where it waits, open with `>`) in a line of `width` characters that stands for `end`.
fn line(bar: &Bar, end: u64, width: usize) -> String {
    let cell = |at: u64| {
        let cell = u128::from(at.min(end)) * width as u128 / u128::from(end);
        usize::try_from(cell).unwrap_or(0).min(width.saturating_sub(1))
    };
    let (from, to) = (cell(bar.began_ms), bar.ended_ms.map_or(width.saturating_sub(1), cell));
    let waits = |at: usize| {
        bar.waits.iter().any(|wait| (cell(wait.began_ms)..=wait.ended_ms.map_or(to, cell)).contains(&at))
    };
    let drawn = |at: usize| match at {
        at if at < from || at > to => ' ',
        at if at == to && bar.ended_ms.is_none() => '>',
        at if waits(at) => '-',
        _ => '=',
    };
    (0..width).map(drawn).collect()
}

fn seconds(ms: u64) -> String {
    format!("{}.{}s", ms / 1000, ms % 1000 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Timeline {
        serde_json::from_value(serde_json::json!({
            "began": "2026-01-31T08:00:00Z",
            "bars": [
                {"name": "ipxe", "began_ms": 0, "ended_ms": 2000, "outcome": "unknown", "waits": []},
                {"name": "iscsi", "began_ms": 2000, "ended_ms": 8000, "outcome": "done",
                 "waits": [{"what": "portal 10.0.0.1", "began_ms": 4000, "ended_ms": 6000}]},
                {"name": "luks", "began_ms": 8000, "ended_ms": null, "outcome": "running", "waits": []},
            ],
            "marks": [{"kind": "warning", "at_ms": 10_000, "text": "a\u{1b}[2Jb"}],
        }))
        .unwrap()
    }

    #[test]
    fn bars_stand_under_each_other() {
        let expected = "\
began 2026-01-31T08:00:00Z, 10.0s in all
ipxe  =====                    2.0s  unknown
iscsi     ====-----====        6.0s
        waited from 4.0s, until 6.0s: portal 10.0.0.1
luks                  ===>      ...  running
   10.0s  warning a [2Jb
";
        assert_eq!(drawn(&example(), 45), expected);
    }

    #[test]
    fn any_width_and_no_time_at_all() {
        for width in [0, 1, 20, 45, 400] {
            let lines = drawn(&example(), width);
            let bars = lines.lines().nth(1).unwrap().chars().count();
            assert!(bars <= width.max(LEAST_BARS + 5 + 20), "{width}: {bars}");
        }
        let at_once = Timeline {
            bars: vec![Bar {
                name: "a".into(),
                began_ms: 0,
                ended_ms: Some(0),
                outcome: Ending::Done,
                waits: vec![],
            }],
            ..example()
        };
        assert!(drawn(&Timeline { marks: vec![], ..at_once }, 40).contains("a ="));
    }
}
