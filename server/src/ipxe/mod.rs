//! DECIDE: which script a node's iPXE gets.
//!
//! [`who`] says which node asks, [`answer`] what it gets. Both are pure, and nothing that a node says is put into a
//! script other than as text for its console. `docs/ipxe.md` shows each kind of script.

mod boot;
#[cfg(test)]
mod lint;
mod script;
mod secret;
#[cfg(test)]
mod tests;
mod who;
mod words;

pub use secret::shown;
pub use who::who;

use crate::site::Site;
use crate::site::file::Action;
use script::Script;

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

/// What `who` gets. `wanted` is what an operator wants of the node, as the store has it; without that it is the site's
/// word. Where the store has something that this server does not know, [`refuse`] is the answer.
pub fn answer(site: &Site, asked: &Asked, who: &Who, wanted: Option<Action>) -> Answer {
    answer_to(site, asked, who, wanted, None)
}

/// What `who` gets for its boot number `attempt` since it was last up, if that is known: the node has no memory of it.
pub fn answer_to(
    site: &Site,
    asked: &Asked,
    who: &Who,
    wanted: Option<Action>,
    attempt: Option<u32>,
) -> Answer {
    match who {
        Who::Nobody => ask(site),
        Who::Unknown => unknown(site, asked),
        Who::Contradiction(reason) => refuse(site, asked, reason),
        Who::Node(name) => match site.nodes.get(name) {
            None => unknown(site, asked),
            Some(node) => {
                let action = wanted.unwrap_or(node.action);
                match boot::script(site, node, action, attempt) {
                    Err(reason) => refuse(site, asked, &format!("{name}: {reason}")),
                    Ok(script) => {
                        let given = match action {
                            Action::Boot => "boot",
                            Action::Trap => "trap",
                            Action::Rescue => "rescue",
                            Action::Local => "local",
                        };
                        Answer { script, given, warning: who::doubt(site, node, asked) }
                    }
                }
            }
        },
    }
}

/// The answer to a node that cannot have another one: its console shows `reason`, and it asks again.
pub fn refuse(site: &Site, asked: &Asked, reason: &str) -> Answer {
    let reason = script::plain(reason);
    let mut script = script_for(site, asked);
    script.say("disklessd has no boot for this node:");
    script.say(&reason);
    script.say("Once that is put right the node boots by itself.");
    Answer { script: script.ask_again(), given: "error", warning: Some(reason) }
}

fn unknown(site: &Site, asked: &Asked) -> Answer {
    let said = who::list(asked);
    let mut script = script_for(site, asked);
    script.say("disklessd knows no node with");
    script.say(&said);
    script.say("Once its site.toml has one, this node boots by itself.");
    Answer {
        script: script.ask_again(),
        given: "unknown",
        warning: Some(format!("no node of the site has {said}")),
    }
}

/// Asks again, this time with all that iPXE can say of itself. One that has nothing to say comes to the same script
/// again: it waits, for else it would ask without end.
fn ask(site: &Site) -> Answer {
    let mut script = Script::new(&site.file.server.url, "");
    script.line("isset ${told} && goto nothing ||");
    script.line("set told yes");
    script.line("goto ask");
    script.line(":nothing");
    script.say("disklessd cannot tell which node this is: iPXE has no MAC, UUID or host name.");
    Answer { script: script.ask_again(), given: "ask", warning: None }
}

/// For one that is no node: its delays are its own by what it says of itself.
fn script_for(site: &Site, asked: &Asked) -> Script {
    Script::new(&site.file.server.url, &who::list(asked))
}
