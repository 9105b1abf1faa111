//! DECIDE: which script a node's iPXE gets.

use crate::site::Site;
use crate::site::file::Action;

/// What iPXE says of itself; every member may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub struct Asked {
    /// `${netX/mac}`
    pub mac: Option<String>,
    /// `${uuid}`
    pub uuid: Option<String>,
    /// `${hostname}`, from DHCP
    pub hostname: Option<String>,
}

/// Who asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// This node.
    Node(String),
    /// It said nothing of itself: it is told how to.
    Nobody,
    /// None that the site knows.
    Unknown,
    /// What it says of itself are several nodes; why.
    Contradiction(String),
}

/// What it gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The script; there is no secret in it.
    pub script: String,
    /// In one word, for the store and the log: `boot`, `trap`, `rescue`, `local`, `ask`, `unknown`, `error`.
    pub given: &'static str,
    /// What an operator must know.
    pub warning: Option<String>,
}

/// Who `asked` is.
pub fn who(_site: &Site, _asked: &Asked) -> Who {
    Who::Unknown
}

/// What `who` gets. `wanted` is what an operator wants of the node, as the store has it: a word that this server may
/// not know, for another one may have written it.
pub fn answer(_site: &Site, _asked: &Asked, _who: &Who, _wanted: Option<Action>) -> Answer {
    Answer { script: String::new(), given: "error", warning: None }
}
