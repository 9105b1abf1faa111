//! Looks whether the plan is there already.

use super::Slot;

/// What the plan in hand is for, if there is one.
pub type Seen = Option<String>;

pub fn observe(slot: &Slot) -> Seen {
    slot.get().map(|document| document.hostname.clone().unwrap_or_else(|| document.iscsi.target.clone()))
}
