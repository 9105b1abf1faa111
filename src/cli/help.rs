//! The text of each verb: what `diskless VERB --help` says, and what the manual pages and the shells' completion are made
//! of. So all of them keep to one form: `usage:` first, then a line for each word or option, two blanks in front of it and
//! two or more behind it.

use super::{
    access, acts, boot, bundle, completion, config, console, diagnose, exit, hold, inspect, logs, luks, plan,
    release, resume, retry, skip, status, undo,
};

/// Each verb with its text.
pub const HELPS: &[(&str, &str)] = &[
    ("access", access::HELP),
    ("acts", acts::HELP),
    ("boot", boot::HELP),
    ("bundle", bundle::HELP),
    ("completion", completion::HELP),
    ("config", config::HELP),
    ("console", console::HELP),
    ("diagnose", diagnose::HELP),
    ("exit", exit::HELP),
    ("generator", GENERATOR),
    ("hold", hold::HELP),
    ("inspect", inspect::HELP),
    ("keeper", KEEPER),
    ("logs", logs::HELP),
    ("luks", luks::HELP),
    ("plan", plan::HELP),
    ("release", release::HELP),
    ("report", REPORT),
    ("resume", resume::HELP),
    ("retry", retry::HELP),
    ("skip", skip::HELP),
    ("status", status::HELP),
    ("undo", undo::HELP),
    ("unmount", undo::UNMOUNT_HELP),
];

const GENERATOR: &str = "\
usage: diskless generator NORMAL EARLY LATE

systemd's own, which calls it as diskless-generator: adds diskless.service to the boot, and the keeper with it, on a node
that the agent acts on.
";

const KEEPER: &str = "\
usage: diskless keeper

systemd's own: keeps the sessions of the root's disk alive, and the map over them, from the initramfs on to the node's end,
as long as neither iscsid nor multipathd of the image does. It runs from memory, and needs nothing of the root.
";

const REPORT: &str = "\
usage: diskless report up|usage

systemd's own, in the booted system: tells the report server of the boot plan what has happened.

  up       that the node is up, what the boot left unsent, and cloud-init's phone_home form
  usage    that the use of the writable layer has passed a watermark of the plan, or is below it again
";

/// The text of `verb`.
pub(super) fn of(verb: &str) -> Option<&'static str> {
    HELPS.iter().find(|(name, _)| *name == verb).map(|(_, text)| *text)
}

/// What a verb takes, as its text says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Takes {
    /// Words and options, each once.
    pub words: Vec<String>,
    /// Names of steps.
    pub steps: bool,
    /// Names of files or folders.
    pub files: bool,
}

/// Reads what a verb takes out of its text.
pub fn takes(help: &str) -> Takes {
    let mut takes = Takes::default();
    let mut add = |word: &str| {
        if !takes.words.iter().any(|known| known == word) {
            takes.words.push(word.to_owned());
        }
    };
    let is_word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'.' | b'-'))
    };
    let usage = help.lines().take_while(|line| !line.is_empty());
    let usage = usage.filter_map(|line| {
        Some(line.split_once("diskless ").map_or(line, |(_, rest)| rest)).filter(|_| is_usage(line))
    });
    for line in usage {
        // The verb itself comes first.
        for word in line.split([' ', '[', ']', '|']).filter(|word| !word.is_empty()).skip(1) {
            match word {
                "STEP" => takes.steps = true,
                word if ["FILE", "DIR", "DEVICE"]
                    .iter()
                    .any(|name| word.trim_start_matches('@') == *name) =>
                {
                    takes.files = true;
                }
                word if word.starts_with("--") || is_word(word) => add(word),
                _ => (),
            }
        }
    }
    for (term, _) in terms(help) {
        let first = term.split([' ', ',']).next().unwrap_or_default();
        if first.starts_with("--") || is_word(first) {
            add(first);
        }
    }
    takes
}

/// A line of the synopsis: the first, and those that begin with the program's name behind blanks, or go on with options.
fn is_usage(line: &str) -> bool {
    line.starts_with("usage: ") || line.trim_start().starts_with("diskless ") && line.starts_with("       ")
}

/// The lines that begin with two blanks, each as what stands there and what it means.
pub fn terms(help: &str) -> Vec<(&str, String)> {
    let mut terms: Vec<(&str, String)> = Vec::new();
    for line in help.lines() {
        match line.strip_prefix("  ") {
            Some(line) if !line.starts_with(' ') => {
                let (term, meaning) = line.split_once("  ").unwrap_or((line, ""));
                terms.push((term, meaning.trim_start().to_owned()));
            }
            Some(line) if !is_usage(&format!("  {line}")) => {
                if let Some((_, meaning)) = terms.last_mut() {
                    if !meaning.is_empty() {
                        meaning.push(' ');
                    }
                    meaning.push_str(line.trim());
                }
            }
            _ => (),
        }
    }
    terms
}

#[cfg(test)]
mod tests {
    use super::super::VERBS;
    use super::*;

    #[test]
    fn every_verb_has_a_text_in_the_one_form() {
        let verbs: Vec<&str> = VERBS.iter().map(|(name, _)| *name).collect();
        let texts: Vec<&str> = HELPS.iter().map(|(name, _)| *name).collect();
        for verb in &verbs {
            assert!(texts.contains(verb), "{verb} has no text in src/cli/help.rs");
        }
        assert_eq!(verbs.len(), texts.len());
        for (verb, text) in HELPS {
            assert!(text.starts_with(&format!("usage: diskless {verb}")), "{verb}: {text}");
            assert!(text.ends_with('\n') && !text.contains('\t'), "{verb}");
            assert!(text.lines().all(|line| line.chars().count() <= 140), "{verb}");
            assert!(terms(text).iter().all(|(_, meaning)| !meaning.is_empty()), "{verb}: {:?}", terms(text));
        }
    }

    #[test]
    fn what_a_verb_takes() {
        let takes_of = |verb: &str| takes(of(verb).unwrap());
        let words = |takes: &Takes| takes.words.join(" ");
        let status = takes_of("status");
        assert_eq!(words(&status), "--watch --json --short --prompt");
        assert!(!status.steps && !status.files);
        assert!(takes_of("retry").steps && takes_of("undo").steps);
        assert_eq!(words(&takes_of("undo")), "--dry-run");
        assert_eq!(words(&takes_of("report")), "up usage");
        let luks = takes_of("luks");
        assert!(luks.files && luks.words[..2] == ["dump", "--header"], "{luks:?}");
        assert!(luks.words.contains(&"test".to_owned()) && luks.words.contains(&"--keyslot".to_owned()));
        assert!(
            takes_of("skip").words.contains(&"handover.ssh_host_keys".to_owned()),
            "{:?}",
            takes_of("skip")
        );
    }
}
