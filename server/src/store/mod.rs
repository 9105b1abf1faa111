//! KEEP: what was heard of nodes, and what operators want of them, durable.
//!
//! Everything is written through one trait, [`Write`], by one thread, which makes one transaction of what many callers
//! brought (group commit); a caller gets its answer when that transaction is on the disk.

mod counted;
mod database;
mod handle;
mod read;
mod row;
#[cfg(test)]
mod tests;
mod write;
mod writer;

use std::net::IpAddr;

pub use handle::Store;

use diskless::report::record::Record;
use schemars::JsonSchema;
use serde::de::IntoDeserializer;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::site::file::Action;
use crate::state::Boot;
use crate::time::Time;

/// A change.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A node said something.
    Heard {
        /// Who, by the name that the site knows it by.
        node: String,
        /// When.
        at: Time,
        /// Where from.
        from: Option<IpAddr>,
        /// What.
        call: Call,
    },
    /// An operator wants something of a node.
    Wanted {
        /// Whom of.
        node: String,
        /// When.
        at: Time,
        /// What; none: what the site's file says.
        action: Option<Action>,
        /// For the next boot only.
        once: bool,
    },
    /// A node has sent a bundle, whose file is there.
    Bundle {
        /// Who.
        node: String,
        /// When.
        at: Time,
        /// Where from.
        from: Option<IpAddr>,
        /// What.
        new: NewBundle,
    },
    /// A webhook has been told of everything up to this event.
    Delivered {
        /// Which webhook.
        webhook: String,
        /// The last event's id.
        through: u64,
    },
}

/// What a node says.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    /// iPXE asked for its script, or phoned home: a boot begins.
    Ipxe {
        /// What it was given: `boot`, `trap`, `error`, …; none: it only phoned home.
        given: Option<String>,
    },
    /// iPXE starts the kernel.
    Kernel,
    /// An event of the agent, or of `diskless-report.service`.
    Event(Box<Record>),
    /// The form of `diskless-report.service`: the system is up.
    Up(Form),
    /// The form of cloud-init.
    Cloudinit(Form),
}

/// A bundle that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBundle {
    /// The kernel's id of the boot that it is of.
    pub boot_id: String,
    /// Its size.
    pub bytes: u64,
    /// Its file, below `server.bundles`.
    pub file: String,
    /// So many of the node are kept, the newest ones.
    pub keep: u32,
}

/// A bundle, as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// Its number; a later one is greater.
    pub id: u64,
    /// The boot that it is of, [`Boot::number`]; none: the store does not have it, or not any more.
    pub boot: Option<u64>,
    /// The kernel's id of that boot.
    pub boot_id: String,
    /// When it came.
    pub at: Time,
    /// Where from.
    pub from: Option<IpAddr>,
    /// Its size.
    pub bytes: u64,
    /// Its file, below `server.bundles`.
    pub file: String,
}

/// cloud-init's phone_home form; what it has no value for (`N/A`) is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Form {
    /// `instance_id`
    pub instance_id: Option<String>,
    /// `hostname`
    pub hostname: Option<String>,
    /// `fqdn`
    pub fqdn: Option<String>,
    /// SSH host keys by kind: `rsa`, `ecdsa`, `ed25519`, `dsa`.
    pub pub_keys: std::collections::BTreeMap<String, String>,
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is new, with this id.
    New(u64),
    /// It was known already, nothing changed.
    Known,
}

/// The one door for changes: all of `changes`, or none.
pub trait Write {
    /// Makes `changes` durable, in their order; gives what became of each.
    ///
    /// # Errors
    /// None of them was made.
    fn write(&mut self, changes: &[Change]) -> Result<Vec<Outcome>>;
}

/// A node, as the store knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its newest boot.
    pub boot: Option<Boot>,
    /// What an operator wants of it.
    pub wanted: Option<Wanted>,
    /// The id of the last change that concerns it, of those that [`Store::last`] counts.
    pub changed: u64,
}

/// What an operator wants of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// What.
    pub action: Wish,
    /// For the next boot only.
    pub once: bool,
    /// Since when.
    pub at: Time,
}

/// An action, as the database has it: another server of a later version may have written one that this one does not
/// know. In JSON it is the word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Wish {
    /// This.
    Known(Action),
    /// A word that this server has no meaning for.
    Unknown(String),
}

impl Wish {
    /// The wish that `word` is.
    pub fn of(word: &str) -> Wish {
        let action =
            Action::deserialize(IntoDeserializer::<serde::de::value::Error>::into_deserializer(word));
        action.map_or_else(|_| Wish::Unknown(word.to_owned()), Wish::Known)
    }

    /// Its word.
    pub fn word(&self) -> &str {
        match self {
            Wish::Known(Action::Boot) => "boot",
            Wish::Known(Action::Trap) => "trap",
            Wish::Known(Action::Rescue) => "rescue",
            Wish::Known(Action::Local) => "local",
            Wish::Unknown(word) => word,
        }
    }
}

/// Something that was heard of a node.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// Its number: a later one is greater.
    pub id: u64,
    /// The node.
    pub node: String,
    /// The boot, [`Boot::number`].
    pub boot: u64,
    /// When.
    pub at: Time,
    /// Where from.
    pub from: Option<IpAddr>,
    /// What.
    pub call: Call,
}
