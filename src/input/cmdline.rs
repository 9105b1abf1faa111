//! The kernel command line, by the kernel's own rules (lib/cmdline.c `next_arg`, kernel/params.c): words are
//! separated by white space outside of double quotes, quotes around a value or a whole word go away, and `-` and
//! `_` are the same in names.

/// One word of the command line.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// With `_` for every `-`.
    pub(super) key: String,
    /// What stands behind the first `=`; none without one.
    pub(super) value: Option<String>,
    /// The line of the configuration file that it is from; none: the kernel command line has it.
    line: Option<u32>,
}

/// Where a word is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The kernel command line.
    Kernel,
    /// This line of the configuration file, from 1.
    Line(u32),
}

/// A kernel command line.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Cmdline {
    words: Vec<Word>,
}

impl std::fmt::Debug for Cmdline {
    /// The keys alone: a value may be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.keys()).finish()
    }
}

impl Cmdline {
    /// Parses a command line. Any text is one; what follows `--` belongs to init and is left out.
    pub fn parse(text: &str) -> Cmdline {
        let words = split(text).into_iter().take_while(|word| word != "--").map(|word| parse_word(&word));
        Cmdline { words: words.collect() }
    }

    /// The values of `key`, in their order; a bare `key` counts as an empty one.
    pub fn all<'a>(&'a self, key: &str) -> impl Iterator<Item = &'a str> {
        let key = normal(key);
        self.words
            .iter()
            .filter(move |word| word.key == key)
            .map(|word| word.value.as_deref().unwrap_or_default())
    }

    /// The last value of `key`: as everywhere on the command line, the last one wins.
    pub fn last(&self, key: &str) -> Option<&str> {
        self.all(key).last()
    }

    /// All keys, as [`Cmdline::all`] compares them.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(|word| word.key.as_str())
    }

    /// Adds what a configuration file says: of each of its settings (key, value, line) the words, unless the command line
    /// itself has a word of `instead(key)`. One that does goes before all lines of that key.
    #[must_use]
    pub fn with_file<'a>(
        mut self,
        settings: impl IntoIterator<Item = (&'a str, &'a str, u32)>,
        instead: fn(&str) -> Vec<&str>,
    ) -> Cmdline {
        let own: Vec<String> = self.keys().map(str::to_owned).collect();
        for (key, value, line) in settings {
            if !instead(key).into_iter().any(|key| own.contains(&normal(key))) {
                let value = Some(value.to_owned());
                self.words.push(Word { key: normal(key), value, line: Some(line) });
            }
        }
        self
    }

    /// What the kernel command line itself says.
    #[must_use]
    pub fn of_kernel(&self) -> Cmdline {
        Cmdline { words: self.words.iter().filter(|word| word.line.is_none()).cloned().collect() }
    }

    /// The values of `key` as [`Cmdline::all`] gives them, each with where it is from.
    pub fn origins<'a>(&'a self, key: &str) -> impl Iterator<Item = (&'a str, Origin)> {
        let key = normal(key);
        self.words.iter().filter(move |word| word.key == key).map(|word| {
            (word.value.as_deref().unwrap_or_default(), word.line.map_or(Origin::Kernel, Origin::Line))
        })
    }
}

/// `key` as the kernel compares it.
pub fn normal(key: &str) -> String {
    key.replace('-', "_")
}

pub(super) fn split(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                word.push(c);
            }
            c if c.is_ascii_whitespace() && !quoted => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            c => word.push(c),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

pub(super) fn parse_word(word: &str) -> Word {
    // A word quoted as a whole: "key=value with blanks".
    let word = match word.strip_prefix('"') {
        Some(inner) => inner.strip_suffix('"').unwrap_or(inner),
        None => word,
    };
    match word.split_once('=') {
        Some((key, value)) => {
            let value = match value.strip_prefix('"') {
                Some(inner) => inner.strip_suffix('"').unwrap_or(inner),
                None => value,
            };
            Word { key: normal(key), value: Some(value.to_owned()), line: None }
        }
        None => Word { key: normal(word), value: None, line: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_by_the_kernels_rules() {
        let cases: &[(&str, &str, &[&str])] = &[
            ("a=1 b=2 a=3", "a", &["1", "3"]),
            ("rd.x-y=1", "rd.x_y", &["1"]),
            ("rd.x_y=1", "rd.x-y", &["1"]),
            ("quiet", "quiet", &[""]),
            ("a= b", "a", &[""]),
            ("a=\"b c\" d", "a", &["b c"]),
            ("\"a=b c\" d", "a", &["b c"]),
            ("a=b\"c d\"e", "a", &["b\"c d\"e"]),
            ("a=\"b c", "a", &["b c"]),
            ("a=b=c", "a", &["b=c"]),
            ("  a=1\t\n", "a", &["1"]),
            ("x -- a=1", "a", &[]),
            ("", "a", &[]),
        ];
        for (text, key, values) in cases {
            let cmdline = Cmdline::parse(text);
            assert_eq!(cmdline.all(key).collect::<Vec<_>>(), *values, "{text}");
        }
        assert_eq!(Cmdline::parse("a=1 a=2").last("a"), Some("2"));
    }

    #[test]
    fn the_kernels_word_goes_before_all_lines_of_a_file() {
        let file = [("x.a", "1", 1), ("x.a", "2", 2), ("x-b", "3", 4), ("y", "4", 5)];
        let merged = Cmdline::parse("z=0 x_b=9").with_file(file, |key| match key {
            "y" => vec!["y", "z"],
            "x.a" => vec!["x.a"],
            _ => vec!["x-b"],
        });
        let values = |key: &str| merged.origins(key).collect::<Vec<_>>();
        assert_eq!(values("x.a"), [("1", Origin::Line(1)), ("2", Origin::Line(2))]);
        assert_eq!(values("x-b"), [("9", Origin::Kernel)]);
        assert!(values("y").is_empty());
        assert_eq!(merged.of_kernel().keys().collect::<Vec<_>>(), ["z", "x_b"]);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_command_line(text: String) {
            let _ = Cmdline::parse(&text);
        }
    }
}
