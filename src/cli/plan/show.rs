//! `diskless plan show`: the plan in force.

use std::fmt::Write as _;

use lexopt::Parser;
use serde_json::json;

use super::given::{InForce, OF_A_NODE, Options, print_json};
use crate::cli::{Failed, print};
use crate::engine::host::Host;
use crate::error::{Code, Context};
use crate::input::document::Validity;

/// Shows the plan that a boot would take now, without its secrets.
pub fn main(args: &mut Parser, host: &Host) -> Result<(), Failed> {
    let Some(options) = Options::parse(args, OF_A_NODE, 0)? else { return Ok(()) };
    let InForce { from, signer, shown, document, .. } = InForce::of(host, &options)?;
    if options.json {
        return print_json(&json!({ "from": from, "signed_by": signer, "plan": shown }));
    }
    let mut text = format!("from       {from}\n");
    // Writing to a string cannot fail.
    let _ = writeln!(text, "signed by  {}", signer.as_deref().unwrap_or("nobody that this node asks for"));
    let _ = writeln!(text, "valid      {}", window(document.validity.as_ref()));
    match shown {
        Some(shown) => {
            let plan = serde_json::to_string_pretty(&shown).context(Code::Io, "standard output")?;
            let _ = writeln!(text, "{plan}");
        }
        None => text.push_str(
            "There is no text of it: `diskless plan explain` shows what the kernel parameters make.\n",
        ),
    }
    print(&text)
}

/// Whom a plan is for, and when, in one line.
pub fn window(validity: Option<&Validity>) -> String {
    let Some(validity) = validity else { return "for any node, at any time, without a serial".to_owned() };
    let node = match &validity.node {
        Some(node) => {
            let names = node.uuid.iter().chain(&node.macs).map(String::as_str);
            format!("for the node {}", names.collect::<Vec<_>>().join(" "))
        }
        None => "for any node".to_owned(),
    };
    let from = validity.not_before.map(|from| format!(", from {from}"));
    let until = validity.not_after.map(|until| format!(", until {until}"));
    let serial = validity.serial.map_or_else(|| "no serial".to_owned(), |serial| format!("serial {serial}"));
    format!("{node}{}{}, {serial}", from.unwrap_or_default(), until.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_plan_is_good_for_in_one_line() {
        let validity = |text: &str| serde_json::from_str::<Validity>(text).unwrap();
        let all = r#"{ "node": { "macs": ["52:54:00:00:00:01"], "uuid": "5d15c1e5-0000-4000-8000-000000000001" },
            "not_before": "2026-01-01T00:00:00Z", "not_after": "2026-02-01T00:00:00+01:00", "serial": 7 }"#;
        assert_eq!(
            window(Some(&validity(all))),
            "for the node 5d15c1e5-0000-4000-8000-000000000001 52:54:00:00:00:01, from 2026-01-01T00:00:00Z, until \
             2026-01-31T23:00:00Z, serial 7"
        );
        assert_eq!(window(Some(&validity("{}"))), "for any node, no serial");
        assert_eq!(window(None), "for any node, at any time, without a serial");
    }
}
