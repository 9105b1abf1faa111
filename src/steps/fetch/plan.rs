//! Decides whether the plan must be fetched.

use super::apply::Fetch;
use super::observe::Seen;
use crate::engine::converge::Next;
use crate::input::config::Source;

pub fn plan(source: &Source, seen: &Seen) -> Next<Fetch> {
    match seen {
        Some(what) => Next::Done(format!("{what}, from {source}")),
        None => Next::Do(Fetch(source.clone())),
    }
}
