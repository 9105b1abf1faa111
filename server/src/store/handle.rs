//! The store, for many callers at once.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;

use super::counted::Counted;
use super::database::{Database, failed};
use super::read::{self, Readers};
use super::writer::{Keep, Writer};
use super::{Bundle, Change, Heard, Node, Outcome, Wanted};
use crate::error::{Error, Result};
use crate::metrics::Writes;
use crate::state::Boot;

/// An open database. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    readers: Readers,
    writer: Writer,
    last: watch::Sender<u64>,
    writes: Arc<Writes>,
}

impl Store {
    /// Opens `path`, or makes it (readable by its owner alone; its folder must be there); starts the thread that writes.
    /// Another server may have it open too.
    ///
    /// # Errors
    /// It cannot be opened, it is no database of ours, or a newer server has made it.
    pub fn open(path: &Path) -> Result<Store> {
        Store::of(Database::open(path)?)
    }

    pub(super) fn of(mut database: Database) -> Result<Store> {
        let last = watch::Sender::new(database.last()?);
        let readers = Readers::new(&database.path);
        let writes = Arc::<Writes>::default();
        let counted = Counted { keep: database, writes: Arc::clone(&writes) };
        let writer = Writer::start(counted, last.clone())?;
        Ok(Store { shared: Arc::new(Shared { readers, writer, last, writes }) })
    }

    /// Makes `changes`; they are on the disk when this returns. Waits for room among the changes that wait already, and
    /// for some seconds at most for another server's transaction.
    ///
    /// # Errors
    /// None of them was made.
    pub async fn write(&self, changes: Vec<Change>) -> Result<Vec<Outcome>> {
        self.shared.writer.write(changes).await
    }

    /// The nodes that were ever heard of or wanted something of, by name; only `names`, if given.
    ///
    /// # Errors
    /// The database cannot be read; so everywhere below.
    pub async fn nodes(&self, names: Option<Vec<String>>) -> Result<Vec<Node>> {
        self.shared.readers.ask(|sql| read::nodes(sql, names)).await
    }

    /// One node.
    ///
    /// # Errors
    /// As [`Store::nodes`].
    pub async fn node(&self, name: &str) -> Result<Option<Node>> {
        Ok(self.nodes(Some(vec![name.to_owned()])).await?.pop())
    }

    /// What an operator wants of a node.
    ///
    /// # Errors
    /// As [`Store::nodes`].
    pub async fn wanted(&self, name: &str) -> Result<Option<Wanted>> {
        let name = name.to_owned();
        self.shared.readers.ask(move |sql| read::wanted(sql, &name)).await
    }

    /// The boots of a node, newest first, at most `limit`.
    ///
    /// # Errors
    /// As [`Store::nodes`].
    pub async fn boots(&self, name: &str, limit: usize) -> Result<Vec<Boot>> {
        let name = name.to_owned();
        self.shared.readers.ask(move |sql| read::boots(sql, &name, limit)).await
    }

    /// The bundles of a node, the newest first.
    ///
    /// # Errors
    /// As [`Store::nodes`].
    pub async fn bundles(&self, name: &str) -> Result<Vec<Bundle>> {
        let name = name.to_owned();
        self.shared.readers.ask(move |sql| read::bundles(sql, &name)).await
    }

    /// What was heard of one boot: of iPXE, then of the agent as the node numbered it, then of the booted system.
    ///
    /// # Errors
    /// As [`Store::nodes`].
    pub async fn boot_events(&self, boot: u64) -> Result<Vec<Heard>> {
        self.shared.readers.ask(move |sql| read::boot_events(sql, boot)).await
    }

    /// What was heard of any node after the event `after`, as it came, at most `limit`.
    ///
    /// # Errors
    /// As [`Store::nodes`].
    pub async fn events_after(&self, after: u64, limit: usize) -> Result<Vec<Heard>> {
        self.shared.readers.ask(move |sql| read::events_after(sql, after, limit)).await
    }

    /// The last event that `webhook` has been told of; none: nobody has ever said so.
    ///
    /// # Errors
    /// As [`Store::nodes`].
    pub async fn delivered(&self, webhook: &str) -> Result<Option<u64>> {
        let webhook = webhook.to_owned();
        self.shared.readers.ask(move |sql| read::delivered(sql, &webhook)).await
    }

    /// Changes whenever something was written of a node, by this server or (within a second) by another one on the same
    /// database: the id of the last event, or of what an operator last wanted.
    pub fn last(&self) -> watch::Receiver<u64> {
        self.shared.last.subscribe()
    }

    /// What this server has written since it started.
    pub fn writes(&self) -> Arc<Writes> {
        Arc::clone(&self.shared.writes)
    }

    /// Writes and answers what is under way, and closes; whoever comes later gets [`Error::Closed`].
    ///
    /// # Errors
    /// The database could not be closed in order.
    pub async fn close(&self) -> Result<()> {
        // The last connection to close moves what is in the `-wal` file into the database and removes it: the one that
        // may write.
        self.shared.readers.close().await;
        self.shared.writer.close().await
    }
}

impl Keep for Database {
    fn last(&mut self) -> Result<u64> {
        let last = "SELECT last FROM counter";
        let last =
            self.connection.prepare_cached(last).and_then(|mut last| last.query_row([], |row| row.get(0)));
        last.map_err(|error| failed(&self.path, &error))
    }

    fn close(self) -> Result<()> {
        let Database { connection, path } = self;
        connection.close().map_err(|(_, error)| failed(&path, &error))
    }

    fn error(&self, message: &str) -> Error {
        Error::Database { path: self.path.clone(), message: message.to_owned() }
    }
}
