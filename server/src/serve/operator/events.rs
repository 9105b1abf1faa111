//! What is heard of nodes, as it comes: server-sent events (HTML standard, section 9.2).

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use futures_util::stream;
use serde::Deserialize;
use tokio::sync::watch;

use super::answer;
use super::asked::Asked;
use super::problem::Problem;
use crate::error::Result;
use crate::serve::App;

/// A comment comes so often when nothing else does: proxies end connections that are silent for a minute.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Events that are read from the store at once: a reader that is slow holds no more of them in memory.
const AT_ONCE: usize = 100;

/// The parameters of [`follow`].
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct From {
    after: Option<u64>,
}

/// `GET /v1/events`: those after `Last-Event-ID` (what a reader sends that was cut off), else after `after`, else those
/// to come.
pub async fn follow(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Asked(from): Asked<From>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let header = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.trim().parse().ok());
    let last = app.store.last();
    let newest = *last.borrow();
    // Not beyond the newest one: that id would be of another database, and its events would be waited for in vain.
    let after = header.or(from.after).unwrap_or(newest).min(newest);
    let cursor = Cursor { app, last, after, read: VecDeque::new() };
    let events = stream::unfold(cursor, async |mut cursor| Some((Ok(cursor.next().await?), cursor)));
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT)))
}

/// Where a reader is.
struct Cursor {
    app: Arc<App>,
    last: watch::Receiver<u64>,
    after: u64,
    read: VecDeque<answer::Event>,
}

impl Cursor {
    /// The next event, when there is one; none: the server ends, or cannot read any more.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.read.pop_front() {
                self.after = event.id;
                return Event::default().id(event.id.to_string()).json_data(&event).ok();
            }
            // Before the store is read: what comes later wakes this loop again.
            self.last.mark_unchanged();
            match self.app.store.events_after(self.after, AT_ONCE).await {
                Ok(heard) => self.read.extend(heard.iter().map(answer::Event::from)),
                Err(error) => {
                    // The reader comes again with the id of the last event it has.
                    log::error!(event = "events", error:% = error; "a reader of events is cut off");
                    return None;
                }
            }
            if self.read.is_empty() {
                tokio::select! {
                    open = self.last.changed() => open.ok()?,
                    () = self.app.stopping() => return None,
                }
            }
        }
    }
}
