//! Changes, as SQL.

use std::net::IpAddr;

use rusqlite::{OptionalExtension, Transaction, TransactionBehavior, params};

use super::database::{Database, failed};
use super::row;
use super::{Call, Change, Outcome, Write};
use crate::error::Result;
use crate::state::Told;
use crate::time::Time;

/// So many boots of a node are kept.
const KEPT_BOOTS: u64 = 20;
/// So many calls of a boot are kept: a node that asks for its script for weeks must not fill the disk.
const KEPT_EVENTS: u64 = 2000;

impl Write for Database {
    fn write(&mut self, changes: &[Change]) -> Result<Vec<Outcome>> {
        let Database { connection, path } = self;
        let mut write = || {
            let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let last = change.query_row("SELECT last FROM counter", [], |row| row.get(0))?;
            let mut under_way = UnderWay { sql: &change, last };
            let outcomes = changes.iter().map(|change| under_way.make(change)).collect::<Result<_, _>>()?;
            let now = under_way.last;
            if now != last {
                change.execute("UPDATE counter SET last = ?1", [now])?;
            }
            change.commit()?;
            Ok(outcomes)
        };
        write().map_err(|error| failed(path, &error))
    }
}

/// A transaction.
struct UnderWay<'a> {
    sql: &'a Transaction<'a>,
    /// The last id that was given out.
    last: u64,
}

/// A boot of the node in question.
struct Row {
    number: u64,
    boot_id: Option<String>,
    events: u64,
    told: Told,
}

impl UnderWay<'_> {
    fn make(&mut self, change: &Change) -> rusqlite::Result<Outcome> {
        match change {
            Change::Heard { node, at, from, call } => self.heard(node, *at, *from, call),
            Change::Wanted { node, at, action, once } => {
                let word = action.map(|action| serde_json::to_value(action).unwrap_or_default());
                let word = word.as_ref().and_then(|word| word.as_str());
                self.node(node)?;
                self.run(
                    "UPDATE node SET wanted = ?2, wanted_once = ?3, wanted_at = ?4 WHERE name = ?1",
                    params![node, word, once, at.0],
                )?;
                self.changed(node)
            }
            Change::Bundle { node, at, from, new } => {
                self.node(node)?;
                let outcome = self.changed(node)?;
                self.run(
                    "INSERT INTO bundle VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    params![
                        self.last,
                        node,
                        new.boot_id,
                        at.0,
                        from.map(|from| from.to_string()),
                        new.bytes,
                        new.file
                    ],
                )?;
                self.run(
                    "DELETE FROM bundle WHERE node = ?1 AND id <=
                        (SELECT id FROM bundle WHERE node = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
                    params![node, new.keep.max(1)],
                )?;
                Ok(outcome)
            }
            Change::Delivered { webhook, through } => {
                let new = self.run(
                    "INSERT INTO webhook VALUES (?1, ?2)
                     ON CONFLICT DO UPDATE SET through = excluded.through WHERE through < excluded.through",
                    params![webhook, through],
                )?;
                Ok(if new == 0 { Outcome::Known } else { Outcome::New(*through) })
            }
        }
    }

    fn heard(
        &mut self,
        node: &str,
        at: Time,
        from: Option<IpAddr>,
        call: &Call,
    ) -> rusqlite::Result<Outcome> {
        self.node(node)?;
        let boot = match self.boot(node, at, call)? {
            Some(boot) if boot.told.repeats(at, call) => return Ok(Outcome::Known),
            Some(boot) => boot,
            None => self.begin(node, at, call)?,
        };
        let (seq, boot_id) = match call {
            Call::Event(record) => (Some(record.seq), Some(record.boot_id.as_str())),
            _ => (None, boot.boot_id.as_deref()),
        };
        let (kind, body) = row::columns(call)?;
        let new = self.run(
            "INSERT INTO event VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (boot, seq) DO NOTHING",
            params![self.last + 1, boot.number, seq, at.0, from.map(|from| from.to_string()), kind, body],
        )?;
        if new == 0 {
            return Ok(Outcome::Known);
        }
        let mut events = boot.events + 1;
        if events > KEPT_EVENTS {
            let oldest = "DELETE FROM event WHERE id = (SELECT min(id) FROM event WHERE boot = ?1)";
            self.run(oldest, [boot.number])?;
            events -= 1;
        }
        let mut told = boot.told;
        told.hear(at, call);
        self.run(
            "UPDATE boot SET boot_id = ?2, events = ?3, told = ?4 WHERE number = ?1",
            params![boot.number, boot_id, events, json(&told)?],
        )?;
        if let Call::Ipxe { given: Some(given) } = call {
            // Given out; not what an operator asked for only after the script was made.
            let gone = "UPDATE node SET wanted = NULL WHERE name = ?1 AND wanted = ?2 AND wanted_once";
            self.run(gone, [node, given])?;
        }
        self.changed(node)
    }

    /// The boot that `call` belongs to, if it is there already.
    fn boot(&self, node: &str, at: Time, call: &Call) -> rusqlite::Result<Option<Row>> {
        if let Call::Event(record) = call {
            let sql = "SELECT number, boot_id, events, told FROM boot WHERE node = ?1 AND boot_id = ?2";
            let known = self.row(sql, &[node, &record.boot_id])?;
            if known.is_some() {
                return Ok(known);
            }
        }
        let newest =
            "SELECT number, boot_id, events, told FROM boot WHERE node = ?1 ORDER BY number DESC LIMIT 1";
        let newest = self.row(newest, &[node])?;
        Ok(newest.filter(|boot| boot.told.goes_on(boot.boot_id.is_some(), at, call)))
    }

    fn row(&self, sql: &str, of: &[&str]) -> rusqlite::Result<Option<Row>> {
        let mut statement = self.sql.prepare_cached(sql)?;
        let row = |row: &rusqlite::Row<'_>| {
            Ok(Row {
                number: row.get(0)?,
                boot_id: row.get(1)?,
                events: row.get(2)?,
                told: row::json(row, 3)?,
            })
        };
        statement.query_row(rusqlite::params_from_iter(of), row).optional()
    }

    /// A boot begins, and the oldest ones are forgotten.
    fn begin(&self, node: &str, at: Time, call: &Call) -> rusqlite::Result<Row> {
        let told = Told::first(at, call);
        self.run("INSERT INTO boot (node, events, told) VALUES (?1, 0, ?2)", params![node, json(&told)?])?;
        let number = u64::try_from(self.sql.last_insert_rowid()).unwrap_or_default();
        self.run("UPDATE node SET newest = ?2 WHERE name = ?1", params![node, number])?;
        self.run(
            "DELETE FROM boot WHERE node = ?1 AND number <=
                (SELECT number FROM boot WHERE node = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)",
            params![node, KEPT_BOOTS],
        )?;
        Ok(Row { number, boot_id: None, events: 0, told })
    }

    fn node(&self, name: &str) -> rusqlite::Result<()> {
        self.run("INSERT INTO node (name, changed) VALUES (?1, 0) ON CONFLICT DO NOTHING", [name]).map(|_| ())
    }

    /// `node` has changed: by the next id.
    fn changed(&mut self, node: &str) -> rusqlite::Result<Outcome> {
        self.last += 1;
        self.run("UPDATE node SET changed = ?2 WHERE name = ?1", params![node, self.last])?;
        Ok(Outcome::New(self.last))
    }

    fn run(&self, sql: &str, of: impl rusqlite::Params) -> rusqlite::Result<usize> {
        self.sql.prepare_cached(sql)?.execute(of)
    }
}

fn json(told: &Told) -> rusqlite::Result<String> {
    serde_json::to_string(told).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}
