//! The store, for many callers at once.

use std::path::Path;

use tokio::sync::watch;

use super::{Change, Heard, Node, Outcome};
use crate::error::{Error, Result};
use crate::state::Boot;

/// An open database. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Store {
    last: watch::Sender<u64>,
}

impl Store {
    /// Opens `path`, or makes it; starts the thread that writes.
    ///
    /// # Errors
    /// It cannot be opened, or a newer server has made it.
    pub fn open(_path: &Path) -> Result<Store> {
        Ok(Store { last: watch::Sender::new(0) })
    }

    /// Makes `changes`; they are on the disk when this returns.
    ///
    /// # Errors
    /// None of them was made.
    pub async fn write(&self, _changes: Vec<Change>) -> Result<Vec<Outcome>> {
        Err(Error::Closed)
    }

    /// The nodes that were ever heard of or wanted something of, by name; only `names`, if given.
    ///
    /// # Errors
    /// The database cannot be read; so everywhere below.
    pub async fn nodes(&self, _names: Option<Vec<String>>) -> Result<Vec<Node>> {
        Err(Error::Closed)
    }

    /// One node.
    ///
    /// # Errors
    /// As [`Store::nodes`].
    pub async fn node(&self, _name: &str) -> Result<Option<Node>> {
        Err(Error::Closed)
    }

    /// The boots of a node, newest first, at most `limit`.
    ///
    /// # Errors
    /// As [`Store::nodes`].
    pub async fn boots(&self, _name: &str, _limit: usize) -> Result<Vec<Boot>> {
        Err(Error::Closed)
    }

    /// What was heard of one boot, as the node numbered it.
    ///
    /// # Errors
    /// As [`Store::nodes`].
    pub async fn boot_events(&self, _boot: u64) -> Result<Vec<Heard>> {
        Err(Error::Closed)
    }

    /// What was heard of any node after the event `after`, as it came, at most `limit`.
    ///
    /// # Errors
    /// As [`Store::nodes`].
    pub async fn events_after(&self, _after: u64, _limit: usize) -> Result<Vec<Heard>> {
        Err(Error::Closed)
    }

    /// The last event that `webhook` has been told of; 0: none.
    ///
    /// # Errors
    /// As [`Store::nodes`].
    pub async fn delivered(&self, _webhook: &str) -> Result<u64> {
        Err(Error::Closed)
    }

    /// Changes whenever something was written, by this server or by another one on the same database: the id of the
    /// last event.
    pub fn last(&self) -> watch::Receiver<u64> {
        self.last.subscribe()
    }

    /// Writes what is under way, and closes.
    ///
    /// # Errors
    /// The database could not be closed in order.
    pub async fn close(&self) -> Result<()> {
        Ok(())
    }
}
