//! Folded node sets, `ocean[1-16,20],admin1`, as ClusterShell writes them (its `nodeset` command, "Node sets" in its
//! user guide).
//!
//! What is counted in parallel with names, addresses and MACs, is written the same way: `10.1.1.[1-16,20]`.

mod fold;

pub use fold::fold;

use std::collections::HashSet;

use crate::error::{Error, Result};

/// No set has more names: a typing error like `ocean[1-10000000]` must not take the server's memory.
pub const LARGEST: usize = 100_000;
/// No name is longer (RFC 1035, section 2.3.4, of names in DNS).
const LONGEST_NAME: usize = 255;
/// Numbers in brackets have so many digits at most: more fit no `u64`.
const LONGEST_NUMBER: usize = 18;
/// Of other characters: these are ClusterShell's operators that are not known here, and its brackets.
const FORBIDDEN: &[char] = &['[', ']', '@', '!', '&', '^'];

/// The names of a node set, in the order in which they are written, each once.
///
/// There are ranges (`[1-16,20]`), steps (`[0-10/2]`), leading zeros (`[001-010]`), several brackets in a name (the last
/// one counts fastest), commas between sets, and `@group`, which `group` knows the names of.
///
/// # Errors
/// [`Error::NodeSet`]: it is none, a group is unknown, or there are more than [`LARGEST`] names.
pub fn expand(text: &str, group: &dyn Fn(&str) -> Option<Vec<String>>) -> Result<Vec<String>> {
    let mut names = Names::default();
    let add = |names: &mut Names| {
        for part in parts(text)? {
            match part.strip_prefix('@') {
                Some(name) => {
                    let members = group(name).ok_or_else(|| format!("there is no group {name:?}"))?;
                    members.into_iter().try_for_each(|member| names.push(member))?;
                }
                None => pattern(part)?.names(names)?,
            }
        }
        Ok(())
    };
    add(&mut names).map_err(|message: String| Error::NodeSet { text: shortened(text), message })?;
    Ok(names.ordered)
}

/// A set as it is shown: not longer than a line or two.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(200) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Names in their order, and whether one is among them.
#[derive(Default)]
struct Names {
    ordered: Vec<String>,
    seen: HashSet<String>,
}

impl Names {
    fn push(&mut self, name: String) -> Result<(), String> {
        if name.len() > LONGEST_NAME {
            return Err(format!("a name is longer than {LONGEST_NAME} characters"));
        }
        if self.seen.contains(&name) {
            return Ok(());
        }
        if self.ordered.len() == LARGEST {
            return Err(format!("more than {LARGEST} names"));
        }
        self.seen.insert(name.clone());
        self.ordered.push(name);
        Ok(())
    }
}

/// The parts between commas that are outside of brackets, trimmed; nothing at all is no part.
fn parts(text: &str) -> Result<Vec<&str>, String> {
    let mut parts = Vec::new();
    let (mut start, mut inside) = (0, false);
    for (at, c) in text.char_indices() {
        match c {
            '[' if inside => return Err("a bracket within brackets".to_owned()),
            '[' => inside = true,
            ']' if !inside => return Err("a closing bracket without an opening one".to_owned()),
            ']' => inside = false,
            ',' if !inside => {
                parts.push(text.get(start..at).unwrap_or_default().trim());
                start = at + 1;
            }
            _ => (),
        }
    }
    if inside {
        return Err("a bracket is not closed".to_owned());
    }
    parts.push(text.get(start..).unwrap_or_default().trim());
    match parts.as_slice() {
        [""] => Ok(Vec::new()),
        _ if parts.contains(&"") => Err("nothing between commas".to_owned()),
        _ => Ok(parts),
    }
}

/// A name with brackets: what stands before each, and what each counts.
struct Pattern<'a> {
    counters: Vec<(&'a str, Vec<Range>)>,
    end: &'a str,
}

/// `1-16/2`
#[derive(Clone, Copy)]
struct Range {
    first: u64,
    last: u64,
    step: u64,
    /// Digits at least, with leading zeros.
    width: usize,
}

impl Range {
    fn count(self) -> u64 {
        (self.last - self.first) / self.step + 1
    }

    fn numbers(self) -> impl Iterator<Item = String> {
        let number = move |at| format!("{:0width$}", self.first + at * self.step, width = self.width);
        (0..self.count()).map(number)
    }
}

fn pattern(text: &str) -> Result<Pattern<'_>, String> {
    let mut counters = Vec::new();
    let mut end = text;
    // Brackets come in pairs: `parts` has seen to it.
    while let Some((before, rest)) = end.split_once('[') {
        let (inside, after) = rest.split_once(']').unwrap_or((rest, ""));
        literal(before)?;
        counters.push((before, inside.split(',').map(range).collect::<Result<_, _>>()?));
        end = after;
    }
    literal(end)?;
    Ok(Pattern { counters, end })
}

fn literal(text: &str) -> Result<(), String> {
    match text.chars().find(|c| FORBIDDEN.contains(c) || c.is_whitespace() || c.is_control()) {
        Some(c) => Err(format!("{c:?} in a name")),
        None => Ok(()),
    }
}

fn range(text: &str) -> Result<Range, String> {
    let none = || format!("{text:?} is no range like 1-16, 001-016 or 0-10/2");
    let (range, step) = match text.split_once('/') {
        Some((range, step)) => (range, number(step).ok_or_else(none)?),
        None => (text, 1),
    };
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let width = if first.starts_with('0') { first.len() } else { 1 };
    if last.starts_with('0') && last.len() != first.len() {
        return Err(format!("{text:?} has leading zeros in two ways"));
    }
    let (first, last) = (number(first).ok_or_else(none)?, number(last).ok_or_else(none)?);
    if first > last || step == 0 {
        return Err(none());
    }
    Ok(Range { first, last, step, width })
}

fn number(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit()) && text.len() <= LONGEST_NUMBER;
    text.parse().ok().filter(|_| digits)
}

impl Pattern<'_> {
    /// Adds all its names.
    fn names(&self, names: &mut Names) -> Result<(), String> {
        let count =
            |ranges: &[Range]| ranges.iter().fold(0, |sum: u64, range| sum.saturating_add(range.count()));
        let all = self.counters.iter().fold(1, |all: u64, (_, ranges)| all.saturating_mul(count(ranges)));
        // Before the first of them is made.
        if all > LARGEST as u64 {
            return Err(format!("more than {LARGEST} names"));
        }
        self.from(0, String::new(), names)
    }

    /// Adds the names that begin with `before`, which holds the first `done` counters.
    fn from(&self, done: usize, before: String, names: &mut Names) -> Result<(), String> {
        if before.len() > LONGEST_NAME {
            return Err(format!("a name is longer than {LONGEST_NAME} characters"));
        }
        let Some((literal, ranges)) = self.counters.get(done) else {
            return names.push(before + self.end);
        };
        for number in ranges.iter().flat_map(|range| range.numbers()) {
            self.from(done + 1, format!("{before}{literal}{number}"), names)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn names(text: &str) -> Vec<String> {
        expand(text, &|_| None).unwrap()
    }

    #[test]
    fn sets() {
        let cases = [
            ("", ""),
            ("admin1", "admin1"),
            ("ocean[1-3,5],admin1", "ocean1 ocean2 ocean3 ocean5 admin1"),
            ("ocean[5,1-3]", "ocean5 ocean1 ocean2 ocean3"),
            ("n[008-011]", "n008 n009 n010 n011"),
            ("n[08-11,100]", "n08 n09 n10 n11 n100"),
            ("n[99-101]-ib0", "n99-ib0 n100-ib0 n101-ib0"),
            ("n[0-10/5]", "n0 n5 n10"),
            ("n[1-10/4]", "n1 n5 n9"),
            ("r[1-2]n[1-2]", "r1n1 r1n2 r2n1 r2n2"),
            ("r[1-2][1-2]", "r11 r12 r21 r22"),
            ("a , b", "a b"),
            ("a,a[1-2],a1", "a a1 a2"),
            ("10.1.[1-2].[1-2]", "10.1.1.1 10.1.1.2 10.1.2.1 10.1.2.2"),
            ("2001:db8::[1-2]", "2001:db8::1 2001:db8::2"),
        ];
        for (text, expected) in cases {
            assert_eq!(names(text).join(" "), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_set() {
        let cases = [
            ("a,", "nothing between commas"),
            (",", "nothing between commas"),
            ("a[1", "a bracket is not closed"),
            ("a1]", "a closing bracket without an opening one"),
            ("a[1[2]]", "a bracket within brackets"),
            ("a[]", "\"\" is no range like 1-16, 001-016 or 0-10/2"),
            ("a[x]", "\"x\" is no range like 1-16, 001-016 or 0-10/2"),
            ("a[+1]", "\"+1\" is no range like 1-16, 001-016 or 0-10/2"),
            ("a[3-1]", "\"3-1\" is no range like 1-16, 001-016 or 0-10/2"),
            ("a[1-3/0]", "\"1-3/0\" is no range like 1-16, 001-016 or 0-10/2"),
            (
                "a[1-9999999999999999999]",
                "\"1-9999999999999999999\" is no range like 1-16, 001-016 or 0-10/2",
            ),
            ("a[1-010]", "\"1-010\" has leading zeros in two ways"),
            ("a b", "' ' in a name"),
            ("a!b", "'!' in a name"),
            ("a[1-2]@b", "'@' in a name"),
            ("@gpu", "there is no group \"gpu\""),
            ("a[1-100001]", "more than 100000 names"),
            ("a[1-100000],b", "more than 100000 names"),
            ("a[0-999999999999999999][0-999999999999999999]", "more than 100000 names"),
        ];
        for (text, expected) in cases {
            match expand(text, &|_| None) {
                Err(Error::NodeSet { message, .. }) => assert_eq!(message, expected, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
        let long = "a".repeat(LONGEST_NAME + 1);
        assert!(expand(&long, &|_| None).is_err());
        assert!(expand(&format!("{}[1-2]", &long[1..]), &|_| None).is_err());
    }

    #[test]
    fn groups_are_put_in() {
        let group = |name: &str| (name == "gpu").then(|| names("ocean[7-8]"));
        assert_eq!(expand("ocean[1,7],@gpu", &group).unwrap().join(" "), "ocean1 ocean7 ocean8");
    }

    #[test]
    fn the_largest_set_is_one() {
        assert_eq!(names("a[1-100000]").len(), LARGEST);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_set_or_an_error(text in "[ab\\[\\]0-9,/@ é-]{0,40}") {
            if let Ok(names) = expand(&text, &|_| None) {
                proptest::prop_assert!(names.len() <= LARGEST);
            }
        }
    }
}
