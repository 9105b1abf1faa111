//! What a scenario demands of one fact.

use regex::Regex;
use serde::Deserialize;
use serde_json::Value;

/// `[[expect.facts]]`: a place in the facts document and what must hold there.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Text")]
pub struct Check {
    at: String,
    demand: Demand,
}

#[derive(Debug, Clone)]
enum Demand {
    Equals(Value),
    Contains(Value),
    Matches(Regex),
    AtMost(f64),
    AtLeast(f64),
    Absent,
}

/// As it is written: exactly one demand.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    at: String,
    equals: Option<Value>,
    contains: Option<Value>,
    matches: Option<String>,
    at_most: Option<f64>,
    at_least: Option<f64>,
    absent: Option<bool>,
}

impl TryFrom<Text> for Check {
    type Error = String;

    fn try_from(text: Text) -> Result<Check, String> {
        if !text.at.is_empty() && !text.at.starts_with('/') {
            return Err(format!("at = {:?} is not a JSON pointer: it must begin with /", text.at));
        }
        let matches = match text.matches {
            Some(pattern) => Some(Regex::new(&pattern).map_err(|cause| cause.to_string())?),
            None => None,
        };
        let demands = [
            text.equals.map(Demand::Equals),
            text.contains.map(Demand::Contains),
            matches.map(Demand::Matches),
            text.at_most.map(Demand::AtMost),
            text.at_least.map(Demand::AtLeast),
            text.absent.filter(|absent| *absent).map(|_| Demand::Absent),
        ];
        let mut demands = demands.into_iter().flatten();
        match (demands.next(), demands.next()) {
            (Some(demand), None) => Ok(Check { at: text.at, demand }),
            _ => Err(format!(
                "{}: needs one of equals, contains, matches, at_most, at_least, absent = true",
                text.at
            )),
        }
    }
}

impl Check {
    /// What is wrong with the facts, if anything.
    pub fn fault(&self, facts: &Value) -> Option<String> {
        let Some(found) = facts.pointer(&self.at) else {
            return match self.demand {
                Demand::Absent => None,
                _ => Some(format!("{}: not in the facts", self.at)),
            };
        };
        let (holds, wanted) = match &self.demand {
            Demand::Equals(value) => (found == value, format!("equal to {value}")),
            Demand::Contains(value) => (contains(found, value), format!("something with {value}")),
            Demand::Matches(pattern) => {
                (pattern.is_match(&plain(found)), format!("something that matches {pattern}"))
            }
            Demand::AtMost(limit) => {
                (number(found).is_some_and(|number| number <= *limit), format!("at most {limit}"))
            }
            Demand::AtLeast(limit) => {
                (number(found).is_some_and(|number| number >= *limit), format!("at least {limit}"))
            }
            Demand::Absent => (false, "absent".to_owned()),
        };
        (!holds).then(|| format!("{}: is {found}, should be {wanted}", self.at))
    }
}

/// Whether `found` has all that `wanted` has: members of objects may be more, all else is equal.
pub fn has(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => {
            wanted.iter().all(|(name, wanted)| found.get(name).is_some_and(|found| has(found, wanted)))
        }
        _ => found == wanted,
    }
}

/// A text in a text, an element of an array, a key of an object.
fn contains(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::String(text), Value::String(part)) => text.contains(part),
        (Value::Array(elements), _) => elements.contains(wanted),
        (Value::Object(fields), Value::String(key)) => fields.contains_key(key),
        _ => false,
    }
}

/// A number, or a text that is one.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| plain(value).parse().ok())
}

/// Texts as they are, all else as JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Check {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn demands_hold_or_name_the_fact() {
        let facts = serde_json::json!({
            "mounts": {"/": {"fstype": "overlay", "options": "rw,relatime"}},
            "failed": [], "units": ["a", "b"], "uptime": "41.5", "count": 2,
        });
        let good = [
            "at = '/mounts/~1/fstype'\nequals = 'overlay'",
            "at = '/mounts/~1/options'\ncontains = 'relatime'",
            "at = '/mounts'\ncontains = '/'",
            "at = '/failed'\nequals = []",
            "at = '/units'\ncontains = 'b'",
            "at = '/mounts/~1/options'\nmatches = '^rw,'",
            "at = '/uptime'\nat_most = 60",
            "at = '/uptime'\nat_least = 41.5",
            "at = '/count'\nequals = 2",
            "at = '/swap'\nabsent = true",
        ];
        for text in good {
            assert_eq!(check(text).fault(&facts), None, "{text}");
        }
        let bad = [
            ("at = '/mounts/~1/fstype'\nequals = 'ext4'", "overlay"),
            ("at = '/mounts/~1data/fstype'\nequals = 'ext4'", "not in the facts"),
            ("at = '/units'\ncontains = 'c'", "\"c\""),
            ("at = '/uptime'\nat_most = 10", "at most 10"),
            ("at = '/units'\nabsent = true", "absent"),
        ];
        for (text, part) in bad {
            let fault = check(text).fault(&facts).unwrap();
            assert!(fault.starts_with('/') && fault.contains(part), "{text}: {fault}");
        }
    }

    #[test]
    fn an_object_may_have_more_than_is_wanted() {
        let found = serde_json::json!({"step": "iscsi", "error": {"code": "x", "text": "y"}, "seq": 3});
        for wanted in ["{}", r#"{"step":"iscsi"}"#, r#"{"error":{"code":"x"},"seq":3}"#] {
            assert!(has(&found, &serde_json::from_str(wanted).unwrap()), "{wanted}");
        }
        for wanted in ["[]", r#"{"step":"luks"}"#, r#"{"error":{"code":"y"}}"#, r#"{"end":1}"#] {
            assert!(!has(&found, &serde_json::from_str(wanted).unwrap()), "{wanted}");
        }
    }

    #[test]
    fn one_demand_exactly() {
        for text in ["at = '/a'", "at = '/a'\nequals = 1\nabsent = true", "at = 'a'\nequals = 1"] {
            assert!(toml::from_str::<Check>(text).is_err(), "{text}");
        }
    }
}
