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
    if let Source::Urls(urls) = &config.plan
        && let Some((server, port)) = urls.first().and_then(|url| http::server(url))
    {
        steps.push(Step {
            name: "network",
            about: format!("plan server {server} port {port}"),
            limit: config.timeout,
            work: Box::new(network::Step::new("plan server", server, port)),
        });
    }
    steps.push(Step {
        name: "plan",
        about: config.plan.to_string(),
        limit: config.timeout,
        work: Box::new(fetch::Step::new(config.plan.clone(), slot.clone())),
    });
    steps
}

/// The steps from the boot plan to the new root, on the node that is called `initiator` by its targets.
pub fn from_document<'a>(
    config: &Config,
    document: &'a Document,
    initiator: &'a str,
) -> Result<Vec<Step<'a>>> {
    let Document { iscsi, luks, overlay, .. } = document;
    let mut steps = Vec::new();
    if !matches!(config.plan, Source::Urls(_))
        && let Some(portal) = iscsi.portals.first()
    {
        steps.push(Step {
            name: "network",
            about: format!("portal {portal}"),
            limit: config.timeout,
            work: Box::new(network::Step::new("portal", portal.host.clone(), portal.port)),
        });
    }
    steps.push(Step {
        name: "iscsi",
        about: format!("LUN {} of {} as {initiator}", iscsi.lun, iscsi.target),
        limit: config.timeout,
        work: Box::new(iscsi::Step::new(iscsi, initiator)?),
    });
    steps.push(Step {
        name: "luks",
        about: format!("/dev/mapper/{}", luks.name),
        limit: INSIDE.max(config.timeout),
        work: Box::new(luks::Step::new(luks, move |host| iscsi::disk(host, iscsi, initiator))),
    });
    let lowers = overlay.mounts.iter().filter_map(|mount| mount.lower.strip_prefix("/dev/mapper/"));
    let wanted: Vec<String> = lowers.map(str::to_owned).collect();
    steps.push(Step {
        name: "volumes",
        about: wanted.join(" "),
        limit: INSIDE,
        work: Box::new(volumes::Step::new(&luks.name, wanted)),
    });
    steps.push(Step {
        name: "zram",
        about: format!("writable layer of {}", overlay.size),
        limit: INSIDE,
        work: Box::new(zram::Step::new(overlay.size)),
    });
    let mount_points: Vec<&str> = overlay.mounts.iter().map(|mount| mount.at.as_str()).collect();
    steps.push(Step {
        name: "overlay",
        about: mount_points.join(" "),
        limit: INSIDE,
        work: Box::new(overlay::Step::new(overlay.mounts.clone())),
    });
    steps.push(Step {
        name: "handover",
        about: "files and units of the new root".into(),
        limit: INSIDE,
        work: Box::new(handover::Step::new(handover::files::files(document, initiator))),
    });
    Ok(steps)
}
