//! Fuzz targets of this folder; see [`crate::fuzz`].

use std::time::Duration;

use super::after_pivot::Destination;
use super::record::{Kind, Record};
use super::spool::Spool;
use crate::engine::state::State;

/// What an earlier run left below /run.
pub fn journal(data: &[u8]) {
    let _ = serde_json::from_slice::<Destination>(data);
    if let Ok(state) = serde_json::from_slice::<State>(data) {
        let text = serde_json::to_vec(&state).unwrap_or_default();
        assert_eq!(serde_json::from_slice::<State>(&text).ok(), Some(state));
    }
    if let Ok(mut spool) = serde_json::from_slice::<Spool>(data) {
        spool.push(1, Record::new(Kind::Waiting, Duration::from_secs(1)));
        spool.name("node1");
        while let Some(record) = spool.first() {
            let _ = record.json();
            let seq = record.seq;
            spool.remove(seq);
        }
        assert!(spool.is_empty());
    }
}
