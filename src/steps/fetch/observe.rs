//! Looks whether the plan is there already, and whether there is a server to ask.

use std::time::Duration;

use super::Slot;
use super::turns::Turns;
use crate::error::Code;

/// How far the fetching has come.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// What the plan in hand is for, if there is one.
    pub plan: Option<String>,
    /// Code, object and cause of the last failure, if no server is to be asked yet.
    pub failure: Option<(Code, String, String)>,
}

pub fn observe(slot: &Slot, turns: &Turns, now: Duration) -> Seen {
    let name = |document: &crate::input::document::Document| {
        document.hostname.clone().unwrap_or_else(|| document.iscsi.target.clone())
    };
    Seen { plan: slot.get().map(name), failure: turns.failure(now) }
}
