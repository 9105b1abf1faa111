//! What one rule finds. Nodes with the same mistake come together.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use super::{Finding, Rule};
use crate::site::nodeset;

/// So many values are told as examples.
const EXAMPLES: usize = 3;

/// What one rule finds.
#[derive(Default)]
pub struct Found {
    groups: Vec<Group>,
    /// Mistakes of nodes, by their place and message.
    of_nodes: BTreeMap<(String, String), Group>,
}

/// One finding to be.
struct Group {
    objects: Vec<Object>,
    message: String,
    examples: Examples,
}

/// Whose fault it is.
struct Object {
    /// None: `place` says it all.
    nodes: BTreeSet<String>,
    /// `eth0`, `networks.boot.gateway`
    place: String,
}

/// Values that are wrong: the first few, and how many there are.
#[derive(Default)]
struct Examples {
    first: Vec<String>,
    seen: BTreeSet<String>,
}

impl Examples {
    fn add(&mut self, value: String) {
        if self.seen.insert(value.clone()) && self.first.len() < EXAMPLES {
            self.first.push(value);
        }
    }
}

impl Found {
    /// Something that is no node's: `object` as it is called in the site's file, `networks.boot.gateway`.
    pub fn at(&mut self, object: impl Into<String>, message: impl Into<String>) {
        let objects = vec![Object { nodes: BTreeSet::new(), place: object.into() }];
        self.groups.push(Group { objects, message: message.into(), examples: Examples::default() });
    }

    /// A node's: at its `place`, which may be empty. Nodes with the same place and message are one finding, so what
    /// differs from node to node is for [`Found::node_with`].
    pub fn node(&mut self, node: &str, place: &str, message: impl Into<String>) {
        self.group(node, place, message.into());
    }

    /// The same, with the value that is wrong: a few of them are told.
    pub fn node_with(
        &mut self,
        node: &str,
        place: &str,
        message: impl Into<String>,
        value: impl Into<String>,
    ) {
        self.group(node, place, message.into()).examples.add(value.into());
    }

    /// The group of this mistake, with the node in it.
    fn group(&mut self, node: &str, place: &str, message: String) -> &mut Group {
        let group = self.of_nodes.entry((place.to_owned(), message.clone())).or_insert_with(|| Group {
            objects: vec![Object { nodes: BTreeSet::new(), place: place.to_owned() }],
            message,
            examples: Examples::default(),
        });
        for object in &mut group.objects {
            object.nodes.insert(node.to_owned());
        }
        group
    }

    /// Values that have more than one owner, and at least one of them is a node. Those of the same places are one
    /// finding.
    pub fn twice<V: Ord + Display>(&mut self, message: &str, owned: impl Iterator<Item = (V, Owner)>) {
        let mut owners: BTreeMap<V, BTreeSet<Owner>> = BTreeMap::new();
        for (value, owner) in owned {
            owners.entry(value).or_default().insert(owner);
        }
        let mut groups: BTreeMap<Vec<String>, Group> = BTreeMap::new();
        for (value, owners) in owners {
            if owners.len() < 2 || owners.iter().all(|owner| owner.node.is_none()) {
                continue;
            }
            let places: BTreeSet<String> = owners.iter().map(|owner| owner.place.clone()).collect();
            let group = groups.entry(places.iter().cloned().collect()).or_insert_with(|| Group {
                objects: places.into_iter().map(|place| Object { nodes: BTreeSet::new(), place }).collect(),
                message: message.to_owned(),
                examples: Examples::default(),
            });
            group.examples.add(format!("{value} ({})", few(&owners)));
            for owner in owners {
                let object = group.objects.iter_mut().find(|object| object.place == owner.place);
                if let (Some(object), Some(node)) = (object, owner.node) {
                    object.nodes.insert(node);
                }
            }
        }
        self.groups.extend(groups.into_values());
    }

    /// As findings of `rule`.
    pub fn findings(self, rule: &Rule) -> Vec<Finding> {
        let finding = |group: Group| Finding {
            code: rule.code,
            level: rule.level,
            object: group.objects.iter().map(shown).collect::<Vec<_>>().join(", "),
            message: group.message.clone() + &group.examples.shown(),
            advice: rule.advice,
        };
        self.groups.into_iter().chain(self.of_nodes.into_values()).map(finding).collect()
    }
}

impl Examples {
    fn shown(&self) -> String {
        let more = self.seen.len().saturating_sub(self.first.len());
        match (self.first.as_slice(), more) {
            ([], _) => String::new(),
            (first, 0) => format!(": {}", first.join(", ")),
            (first, more) => format!(": {} and {more} more", first.join(", ")),
        }
    }
}

fn shown(object: &Object) -> String {
    let nodes = nodeset::fold(&object.nodes);
    match (nodes.is_empty(), object.place.is_empty()) {
        (true, _) => object.place.clone(),
        (_, true) => nodes,
        _ => format!("{nodes} {}", object.place),
    }
}

fn few(owners: &BTreeSet<Owner>) -> String {
    let mut words: Vec<String> = owners.iter().take(EXAMPLES).map(Owner::to_string).collect();
    if owners.len() > EXAMPLES {
        words.push("…".to_owned());
    }
    words.join(", ")
}

/// Who has something that only one may have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// A node; none: `place` says it all.
    node: Option<String>,
    place: String,
}

impl Owner {
    /// A node, at its `place`.
    pub fn node(node: &str, place: &str) -> Owner {
        Owner { node: Some(node.to_owned()), place: place.to_owned() }
    }

    /// Something else.
    pub fn thing(place: impl Into<String>) -> Owner {
        Owner { node: None, place: place.into() }
    }
}

impl Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.node {
            Some(node) if self.place.is_empty() => f.write_str(node),
            Some(node) => write!(f, "{node} {}", self.place),
            None => f.write_str(&self.place),
        }
    }
}
