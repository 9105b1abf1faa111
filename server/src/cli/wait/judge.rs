//! Whether a node is where it is waited for. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::client::Follow;
use crate::serve::operator::answer::{Boot, Node};
use crate::state::{Stage, State};
use crate::time::Time;

/// What is waited for.
#[derive(Debug)]
pub struct Goal {
    /// Nodes are to come so far.
    pub stage: Stage,
    /// In these boots.
    pub since: Since,
    /// Whether a failure is not the end.
    pub through_failures: bool,
}

/// Which boots count, as it was asked for.
#[derive(Debug)]
pub enum Since {
    /// All of them.
    Always,
    /// Those that begin after the wait does.
    Started,
    /// Those that began at this time or later.
    At(Time),
    /// Those that began so long ago, or less, when the wait began.
    Ago(Duration),
}

/// Which boots count.
#[derive(Debug)]
pub enum Counts {
    /// Those that began then or later.
    From(Time),
    /// Those after these, by node.
    After(BTreeMap<String, u64>),
}

/// How it is with a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It has come so far.
    There,
    /// It failed before that.
    Failed,
    /// It may still come.
    Waiting,
}

/// The names of all nodes, by how it is with them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sorted {
    /// [`Verdict::There`]
    pub there: Vec<String>,
    /// [`Verdict::Failed`]
    pub failed: Vec<String>,
    /// [`Verdict::Waiting`]
    pub waiting: Vec<String>,
}

impl Since {
    /// Which boots that are, when nodes are as `at_first` says. What is relative is so to the server's clock, for that
    /// is the one that boots are dated by.
    pub fn counts(&self, at_first: &Follow) -> Counts {
        match self {
            Since::Always => Counts::From(Time(0)),
            Since::At(time) => Counts::From(*time),
            Since::Ago(ago) => {
                let ago = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
                Counts::From(Time(at_first.now.0.saturating_sub(ago)))
            }
            // By number and not by time: a boot may begin in the second in which the wait does.
            Since::Started => {
                let number = |node: &Node| Some((node.name.clone(), node.boot.as_ref()?.number));
                Counts::After(at_first.nodes.values().filter_map(number).collect())
            }
        }
    }
}

impl Counts {
    fn has(&self, node: &str, boot: &Boot) -> bool {
        match self {
            Counts::From(time) => boot.began >= *time,
            Counts::After(numbers) => numbers.get(node).is_none_or(|number| boot.number > *number),
        }
    }
}

/// How it is with `node`.
pub fn verdict(goal: &Goal, counts: &Counts, node: &Node) -> Verdict {
    match &node.boot {
        Some(boot) if counts.has(&node.name, boot) => match node.state {
            _ if boot.stage >= goal.stage => Verdict::There,
            State::Failed if !goal.through_failures => Verdict::Failed,
            _ => Verdict::Waiting,
        },
        _ => Verdict::Waiting,
    }
}

impl Sorted {
    fn add(&mut self, node: &Node, verdict: Verdict) {
        let names = match verdict {
            Verdict::There => &mut self.there,
            Verdict::Failed => &mut self.failed,
            Verdict::Waiting => &mut self.waiting,
        };
        names.push(node.name.clone());
    }
}

/// How it is with each of `nodes`.
pub fn sorted<'a>(goal: &Goal, counts: &Counts, nodes: impl Iterator<Item = &'a Node>) -> Sorted {
    let mut sorted = Sorted::default();
    for node in nodes {
        sorted.add(node, verdict(goal, counts, node));
    }
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(stage: Option<Stage>, state: State) -> Node {
        let boot = stage.map(|stage| {
            serde_json::json!({
                "number": 7, "boot_id": null, "began": "2026-01-31T08:00:00Z", "heard": "2026-01-31T08:01:00Z",
                "stage": stage, "reached": {}, "step": null, "failure": null, "given": null, "form": null
            })
        });
        serde_json::from_value(serde_json::json!({
            "name": "a", "state": state, "since": null, "stage": stage, "step": null, "waiting": null,
            "failure": null, "heard": null, "boot": boot, "wanted": null, "changed": 1
        }))
        .unwrap()
    }

    #[test]
    fn a_node_is_there_once_it_has_come_so_far_or_farther() {
        let all = Counts::From(Time(0));
        let cases = [
            (Stage::Up, None, State::Never, Verdict::Waiting),
            (Stage::Up, Some(Stage::Agent), State::Agent, Verdict::Waiting),
            (Stage::Up, Some(Stage::Agent), State::Silent, Verdict::Waiting),
            (Stage::Up, Some(Stage::Agent), State::Failed, Verdict::Failed),
            (Stage::Up, Some(Stage::Up), State::Up, Verdict::There),
            (Stage::Up, Some(Stage::Cloudinit), State::Cloudinit, Verdict::There),
            (Stage::Cloudinit, Some(Stage::Up), State::Up, Verdict::Waiting),
            // What came after the stage does not take it back.
            (Stage::Ipxe, Some(Stage::Agent), State::Failed, Verdict::There),
            (Stage::Kernel, Some(Stage::Agent), State::Silent, Verdict::There),
        ];
        for (stage, came, state, expected) in cases {
            let goal = Goal { stage, since: Since::Always, through_failures: false };
            assert_eq!(verdict(&goal, &all, &node(came, state)), expected, "{stage:?} {came:?} {state:?}");
        }
        let through = Goal { stage: Stage::Up, since: Since::Always, through_failures: true };
        assert_eq!(verdict(&through, &all, &node(Some(Stage::Agent), State::Failed)), Verdict::Waiting);
    }

    #[test]
    fn a_boot_that_does_not_count_is_neither_there_nor_failed() {
        let goal = Goal { stage: Stage::Agent, since: Since::Always, through_failures: false };
        let at = |text: &str| Counts::From(text.parse().unwrap());
        let after = |number| Counts::After(BTreeMap::from([("a".to_owned(), number)]));
        let cases = [
            (at("2026-01-31T08:00:00Z"), true),
            (at("2026-01-31T08:00:01Z"), false),
            (after(6), true),
            (after(7), false),
            (Counts::After(BTreeMap::new()), true),
        ];
        for (counts, does) in cases {
            let expected = |verdict| if does { verdict } else { Verdict::Waiting };
            let there = verdict(&goal, &counts, &node(Some(Stage::Agent), State::Agent));
            assert_eq!(there, expected(Verdict::There), "{counts:?}");
            let failed = verdict(&goal, &counts, &node(Some(Stage::Kernel), State::Failed));
            assert_eq!(failed, expected(Verdict::Failed), "{counts:?}");
        }
    }
}
