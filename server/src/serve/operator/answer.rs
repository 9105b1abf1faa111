//! What the API answers: these types are its schemas, on both sides of the wire.

use std::collections::BTreeMap;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::check::Finding;
use crate::site::file::Action;
use crate::state::{Failure, Stage, State};
use crate::store::{self, Form};
use crate::time::Time;

/// Nodes of the site.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct Nodes {
    /// All changes up to this one are in the answer; for `changed_after` of the next call.
    pub last: u64,
    /// The server's clock: a caller that compares times compares with this one.
    pub now: Time,
    /// In the order of their names.
    pub nodes: Vec<Node>,
    /// Names that were asked for and are not in the site.
    pub unknown: Vec<String>,
}

/// A node of the site, and how far it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// In one word.
    pub state: State,
    /// Since when it is in this state, as far as that is known.
    pub since: Option<Time>,
    /// The furthest that its newest boot came.
    pub stage: Option<Stage>,
    /// The agent's step.
    pub step: Option<String>,
    /// What the agent waits for.
    pub waiting: Option<String>,
    /// What failed.
    pub failure: Option<Failure>,
    /// When it was last heard of.
    pub heard: Option<Time>,
    /// Its newest boot.
    pub boot: Option<Boot>,
    /// What an operator wants of it.
    pub wanted: Option<Wanted>,
    /// The last change that concerns it; 0: none.
    pub changed: u64,
}

/// One boot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Boot {
    /// Counts the boots of all nodes: a later boot has a greater number.
    pub number: u64,
    /// The kernel's boot id; none: only iPXE was heard of.
    pub boot_id: Option<String>,
    /// When it was first heard of.
    pub began: Time,
    /// When it was last heard of.
    pub heard: Time,
    /// The furthest that it came.
    pub stage: Stage,
    /// When it came to each stage that it said something of.
    pub reached: BTreeMap<Stage, Time>,
    /// The agent's step.
    pub step: Option<String>,
    /// What failed, if nothing came after it.
    pub failure: Option<Failure>,
    /// What iPXE was given: `boot`, `trap`, `error`, …
    pub given: Option<String>,
    /// What cloud-init, or `diskless-report.service`, said of the booted system.
    pub form: Option<Form>,
}

/// What an operator wants of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Wanted {
    /// `boot`, `trap`, `rescue`, `local`, or the word of a newer server.
    pub action: String,
    /// For the next boot only.
    pub once: bool,
    /// Since when.
    pub at: Time,
}

/// The boots of a node, the newest first.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Boots {
    /// The node.
    pub node: String,
    /// At most as many as the server keeps.
    pub boots: Vec<Boot>,
}

/// The bundles of a node, the newest first.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Bundles {
    /// The node.
    pub node: String,
    /// At most as many as the site's file says.
    pub bundles: Vec<Bundle>,
}

/// A bundle that a node has sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Bundle {
    /// Its number; a later one is greater.
    pub id: u64,
    /// The boot that it is of, by its number; none: the server does not have it, or not any more.
    pub boot: Option<u64>,
    /// The kernel's id of that boot.
    pub boot_id: String,
    /// When it came.
    pub at: Time,
    /// Where from.
    pub from: Option<IpAddr>,
    /// Its size.
    pub bytes: u64,
}

impl From<store::Bundle> for Bundle {
    fn from(bundle: store::Bundle) -> Bundle {
        Bundle {
            id: bundle.id,
            boot: bundle.boot,
            boot_id: bundle.boot_id,
            at: bundle.at,
            from: bundle.from,
            bytes: bundle.bytes,
        }
    }
}

/// The boot plan of a node as it is served to it, but for its secrets.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// The node.
    pub node: String,
    /// The plan; a secret is shown as `***`.
    pub document: Value,
    /// For each value that is no object, by its JSON pointer, where it comes from: `profile compute`, …
    pub origins: BTreeMap<String, String>,
}

/// What is wanted of nodes; the body of a request.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Want {
    /// A node set; each of its nodes must be in the site.
    pub nodes: String,
    /// What they are to do when they ask; `null`: what the site's file says. To leave it out says nothing.
    #[serde(deserialize_with = "Option::deserialize")]
    pub action: Option<Action>,
    /// For the next boot only.
    #[serde(default)]
    pub once: bool,
}

/// Nodes of which something is wanted from now on.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Set {
    /// Their names.
    pub nodes: Vec<String>,
}

/// What is wrong with the site in use.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Findings {
    /// All of them.
    pub findings: Vec<Finding>,
}

/// Something that was heard of a node: the data of a server-sent event, whose `id` is `id`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// A later one is greater; not all numbers are there.
    pub id: u64,
    /// The node.
    pub node: String,
    /// The boot, by its number.
    pub boot: u64,
    /// When.
    pub at: Time,
    /// Where from.
    pub from: Option<IpAddr>,
    /// What.
    #[serde(flatten)]
    pub call: Call,
}

/// What was heard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "call", rename_all = "lowercase")]
pub enum Call {
    /// iPXE asked for its script, or phoned home.
    Ipxe {
        /// What it was given; none: it only phoned home.
        given: Option<String>,
    },
    /// iPXE starts the kernel.
    Kernel,
    /// An event of the agent.
    Event {
        /// docs/report.md describes it.
        event: Value,
    },
    /// The form of `diskless-report.service`.
    Up {
        /// The form.
        form: Form,
    },
    /// cloud-init's form.
    Cloudinit {
        /// The form.
        form: Form,
    },
}

impl From<&store::Heard> for Event {
    fn from(heard: &store::Heard) -> Event {
        let call = match &heard.call {
            store::Call::Ipxe { given } => Call::Ipxe { given: given.clone() },
            store::Call::Kernel => Call::Kernel,
            // Strings and numbers alone: that cannot fail.
            store::Call::Event(record) => {
                Call::Event { event: serde_json::to_value(record).unwrap_or_default() }
            }
            store::Call::Up(form) => Call::Up { form: form.clone() },
            store::Call::Cloudinit(form) => Call::Cloudinit { form: form.clone() },
        };
        let node = heard.node.clone();
        Event { id: heard.id, node, boot: heard.boot, at: heard.at, from: heard.from, call }
    }
}
