//! Each verb has a manual page: what its text says, between the marks, and what is written by hand behind that. To bring
//! the pages up to date, and to begin missing ones: `UPDATE_DOCS=1 cargo test --test man`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "that is how a test fails")]

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use diskless::cli::{HELPS, terms};

const BEGIN: &str = "<!-- generated from the code -->\n";
const END: &str = "<!-- end of what is generated -->\n";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/man")
}

/// A text in Markdown, as it is.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut quoted = false;
    for c in text.chars() {
        quoted ^= c == '`';
        if !quoted && matches!(c, '*' | '_' | '<' | '\\') {
            plain.push('\\');
        }
        plain.push(c);
    }
    plain
}

/// What comes before the lines of words and options, without the synopsis; and what comes behind them.
fn prose(help: &str) -> Vec<String> {
    let mut paragraphs = vec![String::new()];
    let mut synopsis = true;
    for line in help.lines() {
        synopsis &= line.starts_with("usage: ") || line.starts_with("   ");
        if synopsis || line.starts_with("  ") {
            continue;
        }
        let paragraph = paragraphs.last_mut().unwrap();
        if line.is_empty() {
            if !paragraph.is_empty() {
                paragraphs.push(String::new());
            }
        } else {
            if !paragraph.is_empty() {
                paragraph.push('\n');
            }
            paragraph.push_str(&plain(line));
        }
    }
    paragraphs.retain(|paragraph| !paragraph.is_empty());
    paragraphs
}

/// The first sentence, up to a colon if it has one: what a list of manual pages shows. Whose own a verb is, is not said there.
fn summary(paragraphs: &[String]) -> String {
    let first = paragraphs.first().expect("a verb's text says what it does").replace('\n', " ");
    let end = |text: &str| [": ", ". "].iter().filter_map(|end| text.find(end)).min().unwrap_or(text.len());
    let whose = if first.to_lowercase().starts_with("systemd's ") { end(&first) + 2 } else { 0 };
    let rest = &first[whose..];
    let sentence = rest[..end(rest)].trim_end_matches('.');
    sentence[..1].to_lowercase() + &sentence[1..]
}

/// The lines of the synopsis, without their beginning.
fn synopsis(help: &str) -> Vec<String> {
    let lines = help
        .lines()
        .take_while(|line| !line.is_empty() && (line.starts_with("usage: ") || line.starts_with("   ")));
    let mut forms: Vec<String> = Vec::new();
    for line in lines {
        let line = line.strip_prefix("usage: ").unwrap_or(line).trim();
        if line.starts_with("diskless ") {
            forms.push(line.to_owned());
        } else if line.starts_with(['[', '-'])
            && let Some(form) = forms.last_mut()
        {
            form.push(' ');
            form.push_str(line);
        }
    }
    forms
}

/// The part of the page of `verb` that its text makes.
fn generated(verb: &str, help: &str) -> String {
    let paragraphs = prose(help);
    let mut text = format!("\n## NAME\n\ndiskless-{verb} - {}\n\n## SYNOPSIS\n\n", summary(&paragraphs));
    let forms: Vec<String> = synopsis(help).iter().map(|form| format!("`{form}`")).collect();
    writeln!(text, "{}\n\n## DESCRIPTION\n", forms.join("\\\n")).unwrap();
    writeln!(text, "{}\n", paragraphs.join("\n\n")).unwrap();
    let terms = terms(help);
    if !terms.is_empty() {
        text.push_str("## OPTIONS\n\n");
    }
    for (term, meaning) in terms {
        writeln!(text, "`{term}`\n:   {}\n", plain(&meaning)).unwrap();
    }
    text
}

#[test]
fn every_verb_has_a_manual_page_that_says_what_its_help_says() {
    let update = std::env::var_os("UPDATE_DOCS").is_some();
    for (verb, help) in HELPS {
        let path = folder().join(format!("diskless-{verb}.8.md"));
        let title = format!("# diskless-{verb}(8)\n\n");
        let empty = format!("{title}{BEGIN}{END}\n## SEE ALSO\n\ndiskless(8)\n");
        let text = match std::fs::read_to_string(&path) {
            Err(_) if update => empty,
            read => read.unwrap_or_else(|error| panic!("{}: {error}", path.display())),
        };
        assert!(text.starts_with(&title), "{}", path.display());
        let (before, rest) = text.split_once(BEGIN).expect("the mark where generated text begins");
        let (written, after) = rest.split_once(END).expect("the mark where generated text ends");
        let generated = generated(verb, help);
        if update {
            std::fs::write(&path, format!("{before}{BEGIN}{generated}{END}{after}")).unwrap();
        } else {
            assert_eq!(
                written,
                generated,
                "{} is behind: UPDATE_DOCS=1 cargo test --test man",
                path.display()
            );
        }
        assert!(after.contains("## SEE ALSO"), "{}", path.display());
    }
}

#[test]
fn no_page_is_of_a_verb_that_there_is_not() {
    let verbs: BTreeSet<String> = HELPS.iter().map(|(verb, _)| format!("diskless-{verb}.8.md")).collect();
    let pages =
        std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(pages.collect::<BTreeSet<_>>(), verbs);
    let manual = std::fs::read_to_string(folder().join("../diskless.8.md")).unwrap();
    for (verb, _) in HELPS {
        assert!(manual.contains(&format!("diskless-{verb}(8)")), "diskless(8) does not lead to {verb}");
    }
}

#[test]
fn a_page_of_a_text() {
    let help = "usage: diskless x a|b [FILE]\n       diskless x c\n\nDoes it: well. Or not.\n\n  a    first_one\n       and more\n  \
                --b  second\n\nBehind it.\n";
    let page = generated("x", help);
    let expected = "\n## NAME\n\ndiskless-x - does it\n\n## SYNOPSIS\n\n`diskless x a|b [FILE]`\\\n`diskless x c`\n\n## \
                    DESCRIPTION\n\nDoes it: well. Or not.\n\nBehind it.\n\n## OPTIONS\n\n`a`\n:   first\\_one and more\n\n`--b`\n:   \
                    second\n\n";
    assert_eq!(page, expected);
}
