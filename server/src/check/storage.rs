//! The writable layer of a node: it is in its memory.

use diskless::input::document::LEAST_XFS;
use diskless::input::size::Size;

use super::Level::{Error, Warning};
use super::found::Found;
use super::rule::{Rule, Run};
use super::view::{Plan, View};

/// A booted system writes more than this before anybody logs in.
const LEAST: u64 = 64 << 20;
/// Above that share of the memory, little is left for what the node is there for.
const MUCH: u64 = 75;

pub const RULES: &[Rule] = &[
    Rule {
        code: "overlay-small",
        level: Error,
        doc: "The writable layer has at least 64 MiB, with xfs 300 MiB; as a share of the memory: if the memory is known.",
        advice: "give overlay.size a larger value, or take it out: it is half of the memory then",
        run: Run::Site(small),
    },
    Rule {
        code: "overlay-memory",
        level: Error,
        doc: "The writable layer is smaller than the node's memory, and so is what it may take of it, unless it overcommits.",
        advice: "give overlay.size and overlay.mem_limit values below the memory, `50%` for one, or correct `memory`",
        run: Run::Site(memory),
    },
    Rule {
        code: "overlay-large",
        level: Warning,
        doc: "The writable layer takes at most 75 % of the node's memory.",
        advice: "give overlay.size a smaller value, or overlay.mem_limit one: a full layer leaves the node no memory",
        run: Run::Site(large),
    },
];

/// A member of the plan's overlay that is a size; what is none, the agent refuses.
fn size(plan: &Plan<'_>, member: &str) -> Option<Size> {
    Size::parse(plan.text(&format!("/overlay/{member}"))?)
}

/// In percent of the node's memory, rounded up; none if nobody knows.
fn share(plan: &Plan<'_>, size: Size) -> Option<u64> {
    match size {
        Size::OfMemory(percent) => Some(percent.into()),
        Size::Bytes(bytes) => {
            let memory = plan.node.memory.filter(|memory| *memory > 0)?;
            u64::try_from((u128::from(bytes) * 100).div_ceil(memory.into())).ok()
        }
    }
}

fn small(view: &View<'_>, found: &mut Found) {
    for plan in &view.plans {
        let bytes = match (size(plan, "size"), plan.node.memory) {
            (Some(Size::Bytes(bytes)), _) => bytes,
            (Some(share), Some(memory)) => share.bytes(memory),
            _ => continue,
        };
        let xfs = plan.text("/overlay/fs") == Some("xfs");
        // The agent's own check sees this one.
        let told = xfs && matches!(size(plan, "size"), Some(Size::Bytes(..LEAST_XFS)));
        let least = if xfs { LEAST_XFS } else { LEAST };
        if bytes < least && !told {
            let message = format!("{} MiB, and {} MiB are the least", bytes >> 20, least >> 20);
            found.node(&plan.node.name, "overlay.size", message);
        }
    }
}

fn memory(view: &View<'_>, found: &mut Found) {
    for plan in view.plans.iter().filter(|plan| !plan.flag("/overlay/overcommit")) {
        // The layer is no larger than what it may take.
        let cut =
            size(plan, "mem_limit").and_then(|limit| share(plan, limit)).is_some_and(|share| share < 100);
        for member in ["size", "mem_limit"].into_iter().filter(|member| *member == "mem_limit" || !cut) {
            if let Some(size) = size(plan, member)
                && share(plan, size).is_some_and(|share| share >= 100)
            {
                let message = match plan.node.memory {
                    Some(memory) => format!("{size}, and the node has {} MiB", memory >> 20),
                    None => format!("{size}"),
                };
                found.node(&plan.node.name, &format!("overlay.{member}"), message);
            }
        }
    }
}

fn large(view: &View<'_>, found: &mut Found) {
    for plan in &view.plans {
        let Some(size) = size(plan, "size") else { continue };
        let limited = self::size(plan, "mem_limit").and_then(|limit| share(plan, limit));
        if let Some(share) = share(plan, size)
            && share > MUCH
            && share < 100
            && limited.is_none_or(|limit| limit > MUCH)
        {
            found.node(&plan.node.name, "overlay.size", format!("{share} % of the node's memory"));
        }
    }
}
