//! DECIDE: the order of the boot. This one file is the list of its steps.

use std::time::Duration;

use crate::engine::run::Step;
use crate::error::Result;
use crate::exit;
use crate::input::config::{Config, Source};
use crate::input::document::{Backing, Document, Identify, Iscsi, KeySource, Luks, Map, Overlay};
use crate::input::identity::Identity;
use crate::keeper;
use crate::steps::{fetch, handover, iscsi, luks, modules, multipath, network, overlay, volumes, zram};
use crate::sys::http;

/// For steps that wait for nothing outside of the node. Slow machines derive keys slowly.
const INSIDE: Duration = Duration::from_secs(120);

/// What the steps will ask of the kernel, to be loaded while the network is waited for.
pub const MODULES: &[&str] = &[
    "iscsi_tcp",
    "sd_mod",
    "scsi_dh_alua",
    "dm_multipath",
    "dm_service_time",
    "dm_crypt",
    "xts",
    "zram",
    "ext4",
    "overlay",
];

/// The names of all steps there are, in the order of a boot whose plan a server has. No boot has all of them.
pub const STEPS: &[&str] = &[
    "network",
    "plan",
    "iscsi",
    "multipath",
    "keeper",
    "luks",
    "volumes",
    "zram",
    "overlay",
    "modules",
    "handover",
    "exit",
];

/// The steps that lead to the boot plan, which ends up in `slot`; none if it is on the kernel command line.
pub fn until_document(config: &Config, slot: &fetch::Slot) -> Vec<Step<'static>> {
    let mut steps = Vec::new();
    if config.plan == Source::Parameters {
        // They are the plan.
        return steps;
    }
    if let Source::Urls(urls) = &config.plan {
        let servers = urls.iter().filter_map(|url| http::server(url));
        let servers: Vec<network::Server> =
            servers.map(|(host, port)| network::Server::new(host, port)).collect();
        let names: Vec<String> = servers.iter().map(ToString::to_string).collect();
        steps.push(Step {
            name: "network",
            about: format!("wait until a plan server answers: {}", names.join(", ")),
            limit: config.timeout,
            work: Box::new(network::Step::new("plan server", servers)),
        });
    }
    steps.push(Step {
        name: "plan",
        about: format!("read the boot plan from {}", fetch::shown(&config.plan)),
        limit: config.timeout,
        work: Box::new(fetch::Step::new(config.plan.clone(), config.multipath, config.signing, slot.clone())),
    });
    steps
}

/// The steps from the boot plan to the new root, on the node that is `identity`.
///
/// # Errors
/// [`crate::error::Code::PlanInvalid`]: the plan has a line for multipath.conf that cannot be written.
pub fn from_document<'a>(
    config: &Config,
    document: &'a Document,
    identity: &'a Identity,
) -> Result<Vec<Step<'a>>> {
    let Document { iscsi, luks, overlay, .. } = document;
    let initiator = identity.initiator.name.as_str();
    let mut steps = Vec::new();
    if !matches!(config.plan, Source::Urls(_)) {
        let portals = iscsi.portals.iter().map(network::Server::from).collect();
        let names: Vec<String> = iscsi.portals.iter().map(ToString::to_string).collect();
        steps.push(Step {
            name: "network",
            about: format!("wait until a portal answers: {}", names.join(", ")),
            limit: config.timeout,
            work: Box::new(network::Step::new("portal", portals)),
        });
    }
    steps.push(Step {
        name: "iscsi",
        about: about_iscsi(iscsi, initiator),
        limit: config.timeout,
        work: Box::new(iscsi::Boot { iscsi, initiator, portals: iscsi::portals(document) }),
    });
    if let Some(map) = document.map() {
        steps.push(Step {
            name: "multipath",
            about: about_multipath(map),
            limit: config.timeout,
            work: Box::new(multipath::Step::new(iscsi, map, initiator)),
        });
    }
    steps.push(Step {
        name: "keeper",
        about: "hand the sessions to a process that outlives the initramfs".to_owned(),
        limit: INSIDE,
        work: Box::new(keeper::Step::new(iscsi, document.map(), initiator)),
    });
    steps.push(Step {
        name: "luks",
        about: about_luks(luks),
        limit: INSIDE.max(config.timeout),
        work: Box::new(luks::Step::new(luks, move |host| multipath::disk(host, document, initiator))),
    });
    let lowers = overlay.mounts.iter().flat_map(|mount| mount.lower.names());
    let wanted: Vec<String> = lowers.map(str::to_owned).collect();
    steps.push(Step {
        name: "volumes",
        about: format!("map read-only: {}", wanted.join(", ")),
        limit: INSIDE,
        work: Box::new(volumes::Step::new(&luks.name, wanted)),
    });
    if overlay.backing == Backing::Zram {
        steps.push(Step {
            name: "zram",
            about: about_zram(overlay),
            limit: INSIDE,
            work: Box::new(zram::Step::new(overlay)),
        });
    }
    steps.push(Step {
        name: "overlay",
        about: about_overlay(overlay),
        limit: INSIDE,
        work: Box::new(overlay::Step::new(overlay)),
    });
    steps.push(Step {
        name: "modules",
        about: "look whether the new root has modules of the running kernel".to_owned(),
        limit: INSIDE,
        work: Box::new(modules::Step { required: document.handover.require_modules }),
    });
    steps.push(Step {
        name: "handover",
        about: about_handover(document),
        limit: INSIDE,
        work: Box::new(handover::Step::new(document, identity)?),
    });
    steps.push(Step {
        name: "exit",
        about: "leave in memory what takes the node apart at its end".to_owned(),
        limit: INSIDE,
        work: Box::new(exit::Step),
    });
    Ok(steps)
}

fn about_iscsi(iscsi: &Iscsi, initiator: &str) -> String {
    let portals: Vec<String> = iscsi.portals.iter().map(ToString::to_string).collect();
    let auth = match &iscsi.auth {
        None => "without authentication".to_owned(),
        Some(auth) if auth.mutual.is_none() => format!("with CHAP as {}", auth.username),
        Some(auth) => format!("with mutual CHAP as {}", auth.username),
    };
    format!("LUN {} of {} at {} for {initiator}, {auth}", iscsi.lun, iscsi.target, portals.join(", "))
}

fn about_multipath(map: &Map) -> String {
    let sign = match map.identify {
        Identify::Wwid => "WWID",
        Identify::LuksUuid => "LUKS UUID",
    };
    format!("one map of the paths to the disk, known by its {sign}, by {}", map.path_selector())
}

fn about_luks(luks: &Luks) -> String {
    let key = match &luks.key {
        KeySource::File(path) => path.clone(),
        KeySource::Url(url) => http::shown(url),
    };
    let uuid = luks.uuid.as_deref().map_or_else(String::new, |uuid| format!(" of UUID {uuid}"));
    format!("open the disk{uuid} as /dev/mapper/{} with the key in {key}", luks.name)
}

fn about_zram(overlay: &Overlay) -> String {
    let compression = overlay.algorithm.as_deref().map_or_else(String::new, |word| format!(", {word}"));
    let limit = match overlay.mem_limit {
        Some(limit) if overlay.overcommit => format!(", overcommitted: {limit} when compressed"),
        Some(limit) => format!(", no larger than {limit}"),
        None => String::new(),
    };
    let fs = overlay.fs.unwrap_or_default();
    format!("writable layer of {}, {fs}{compression}{limit}", overlay.size())
}

fn about_overlay(overlay: &Overlay) -> String {
    let mounts = overlay.mounts.iter().map(|mount| format!("{} of {}", mount.at, mount.lower));
    let mounts: Vec<String> = mounts.collect();
    let tmpfs = match overlay.backing {
        Backing::Zram => String::new(),
        Backing::Tmpfs => format!(", the writable layer a tmpfs of {}", overlay.size()),
    };
    format!("mount {} below /sysroot, writable over read-only{tmpfs}", mounts.join(", "))
}

fn about_handover(document: &Document) -> String {
    let mut parts = vec!["who the node is".to_owned(), "iSCSI configuration".to_owned()];
    parts.extend(document.hostname.as_ref().map(|hostname| format!("host name {hostname}")));
    if !document.handover.ssh_host_keys.is_empty() {
        let kinds: Vec<String> =
            document.handover.ssh_host_keys.iter().map(|(kind, _)| kind.to_string()).collect();
        parts.push(format!("SSH host keys ({})", kinds.join(", ")));
    }
    parts.extend(document.handover.files.iter().map(|file| file.path.clone()));
    parts.extend(document.handover.services.iter().map(|service| format!("unit {service}")));
    format!("write into the new root: {}", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::cmdline::Cmdline;

    #[test]
    fn what_steps_are_about_tells_no_token_of_a_url() {
        let cmdline = Cmdline::parse("rd.diskless.plan=http://me:secret@a/p?token=secret");
        let config = Config::from_cmdline(&cmdline).unwrap();
        let abouts: Vec<String> =
            until_document(&config, &fetch::Slot::default()).into_iter().map(|step| step.about).collect();
        assert_eq!(
            abouts,
            ["wait until a plan server answers: a port 80", "read the boot plan from http://a/p"]
        );
    }
}
