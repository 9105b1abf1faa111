//! Looks whether the plan is there already.

use super::Slot;

/// The host that the plan in hand is for, if there is one.
pub type Seen = Option<String>;

pub fn observe(slot: &Slot) -> Seen {
    slot.get().map(|document| document.hostname.clone())
}
