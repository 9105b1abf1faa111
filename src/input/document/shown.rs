//! A boot plan that anybody may see.

use std::fmt;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::error::{Code, Context, Result};
use crate::input::secret::Secret;
use crate::input::url::is_url;
use crate::sys::http;

/// The members that hold secrets, wherever they stand.
const SECRETS: &[&str] = &["secret", "content", "user_data", "vendor_data"];
/// What is shown instead.
const HIDDEN: &str = "***";

/// A value of a plan without its secrets, which are never read into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// Shown as it is.
    Plain(Value),
    /// Shown as this; the sum of what is hidden tells whether two are the same, and is never shown itself.
    Hidden(String, [u8; 32]),
    /// An array.
    Array(Vec<Shown>),
    /// An object, in the order of the text.
    Object(Vec<(String, Shown)>),
}

impl Shown {
    /// A boot plan in JSON, of which secrets, and accounts and queries of URLs, are hidden.
    ///
    /// # Errors
    /// [`Code::PlanInvalid`]: it is not JSON.
    pub fn of(text: &[u8]) -> Result<Shown> {
        // The parser's message may quote a value.
        serde_json::from_slice(text).map_err(|_| "not JSON").context(Code::PlanInvalid, "boot plan")
    }

    /// Every value that is neither an object nor an array with something in it, with its place: `iscsi.portals[0]`.
    pub fn leaves(&self) -> Vec<(String, &Shown)> {
        let mut leaves = Vec::new();
        self.put(String::new(), &mut leaves);
        leaves
    }

    fn put<'a>(&'a self, place: String, leaves: &mut Vec<(String, &'a Shown)>) {
        match self {
            Shown::Array(items) if !items.is_empty() => {
                (0..).zip(items).for_each(|(i, item): (usize, _)| item.put(format!("{place}[{i}]"), leaves));
            }
            Shown::Object(members) if !members.is_empty() => {
                let dot = if place.is_empty() { "" } else { "." };
                members.iter().for_each(|(key, value)| value.put(format!("{place}{dot}{key}"), leaves));
            }
            leaf => leaves.push((place, leaf)),
        }
    }

    /// Whether the plan says something at `place`, or below it.
    pub fn says(&self, place: &str) -> bool {
        let below = |leaf: &str| {
            leaf.strip_prefix(place).is_some_and(|rest| matches!(rest.chars().next(), None | Some('.' | '[')))
        };
        self.leaves().iter().any(|(leaf, value)| below(leaf) && **value != Shown::Plain(Value::Null))
    }

    fn hidden(shown: impl Into<String>, secret: &[u8]) -> Shown {
        Shown::Hidden(shown.into(), Sha256::digest(secret).into())
    }
}

impl fmt::Display for Shown {
    /// As JSON in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Shown::Plain(value) => value.serialize(serializer),
            Shown::Hidden(shown, _) => serializer.serialize_str(shown),
            Shown::Array(items) => {
                let mut array = serializer.serialize_seq(Some(items.len()))?;
                items.iter().try_for_each(|item| array.serialize_element(item))?;
                array.end()
            }
            Shown::Object(members) => {
                let mut object = serializer.serialize_map(Some(members.len()))?;
                members.iter().try_for_each(|(key, value)| object.serialize_entry(key, value))?;
                object.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Shown {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Shown, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Shown;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Shown, E> {
        Ok(Shown::Plain(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Shown, E> {
        Ok(Shown::Plain(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Shown, E> {
        Ok(Shown::Plain(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Shown, E> {
        Ok(Shown::Plain(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Shown, E> {
        Ok(Shown::Plain(value.into()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Shown, E> {
        Ok(match is_url(text) {
            true if http::shown(text) != text => Shown::hidden(http::shown(text), text.as_bytes()),
            _ => Shown::Plain(text.into()),
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Shown, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = array.next_element()? {
            items.push(item);
        }
        Ok(Shown::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Shown, A::Error> {
        let mut members = Vec::new();
        while let Some(key) = object.next_key::<String>()? {
            let value = if SECRETS.contains(&key.as_str()) {
                match object.next_value::<Option<Secret>>()? {
                    Some(secret) => Shown::hidden(HIDDEN, secret.expose()),
                    None => Shown::Plain(Value::Null),
                }
            } else {
                object.next_value()?
            };
            members.push((key, value));
        }
        Ok(Shown::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::input::document::Document;

    const PLAN: &str = r#"{ "a": { "secret": "hunter2", "b": [1, "x", null], "c": {}, "user_data": null },
        "url": "http://me:hunter2@boot/p?token=hunter2", "plain": "http://boot/p", "content": "hunter\u0032" }"#;

    #[test]
    fn secrets_are_hidden_and_compared_all_the_same() {
        let shown = Shown::of(PLAN.as_bytes()).unwrap();
        let text = shown.to_string();
        assert_eq!(
            text,
            r#"{"a":{"secret":"***","b":[1,"x",null],"c":{},"user_data":null},"url":"http://boot/p","plain":"http://boot/p","content":"***"}"#
        );
        assert!(!format!("{shown:?}").contains("hunter2"));
        let places: Vec<String> = shown.leaves().into_iter().map(|(place, _)| place).collect();
        let expected =
            ["a.secret", "a.b[0]", "a.b[1]", "a.b[2]", "a.c", "a.user_data", "url", "plain", "content"];
        assert_eq!(places, expected);
        for (place, says) in
            [("a", true), ("a.b", true), ("a.b[1]", true), ("a.user_data", false), ("ur", false)]
        {
            assert_eq!(shown.says(place), says, "{place}");
        }
        assert_eq!(Shown::of(PLAN.as_bytes()).unwrap(), shown);
        for other in [PLAN.replacen("hunter2", "hunter3", 1), PLAN.replace("token=hunter2", "token=hunter3")]
        {
            let other = Shown::of(other.as_bytes()).unwrap();
            assert_ne!(other, shown);
            assert_eq!(other.to_string(), text);
        }
        let error = Shown::of(br#"{ "secret": 4711 }"#).unwrap_err();
        assert!(!error.to_string().contains("4711"), "{error}");
    }

    /// What the types keep as a secret: a number in its place is refused with the words of [`Secret`] alone.
    #[test]
    fn every_secret_of_the_types_is_hidden() {
        fn visit(whole: &Value, at: &str, value: &Value, found: &mut Vec<String>) {
            match value {
                Value::Object(members) => members.iter().for_each(|(key, value)| {
                    visit(
                        whole,
                        &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")),
                        value,
                        found,
                    );
                }),
                Value::Array(items) => {
                    items
                        .iter()
                        .enumerate()
                        .for_each(|(i, value)| visit(whole, &format!("{at}/{i}"), value, found));
                }
                Value::String(_) => {
                    let mut wrong = whole.clone();
                    *wrong.pointer_mut(at).unwrap() = 4711.into();
                    let refused = Document::parse(wrong.to_string().as_bytes()).err();
                    if refused.is_some_and(|error| error.to_string().contains("a secret must be a string")) {
                        found.push(at.to_owned());
                    }
                }
                _ => (),
            }
        }
        let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/plan.md")).unwrap();
        let example = text.split("```json\n").nth(2).unwrap().split("```").next().unwrap();
        let mut example: Value = serde_json::from_str(example).unwrap();
        example["cloud_init"] = serde_json::json!({ "user_data": "x", "vendor_data": "y" });
        example["handover"]["ssh_host_keys"] = serde_json::json!({ "ed25519": { "secret": "z" } });
        let mut found = Vec::new();
        visit(&example, "", &example, &mut found);
        let shown = Shown::of(example.to_string().as_bytes()).unwrap();
        let shown = serde_json::to_value(&shown).unwrap();
        for place in &found {
            assert_eq!(shown.pointer(place).unwrap(), HIDDEN, "{place}");
        }
        let names: BTreeSet<&str> = found.iter().map(|place| place.rsplit('/').next().unwrap()).collect();
        assert_eq!(names, SECRETS.iter().copied().collect(), "{found:?}");
    }

    /// A member that somebody adds is a secret by its type alone.
    #[test]
    fn no_other_member_is_a_secret() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/input/document");
        let mut names = BTreeSet::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let source = std::fs::read_to_string(&path).unwrap_or_default();
            let members =
                source.lines().filter_map(|line| line.trim().strip_prefix("pub ")?.split_once(": "));
            let secret = members.filter(|(_, kind)| kind.contains("Secret") && !kind.contains("->"));
            names.extend(secret.map(|(name, _)| name.to_owned()));
            if source.lines().any(|line| line.trim_end().ends_with("Secret),")) {
                names.insert("secret".to_owned());
            }
        }
        assert_eq!(names, SECRETS.iter().map(|name| (*name).to_owned()).collect());
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_shown_or_refused(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let _ = Shown::of(&bytes);
        }
    }
}
