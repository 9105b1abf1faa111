//! A boot plan without its secrets: members whose values cannot be one, by their names; all other text is hidden. Pure.

use serde_json::Value;

use crate::input::redact::{HIDDEN, urls};

/// Members whose text is shown. A member that a later version has is hidden until it stands here.
const SHOWN: &[&str] = &[
    "algorithm",
    "algorithms",
    "at",
    "backing",
    "blacklist",
    "file",
    "fs",
    "grace",
    "header",
    "hostname",
    "identify",
    "initiator",
    "instance_id",
    "interface",
    "key",
    "lower",
    "machine_id",
    "mem_limit",
    "mode",
    "name",
    "path",
    "phone_home",
    "portal",
    "portals",
    "preset",
    "report",
    "services",
    "size",
    "source",
    "target",
    "unclean",
    "url",
    "username",
    "uuid",
    "version",
    "volume",
];
/// Members of any name with text that is shown: settings of iSCSI sessions and of multipath.
const SHOWN_BELOW: &[&str] = &["settings", "defaults"];

/// The plan `text` as JSON, without secrets; none: it is no JSON.
pub fn shown(text: &[u8]) -> Option<Vec<u8>> {
    let mut plan: Value = serde_json::from_slice(text).ok()?;
    hide(&mut plan, "", false);
    serde_json::to_vec_pretty(&plan).ok()
}

/// The text of the members that [`shown`] hides, for [`super::scrub`].
pub fn hidden_of(text: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    if let Ok(plan) = serde_json::from_slice::<Value>(text) {
        collect(&plan, "", false, &mut found);
    }
    found
}

fn is_shown(name: &str, below: bool) -> bool {
    SHOWN.contains(&name) || below && !name.contains("auth.") && !name.contains("password")
}

fn hide(value: &mut Value, name: &str, below: bool) {
    match value {
        Value::Object(members) => members.iter_mut().for_each(|(name, value)| {
            hide(value, name, below || SHOWN_BELOW.contains(&name.as_str()));
        }),
        Value::Array(values) => values.iter_mut().for_each(|value| hide(value, name, below)),
        Value::String(text) if is_shown(name, below) => *text = urls(text),
        Value::String(text) => HIDDEN.clone_into(text),
        // A number could be a secret only where a text is.
        Value::Null | Value::Bool(_) | Value::Number(_) => (),
    }
}

fn collect(value: &Value, name: &str, below: bool, found: &mut Vec<String>) {
    match value {
        // Who the node is, in words of the site's own: not shown, and not looked for.
        _ if name == "meta_data" => (),
        Value::Object(members) => members.iter().for_each(|(name, value)| {
            collect(value, name, below || SHOWN_BELOW.contains(&name.as_str()), found);
        }),
        Value::Array(values) => values.iter().for_each(|value| collect(value, name, below, found)),
        Value::String(text) if !is_shown(name, below) => found.push(text.clone()),
        Value::String(text) if urls(text) != *text => {
            found.extend(crate::input::redact::secrets_of_url(text))
        }
        _ => (),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::document::Document;

    const PLAN: &str = r#"{"version": "1.0", "hostname": "node1",
        "iscsi": {"target": "iqn.2026-01.org.example:image", "portals": ["198.18.0.1"],
            "initiator": "iqn.2026-01.org.example:node1",
            "auth": {"username": "u", "secret": "chap-hunter2-x", "mutual": {"username": "t", "secret": "hunter2-mutual"}}},
        "luks": {"key": {"url": "https://u:hunter2@keys/k?token=hunter2"}, "keyslot": 1},
        "overlay": {"mounts": [{"at": "/", "lower": "/dev/mapper/luks_root1"}]},
        "handover": {"files": [{"path": "/etc/x", "content": "hunter2\n"}]},
        "cloud_init": {"user_data": "hunter2", "meta_data": {"a": "hunter2"}}}"#;

    #[test]
    fn what_is_no_secret_is_shown() {
        assert!(Document::parse(PLAN.as_bytes()).is_ok(), "the plan is one");
        let text = String::from_utf8(shown(PLAN.as_bytes()).unwrap()).unwrap();
        assert!(!text.contains("hunter2"), "{text}");
        for word in [
            "node1",
            "iqn.2026-01.org.example:image",
            "198.18.0.1",
            "https://keys/k",
            "luks_root1",
            "\"keyslot\": 1",
        ] {
            assert!(text.contains(word), "{word}: {text}");
        }
        let hidden = hidden_of(PLAN.as_bytes());
        for secret in ["chap-hunter2-x", "hunter2-mutual", "hunter2\n", "hunter2"] {
            assert!(hidden.iter().any(|hidden| hidden == secret), "{secret:?}");
        }
        assert_eq!(shown(b"hunter2"), None);
    }

    /// A new member of the plan is hidden until somebody has decided that it holds no secret.
    #[test]
    fn every_member_that_is_shown_is_one() {
        let schema = include_str!("../../docs/plan.schema.json");
        for name in SHOWN {
            assert!(schema.contains(&format!("\"{name}\":")), "{name} is no member of a plan");
        }
        for secret in ["secret", "content", "user_data", "vendor_data"] {
            assert!(schema.contains(&format!("\"{secret}\":")) && !SHOWN.contains(&secret), "{secret}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_a_plan_or_none(bytes: Vec<u8>, text in "[\\[\\]{}:,\"a-z0-9 ]{0,60}") {
            let _ = (shown(&bytes), hidden_of(&bytes), shown(text.as_bytes()), hidden_of(text.as_bytes()));
        }
    }
}
