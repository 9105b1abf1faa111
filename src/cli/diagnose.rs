//! `diskless diagnose`.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, Write as _};
use std::time::{Duration, Instant};

use lexopt::{Arg, Parser};
use serde::{Deserialize, Serialize};

use super::{Failed, print};
use crate::diagnose::collect::{End, LIMIT, Line, collect};
use crate::diagnose::{Cause, Check, Outcome, judge, observe};
use crate::engine::host::Host;
use crate::error::{Code, Context, Result};

pub(super) const HELP: &str = "\
usage: diskless diagnose [--json] [--all] [--from FILE] [--evidence]

Finds out what is wrong with this boot: one cause, one hint, the evidence. It looks at the cable, the addresses, the way to each
server and portal, the plan, the login, the LUN, the paths, the encryption, the volumes, the memory and the file systems,
whatever the agent itself has said; nothing is changed. It takes ten seconds at most, even where nothing answers. To be
run in the emergency shell, while a boot waits, or in the booted system, as root.

  --json       everything for programs: cause (a code, or \"none\"), hint, causes, evidence
  --all        show all evidence, not only what is wrong
  --from FILE  judge what --json has written, here or on another machine; - is standard input
  --evidence   the evidence alone, one JSON object a line, as soon as it is found; not bounded in time

Marks of evidence: ok, BAD, - (not there yet: the boot makes it), ? (not looked at, and why).
Exit codes: 0 nothing is wrong, 1 a cause was found, 2 usage.
";

/// No recorded evidence is longer.
const LONGEST: u64 = 1 << 20;

/// Says what is wrong.
pub fn main(args: &mut Parser, host: &Host) -> Result<(), Failed> {
    let (mut json, mut all, mut from, mut evidence_alone) = (false, false, None, false);
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("json") => json = true,
            Arg::Long("all") => all = true,
            Arg::Long("from") => from = Some(args.value()?),
            Arg::Long("evidence") => evidence_alone = true,
            Arg::Short('h') | Arg::Long("help") => return print(HELP),
            other => return Err(other.unexpected().into()),
        }
    }
    if evidence_alone {
        if json || all || from.is_some() {
            return Err(lexopt::Error::from("--evidence goes with no other option").into());
        }
        return tell_evidence(host);
    }
    let started = Instant::now();
    let evidence = match &from {
        Some(file) => read(file)?,
        None => collect(LIMIT)?,
    };
    let diagnosis = Diagnosis::of(evidence, started.elapsed());
    if json {
        let text = serde_json::to_string_pretty(&diagnosis).context(Code::Io, "standard output")?;
        print(&format!("{text}\n"))?;
    } else {
        print(&diagnosis.describe(all))?;
    }
    if diagnosis.causes.is_empty() { Ok(()) } else { Err(Failed::Told) }
}

/// A line for each thing that is found, then one that says that this is all.
fn tell_evidence(host: &Host) -> Result<(), Failed> {
    let write = |line: &Line| {
        if let Ok(mut text) = serde_json::to_vec(line) {
            text.push(b'\n');
            // In one piece, so that lines of two threads do not mix. Who does not read any more knows enough.
            let _ = std::io::stdout().lock().write_all(&text);
        }
    };
    observe::observe(host, &|check| write(&Line::Check(Box::new(check))));
    write(&Line::End(End::End));
    Ok(())
}

/// Evidence as it was written by `--json`; the causes are judged anew.
fn read(file: &OsStr) -> Result<Vec<Check>> {
    let object = || file.display().to_string();
    let mut text = Vec::new();
    if file == "-" {
        std::io::stdin().lock().take(LONGEST).read_to_end(&mut text).context(Code::Io, object())?;
    } else {
        let file = File::open(file).context(Code::Io, object())?;
        file.take(LONGEST).read_to_end(&mut text).context(Code::Io, object())?;
    }
    let recorded: Recorded = serde_json::from_slice(&text).context(Code::Io, object())?;
    Ok(recorded.evidence)
}

/// What matters of recorded output.
#[derive(Deserialize)]
struct Recorded {
    evidence: Vec<Check>,
}

/// All of it, in the form of `--json`.
#[derive(Serialize)]
struct Diagnosis {
    /// Of this format: 1.
    version: u32,
    /// The code of the first cause, or `none`.
    cause: String,
    /// Its hint.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    causes: Vec<Cause>,
    took_ms: u64,
    evidence: Vec<Check>,
}

impl Diagnosis {
    fn of(evidence: Vec<Check>, took: Duration) -> Diagnosis {
        let causes = judge(&evidence);
        let first = causes.first();
        Diagnosis {
            version: 1,
            cause: first.map_or_else(|| "none".to_owned(), |cause| cause.code.clone()),
            hint: first.map(|cause| cause.hint.clone()),
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            causes,
            evidence,
        }
    }

    /// For people.
    fn describe(&self, all: bool) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        if self.causes.is_empty() {
            text.push_str("cause: none\n");
        }
        for (number, Cause { code, object, found, hint, stops, .. }) in self.causes.iter().enumerate() {
            let word = match (number, stops) {
                (0, _) => "cause",
                (_, true) => "and also",
                (_, false) => "weakened",
            };
            let _ = writeln!(text, "{word}: {code}: {object}: {found}\nhint: {hint}");
        }
        let is_shown = |check: &&Check| all || check.is_bad();
        let shown: Vec<&Check> = self.evidence.iter().filter(is_shown).collect();
        if !shown.is_empty() {
            text.push_str("evidence:\n");
        }
        for Check { stage, object, outcome, found, .. } in shown {
            let mark = match outcome {
                Outcome::Ok => "ok",
                Outcome::Bad => "BAD",
                Outcome::Open => "-",
                Outcome::Unseen => "?",
            };
            let why = if *outcome == Outcome::Unseen { "not looked at: " } else { "" };
            let _ = writeln!(text, "  {mark:<3} {:<16} {object}: {why}{found}", word(stage));
        }
        let hidden = self.evidence.len() - self.evidence.iter().filter(is_shown).count();
        if hidden > 0 {
            let _ =
                writeln!(text, "  and {hidden} more, that are well or not due yet: diskless diagnose --all");
        }
        text
    }
}

/// The word that JSON has for it.
fn word(stage: &impl Serialize) -> String {
    serde_json::to_value(stage).ok().and_then(|value| Some(value.as_str()?.to_owned())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::{Of, Stage};

    #[test]
    fn people_get_the_cause_the_hint_and_what_is_bad() {
        let portal = "portal 198.18.0.1:3260";
        let evidence = vec![
            Check::ok(Stage::Carrier, Of::Interface, "eth0", "carrier"),
            Check::bad(Stage::Tcp, Of::Portal, portal, Code::IscsiConnect, "refused"),
            Check::unseen(Stage::Header, Of::Node, "encrypted disk", "there is none"),
        ];
        let diagnosis = Diagnosis::of(evidence, Duration::from_millis(7));
        let hint = Code::IscsiConnect.advice();
        let expected = format!(
            "cause: iscsi-connect: {portal}: refused\nhint: {hint}\nevidence:\n  BAD tcp              {portal}: refused\n  \
             and 2 more, that are well or not due yet: diskless diagnose --all\n"
        );
        assert_eq!(diagnosis.describe(false), expected);
        let all = diagnosis.describe(true);
        assert!(
            all.ends_with("  ?   header           encrypted disk: not looked at: there is none\n"),
            "{all}"
        );
        let json = serde_json::to_value(&diagnosis).unwrap();
        assert_eq!((&json["cause"], &json["hint"]), (&"iscsi-connect".into(), &hint.into()));
        let again: Recorded = serde_json::from_value(json).unwrap();
        assert_eq!(again.evidence, diagnosis.evidence);
        assert_eq!(Diagnosis::of(vec![], Duration::ZERO).describe(false), "cause: none\n");
    }
}
