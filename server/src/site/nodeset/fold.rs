//! Names, and the short way to write them.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use super::LONGEST_NUMBER;

/// Numbers of one width from `first` to `last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Run {
    /// Digits at least; 0: without leading zeros.
    width: usize,
    first: u64,
    last: u64,
}

/// What one place of a name may be, in order and as few as possible.
type Runs = Vec<Run>;

/// Writes `names` as a node set: `ocean[1-3,5],admin1`. What looks alike comes where the first of its kind came; names
/// that stand twice are written once.
pub fn fold<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    let names: Vec<S> = names.into_iter().collect();
    let split: Vec<_> = names.iter().map(|name| split(name.as_ref())).collect();
    // `10` beside `09` is one of those with a leading zero.
    let mut padded = HashSet::new();
    for (literals, numbers) in &split {
        for (place, text) in numbers.iter().enumerate().filter(|(_, text)| is_padded(text)) {
            padded.insert((literals, place, text.len()));
        }
    }
    let mut kinds: Vec<(&Vec<&str>, Vec<Vec<Runs>>)> = Vec::new();
    let mut known = HashMap::new();
    for (literals, numbers) in &split {
        let item = numbers.iter().enumerate().map(|(place, text)| {
            let width = if padded.contains(&(literals, place, text.len())) { text.len() } else { 0 };
            // `split` has made sure that it fits.
            let value = text.parse().unwrap_or(u64::MAX);
            vec![Run { width, first: value, last: value }]
        });
        let at = *known.entry(literals).or_insert_with(|| {
            kinds.push((literals, Vec::new()));
            kinds.len() - 1
        });
        if let Some((_, items)) = kinds.get_mut(at) {
            items.push(item.collect());
        }
    }
    let mut text = String::new();
    for (literals, items) in kinds {
        for item in merged(items) {
            let comma = if text.is_empty() { "" } else { "," };
            text.push_str(comma);
            write(&mut text, literals, &item);
        }
    }
    text
}

fn is_padded(digits: &str) -> bool {
    digits.len() > 1 && digits.starts_with('0')
}

/// What stands around the numbers of a name, and the numbers: one literal more than numbers. Digits that fit no number
/// are a part of what stands around.
fn split(name: &str) -> (Vec<&str>, Vec<&str>) {
    let (mut literals, mut numbers) = (Vec::new(), Vec::new());
    let (mut start, mut at) = (0, 0);
    while let Some(rest) = name.get(at..).filter(|rest| !rest.is_empty()) {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if (1..=LONGEST_NUMBER).contains(&digits) {
            literals.push(name.get(start..at).unwrap_or_default());
            numbers.push(rest.get(..digits).unwrap_or_default());
            start = at + digits;
        }
        at += match digits {
            0 => rest.chars().next().map_or(1, char::len_utf8),
            digits => digits,
        };
    }
    literals.push(name.get(start..).unwrap_or_default());
    (literals, numbers)
}

/// Those that differ in one place alone become one; the last place first, for it counts fastest.
fn merged(mut items: Vec<Vec<Runs>>) -> Vec<Vec<Runs>> {
    let places = items.first().map_or(0, Vec::len);
    for place in (0..places).rev() {
        let mut alike: HashMap<Vec<Runs>, Runs> = HashMap::new();
        for mut item in items {
            let here = item.get_mut(place).map(std::mem::take).unwrap_or_default();
            alike.entry(item).or_default().extend(here);
        }
        let together = |(mut item, runs): (Vec<Runs>, Runs)| {
            if let Some(here) = item.get_mut(place) {
                *here = joined(runs);
            }
            item
        };
        items = alike.into_iter().map(together).collect();
    }
    items.sort_unstable();
    items.dedup();
    items
}

/// Runs in order; what follows on another one becomes a part of it.
fn joined(mut runs: Runs) -> Runs {
    runs.sort_unstable();
    let mut joined: Runs = Vec::new();
    for run in runs {
        match joined.last_mut() {
            Some(last) if last.width == run.width && run.first <= last.last.saturating_add(1) => {
                last.last = last.last.max(run.last);
            }
            _ => joined.push(run),
        }
    }
    joined
}

fn write(text: &mut String, literals: &[&str], item: &[Runs]) {
    for (at, literal) in literals.iter().enumerate() {
        text.push_str(literal);
        let Some(runs) = item.get(at) else { continue };
        // Writing to a string cannot fail.
        let _ = match runs.as_slice() {
            [Run { width, first, last }] if first == last => write!(text, "{first:0width$}"),
            runs => {
                let runs: Vec<String> = runs.iter().map(Run::text).collect();
                write!(text, "[{}]", runs.join(","))
            }
        };
    }
}

impl Run {
    fn text(&self) -> String {
        let Run { width, first, last } = *self;
        if first == last { format!("{first:0width$}") } else { format!("{first:0width$}-{last:0width$}") }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::tests::names;
    use super::*;

    #[test]
    fn folded() {
        let cases = [
            ("", ""),
            ("admin1", "admin1"),
            ("admin", "admin"),
            ("ocean5 ocean1 ocean3 ocean2 admin1 ocean1", "ocean[1-3,5],admin1"),
            ("n9 n10 n11", "n[9-11]"),
            ("n08 n09 n10 n11", "n[08-11]"),
            ("n1 n01 n2 n02", "n[1-2,01-02]"),
            ("n98-ib0 n99-ib0 n100-ib0", "n[98-100]-ib0"),
            ("r1n1 r1n2 r2n1 r2n2", "r[1-2]n[1-2]"),
            ("r1n1 r1n2 r2n1", "r1n[1-2],r2n1"),
            ("n1 n3 n5", "n[1,3,5]"),
            ("n1 n2", "n[1-2]"),
            ("n0 n00", "n[0,00]"),
            (
                "n123456789012345678901 n123456789012345678902",
                "n123456789012345678901,n123456789012345678902",
            ),
        ];
        for (names, expected) in cases {
            assert_eq!(fold(names.split_whitespace()), expected, "{names}");
        }
    }

    #[test]
    fn a_large_set_is_one_word() {
        assert_eq!(fold(names("ocean[1-100000]")), "ocean[1-100000]");
        assert_eq!(fold(names("r[01-40]c[1-4]n[01-16]")), "r[01-40]c[1-4]n[01-16]");
    }

    proptest::proptest! {
        #[test]
        fn what_was_folded_expands_to_the_same(
            names_in in proptest::collection::vec("[abé]{0,2}[0-9]{1,3}([a-]{1,2}[0-9]{0,2}){0,2}", 0..40)
        ) {
            let folded = fold(&names_in);
            let before: BTreeSet<String> = names_in.into_iter().collect();
            let again = names(&folded);
            proptest::prop_assert_eq!(again.len(), before.len(), "{}", folded);
            proptest::prop_assert_eq!(again.into_iter().collect::<BTreeSet<_>>(), before);
            proptest::prop_assert_eq!(fold(names(&folded)), folded);
        }
    }
}
