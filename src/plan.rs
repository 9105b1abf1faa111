//! DECIDE: the order of the boot. This one file is the list of its steps.

use std::time::Duration;

use crate::engine::run::Step;
use crate::error::Result;
use crate::input::config::{Config, Source};
use crate::input::document::Document;
use crate::steps::{fetch, handover, iscsi, luks, network, overlay, volumes, zram};
use crate::sys::http;

/// For steps that wait for nothing outside of the node. Slow machines derive keys slowly.
const INSIDE: Duration = Duration::from_secs(120);

/// The steps that lead to the boot plan, which ends up in `slot`.
pub fn until_document(config: &Config, slot: &fetch::Slot) -> Vec<Step<'static>> {
    let mut steps = Vec::new();
    if let Source::Url(url) = &config.plan
        && let Some((server, port)) = http::server(url)
    {
        steps.push(Step {
            name: "network",
            limit: config.timeout,
            work: Box::new(network::Step::new("plan server", server, port)),
        });
    }
    steps.push(Step {
        name: "plan",
        limit: config.timeout,
        work: Box::new(fetch::Step::new(config.plan.clone(), slot.clone())),
    });
    steps
}

/// The steps from the boot plan to the new root.
pub fn from_document<'a>(config: &Config, document: &'a Document) -> Result<Vec<Step<'a>>> {
    let mut steps = Vec::new();
    if let Source::File(_) = config.plan
        && let Some(portal) = document.iscsi.portals.first()
    {
        steps.push(Step {
            name: "network",
            limit: config.timeout,
            work: Box::new(network::Step::new("portal", portal.ip().to_string(), portal.port())),
        });
    }
    steps.push(Step {
        name: "iscsi",
        limit: config.timeout,
        work: Box::new(iscsi::Step::new(&document.iscsi)?),
    });
    steps.push(Step {
        name: "luks",
        limit: INSIDE.max(config.timeout),
        work: Box::new(luks::Step::new(
            &document.luks.name,
            |host| iscsi::disk(host, &document.iscsi),
            |host| fetch::key(host, &document.luks.key),
        )),
    });
    let lowers = document.overlay.mounts.iter().filter_map(|mount| mount.lower.strip_prefix("/dev/mapper/"));
    steps.push(Step {
        name: "volumes",
        limit: INSIDE,
        work: Box::new(volumes::Step::new(&document.luks.name, lowers.map(str::to_owned).collect())),
    });
    steps.push(Step { name: "zram", limit: INSIDE, work: Box::new(zram::Step::new(document.overlay.size)) });
    steps.push(Step {
        name: "overlay",
        limit: INSIDE,
        work: Box::new(overlay::Step::new(document.overlay.mounts.clone())),
    });
    steps.push(Step {
        name: "handover",
        limit: INSIDE,
        work: Box::new(handover::Step::new(handover::files::files(document))),
    });
    Ok(steps)
}
