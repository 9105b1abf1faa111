//! Counts what is written, for [`crate::metrics`].

use std::sync::Arc;
use std::time::Instant;

use super::writer::Keep;
use super::{Change, Outcome, Write};
use crate::error::{Error, Result};
use crate::metrics::Writes;

/// Writes as `keep` does, and counts.
pub(super) struct Counted<K> {
    pub(super) keep: K,
    pub(super) writes: Arc<Writes>,
}

impl<K: Keep> Write for Counted<K> {
    fn write(&mut self, changes: &[Change]) -> Result<Vec<Outcome>> {
        let began = Instant::now();
        let outcomes = self.keep.write(changes)?;
        self.writes.committed(changes.len(), began.elapsed());
        for (change, outcome) in changes.iter().zip(&outcomes) {
            self.writes.made(change, *outcome);
        }
        Ok(outcomes)
    }
}

impl<K: Keep> Keep for Counted<K> {
    fn last(&mut self) -> Result<u64> {
        self.keep.last()
    }

    fn close(self) -> Result<()> {
        self.keep.close()
    }

    fn error(&self, message: &str) -> Error {
        self.keep.error(message)
    }
}
