//! Boot plans, as the agent sees them, and boot scripts.

use std::collections::{BTreeMap, BTreeSet};

use diskless::error::Code;
use diskless::input::document::is_hostname;
use diskless::input::url::{has_account, is_url};
use toml::{Table, Value};

use super::Level::{Error, Warning};
use super::found::Found;
use super::image::has_key;
use super::rule::{Rule, Run};
use super::secret::secret_words;
use super::view::{Plan, View};
use crate::site::aside::{SECRET, SECRET_FILE};
use crate::site::file::{Action, Storage};
use crate::site::plan::below;

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
        code: "server-copies",
        level: Warning,
        doc: "Where the servers of a node begin targets differently, its plan says what tells that their LUNs are one disk: \
              copies of an image have a WWID each, unless somebody gave them the same.",
        advice: "add `multipath.identify`: \"luks-uuid\", or \"wwid\" if the targets are set up with one; or \
                 `multipath = \"off\"`: the second server then stands in for the first",
        run: Run::Site(copies),
    },
    Rule {
        code: "server-contradiction",
        level: Error,
        doc: "The servers of a node do not differ in their `plan` tables, unless its profile, groups or `[[nodes]]` say it \
              for all: a boot plan has one account, one LUN and one of everything for all of its portals.",
        advice: "say it in the profile once, give the servers the same account, or give the node only servers that agree",
        run: Run::Site(contradiction),
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

/// The servers of a node that there are, with their names.
fn servers<'a>(view: &View<'a>, plan: &Plan<'a>) -> impl Iterator<Item = (&'a String, &'a Storage)> {
    let servers = &view.site.file.servers;
    plan.node.servers.iter().filter_map(|name| servers.get_key_value(name))
}

fn copies(view: &View<'_>, found: &mut Found) {
    for plan in &view.plans {
        let prefixes: BTreeSet<&str> =
            servers(view, plan).map(|(_, server)| server.target_prefix.as_str()).collect();
        let said = plan.text("/multipath").is_some() || plan.text("/multipath/identify").is_some();
        if prefixes.len() > 1 && !said {
            let prefixes: Vec<&str> = prefixes.into_iter().collect();
            found.node(
                &plan.node.name,
                "servers",
                format!(
                    "they begin targets with {}, and nothing says what tells their disks",
                    prefixes.join(" and ")
                ),
            );
        }
    }
}

fn contradiction(view: &View<'_>, found: &mut Found) {
    for plan in &view.plans {
        let mut said: BTreeMap<String, (&String, &Value)> = BTreeMap::new();
        for (name, server) in servers(view, plan) {
            let mut leaves = Vec::new();
            collect(&server.plan, "", &mut leaves);
            // What another layer says for all of them counts.
            leaves.retain(|(pointer, _)| {
                plan.origins.get(pointer).is_some_and(|origin| origin.starts_with("server "))
            });
            for (pointer, value) in leaves {
                let (first, other) = *said.entry(pointer.clone()).or_insert((name, value));
                // `${server}` is another word for each.
                let own = first != name && value.as_str().is_some_and(|text| text.contains("${server}"));
                if own || other != value {
                    let place = pointer.trim_start_matches('/').replace('/', ".");
                    let message = format!("servers {first} and {name} do not say the same");
                    found.node(&plan.node.name, &place, message);
                }
            }
        }
    }
}

/// The members of a table that are no tables, by their JSON pointers in the plan.
fn collect<'a>(table: &'a Table, pointer: &str, found: &mut Vec<(String, &'a Value)>) {
    for (key, value) in table {
        let pointer = below(pointer, if key == SECRET_FILE { SECRET } else { key });
        match value {
            Value::Table(members) => collect(members, &pointer, found),
            value => found.push((pointer, value)),
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
