//! `diskless plan diff`: what another plan would change.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use lexopt::Parser;
use serde::Serialize;

use super::given::{InForce, OF_A_NODE, Options, found, place, print_json};
use crate::cli::{Failed, print};
use crate::engine::host::Host;
use crate::error::Result;
use crate::input::document::{Document, Shown};
use crate::input::identity::Identity;
use crate::plan;
use crate::steps::fetch::{self, Rules};

/// Compares the plan in force with another one.
pub fn main(args: &mut Parser, host: &Host) -> Result<(), Failed> {
    let Some(options) = Options::parse(args, OF_A_NODE, 1)? else { return Ok(()) };
    let now = InForce::of(host, &options)?;
    let mut diff = Diff::default();
    for other in &options.words {
        diff = against(host, &now, other)?;
    }
    if options.json { print_json(&diff) } else { print(&diff.describe()) }
}

/// What changes.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Diff {
    /// Why a boot of this node would not take the other plan, with the code in front; none: it would.
    refused: Option<String>,
    /// Members, by their place.
    members: Vec<Change>,
    /// What steps are to bring about, by their name.
    steps: Vec<Change>,
}

/// One change; none: there is nothing.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Change {
    what: String,
    before: Option<String>,
    after: Option<String>,
}

fn against(host: &Host, now: &InForce, other: &std::ffi::OsStr) -> Result<Diff> {
    let rules = Rules::read(&host.path("/"), now.node.config.signing)?;
    let found = found(host, other, rules.required)?;
    let document = Document::parse(&found.text)?;
    let document = if now.node.config.multipath { document } else { document.without_map() };
    let judged = fetch::judge(&found, &rules, Some(&now.node.facts), fetch::clock_of(host));
    let place = place(other)?;
    let refused = judged.err().map(|why| {
        let error = why.into_error(&place);
        format!("[{}] {error}", error.code().as_str())
    });
    let members = match &now.shown {
        Some(before) => members(before, &Shown::of(&found.text)?),
        None => Vec::new(),
    };
    let node = &now.node;
    let identity = Identity::of(&document, &node.config, &node.facts, node.baked.as_deref())?;
    let steps = |document, identity| -> Result<Vec<(String, String)>> {
        let steps = plan::from_document(&node.config, document, identity)?;
        Ok(steps.iter().map(|step| (step.name.to_owned(), step.about.clone())).collect())
    };
    let steps = changes(steps(&now.document, &now.identity)?, steps(&document, &identity)?);
    Ok(Diff { refused, members, steps })
}

/// The members that differ. Secrets that do are only said to.
fn members(before: &Shown, after: &Shown) -> Vec<Change> {
    let text = |shown: &Shown| (shown.to_string(), shown.clone());
    let map = |shown: &Shown| -> BTreeMap<String, (String, Shown)> {
        shown.leaves().into_iter().map(|(place, leaf)| (place, text(leaf))).collect()
    };
    let (before, after) = (map(before), map(after));
    let mut changes = Vec::new();
    for what in before.keys().chain(after.keys().filter(|place| !before.contains_key(*place))) {
        let (before, after) = (before.get(what), after.get(what));
        if before != after {
            let same_look = before.map(|(text, _)| text) == after.map(|(text, _)| text);
            let after =
                after.map(|(text, _)| if same_look { format!("{text}, another") } else { text.clone() });
            changes.push(Change { what: what.clone(), before: before.map(|(text, _)| text.clone()), after });
        }
    }
    changes
}

/// What differs of two lists of names with a text each.
fn changes(before: Vec<(String, String)>, after: Vec<(String, String)>) -> Vec<Change> {
    let of = |list: &[(String, String)], what: &str| {
        list.iter().find(|(name, _)| name == what).map(|(_, text)| text.clone())
    };
    let added = after.iter().filter(|(name, _)| of(&before, name).is_none());
    let names: Vec<String> = before.iter().chain(added).map(|(name, _)| name.clone()).collect();
    let change = |what: String| Change { before: of(&before, &what), after: of(&after, &what), what };
    names.into_iter().map(change).filter(|change| change.before != change.after).collect()
}

impl Diff {
    fn describe(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        if let Some(refused) = &self.refused {
            let _ = writeln!(text, "REFUSED    {refused}");
        }
        for (title, changes) in [("members", &self.members), ("steps", &self.steps)] {
            let none = if changes.is_empty() { ": no change" } else { "" };
            let _ = writeln!(text, "{title}{none}");
            for Change { what, before, after } in changes {
                for (sign, value) in [("-", before), ("+", after)] {
                    if let Some(value) = value {
                        let _ = writeln!(text, "  {sign} {what}  {value}");
                    }
                }
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_told_and_no_secret() {
        let shown = |text: &str| Shown::of(text.as_bytes()).unwrap();
        let before = shown(r#"{ "a": 1, "auth": { "secret": "hunter2" }, "b": ["x", "y"] }"#);
        let after = shown(r#"{ "a": 2, "auth": { "secret": "hunter3" }, "b": ["x"], "c": null }"#);
        let diff = Diff { refused: None, members: members(&before, &after), steps: Vec::new() };
        assert_eq!(
            diff.describe(),
            "members\n  - a  1\n  + a  2\n  - auth.secret  \"***\"\n  + auth.secret  \"***\", another\n  - b[1]  \"y\"\n  \
             + c  null\nsteps: no change\n"
        );
        assert!(members(&before, &before).is_empty());
        let step = |name: &str, about: &str| (name.to_owned(), about.to_owned());
        let changes = changes(
            vec![step("a", "x"), step("b", "y")],
            vec![step("a", "x"), step("b", "z"), step("c", "n")],
        );
        let told: Vec<_> =
            changes.iter().map(|c| (&*c.what, c.before.as_deref(), c.after.as_deref())).collect();
        assert_eq!(told, [("b", Some("y"), Some("z")), ("c", None, Some("n"))]);
    }
}
