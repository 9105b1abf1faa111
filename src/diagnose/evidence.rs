//! What was found out, one thing at a time, in a form that can be written down and judged again.

use serde::{Deserialize, Serialize};

use crate::error::{Code, Error};

/// A link of the chain that a boot hangs on, in its order: what comes later needs what comes before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Kernel parameters and configuration.
    Config,
    /// The interface has a carrier.
    Carrier,
    /// It has an address.
    Address,
    /// A route leads to the server.
    Route,
    /// The next hop of that route answers to ARP or ND.
    Neighbour,
    /// The server's name has an address.
    Name,
    /// The server takes a TCP connection.
    Tcp,
    /// The clock, by which certificates are checked.
    Clock,
    /// The server answers to HTTP, over TLS if it is to.
    Http,
    /// The boot plan.
    Plan,
    /// The node's name to its targets.
    Initiator,
    /// Frames as large as both ends take get through.
    Mtu,
    /// The portals say where the target is.
    Discovery,
    /// The target lets the node log in.
    Login,
    /// The kernel's session.
    Session,
    /// The LUN in it.
    Lun,
    /// The paths lead to one disk, and the kernel has a map of them.
    Map,
    /// The process that keeps the sessions.
    Keeper,
    /// The disk has a LUKS header.
    Header,
    /// The key is there, and opens it.
    Key,
    /// The disk is open.
    Open,
    /// Its partitions and logical volumes.
    Volumes,
    /// Memory for the writable layer, and its disk.
    Zram,
    /// The kernel modules that the boot needs.
    Modules,
    /// The file systems, mounted.
    Root,
    /// Room in the writable layer.
    Layer,
    /// The new root has the kernel's modules.
    NewRootModules,
    /// What the new root is told.
    Handover,
    /// What the agent's own journal says.
    Journal,
}

/// What a check is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Of {
    /// The node, or a part of it.
    Node,
    /// A network interface.
    Interface,
    /// A server that has the boot plan; one that answers is enough.
    PlanServer,
    /// The server that has the key or the detached header.
    KeyServer,
    /// A portal: a path to the disk.
    Portal,
}

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// As it should be.
    Ok,
    /// Not as it should be.
    Bad,
    /// Not there yet: the boot makes it, or comes to it later.
    Open,
    /// Not looked at.
    Unseen,
}

/// One thing that was looked at. There is never a secret in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Where in the chain.
    pub stage: Stage,
    /// What it is about.
    pub of: Of,
    /// Which one: `eth0`, `portal 198.18.0.1:3260`, `disk sda`. All checks of a server have the same.
    pub object: String,
    /// What came of it.
    pub outcome: Outcome,
    /// What is wrong, as an error code; only where the outcome is [`Outcome::Bad`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What was found, or why it was not looked at.
    pub found: String,
    /// The interface that the way to a server goes over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<String>,
    /// How many of the portals must do; of the plan's check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<u32>,
}

impl Check {
    fn new(stage: Stage, of: Of, object: &str, outcome: Outcome, found: String) -> Check {
        Check { stage, of, object: object.to_owned(), outcome, code: None, found, over: None, wanted: None }
    }

    /// As it should be.
    pub fn ok(stage: Stage, of: Of, object: &str, found: impl Into<String>) -> Check {
        Check::new(stage, of, object, Outcome::Ok, found.into())
    }

    /// Not as it should be.
    pub fn bad(stage: Stage, of: Of, object: &str, code: Code, found: impl Into<String>) -> Check {
        let code = Some(code.as_str().to_owned());
        Check { code, ..Check::new(stage, of, object, Outcome::Bad, found.into()) }
    }

    /// The same, as `error` tells it; that it is about `object` is not told twice.
    pub fn failed(stage: Stage, of: Of, object: &str, error: &Error) -> Check {
        let text = error.to_string();
        let rest = text.strip_prefix(object).and_then(|rest| rest.strip_prefix(": "));
        Check::bad(stage, of, object, error.code(), rest.unwrap_or(&text))
    }

    /// Not there yet.
    pub fn open(stage: Stage, of: Of, object: &str, found: impl Into<String>) -> Check {
        Check::new(stage, of, object, Outcome::Open, found.into())
    }

    /// Not looked at, for the reason `why`.
    pub fn unseen(stage: Stage, of: Of, object: &str, why: impl Into<String>) -> Check {
        Check::new(stage, of, object, Outcome::Unseen, why.into())
    }

    /// With the interface that it goes over.
    #[must_use]
    pub fn over(self, interface: Option<String>) -> Check {
        Check { over: interface, ..self }
    }

    /// It is bad.
    pub fn is_bad(&self) -> bool {
        self.outcome == Outcome::Bad
    }
}
