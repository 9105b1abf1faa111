//! Signing the boot plans that are served: the key, and whom and when a plan is for.
//!
//! A plan and its signature are two requests, and two servers of one site may answer them. So nothing of it is kept:
//! within an hour the same site gives the same bytes, and Ed25519 the same signature of them.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use diskless::input::signature::SecretKey;
use serde_json::{Map, Value, json};

use super::plan::Rendered;
use super::{Node, Origin, Site};
use crate::time::{self, Time};

/// What a plan says of whom and when it is for is the same for so long, in seconds.
const SAME_FOR: u64 = 3600;

/// The key, if the site has one, or why it cannot be used.
#[derive(Clone, Default)]
pub struct Signer(Option<Result<Arc<SecretKey>, String>>);

/// Without the key.
impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            None => "none",
            Some(Ok(_)) => "a key",
            Some(Err(_)) => "no usable key",
        })
    }
}

impl Signer {
    /// The key in the file `path`.
    pub fn read(path: &Path) -> Signer {
        let text = super::text(path).map_err(|error| error.to_string());
        let key = text.and_then(|(text, _)| {
            let text = zeroize::Zeroizing::new(text);
            SecretKey::parse(text.as_bytes()).map_err(str::to_owned)
        });
        Signer(Some(key.map(Arc::new)))
    }

    /// Whether plans are to be signed.
    pub fn is_wanted(&self) -> bool {
        self.0.is_some()
    }

    /// Why there is no key although there should be one.
    pub fn wrong(&self) -> Option<&str> {
        self.0.as_ref()?.as_ref().err().map(String::as_str)
    }

    /// The signature of `plan`, which is of `node`; none: there is no key.
    pub fn sign(&self, node: &str, plan: &[u8]) -> Option<String> {
        let key = self.0.as_ref()?.as_ref().ok()?;
        Some(key.sign(plan, &format!("disklessd, boot plan of {node}")))
    }
}

/// Says in the plan of `node` whom and when it is for, if plans are signed; what the site says of it itself stays.
pub fn bind(plan: &mut Rendered, site: &Site, node: &Node, now: Time) {
    if !site.signer.is_wanted() {
        return;
    }
    let from = now.0 / 1000 / SAME_FOR * SAME_FOR;
    let until = from.saturating_add(SAME_FOR).saturating_add(sign_for(site).as_secs());
    let macs: Vec<&str> = node.interfaces.values().filter_map(|interface| interface.mac.as_deref()).collect();
    let mut who = Map::new();
    if !macs.is_empty() {
        who.insert("macs".to_owned(), json!(macs));
    }
    who.extend(node.uuid.iter().map(|uuid| ("uuid".to_owned(), json!(uuid))));
    let said = [
        ("node", Some(Value::Object(who)).filter(|who| who.as_object().is_some_and(|who| !who.is_empty()))),
        ("not_after", Some(json!(Time(until.saturating_mul(1000)).to_string()))),
        ("serial", Some(json!(from))),
    ];
    let Value::Object(document) = &mut plan.document else { return };
    let validity = document.entry("validity").or_insert_with(|| json!({}));
    let Value::Object(validity) = validity else { return };
    for (member, value) in said {
        if let (false, Some(value)) = (validity.contains_key(member), value) {
            let pointer = format!("/validity/{member}");
            match &value {
                Value::Object(members) => plan.origins.extend(
                    members.keys().map(|key| (format!("{pointer}/{key}"), Origin::BuiltIn.to_string())),
                ),
                _ => _ = plan.origins.insert(pointer, Origin::BuiltIn.to_string()),
            }
            validity.insert(member.to_owned(), value);
        }
    }
}

/// For how long a plan is valid; the default instead of what is no duration.
fn sign_for(site: &Site) -> Duration {
    let default = || time::duration(&super::file::Server::default().sign_for);
    time::duration(&site.file.server.sign_for).or_else(default).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::aside::Aside;
    use crate::site::file::File;

    const KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/signatures/minisign.key");

    const SITE: &str = "server.sign_for = \"24h\"\n[[nodes]]\nnames = \"node4\"\n\
                        interfaces.eth0.mac = \"52:54:00:00:00:04\"";

    fn bound(more: &str, key: bool, now: u64) -> Rendered {
        let text = format!("{SITE}\n{more}");
        let signer = if key { Signer::read(Path::new(KEY)) } else { Signer::default() };
        let site = Site::of(File::parse(&text).unwrap(), Aside { signer, ..Aside::default() });
        let node = &site.nodes["node4"];
        let mut plan = super::super::plan::render(&site, node, "1.0").unwrap();
        bind(&mut plan, &site, node, Time(now * 1000));
        plan
    }

    #[test]
    fn a_signed_plan_says_whom_it_is_for_and_is_the_same_for_an_hour() {
        let node = "[[nodes]]\nnames = \"node4\"\nuuid = \"5d15c1e5-0000-4000-8000-000000000004\"\n\
                    interfaces.eth9.mac = \"52:54:00:00:09:04\"";
        let plan = bound(node, true, 1_767_225_600 + 1799);
        let validity = &plan.document["validity"];
        assert_eq!(validity["node"]["uuid"], "5d15c1e5-0000-4000-8000-000000000004");
        assert!(validity["node"]["macs"].as_array().unwrap().contains(&json!("52:54:00:00:09:04")));
        assert_eq!(validity["serial"], 1_767_225_600);
        assert_eq!(validity["not_after"], "2026-01-02T01:00:00Z");
        assert_eq!(plan.origins["/validity/serial"], "disklessd");
        assert_eq!(plan.origins["/validity/node/uuid"], "disklessd");
        assert_eq!(bound(node, true, 1_767_225_600 + 3599).document, plan.document);
        assert_ne!(bound(node, true, 1_767_225_600 + 3600).document, plan.document);
        assert!(bound(node, false, 1_767_225_600).document.get("validity").is_none());
    }

    #[test]
    fn what_the_site_says_of_it_stays() {
        let own = "[[nodes]]\nnames = \"node4\"\nplan.validity.serial = 7";
        let plan = bound(own, true, 1_767_225_600);
        assert_eq!(plan.document["validity"]["serial"], 7);
        assert_eq!(plan.origins["/validity/serial"], "nodes node4");
        assert_eq!(plan.document["validity"]["not_after"], "2026-01-02T01:00:00Z");
    }

    #[test]
    fn a_key_that_is_none_is_said_and_signs_nothing() {
        let none = Signer::read(Path::new("/nonexistent/key"));
        assert!(none.is_wanted() && none.wrong().is_some());
        assert_eq!(none.sign("node1", b"x"), None);
        let key = Signer::read(Path::new(KEY));
        assert_eq!((key.wrong(), format!("{key:?}").as_str()), (None, "a key"));
        assert_eq!(key.sign("node1", b"x"), key.sign("node1", b"x"));
    }
}
