//! `disklessd wait`: until nodes have come so far.

mod judge;

use std::time::{Duration, Instant};

use lexopt::Parser;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::Error as NoStage;
use serde_json::json;

use super::asking::{Given, Takes, duration, print_json};
use super::status::{summary, word};
use super::{Failed, print};
use crate::client::Follow;
use crate::error::Error;
use crate::site::nodeset::fold;
use crate::state::Stage;
use crate::time::Time;
use judge::{Goal, Since, Sorted};

const TAKES: Takes = Takes {
    help: "\
usage: disklessd wait ipxe|kernel|agent|up|cloudinit NODESET... [--ttl 10m] [--since TIME] [--through-failures] [--json]

Waits until the newest boot of each node has come so far or farther. A node that is there already is not waited for:
it does not matter whether this was started before the node came there. So right after a power cycle the boot before
would count; say which boots do:
  --since TIME          those that began then or later: 2026-01-31T08:00:00Z, or 5m for five minutes ago, by the
                        server's clock; now: those that begin after this was started
  --ttl TIME            how long to wait: 90s, 10m, 2h; 0: look once; 10m unless said
  --through-failures    goes on waiting for nodes that failed: somebody may mend them
  --json                the end of it as JSON

    start=$(date -u +%FT%TZ); power-cycle ocean[1-1000]; disklessd wait up ocean[1-1000] --since $start --ttl 15m

Exit codes: 0 all of them are there, 1 some failed and the others are there, or the server refuses, 2 usage,
3 the time is over.
",
    flags: &["through-failures", "json"],
    values: &["ttl", "since"],
};

/// How long, unless said.
const TTL: Duration = Duration::from_secs(600);
/// The exit code when the time is over.
const OVER: u8 = 3;
/// To look once must not hang on a server that is just being started again.
const LEAST: Duration = Duration::from_secs(1);

/// The verb.
pub fn main(args: &mut Parser) -> Result<(), Failed> {
    let Some(given) = TAKES.read(args)? else { return Ok(()) };
    let goal = goal(&given)?;
    let ttl = match given.value("ttl") {
        None => TTL,
        Some("0") => Duration::ZERO,
        Some(text) => duration(text)?,
    };
    let follow = Follow::new(given.server()?, given.node_set(1)?);
    let (sorted, follow, over) = wait(&goal, ttl, follow)?;
    if given.has("json") {
        print_json(&outcome(&goal, &sorted, over))?;
    } else {
        print(&summary(&mut follow.nodes.values(), follow.now))?;
    }
    match (over, sorted.failed.is_empty()) {
        (true, _) => Err(Failed::Told(OVER)),
        (false, false) => Err(Failed::Told(1)),
        (false, true) => Ok(()),
    }
}

fn goal(given: &Given) -> Result<Goal, lexopt::Error> {
    let word = given.words.first().ok_or_else(|| lexopt::Error::from("wait for what?"))?;
    let stage: Result<Stage, NoStage> = Stage::deserialize(word.as_str().into_deserializer());
    let unknown = |_| lexopt::Error::from(format!("{word:?} is no ipxe, kernel, agent, up or cloudinit"));
    let stage = stage.map_err(unknown)?;
    let since = match given.value("since") {
        None => Since::Always,
        Some("now") => Since::Started,
        Some(text) => match text.parse::<Time>() {
            Ok(time) => Since::At(time),
            Err(_) => Since::Ago(duration(text).map_err(|_| {
                let message = "neither a time such as 2026-01-31T08:00:00Z nor one such as 5m ago";
                lexopt::Error::from(format!("{text:?} is {message}"))
            })?),
        },
    };
    Ok(Goal { stage, since, through_failures: given.has("through-failures") })
}

/// Waits for `goal`; gives how it ended for each node, and whether the time was over.
fn wait(goal: &Goal, ttl: Duration, mut follow: Follow) -> Result<(Sorted, Follow, bool), Failed> {
    let until = Instant::now() + ttl;
    let mut away = |error: &Error| eprintln!("disklessd: {error}; asking again until the time is over");
    follow.changed(until.max(Instant::now() + LEAST), &mut away)?;
    let counts = goal.since.counts(&follow);
    let mut shown = None;
    loop {
        let sorted = judge::sorted(goal, &counts, follow.nodes.values());
        let progress = progress(goal, &sorted, follow.nodes.len());
        if shown.as_ref() != Some(&progress) {
            eprintln!("{progress}");
            shown = Some(progress);
        }
        if sorted.waiting.is_empty() {
            return Ok((sorted, follow, false));
        }
        if Instant::now() >= until {
            return Ok((sorted, follow, true));
        }
        if let Err(error) = follow.changed(until, &mut away) {
            if Instant::now() < until {
                return Err(error.into());
            }
            eprintln!("disklessd: {error}");
        }
    }
}

/// `990 of 1000 up; waiting for ocean[1-10]`
fn progress(goal: &Goal, sorted: &Sorted, all: usize) -> String {
    let mut text = format!("{} of {all} {}", sorted.there.len(), word(goal.stage.into()));
    for (what, names) in [("failed", &sorted.failed), ("waiting for", &sorted.waiting)] {
        if !names.is_empty() {
            text += &format!("; {what} {}", fold(names));
        }
    }
    text
}

fn outcome(goal: &Goal, sorted: &Sorted, over: bool) -> serde_json::Value {
    let word_of_end = match (over, sorted.failed.is_empty()) {
        (true, _) => "over",
        (false, false) => "failed",
        (false, true) => "there",
    };
    json!({
        "goal": goal.stage,
        "outcome": word_of_end,
        "there": sorted.there,
        "failed": sorted.failed,
        "waiting": sorted.waiting,
    })
}
