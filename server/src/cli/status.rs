//! `disklessd status`: how nodes are.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use lexopt::Parser;

use super::asking::{Takes, plain, print_json, spoken};
use super::{Failed, print};
use crate::client::Follow;
use crate::error::Error;
use crate::serve::operator::answer::Node;
use crate::site::nodeset::fold;
use crate::state::State;
use crate::time::Time;

const TAKES: Takes = Takes {
    help: "\
usage: disklessd status NODESET... [--long|--json|--watch]

How nodes are: `ocean[1-16]`, `@rack2` for a group of the site, `@all`.
  --long    a line a node
  --json    as the API says it: GET /v1/nodes
  --watch   goes on until it is interrupted: on a terminal the picture, else a line for each change
",
    flags: &["long", "json", "watch"],
    values: &[],
};

/// `--watch` goes on without a server that does not answer for so long.
const WATCH: Duration = Duration::from_secs(24 * 3600);
/// Of the states in the order of their lines: what somebody must see comes first.
const ORDER: [State; 8] = [
    State::Failed,
    State::Silent,
    State::Never,
    State::Ipxe,
    State::Kernel,
    State::Agent,
    State::Up,
    State::Cloudinit,
];

/// The verb.
pub fn main(args: &mut Parser) -> Result<(), Failed> {
    let Some(given) = TAKES.read(args)? else { return Ok(()) };
    if ["long", "json", "watch"].iter().filter(|flag| given.has(flag)).count() > 1 {
        return Err(lexopt::Error::from("--long, --json and --watch are three ways to show it").into());
    }
    let set = given.node_set(0)?;
    let server = given.server()?;
    if given.has("watch") {
        return watch(Follow::new(server, set));
    }
    let answer = server.nodes(&set).map_err(Error::from)?;
    if given.has("json") {
        return print_json(&answer);
    }
    let show = if given.has("long") { lines } else { summary };
    print(&show(&mut answer.nodes.iter(), answer.now))
}

fn watch(mut follow: Follow) -> Result<(), Failed> {
    let terminal = std::io::stdout().is_terminal();
    loop {
        let mut away = |error: &Error| eprintln!("disklessd: {error}; asking again");
        let changed = follow.changed(Instant::now() + WATCH, &mut away)?;
        if terminal {
            // To the upper left corner, and clear what is below it (ECMA-48: CUP, ED).
            print(&format!(
                "\x1b[H\x1b[J{}\n{}",
                follow.now,
                summary(&mut follow.nodes.values(), follow.now)
            ))?;
        } else {
            print(&lines(&mut changed.iter(), follow.now))?;
        }
    }
}

/// Nodes, one by one.
type Among<'a> = &'a mut dyn Iterator<Item = &'a Node>;

/// Folded by what they have in common.
pub(super) fn summary(nodes: Among<'_>, now: Time) -> String {
    let mut groups: BTreeMap<(usize, String), Vec<&Node>> = BTreeMap::new();
    for node in nodes {
        let rank = ORDER.iter().position(|state| *state == node.state).unwrap_or(0);
        groups.entry((rank, label(node))).or_default().push(node);
    }
    let width = groups.keys().map(|(_, label)| label.chars().count() + 1).max().unwrap_or(0);
    let mut text = String::new();
    for ((_, label), nodes) in &groups {
        let names = fold(nodes.iter().map(|node| &node.name));
        let label = format!("{label}:");
        // A String takes everything.
        let _ = writeln!(text, "{label:width$} {names} ({}){}", nodes.len(), common(nodes, now));
    }
    text
}

/// What a line of nodes begins with.
fn label(node: &Node) -> String {
    let state = word(node.state);
    match (node.state, &node.failure, &node.step, node.stage) {
        (State::Failed, Some(failure), ..) => format!("{state} {}", plain(&failure.code)),
        (State::Agent, _, Some(step), _) => format!("{state} {}", plain(step)),
        (State::Silent, _, _, Some(stage)) => format!("{state} after {}", word(stage.into())),
        _ => state.to_owned(),
    }
}

/// What else the nodes of a line have in common.
fn common(nodes: &[&Node], now: Time) -> String {
    let mut details: Vec<String> = nodes.iter().filter_map(|node| detail(node, now)).collect();
    details.sort();
    details.dedup();
    match details.as_slice() {
        [] => String::new(),
        [one] => format!("  {one}"),
        [first, rest @ ..] => format!("  {first}; and {} more, see --long", rest.len()),
    }
}

fn detail(node: &Node, now: Time) -> Option<String> {
    match (node.state, &node.failure, &node.waiting) {
        (State::Failed, Some(failure), _) => {
            Some(format!("{}; {}", plain(&failure.message), plain(&failure.advice)))
        }
        (State::Agent, _, Some(waiting)) => Some(format!("waits for {}", plain(waiting))),
        (State::Silent, ..) => node.heard.map(|heard| format!("for {}", spoken(now.since(heard)))),
        _ => None,
    }
}

/// A line a node: name, state, for how long, what with.
pub(super) fn lines(nodes: Among<'_>, now: Time) -> String {
    let mut nodes: Vec<&Node> = nodes.collect();
    nodes.sort_by_cached_key(|node| counted(&node.name));
    let rows: Vec<[String; 4]> = nodes
        .into_iter()
        .map(|node| {
            let since = node.since.map_or_else(|| "-".to_owned(), |since| spoken(now.since(since)));
            let detail = if node.state == State::Silent { None } else { detail(node, now) };
            let wanted = node.wanted.as_ref().map(|wanted| {
                let once = if wanted.once { " once" } else { "" };
                format!("(wanted: {}{once})", plain(&wanted.action))
            });
            let rest: Vec<String> = detail.into_iter().chain(wanted).collect();
            [node.name.clone(), label(node), since, rest.join("  ")]
        })
        .collect();
    let wide =
        |of: fn(&[String; 4]) -> &String| rows.iter().map(|row| of(row).chars().count()).max().unwrap_or(0);
    let (names, labels, times) =
        (wide(|[name, ..]| name), wide(|[_, label, ..]| label), wide(|[_, _, time, _]| time));
    let mut text = String::new();
    for [name, label, time, rest] in &rows {
        let line = format!("{name:names$}  {label:labels$}  {time:>times$}  {rest}");
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// A name by its parts, so that ocean9 comes before ocean10: what is text, and the number after it.
fn counted(name: &str) -> Vec<(String, u128)> {
    let mut parts = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let text = rest.find(|char: char| char.is_ascii_digit()).unwrap_or(rest.len());
        let (before, after) = rest.split_at(text);
        let digits = after.find(|char: char| !char.is_ascii_digit()).unwrap_or(after.len());
        let (number, after) = after.split_at(digits);
        parts.push((before.to_owned(), number.parse().unwrap_or(0)));
        rest = after;
    }
    parts
}

/// As the API writes it.
pub(super) fn word(state: State) -> &'static str {
    match state {
        State::Never => "never",
        State::Ipxe => "ipxe",
        State::Kernel => "kernel",
        State::Agent => "agent",
        State::Failed => "failed",
        State::Silent => "silent",
        State::Up => "up",
        State::Cloudinit => "cloudinit",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_counted() {
        let mut names = ["n10", "n9", "n", "m2", "n9a", "r2n1", "r1n30", "", "7"];
        names.sort_by_cached_key(|name| counted(name));
        assert_eq!(names, ["", "7", "m2", "n", "n9", "n9a", "n10", "r1n30", "r2n1"]);
    }
}
