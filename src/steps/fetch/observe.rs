//! Looks whether the plan is there already, and whether there is a server to ask.

use std::time::Duration;

use super::Slot;
use super::turns::Turns;
use crate::error::Code;

/// How far the fetching has come.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// What the plan in hand is for, and who signed it, if there is one.
    pub plan: Option<String>,
    /// Code, object and cause of the last failure, if no server is to be asked yet.
    pub failure: Option<(Code, String, String)>,
    /// Whether that may be only for now, whatever its class.
    pub hope: bool,
}

pub fn observe(slot: &Slot, signer: Option<&str>, turns: &Turns, now: Duration) -> Seen {
    let name = |document: &crate::input::document::Document| {
        let name = document.hostname.as_deref().unwrap_or(&document.iscsi.target);
        signer.map_or_else(|| name.to_owned(), |signer| format!("{name}, signed by {signer}"))
    };
    Seen { plan: slot.get().map(name), failure: turns.failure(now), hope: turns.hope() }
}
