//! Questions, each on one of a few connections that only read.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension, Params, Row};
use tokio::sync::Semaphore;

use super::database::{failed, reader};
use super::{Bundle, Heard, Node, Wanted, row};
use crate::error::{Error, Result};
use crate::state::Boot;

/// So many questions are answered at a time; others wait for their turn.
const CONNECTIONS: u32 = 4;

/// Connections that only read; they see what is committed, and never wait for the writer.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    turns: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Readers {
    pub(super) fn new(path: &Path) -> Readers {
        let turns = Arc::new(Semaphore::new(CONNECTIONS as usize));
        Readers { path: path.to_owned(), turns, idle: Arc::default() }
    }

    /// Asks on a thread where it may take its time.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| Error::Closed)?;
        let (path, idle) = (self.path.clone(), Arc::clone(&self.idle));
        let answer = tokio::task::spawn_blocking(move || {
            // Also if nobody waits any more: until the connection is back.
            let _turn = turn;
            let ready = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = match ready {
                Some(connection) => connection,
                None => reader(&path).map_err(|error| failed(&path, &error))?,
            };
            let answer = question(&connection).map_err(|error| failed(&path, &error));
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            answer
        });
        answer.await.unwrap_or(Err(Error::Closed))
    }

    /// Waits for the answers under way, and closes.
    pub(super) async fn close(&self) {
        let all = self.turns.acquire_many(CONNECTIONS).await;
        self.turns.close();
        if all.is_ok() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }
}

pub(super) fn nodes(sql: &Connection, names: Option<Vec<String>>) -> rusqlite::Result<Vec<Node>> {
    let Some(names) = names else {
        return rows(sql, &format!("SELECT {} ORDER BY name", row::NODE), [], row::node);
    };
    let names = serde_json::Value::from(names).to_string();
    let some = format!("SELECT {} WHERE name IN (SELECT value FROM json_each(?1)) ORDER BY name", row::NODE);
    rows(sql, &some, [names], row::node)
}

/// Not by way of [`nodes`]: every boot script asks it, and needs nothing of the node's boot.
pub(super) fn wanted(sql: &Connection, name: &str) -> rusqlite::Result<Option<Wanted>> {
    let wanted = format!("SELECT {} FROM node WHERE name = ?1", row::WANTED);
    let known = sql.prepare_cached(&wanted)?.query_row([name], |row| row::wanted(row, 0)).optional()?;
    Ok(known.flatten())
}

pub(super) fn boots(sql: &Connection, name: &str, limit: usize) -> rusqlite::Result<Vec<Boot>> {
    let newest = format!("SELECT {} WHERE node = ?1 ORDER BY number DESC LIMIT ?2", row::BOOT);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    rows(sql, &newest, rusqlite::params![name, limit], row::boot)
}

pub(super) fn bundles(sql: &Connection, name: &str) -> rusqlite::Result<Vec<Bundle>> {
    let newest = format!("SELECT {} WHERE node = ?1 ORDER BY id DESC", row::BUNDLE);
    rows(sql, &newest, [name], row::bundle)
}

pub(super) fn boot_events(sql: &Connection, boot: u64) -> rusqlite::Result<Vec<Heard>> {
    // iPXE comes before the agent, and both before the forms; among themselves as they came.
    let rank = "CASE kind WHEN 'ipxe' THEN 0 WHEN 'kernel' THEN 1 WHEN 'event' THEN 2 ELSE 3 END";
    let order = format!("SELECT {} WHERE boot = ?1 ORDER BY {rank}, seq, id", row::HEARD);
    Ok(rows(sql, &order, [boot], row::heard)?.into_iter().flatten().collect())
}

pub(super) fn events_after(sql: &Connection, after: u64, limit: usize) -> rusqlite::Result<Vec<Heard>> {
    // No LIMIT: rows that this server does not understand do not count, or a reader would never get past them.
    let later = format!("SELECT {} WHERE id > ?1 ORDER BY id", row::HEARD);
    let mut statement = sql.prepare_cached(&later)?;
    let heard = statement.query_map([after], row::heard)?;
    heard.filter_map(Result::transpose).take(limit).collect()
}

pub(super) fn delivered(sql: &Connection, webhook: &str) -> rusqlite::Result<Option<u64>> {
    let through = "SELECT max(through) FROM webhook WHERE name = ?1";
    sql.prepare_cached(through)?.query_row([webhook], |row| row.get(0))
}

fn rows<T>(
    sql: &Connection,
    query: &str,
    of: impl Params,
    row: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    sql.prepare_cached(query)?.query_map(of, row)?.collect()
}
