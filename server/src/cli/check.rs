//! `disklessd check`: what is wrong with a site, without starting anything.

use std::path::{Path, PathBuf};

use lexopt::{Arg, Parser};
use serde::Serialize;

use super::{CONFIG, Failed, print};
use crate::check::{Finding, Level, Reach, check_up_to, unreadable};
use crate::site;

const HELP: &str = "\
disklessd check - says what is wrong with a site, all of it at once

usage: disklessd check [FILE] [--json] [--online]

  FILE      the site's file; /etc/disklessd/site.toml unless said
  --json    for scripts
  --online  ask the portals and URLs, too, whether they answer

A finding is a line: its level, its code, what it is about, what is wrong; what to do. docs/checks.md has all codes.
Exit codes: 0 no errors, 1 errors, 2 usage.
";

/// Runs it.
pub fn main(args: &mut Parser) -> Result<(), Failed> {
    let mut path: Option<PathBuf> = None;
    let (mut json, mut online) = (false, false);
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return print(HELP),
            Arg::Long("json") => json = true,
            Arg::Long("online") => online = true,
            Arg::Value(word) if path.is_none() => path = Some(word.into()),
            other => return Err(other.unexpected().into()),
        }
    }
    let path = path.unwrap_or_else(|| CONFIG.into());
    let checked = Checked::of(look(&path, if online { Reach::Network } else { Reach::Files }));
    print(&if json { checked.json() } else { checked.text() })?;
    if checked.errors > 0 { Err(Failed::Told(1)) } else { Ok(()) }
}

fn look(path: &Path, reach: Reach) -> Vec<Finding> {
    match site::read(path) {
        Ok(site) => check_up_to(&site, reach),
        Err(error) => unreadable(&path.display().to_string(), &error).into_iter().collect(),
    }
}

/// What is told.
#[derive(Serialize)]
struct Checked {
    errors: usize,
    warnings: usize,
    findings: Vec<Finding>,
}

impl Checked {
    fn of(findings: Vec<Finding>) -> Checked {
        let errors = findings.iter().filter(|finding| finding.level == Level::Error).count();
        Checked { errors, warnings: findings.len() - errors, findings }
    }

    /// A line a finding, and one at the end.
    fn text(&self) -> String {
        let mut text = String::new();
        for finding in &self.findings {
            // Names and messages hold what the file says: nothing of it may move the cursor.
            let line = finding.to_string();
            text.extend(line.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }));
            text.push('\n');
        }
        text + &format!("{} errors, {} warnings\n", self.errors, self.warnings)
    }

    fn json(&self) -> String {
        // A struct of strings and numbers: there is nothing in it that JSON could not hold.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}
