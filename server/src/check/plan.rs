//! Boot plans, as the agent sees them.

use diskless::error::Code;
use diskless::input::document::is_hostname;

use super::Level::{Error, Warning};
use super::found::Found;
use super::rule::{Rule, Run};
use super::view::{Plan, View};
use crate::site::file::Action;

pub const RULES: &[Rule] = &[
    Rule {
        code: "plan-refused",
        level: Error,
        doc: "The agent takes each node's boot plan: its own code, with its own error codes, is asked \
              ([errors.md](errors.md)). Among its rules: something is mounted at `/`, sizes and percentages are some, \
              names of targets, volumes, units and files can be used, xfs has room.",
        advice: "correct the member in the plan tables; `disklessd plan NODE --explain` shows where each comes from",
        run: Run::Site(refused),
    },
    Rule {
        code: "node-image",
        level: Warning,
        doc: "On a site with images, each node that is to boot has one.",
        advice: "give the node, its group, its profile or the defaults an `image`, or `action = \"local\"`",
        run: Run::Site(no_image),
    },
];

fn refused(view: &View<'_>, found: &mut Found) {
    for plan in &view.plans {
        if let Some(error) = plan.refused.as_ref().filter(|error| !told_elsewhere(plan, error.code())) {
            found.node(&plan.node.name, "plan", format!("[{}] {error}", error.code().as_str()));
        }
    }
}

/// Whether a rule of ours says it better.
fn told_elsewhere(plan: &Plan<'_>, code: Code) -> bool {
    match code {
        Code::PlanHostname => !is_hostname(&plan.node.name),
        Code::PlanInvalid => !super::image::has_key(plan),
        _ => false,
    }
}

fn no_image(view: &View<'_>, found: &mut Found) {
    // A site without images uses this server for something else.
    if view.site.file.images.is_empty() {
        return;
    }
    for node in view.site.nodes.values() {
        if node.image.is_none() && node.action != Action::Local {
            found.node(&node.name, "", "has no image to boot");
        }
    }
}
