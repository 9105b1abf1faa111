//! Boot plans, as the agent sees them, and boot scripts.

use std::collections::BTreeSet;

use diskless::error::Code;
use diskless::input::document::is_hostname;
use diskless::input::url::{has_account, is_url};

use super::Level::{Error, Warning};
use super::found::Found;
use super::image::has_key;
use super::rule::{Rule, Run};
use super::secret::secret_words;
use super::view::{Plan, View};
use crate::site::aside::SECRET_FILE;
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
        code: "script-refused",
        level: Error,
        doc: "There is a boot script for each node that has an image: its command line fits a script and a kernel, and iPXE \
              can fetch its URLs.",
        advice: "correct what is named; docs/ipxe.md shows the scripts",
        run: Run::Site(script_refused),
    },
    Rule {
        code: "server-prefix",
        level: Error,
        doc: "The servers of a node have one `target_prefix`: a boot plan has one target.",
        advice: "give the servers of an image the same target_prefix, or give the node only servers that share one",
        run: Run::Site(prefixes),
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
        if let Some(error) = plan.refused.as_ref().filter(|error| !told_elsewhere(view, plan, error.code())) {
            let text = error.to_string();
            // The column depends on the length of the node's name, and a plan is one line.
            let text = text.rsplit_once(" at line 1 column ").map_or(text.as_str(), |(text, _)| text);
            found.node(&plan.node.name, "plan", format!("[{}] {text}", error.code().as_str()));
        }
    }
}

/// Whether a rule of ours says it better.
fn told_elsewhere(view: &View<'_>, plan: &Plan<'_>, code: Code) -> bool {
    let file = &view.site.file;
    let unknown_server = || plan.node.servers.iter().any(|name| !file.servers.contains_key(name));
    match code {
        Code::PlanHostname => !is_hostname(&plan.node.name),
        // What a secret's file says stands in place of its name, if it could be read.
        Code::PlanInvalid => unknown_server() || !has_key(plan) || !plan.strings(SECRET_FILE).is_empty(),
        Code::PlanPortals => unknown_server(),
        Code::PlanReport => !is_url(&file.server.url),
        _ => false,
    }
}

fn script_refused(view: &View<'_>, found: &mut Found) {
    let file = &view.site.file;
    for plan in view.plans.iter().filter(|plan| plan.script.given == "error") {
        // Of these, other rules tell.
        let told = file.images.get(plan.image).is_none_or(|image| {
            let urls = [&image.kernel, &image.initramfs];
            urls.iter().any(|url| url.is_empty() || has_account(url))
                || !secret_words(&image.cmdline).is_empty()
        });
        if !told && is_url(&file.server.url) && secret_words(&plan.node.cmdline).is_empty() {
            let why = plan.script.warning.as_deref().unwrap_or_default();
            let why = why.strip_prefix(&plan.node.name).and_then(|why| why.strip_prefix(": ")).unwrap_or(why);
            found.node(&plan.node.name, "boot script", why);
        }
    }
}

fn prefixes(view: &View<'_>, found: &mut Found) {
    for plan in &view.plans {
        let servers = plan.node.servers.iter().filter_map(|name| view.site.file.servers.get(name));
        let prefixes: BTreeSet<&str> = servers.map(|server| server.target_prefix.as_str()).collect();
        if prefixes.len() > 1 {
            let prefixes: Vec<&str> = prefixes.into_iter().collect();
            found.node(
                &plan.node.name,
                "servers",
                format!("they begin targets with {}", prefixes.join(" and ")),
            );
        }
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
