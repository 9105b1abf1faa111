//! A fuzz target; see [`crate::fuzz`].

use super::{Check, judge};

/// Recorded evidence, and the judgement.
pub fn evidence(data: &[u8]) {
    let Ok(evidence) = serde_json::from_slice::<Vec<Check>>(data) else { return };
    let causes = judge(&evidence);
    assert!(causes.is_empty() || evidence.iter().any(Check::is_bad));
}
