//! The file: what is in it, and how it is opened.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::error::{Error, Result};

/// Marks the file as ours (<https://www.sqlite.org/pragma.html#pragma_application_id>): `dskl`.
const APPLICATION: u32 = 0x6473_6b6c;
/// How long another server's transaction is waited for.
const BUSY: Duration = Duration::from_secs(5);

/// What makes version N of the file from version N - 1. A line here is never changed once it was released.
const VERSIONS: &[&str] = &[
    "
    -- One row. The ids of events, and of what operators want, come from here: also those of a second server.
    CREATE TABLE counter (last INTEGER NOT NULL) STRICT;
    INSERT INTO counter VALUES (0);

    CREATE TABLE node (
        name TEXT PRIMARY KEY,
        newest INTEGER,          -- boot
        wanted TEXT,             -- a word, which a later server may have written
        wanted_once INTEGER,
        wanted_at INTEGER,
        changed INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE boot (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        node TEXT NOT NULL REFERENCES node,
        boot_id TEXT,
        events INTEGER NOT NULL, -- how many are kept
        told TEXT NOT NULL,      -- state::Told, in JSON
        UNIQUE (node, boot_id)
    ) STRICT;
    CREATE INDEX boot_of_node ON boot (node, number);

    CREATE TABLE event (
        id INTEGER PRIMARY KEY,
        boot INTEGER NOT NULL REFERENCES boot ON DELETE CASCADE,
        seq INTEGER,             -- of the agent's events
        at INTEGER NOT NULL,
        sender TEXT,
        kind TEXT NOT NULL,
        body TEXT NOT NULL,      -- JSON, by kind
        UNIQUE (boot, seq)
    ) STRICT;

    CREATE TABLE webhook (name TEXT PRIMARY KEY, through INTEGER NOT NULL) STRICT, WITHOUT ROWID;
",
    "
    -- Its boot may be one that is not kept any more, or that nothing else was heard of.
    CREATE TABLE bundle (
        id INTEGER PRIMARY KEY,  -- of the counter
        node TEXT NOT NULL REFERENCES node,
        boot_id TEXT NOT NULL,
        at INTEGER NOT NULL,
        sender TEXT,
        bytes INTEGER NOT NULL,
        file TEXT NOT NULL       -- below server.bundles
    ) STRICT;
    CREATE INDEX bundle_of_node ON bundle (node, id);
",
];

/// The connection that writes.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
}

impl Database {
    /// Opens `path`, makes it if there is none (for its owner alone), and brings it up to date. Its folder must be there.
    pub(super) fn open(path: &Path) -> Result<Database> {
        // SQLite gives the files beside it (`-wal`, `-shm`) the same mode.
        let made = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
        made.map_err(|source| Error::File { path: path.to_owned(), source })?;
        let failed = |error: rusqlite::Error| failed(path, &error);
        let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)?;
        // Before anything is written: the file may be somebody else's.
        version(&connection, path)?;
        connection.pragma_update(None, "journal_mode", "wal").map_err(failed)?;
        // A commit is on the disk when it returns, also if the power fails.
        connection.pragma_update(None, "synchronous", "full").map_err(failed)?;
        connection.pragma_update(None, "foreign_keys", true).map_err(failed)?;
        let change = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        // Another server may have done it meanwhile.
        for sql in VERSIONS.iter().skip(version(&change, path)?) {
            change.execute_batch(sql).map_err(failed)?;
        }
        change.pragma_update(None, "application_id", APPLICATION).map_err(failed)?;
        change.pragma_update(None, "user_version", VERSIONS.len()).map_err(failed)?;
        change.commit().map_err(failed)?;
        Ok(Database { connection, path: path.to_owned() })
    }
}

/// A connection that only reads.
pub(super) fn reader(path: &Path) -> rusqlite::Result<Connection> {
    connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

fn connect(path: &Path, how: OpenFlags) -> rusqlite::Result<Connection> {
    // One thread at a time has it, so it needs no lock of its own.
    let connection = Connection::open_with_flags(path, how | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// The version of the file; 0: there is nothing in it yet.
fn version(connection: &Connection, path: &Path) -> Result<usize> {
    let failed = |error: rusqlite::Error| failed(path, &error);
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let tables = "SELECT count(*) FROM sqlite_master";
    let empty = connection.query_row(tables, [], |row| row.get::<_, i64>(0)).map_err(failed)? == 0;
    let refused = |message: String| Error::Database { path: path.to_owned(), message };
    if !empty && number("application_id").map_err(failed)? != i64::from(APPLICATION) {
        return Err(refused(
            "it is not a database of disklessd: give server.database another path".to_owned(),
        ));
    }
    let version = number("user_version").map_err(failed)?;
    let known = usize::try_from(version).ok().filter(|version| *version <= VERSIONS.len());
    known.ok_or_else(|| {
        let ours = VERSIONS.len();
        refused(format!(
            "a newer disklessd has made it (version {version}, this one knows {ours}): use that one"
        ))
    })
}

/// What the database says.
pub(super) fn failed(path: &Path, error: &rusqlite::Error) -> Error {
    Error::Database { path: path.to_owned(), message: error.to_string() }
}
