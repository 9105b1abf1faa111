//! Whom a plan is for, and when.

use serde::Deserialize;

use crate::input::facts::{Facts, mac};
use crate::input::time::Time;

/// What a plan is good for. Whatever of it is there is checked, of plans without a signature too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Validity {
    /// The node that it is for; none: any.
    pub node: Option<Node>,
    /// From when on (RFC 3339); none: from ever.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub not_before: Option<Time>,
    /// Until when; none: for ever.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub not_after: Option<Time>,
    /// Its number: a node may be told to refuse those below another one.
    pub serial: Option<u64>,
}

/// A node. What is named of it must all be so.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Node {
    /// Hardware addresses, one of which is the node's; none: any.
    pub macs: Vec<String>,
    /// The system UUID; none: any.
    pub uuid: Option<String>,
}

impl Node {
    /// Whether the UUID, if it names one, is that of `facts`.
    ///
    /// # Errors
    /// What differs, for people.
    pub fn has_uuid(&self, facts: &Facts) -> Result<(), String> {
        if let Some(uuid) = &self.uuid
            && facts.uuid.as_ref().is_none_or(|own| !own.eq_ignore_ascii_case(uuid))
        {
            let own = facts.uuid.as_deref().unwrap_or("none");
            return Err(format!("it is for the system UUID {uuid}, and the node's is {own}"));
        }
        Ok(())
    }

    /// Whether one of the addresses, if it names some, is one of `facts`.
    ///
    /// # Errors
    /// What differs, for people.
    pub fn has_mac(&self, facts: &Facts) -> Result<(), String> {
        let has = |wanted: &String| {
            let wanted = mac(wanted);
            facts.interfaces.iter().any(|own| Some(&own.mac) == wanted.as_ref())
        };
        if !self.macs.is_empty() && !self.macs.iter().any(has) {
            let own: Vec<&str> = facts.interfaces.iter().map(|own| own.mac.as_str()).collect();
            let own = if own.is_empty() { "none".to_owned() } else { own.join(", ") };
            return Err(format!(
                "it is for the addresses {}, and the node's are {own}",
                self.macs.join(", ")
            ));
        }
        Ok(())
    }
}
