//! The text of LVM2 metadata: sections in braces, and values that are numbers, strings or lists of them.

use std::fmt;

/// Sections in sections; lvm2 itself needs four.
const DEEPEST: usize = 16;
/// Sections and values of one text, so that a hostile one cannot take much more memory than its own size.
const MOST: usize = 1 << 18;

/// What stands behind a name.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `name { ... }`.
    Section(Section),
    /// `name = 12`.
    Number(i64),
    /// `name = "text"`.
    Text(String),
    /// `name = ["text", 12]`.
    List(Vec<Value>),
}

/// Names and what stands behind them, in their order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Section(Vec<(String, Value)>);

/// The text is not LVM2's; says where and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    line: usize,
    why: &'static str,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} of the metadata: {}", self.line, self.why)
    }
}

impl std::error::Error for Fault {}

impl Section {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(there, _)| there == name).map(|(_, value)| value)
    }

    /// The section called `name`.
    pub fn section(&self, name: &str) -> Option<&Section> {
        match self.get(name) {
            Some(Value::Section(section)) => Some(section),
            _ => None,
        }
    }

    /// All sections, with their names.
    pub fn sections(&self) -> impl Iterator<Item = (&str, &Section)> {
        self.0.iter().filter_map(|(name, value)| match value {
            Value::Section(section) => Some((name.as_str(), section)),
            _ => None,
        })
    }

    /// The number called `name`, if it is there and not negative.
    pub fn number(&self, name: &str) -> Option<u64> {
        match self.get(name) {
            Some(Value::Number(number)) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    /// The string called `name`.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The values of the list called `name`; empty if there is none.
    pub fn list(&self, name: &str) -> &[Value] {
        match self.get(name) {
            Some(Value::List(values)) => values,
            _ => &[],
        }
    }

    /// Whether the list called `name` holds the string `word`.
    pub fn has(&self, name: &str, word: &str) -> bool {
        self.list(name).iter().any(|value| matches!(value, Value::Text(text) if text == word))
    }
}

/// Parses a whole text.
///
/// # Errors
/// It is not of this form, is nested too deeply or has too many values.
pub fn parse(text: &str) -> Result<Section, Fault> {
    let mut parser = Parser { rest: text, line: 1, left: MOST };
    let section = parser.section(0)?;
    match parser.rest {
        "" => Ok(section),
        _ => Err(parser.fault("a closing brace too many")),
    }
}

struct Parser<'a> {
    rest: &'a str,
    line: usize,
    left: usize,
}

impl<'a> Parser<'a> {
    fn fault(&self, why: &'static str) -> Fault {
        Fault { line: self.line, why }
    }

    /// Takes the first `length` bytes, which end at a character's end.
    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.line += taken.bytes().filter(|byte| *byte == b'\n').count();
        self.rest = rest;
        taken
    }

    fn skip_blanks(&mut self) {
        loop {
            let text = self.rest.trim_start_matches(|c: char| c.is_ascii_whitespace());
            self.take(self.rest.len() - text.len());
            if !self.rest.starts_with('#') {
                return;
            }
            self.take(self.rest.find('\n').unwrap_or(self.rest.len()));
        }
    }

    /// Takes `character` and blanks before it, if it comes next.
    fn eat(&mut self, character: char) -> bool {
        self.skip_blanks();
        let there = self.rest.starts_with(character);
        if there {
            self.take(character.len_utf8());
        }
        there
    }

    fn count(&mut self) -> Result<(), Fault> {
        self.left = self.left.checked_sub(1).ok_or_else(|| self.fault("too many values"))?;
        Ok(())
    }

    /// What is inside of a section, up to a closing brace or the end.
    fn section(&mut self, depth: usize) -> Result<Section, Fault> {
        if depth > DEEPEST {
            return Err(self.fault("nested too deeply"));
        }
        let mut section = Section::default();
        loop {
            self.skip_blanks();
            if self.rest.is_empty() || self.rest.starts_with('}') {
                return Ok(section);
            }
            self.count()?;
            let name = self.name()?;
            let value = if self.eat('{') {
                let inner = self.section(depth + 1)?;
                if !self.eat('}') {
                    return Err(self.fault("a section does not end"));
                }
                Value::Section(inner)
            } else if self.eat('=') {
                self.skip_blanks();
                if self.eat('[') { self.values()? } else { self.value()? }
            } else {
                return Err(self.fault("neither a section nor a value"));
            };
            section.0.push((name, value));
        }
    }

    fn name(&mut self) -> Result<String, Fault> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '+' | '/');
        let length = self.rest.find(|c| !plain(c)).unwrap_or(self.rest.len());
        match self.take(length) {
            "" => Err(self.fault("a name is missing")),
            name => Ok(name.to_owned()),
        }
    }

    /// What is inside of a list, and its closing bracket.
    fn values(&mut self) -> Result<Value, Fault> {
        let mut values = Vec::new();
        while !self.eat(']') {
            self.count()?;
            values.push(self.value()?);
            if !self.eat(',') {
                if !self.eat(']') {
                    return Err(self.fault("a list does not end"));
                }
                break;
            }
        }
        Ok(Value::List(values))
    }

    fn value(&mut self) -> Result<Value, Fault> {
        self.skip_blanks();
        if self.eat('"') {
            return self.string();
        }
        let length = self.rest.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(self.rest.len());
        match self.take(length).parse() {
            Ok(number) => Ok(Value::Number(number)),
            Err(_) => Err(self.fault("neither a number nor a string")),
        }
    }

    /// The rest of a string: a backslash makes the next character a plain one.
    fn string(&mut self) -> Result<Value, Fault> {
        let mut text = String::new();
        let mut quoted = false;
        for (at, character) in self.rest.char_indices() {
            match character {
                '"' if !quoted => {
                    self.take(at + 1);
                    return Ok(Value::Text(text));
                }
                '\\' if !quoted => quoted = true,
                character => {
                    text.push(character);
                    quoted = false;
                }
            }
        }
        Err(self.fault("a string does not end"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_values_and_comments() {
        let text = "# by lvm2\nvg-0.1+x {\n\tid = \"a\\\"b\\\\\"\t# text\n\tseqno=3\n flags = []\n\
                    stripes = [\n\"pv0\", 0,\n\"pv1\", 12 ] inner{deep { n = -1 }}}\ncontents = \"x # y\"";
        let all = parse(text).unwrap();
        let (name, group) = all.sections().next().unwrap();
        assert_eq!(name, "vg-0.1+x");
        assert_eq!(group.text("id"), Some("a\"b\\"));
        assert_eq!((group.number("seqno"), group.number("id"), group.number("none")), (Some(3), None, None));
        assert!(
            group.list("flags").is_empty() && group.has("stripes", "pv1") && !group.has("stripes", "pv2")
        );
        assert_eq!(group.list("stripes")[3], Value::Number(12));
        let deep = group.section("inner").unwrap().section("deep").unwrap();
        assert_eq!((deep.number("n"), deep.get("n")), (None, Some(&Value::Number(-1))));
        assert_eq!(all.text("contents"), Some("x # y"));
        assert_eq!(parse("").unwrap(), Section::default());
    }

    #[test]
    fn what_is_not_of_this_form_is_refused_with_its_line() {
        let deep = "a{".repeat(100);
        let cases = [
            ("a\n{\nb = 1", 3, "a section does not end"),
            ("a = 1\n}", 2, "a closing brace too many"),
            ("a\nb", 2, "neither a section nor a value"),
            ("\n= 1", 2, "a name is missing"),
            ("a = [1 2]", 1, "a list does not end"),
            ("a = [1,", 1, "neither a number nor a string"),
            ("a = x", 1, "neither a number nor a string"),
            ("a = 99999999999999999999", 1, "neither a number nor a string"),
            ("a = \"x\\\"", 1, "a string does not end"),
            (&deep, 1, "nested too deeply"),
        ];
        for (text, line, why) in cases {
            assert_eq!(parse(text), Err(Fault { line, why }), "{text}");
        }
        assert!(parse(&format!("a = [{}]", "1,".repeat(MOST))).is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text: String) {
            let _ = parse(&text);
        }

        #[test]
        fn anything_made_of_its_signs_is_read_or_refused(text in "[a1 =\\[\\]{}\"\\\\#,\n-]{0,200}") {
            let _ = parse(&text);
        }
    }
}
