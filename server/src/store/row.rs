//! Calls, boots and nodes as rows.

use diskless::report::record::Record;
use rusqlite::types::Type;
use rusqlite::{Error, Row};
use serde::de::DeserializeOwned;

use super::{Bundle, Call, Heard, Node, Wanted, Wish};
use crate::state::{Boot, Told};
use crate::time::Time;

/// The columns of [`heard`].
pub(super) const HEARD: &str = "event.id, boot.node, event.boot, event.at, event.sender, event.kind, event.body FROM event JOIN boot ON number = boot";
/// The columns of [`boot`].
pub(super) const BOOT: &str = "number, boot_id, told FROM boot";
/// The columns of [`wanted`].
pub(super) const WANTED: &str = "wanted, wanted_once, wanted_at";
/// The columns of [`node`].
pub(super) const NODE: &str = "number, boot_id, told, name, changed, wanted, wanted_once, wanted_at \
    FROM node LEFT JOIN boot ON number = newest";

/// The columns of [`bundle`].
pub(super) const BUNDLE: &str =
    "id, number, bundle.boot_id, at, sender, bytes, file FROM bundle LEFT JOIN boot USING (node, boot_id)";

pub(super) fn bundle(row: &Row<'_>) -> rusqlite::Result<Bundle> {
    let sender: Option<String> = row.get(4)?;
    Ok(Bundle {
        id: row.get(0)?,
        boot: row.get(1)?,
        boot_id: row.get(2)?,
        at: Time(row.get(3)?),
        from: sender.and_then(|sender| sender.parse().ok()),
        bytes: row.get(5)?,
        file: row.get(6)?,
    })
}

/// The columns `kind` and `body` of a call.
pub(super) fn columns(call: &Call) -> rusqlite::Result<(&'static str, String)> {
    let (kind, body) = match call {
        Call::Ipxe { given } => ("ipxe", serde_json::to_string(given)),
        Call::Kernel => ("kernel", Ok("null".to_owned())),
        Call::Event(record) => ("event", serde_json::to_string(record)),
        Call::Up(form) => ("up", serde_json::to_string(form)),
        Call::Cloudinit(form) => ("cloudinit", serde_json::to_string(form)),
    };
    Ok((kind, body.map_err(|error| Error::ToSqlConversionFailure(Box::new(error)))?))
}

fn call(kind: &str, body: &str) -> Option<Call> {
    match kind {
        "ipxe" => Some(Call::Ipxe { given: serde_json::from_str(body).ok()? }),
        "kernel" => Some(Call::Kernel),
        "event" => Some(Call::Event(Box::new(serde_json::from_str::<Record>(body).ok()?))),
        "up" => Some(Call::Up(serde_json::from_str(body).ok()?)),
        "cloudinit" => Some(Call::Cloudinit(serde_json::from_str(body).ok()?)),
        _ => None,
    }
}

/// None: a server of a later version wrote it, and this one does not know what it means.
pub(super) fn heard(row: &Row<'_>) -> rusqlite::Result<Option<Heard>> {
    let (kind, body): (String, String) = (row.get(5)?, row.get(6)?);
    let Some(call) = call(&kind, &body) else { return Ok(None) };
    let sender: Option<String> = row.get(4)?;
    Ok(Some(Heard {
        id: row.get(0)?,
        node: row.get(1)?,
        boot: row.get(2)?,
        at: Time(row.get(3)?),
        from: sender.and_then(|sender| sender.parse().ok()),
        call,
    }))
}

pub(super) fn boot(row: &Row<'_>) -> rusqlite::Result<Boot> {
    Ok(json::<Told>(row, 2)?.boot(row.get(0)?, row.get(1)?))
}

pub(super) fn node(row: &Row<'_>) -> rusqlite::Result<Node> {
    let known = row.get::<_, Option<u64>>(0)?.is_some();
    let boot = if known { Some(boot(row)?) } else { None };
    Ok(Node { name: row.get(3)?, boot, wanted: wanted(row, 5)?, changed: row.get(4)? })
}

/// With its columns from `first` on.
pub(super) fn wanted(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<Wanted>> {
    let word: Option<String> = row.get(first)?;
    let Some(word) = word else { return Ok(None) };
    Ok(Some(Wanted { action: Wish::of(&word), once: row.get(first + 1)?, at: Time(row.get(first + 2)?) }))
}

/// A column that holds JSON.
pub(super) fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text)
        .map_err(|error| Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}
