//! The configuration file of the initramfs, `/etc/diskless.conf`: what holds where the kernel command line says nothing.
//!
//! A line is `KEY=VALUE`, in the style of dracut.conf(5): `#` begins a comment, a value with blanks stands in single or
//! double quotes. A key is a kernel parameter of the table in [`super::words`], ours without `rd.diskless.` before it
//! (`mode` for `rd.diskless` itself).

use super::cmdline::{Cmdline, normal};
use super::config::SOURCES;
use super::words::{MODE, PARAMETERS};
use crate::error::{Code, Error};

/// Where it is.
pub const FILE: &str = "/etc/diskless.conf";
/// No more of it is read, in bytes.
pub const LONGEST: usize = 64 << 10;

/// The file, line by line: what can be used, and what is wrong.
#[derive(Debug, Default)]
pub struct Conf {
    settings: Vec<Setting>,
    wrong: Vec<Error>,
}

/// A line that can be used.
#[derive(Clone, PartialEq, Eq)]
struct Setting {
    /// The kernel parameter of the table.
    name: &'static str,
    value: String,
    /// From 1.
    line: u32,
}

impl std::fmt::Debug for Setting {
    /// Without the value, which may be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.line, self.name)
    }
}

impl Conf {
    /// Reads the text of a file. A line that is wrong hides no other one.
    pub fn parse(text: &str) -> Conf {
        let mut conf = Conf::default();
        for (line, text) in (1..).zip(text.lines()) {
            match setting(text) {
                Ok(None) => (),
                Ok(Some((name, value))) => conf.settings.push(Setting { name, value, line }),
                Err(why) => {
                    conf.wrong.push(Error::new(Code::Configuration, format!("{FILE}:{line}")).because(why));
                }
            }
        }
        conf
    }

    /// What is wrong: a line each, in their order, with [`Code::Configuration`].
    pub fn wrong(&self) -> &[Error] {
        &self.wrong
    }

    /// Each line that can be used, as the kernel parameter that it stands for.
    pub fn parameters(&self) -> impl Iterator<Item = String> {
        self.settings.iter().map(|Setting { name, value, .. }| match value.contains(char::is_whitespace) {
            true => format!("{name}=\"{value}\""),
            false => format!("{name}={value}"),
        })
    }

    /// `cmdline` with this file behind it. A kernel parameter goes before all lines of its name, and one that says what to
    /// boot before all lines that do.
    pub fn behind(&self, cmdline: Cmdline) -> Cmdline {
        let settings =
            self.settings.iter().map(|setting| (setting.name, setting.value.as_str(), setting.line));
        cmdline.with_file(settings, instead)
    }
}

/// The kernel parameters that go before the lines of `key`.
fn instead(key: &str) -> Vec<&str> {
    if SOURCES.contains(&key) { SOURCES.to_vec() } else { vec![key] }
}

/// The parameter and the value of a line; none: it has none.
fn setting(line: &str) -> Result<Option<(&'static str, String)>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (key, rest) = line.split_once('=').ok_or("not KEY=VALUE")?;
    if key.ends_with('+') {
        return Err("there is no +=: a parameter that may be repeated has a line for each value".to_owned());
    }
    let name = parameter(key).ok_or_else(|| match key.chars().all(is_of_a_key) {
        true => format!("there is no parameter {key}"),
        false => "not KEY=VALUE: no blanks stand around the =".to_owned(),
    })?;
    Ok(Some((name, value(rest)?)))
}

fn is_of_a_key(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

/// The kernel parameter that `key` stands for.
fn parameter(key: &str) -> Option<&'static str> {
    let key = normal(key);
    let ours = if key == "mode" { MODE.to_owned() } else { format!("{MODE}.{key}") };
    let names = PARAMETERS.iter().map(|parameter| parameter.name);
    names.clone().find(|name| normal(name) == ours).or_else(|| names.clone().find(|name| normal(name) == key))
}

/// The value, without its quotes and the comment behind it.
fn value(rest: &str) -> Result<String, String> {
    let (value, behind) = match rest.chars().next() {
        Some('\'') => quoted(rest, '\'')?,
        Some('"') => quoted(rest, '"')?,
        _ => {
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            let (value, behind) = rest.split_at(end);
            (value.to_owned(), behind)
        }
    };
    // A comment stands apart from the value: `a#b` is one.
    let comment = behind.trim_start();
    if comment.is_empty() || (comment.starts_with('#') && behind.starts_with(char::is_whitespace)) {
        Ok(value)
    } else {
        Err("there is something behind the value; one with blanks stands in quotes".to_owned())
    }
}

/// What stands between quotes at the beginning of `text`, and what follows. Between double ones `\"` and `\\` are the
/// character itself; nothing else is expanded.
fn quoted(text: &str, quote: char) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => return Ok((value, text.get(at + c.len_utf8()..).unwrap_or_default())),
            '\\' if quote == '"' => match chars.next_if(|(_, next)| matches!(next, '"' | '\\')) {
                Some((_, escaped)) => value.push(escaped),
                None => value.push(c),
            },
            c => value.push(c),
        }
    }
    Err("the quote is not closed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::words::{INITIATOR, MOUNT, NETROOT, ON_FAILURE, PLAN, REPORT, TIMEOUT};

    fn merged(conf: &str, cmdline: &str) -> Cmdline {
        let conf = Conf::parse(conf);
        assert!(conf.wrong().is_empty(), "{:?}", conf.wrong());
        conf.behind(Cmdline::parse(cmdline))
    }

    #[test]
    fn lines_in_the_style_of_dracut() {
        let conf = "# of the site\n\nplan=http://a/p#x\n  on_failure=\"reboot:5\"  # five\nmode='trap'\n\
                    rd.iscsi.initiator=iqn.2026-01.a:b\nrd.diskless.report=\"http://a/ \\\"r\\\\\"\nmount=/a:/b\nmount=/c:/d\n\
                    min-paths=2\ntimeout=";
        let merged = merged(conf, "quiet");
        let one = |name| merged.all(name).collect::<Vec<_>>();
        assert_eq!(one(PLAN), ["http://a/p#x"]);
        assert_eq!(one(ON_FAILURE), ["reboot:5"]);
        assert_eq!(one(MODE), ["trap"]);
        assert_eq!(one(INITIATOR), ["iqn.2026-01.a:b"]);
        assert_eq!(one(REPORT), ["http://a/ \"r\\"]);
        assert_eq!(one(MOUNT), ["/a:/b", "/c:/d"]);
        assert_eq!(one("rd.diskless.min_paths"), ["2"]);
        assert_eq!(one(TIMEOUT), [""]);
    }

    #[test]
    fn the_kernel_wins_by_name_and_by_what_to_boot() {
        let conf = "mount=/a:/b\nmount=/c:/d\nplan=http://a/p\ntimeout=5";
        let all = |cmdline: &str, name: &str| {
            merged(conf, cmdline).all(name).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(all("rd.diskless.mount=/x:/y", MOUNT), ["/x:/y"]);
        assert_eq!(all("rd.diskless.plan=/p", PLAN), ["/p"]);
        // A disk on the command line is not hidden by a plan in the file.
        assert!(all("netroot=iscsi:a::::iqn.x", PLAN).is_empty());
        assert_eq!(all("netroot=iscsi:a::::iqn.x", TIMEOUT), ["5"]);
        assert!(merged("netroot=iscsi", "rd.diskless.plan=/p").last(NETROOT).is_none());
    }

    #[test]
    fn what_is_wrong_is_named_by_line_and_hides_nothing() {
        let conf = Conf::parse(
            "plan\nplam=/p\nplan =/p\nplan=\"/p\nplan=/p q\nplan='/p'q\nplan+=/p\nx y=1\nplan=/good",
        );
        let texts: Vec<String> = conf.wrong().iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), 8, "{texts:?}");
        for (number, text) in (1..).zip(&texts) {
            assert!(text.starts_with(&format!("/etc/diskless.conf:{number}: ")), "{text}");
        }
        assert!(texts[1].ends_with("there is no parameter plam"), "{}", texts[1]);
        assert_eq!(conf.behind(Cmdline::default()).last(PLAN), Some("/good"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_lines(text: String, value in "[ -~]{0,30}") {
            let _ = Conf::parse(&text);
            // What is quoted comes back whole.
            if !value.contains('\'') {
                let conf = Conf::parse(&format!("plan='{value}'"));
                let merged = conf.behind(Cmdline::default());
                proptest::prop_assert_eq!(merged.last(PLAN), Some(value.as_str()));
            }
        }
    }
}
