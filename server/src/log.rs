//! TELL: one line an event, to standard error.
//!
//! As logfmt, `level=warn event=unknown-node name=nod1 from=10.1.1.7 msg="…"`, or as one JSON object. Under systemd each
//! line has its priority in front ([sd-daemon(3)]) and no time, for the journal has that.
//!
//! No body of a request is ever logged, and of its URL only the path.
//!
//! [sd-daemon(3)]: https://www.freedesktop.org/software/systemd/man/latest/sd-daemon.html

use std::io::Write;

use log::kv::{Key, Value, VisitSource};
use log::{Level, LevelFilter, Metadata, Record};

use crate::time::Time;

/// The target of the lines of requests.
pub const ACCESS: &str = "access";
/// No value is shown longer, in characters.
const LONGEST_VALUE: usize = 500;

/// How lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// `key=value key="a value"`
    #[default]
    Logfmt,
    /// An object a line.
    Json,
}

/// What is logged, and how.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How lines look.
    pub format: Format,
    /// What is less than that is left out.
    pub level: LevelFilter,
    /// A line for each request.
    pub access: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { format: Format::default(), level: LevelFilter::Info, access: false }
    }
}

/// Logs from now on, panics too.
pub fn install(options: Options) {
    let journal = std::env::var_os("JOURNAL_STREAM").is_some();
    if log::set_boxed_logger(Box::new(Stderr { options, journal })).is_ok() {
        log::set_max_level(options.level);
        std::panic::set_hook(Box::new(|panic| {
            let payload = panic.payload_as_str().unwrap_or("-");
            let at = panic.location().map(ToString::to_string).unwrap_or_default();
            log::error!(event = "panic", at = at; "a defect of disklessd: {payload}");
        }));
    }
}

struct Stderr {
    options: Options,
    journal: bool,
}

impl log::Log for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let ours = metadata.target().starts_with("disklessd");
        let access = metadata.target() == ACCESS && self.options.access;
        // Of libraries only what is wrong.
        metadata.level() <= self.options.level && (ours || access || metadata.level() <= Level::Warn)
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let line = line(record, self.options.format, self.journal, Time::now());
            // There is nobody left to tell.
            let _ = std::io::stderr().lock().write_all(line.as_bytes());
        }
    }

    fn flush(&self) {}
}

/// The line of `record`, with its end.
fn line(record: &Record<'_>, format: Format, journal: bool, now: Time) -> String {
    let mut pairs = Pairs(Vec::new());
    if !journal {
        pairs.add("time", now.to_string());
    }
    pairs.add("level", record.level().as_str().to_lowercase());
    // What values say of themselves cannot fail: the visitor does not.
    let _ = record.key_values().visit(&mut pairs);
    let message = record.args().to_string();
    if !message.is_empty() {
        pairs.add("msg", message);
    }
    let priority = match record.level() {
        Level::Error => "<3>",
        Level::Warn => "<4>",
        Level::Info => "<6>",
        Level::Debug | Level::Trace => "<7>",
    };
    let text = match format {
        Format::Logfmt => pairs.logfmt(),
        Format::Json => pairs.json(),
    };
    format!("{}{text}\n", if journal { priority } else { "" })
}

/// The members of a line, in their order.
struct Pairs(Vec<(String, String)>);

impl Pairs {
    fn add(&mut self, key: &str, value: String) {
        let short = match value.char_indices().nth(LONGEST_VALUE) {
            Some((at, _)) => format!("{}…", value.get(..at).unwrap_or_default()),
            None => value,
        };
        self.0.push((key.to_owned(), short));
    }

    fn logfmt(&self) -> String {
        let pair = |(key, value): &(String, String)| {
            let plain = |char: char| char.is_ascii_graphic() && !matches!(char, '"' | '=' | '\\');
            if !value.is_empty() && value.chars().all(plain) {
                format!("{key}={value}")
            } else {
                format!("{key}={}", quoted(value))
            }
        };
        self.0.iter().map(pair).collect::<Vec<_>>().join(" ")
    }

    fn json(&self) -> String {
        let pair = |(key, value): &(String, String)| format!("{}:{}", quoted(key), quoted(value));
        format!("{{{}}}", self.0.iter().map(pair).collect::<Vec<_>>().join(","))
    }
}

/// As a JSON string; what a terminal could take for a command is escaped too.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => quoted.extend(['\\', char]),
            '\n' => quoted.push_str("\\n"),
            // All of them are below U+FFFF.
            char if char.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(char))),
            char => quoted.push(char),
        }
    }
    quoted.push('"');
    quoted
}

impl<'kvs> VisitSource<'kvs> for Pairs {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), log::kv::Error> {
        self.add(key.as_str(), value.to_string());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(message: &str, name: &str, format: Format, journal: bool) -> String {
        let pairs = [("event", "unknown-node"), ("name", name)];
        let (mut record, now) = (Record::builder(), Time(1_769_846_401_000));
        let record = record.level(Level::Warn).key_values(&pairs);
        line(&record.args(format_args!("{message}")).build(), format, journal, now)
    }

    #[test]
    fn one_line_an_event() {
        assert_eq!(
            shown("no such node", "nod1", Format::Logfmt, false),
            "time=2026-01-31T08:00:01Z level=warn event=unknown-node name=nod1 msg=\"no such node\"\n"
        );
        assert_eq!(
            shown("", "a\"b=\n\u{1b}[2J", Format::Logfmt, true),
            "<4>level=warn event=unknown-node name=\"a\\\"b=\\n\\u001b[2J\"\n"
        );
        assert_eq!(
            shown("m", "n", Format::Json, true),
            "<4>{\"level\":\"warn\",\"event\":\"unknown-node\",\"name\":\"n\",\"msg\":\"m\"}\n"
        );
        assert!(shown("", &"x".repeat(10_000), Format::Logfmt, true).len() < 600);
        assert!(shown("", "", Format::Logfmt, true).contains("name=\"\""));
    }

    proptest! {
        #[test]
        fn no_value_breaks_out_of_its_line(name in any::<String>(), message in any::<String>()) {
            let line = shown(&message, &name, Format::Logfmt, true);
            prop_assert_eq!(line.matches('\n').count(), 1);
            prop_assert!(!line.trim_end_matches('\n').chars().any(char::is_control));
            let json = shown(&message, &name, Format::Json, false);
            let value: serde_json::Value = serde_json::from_str(&json).unwrap();
            if name.chars().count() <= LONGEST_VALUE {
                prop_assert_eq!(&value["name"], &name);
            }
        }
    }
}
