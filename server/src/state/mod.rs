//! DECIDE: how far a node is, from what was heard of it.
//!
//! What comes first and what comes twice does not matter: of one boot the furthest event counts, by the number that the
//! node itself gave it.

mod timeline;
mod told;
mod which;

use std::collections::BTreeMap;
use std::time::Duration;

pub use timeline::{Bar, Ending, Mark, Sign, Timeline, Wait, timeline};
pub use told::Told;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::store::{Form, Node};
use crate::time::Time;

/// How far a boot is, in the order of a boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// iPXE has asked for its script.
    Ipxe,
    /// iPXE has the kernel and the initramfs, and starts them.
    Kernel,
    /// The agent runs.
    Agent,
    /// The booted system says that it runs.
    Up,
    /// Its cloud-init says that it is done.
    Cloudinit,
}

/// A failure of the agent that nothing has come after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// The step.
    pub step: Option<String>,
    /// The stable code.
    pub code: String,
    /// Object, meaning, cause.
    pub message: String,
    /// What to do.
    pub advice: String,
}

/// One boot of a node, as far as it is known.
#[derive(Debug, Clone, PartialEq)]
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
    /// The agent's step, by its furthest event.
    pub step: Option<String>,
    /// What the agent waits for, if that is the last it said.
    pub waiting: Option<String>,
    /// What failed, if nothing came after it.
    pub failure: Option<Failure>,
    /// It holds for a person, as somebody asked for.
    pub holds: bool,
    /// What iPXE was given, if it asked.
    pub given: Option<String>,
    /// What cloud-init, or `diskless-report.service`, said of the booted system.
    pub form: Option<Form>,
}

/// How a node is, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Nothing was ever heard of it.
    Never,
    /// [`Stage::Ipxe`]
    Ipxe,
    /// [`Stage::Kernel`]
    Kernel,
    /// [`Stage::Agent`]
    Agent,
    /// The agent, or what came before it, failed.
    Failed,
    /// It was on its way, and has not been heard of for too long.
    Silent,
    /// [`Stage::Up`]
    Up,
    /// [`Stage::Cloudinit`]
    Cloudinit,
}

/// Of a node that is neither silent nor has failed.
impl From<Stage> for State {
    fn from(stage: Stage) -> State {
        match stage {
            Stage::Ipxe => State::Ipxe,
            Stage::Kernel => State::Kernel,
            Stage::Agent => State::Agent,
            Stage::Up => State::Up,
            Stage::Cloudinit => State::Cloudinit,
        }
    }
}

/// How `node` is at `now`, when a node that is on its way may be silent for `silent_after`.
pub fn state(node: &Node, now: Time, silent_after: Duration) -> State {
    let Some(boot) = &node.boot else { return State::Never };
    let stage = match boot.stage {
        _ if boot.failure.is_some() => return State::Failed,
        Stage::Up => return State::Up,
        Stage::Cloudinit => return State::Cloudinit,
        Stage::Ipxe => State::Ipxe,
        Stage::Kernel => State::Kernel,
        Stage::Agent => State::Agent,
    };
    if now.since(boot.heard) > silent_after && !rests(boot) { State::Silent } else { stage }
}

/// No more boots are counted.
pub const MOST_ATTEMPTS: usize = 20;

/// Which boot since the node was last up the next one is, from 1, by those that are known, newest first. One that only
/// asked for its script never began.
pub fn attempt(boots: &[Boot]) -> u32 {
    let failed = boots.iter().take_while(|boot| boot.stage < Stage::Up);
    let began = failed.filter(|boot| boot.stage >= Stage::Kernel).count();
    u32::try_from(began).unwrap_or(u32::MAX).saturating_add(1)
}

/// Whether the boot is where its script was to bring it: nothing more needs to be heard of it.
fn rests(boot: &Boot) -> bool {
    if boot.holds {
        return true;
    }
    match boot.given.as_deref() {
        Some("local") => true,
        Some("rescue") => boot.stage >= Stage::Kernel,
        Some("trap") => boot.stage >= Stage::Agent,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boots_are_counted_back_to_the_last_that_came_up() {
        let boots = |stages: &[Stage]| -> Vec<Boot> {
            let boot = |stage: &Stage| Boot {
                number: 1,
                boot_id: None,
                began: Time(0),
                heard: Time(0),
                stage: *stage,
                reached: BTreeMap::new(),
                step: None,
                waiting: None,
                failure: None,
                holds: false,
                given: None,
                form: None,
            };
            stages.iter().map(boot).collect()
        };
        for (stages, expected) in [
            (&[][..], 1),
            (&[Stage::Up, Stage::Agent], 1),
            (&[Stage::Agent], 2),
            (&[Stage::Agent, Stage::Kernel, Stage::Cloudinit, Stage::Agent], 3),
            (&[Stage::Ipxe, Stage::Agent, Stage::Ipxe], 2),
        ] {
            assert_eq!(attempt(&boots(stages)), expected, "{stages:?}");
        }
    }
}
