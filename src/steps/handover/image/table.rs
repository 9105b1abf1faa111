//! Files with a line for each device, of blanks between fields, as fstab(5) and crypttab(5): text in, text and changes
//! out. A line that goes stays readable as a comment, with the reason; all others stay as they are, byte by byte.

use std::fmt;

/// What a line that was changed stands behind, as a comment.
const MARK: &str = "# diskless: ";
/// So many changes are told one by one.
const MOST_TOLD: usize = 16;
/// How long systemd may wait for a device of a line that says itself that it may be missing, in seconds.
pub const MOST_WAITED: u32 = 10;
/// The option that says so, to systemd's generators of both files.
const TIMEOUT: &str = "x-systemd.device-timeout=";

/// What becomes of a line.
pub enum Verdict {
    /// It stays.
    Stays,
    /// It becomes a comment.
    Goes(Change),
    /// It becomes this one; as it was, it becomes a comment.
    Becomes(Change, String),
}

/// What was done with a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What the line is about: a mount point, a map's name, a swap's device. One word.
    pub about: String,
    /// What was done, and why.
    pub what: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.about, self.what)
    }
}

/// A file as it is to be.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Edited {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What was changed now; nothing if it was so already.
    pub changes: Vec<Change>,
}

/// `text` with every line as `judge` wants it. It gets the fields of each line that is one.
pub fn edit(text: &[u8], mut judge: impl FnMut(&[&str]) -> Verdict) -> Edited {
    let mut edited = Edited { bytes: Vec::with_capacity(text.len()), changes: Vec::new() };
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let verdict = fields(line).map_or(Verdict::Stays, |fields| judge(&fields));
        let (change, new) = match verdict {
            Verdict::Stays => {
                edited.bytes.extend_from_slice(line);
                continue;
            }
            Verdict::Goes(change) => (change, None),
            Verdict::Becomes(change, new) => (change, Some(new)),
        };
        edited.bytes.extend_from_slice(format!("{MARK}{change}: ").as_bytes());
        edited.bytes.extend_from_slice(line);
        if !line.ends_with(b"\n") {
            edited.bytes.push(b'\n');
        }
        if let Some(new) = new {
            edited.bytes.extend_from_slice(new.as_bytes());
            edited.bytes.push(b'\n');
        }
        edited.changes.push(change);
    }
    edited
}

/// The fields of a line; none for a comment, an empty line, and what is not UTF-8.
pub fn fields(line: &[u8]) -> Option<Vec<&str>> {
    let line = std::str::from_utf8(line).ok()?.trim();
    (!line.is_empty() && !line.starts_with('#')).then(|| line.split_whitespace().collect())
}

/// What the changes that are in `text`, now or from a former run, are about; a short list.
pub fn marked(text: &[u8]) -> Option<String> {
    let lines = text.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(MARK.as_bytes()));
    let about = |line: &[u8]| {
        let end = line.windows(2).position(|two| two == b": ").unwrap_or(line.len());
        String::from_utf8_lossy(line.get(..end).unwrap_or_default()).into_owned()
    };
    let mut abouts: Vec<String> = lines.map(about).collect();
    let more = abouts.len().saturating_sub(MOST_TOLD);
    abouts.truncate(MOST_TOLD);
    if more > 0 {
        abouts.push(format!("and {more} more"));
    }
    (!abouts.is_empty()).then(|| abouts.join(", "))
}

/// One line for each of `changes` to the file at `path`, so many that they can be read.
pub fn told<'a>(path: &'a str, changes: &'a [Change]) -> impl Iterator<Item = String> + 'a {
    let more = changes.len().saturating_sub(MOST_TOLD);
    let more = (more > 0).then(|| format!("{path}: and {more} more lines"));
    changes.iter().take(MOST_TOLD).map(move |change| format!("{path}: {change}")).chain(more)
}

/// Whether `options`, with commas between them, have `name`, with a value or without.
pub fn has(options: &str, name: &str) -> bool {
    options.split(',').any(|option| option.split('=').next() == Some(name))
}

/// `options` with a bound for the wait for the device; none if they have one.
pub fn with_timeout(options: &str) -> Option<String> {
    let there = options.split(',').any(|option| option.starts_with(TIMEOUT));
    (!there).then(|| format!("{options},{TIMEOUT}{MOST_WAITED}s"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(about: &str) -> Change {
        Change { about: about.into(), what: "taken out".into() }
    }

    #[test]
    fn what_is_not_judged_stays_byte_by_byte() {
        let text = b"# a comment\xff\n\n  \t\n a  b \n\xff\xfe x\nc d";
        let edited = edit(text, |fields| match fields {
            ["a", ..] => Verdict::Goes(change("a")),
            ["c", ..] => Verdict::Becomes(change("c"), "c e".into()),
            fields => panic!("{fields:?}"),
        });
        let expected: &[u8] = b"# a comment\xff\n\n  \t\n# diskless: a: taken out:  a  b \n\xff\xfe x\n\
                                # diskless: c: taken out: c d\nc e\n";
        assert_eq!(String::from_utf8_lossy(&edited.bytes), String::from_utf8_lossy(expected));
        assert_eq!(edited.changes, [change("a"), change("c")]);
        assert_eq!(marked(&edited.bytes).as_deref(), Some("a, c"));
        assert_eq!(marked(text), None);
    }

    #[test]
    fn no_list_is_longer_than_a_screen() {
        let changes = vec![change("x"); MOST_TOLD + 2];
        let told: Vec<String> = told("/etc/fstab", &changes).collect();
        assert_eq!(told.len(), MOST_TOLD + 1);
        assert_eq!(told[0], "/etc/fstab: x: taken out");
        assert_eq!(told[MOST_TOLD], "/etc/fstab: and 2 more lines");
        let edited = edit("x\n".repeat(MOST_TOLD + 2).as_bytes(), |_| Verdict::Goes(change("x")));
        assert!(marked(&edited.bytes).unwrap().ends_with(", x, and 2 more"));
    }

    #[test]
    fn options_are_words_between_commas() {
        for (options, there) in [("nofail", true), ("ro,nofail,x=1", true), ("nofailx", false), ("", false)] {
            assert_eq!(has(options, "nofail"), there, "{options}");
        }
        assert!(has("a,nofail=1", "nofail"));
        assert_eq!(with_timeout("nofail").as_deref(), Some("nofail,x-systemd.device-timeout=10s"));
        assert_eq!(with_timeout("nofail,x-systemd.device-timeout=1"), None);
    }
}
