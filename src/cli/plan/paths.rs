//! The paths to the disk, as `diskless plan` shows them.

use std::fmt::Write as _;

use serde::Serialize;

use crate::input::document::{Document, Identify, Queueing, TargetPortal};
use crate::input::settings::Preset;

/// How the node gets to its disk.
#[derive(Debug, Serialize)]
pub struct Paths {
    portals: Vec<Portal>,
    /// So many must be there before the boot goes on, and the others are waited for so long then.
    min_paths: u32,
    grace_s: u32,
    timers: Timers,
    /// None: the disk is taken as it is.
    map: Option<Map>,
}

/// A portal; what is not said of it is left to the routes.
#[derive(Debug, Serialize)]
struct Portal {
    portal: String,
    target: String,
    interface: Option<String>,
    source: Option<String>,
}

/// When a connection is held to be lost, and what becomes of reads then; in seconds, 0: never.
#[derive(Debug, Serialize)]
struct Timers {
    preset: &'static str,
    login: u32,
    noop_interval: u32,
    noop_timeout: u32,
    replacement: u32,
}

/// How the paths become one map.
#[derive(Debug, Serialize)]
struct Map {
    identify: Identify,
    path_selector: String,
    /// What becomes of reads without a path after the pivot: `fail`, `wait`, or `wait N s`.
    no_path: String,
}

impl Paths {
    /// Those of `document`.
    pub fn of(document: &Document) -> Paths {
        let iscsi = &document.iscsi;
        let portal = |path: &TargetPortal| Portal {
            portal: path.to_string(),
            target: iscsi.target_at(path).to_owned(),
            interface: path.leaves_by().map(str::to_owned),
            source: path.source.map(|source| source.to_string()),
        };
        let settings = &iscsi.settings;
        Paths {
            portals: iscsi.portals.iter().map(portal).collect(),
            min_paths: iscsi.min_paths,
            grace_s: iscsi.grace,
            timers: Timers {
                preset: match settings.holds() {
                    Preset::SinglePath => "single-path",
                    Preset::Multipath => "multipath",
                },
                login: settings.number("node.conn[0].timeo.login_timeout"),
                noop_interval: settings.number("node.conn[0].timeo.noop_out_interval"),
                noop_timeout: settings.number("node.conn[0].timeo.noop_out_timeout"),
                replacement: settings.number("node.session.timeo.replacement_timeout"),
            },
            map: document.map().map(|map| Map {
                identify: map.identify,
                path_selector: map.path_selector().to_owned(),
                no_path: match map.queueing() {
                    Queueing::Fail => "fail".to_owned(),
                    Queueing::Forever => "wait".to_owned(),
                    Queueing::For(time) => format!("wait {} s", time.as_secs()),
                },
            }),
        }
    }

    /// For people, as lines of their own.
    pub fn describe(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        for (number, Portal { portal, target, interface, source }) in (1..).zip(&self.portals) {
            let label = format!("path {number}");
            let by = interface.as_ref().map_or_else(String::new, |name| format!(", by {name}"));
            let from = source.as_ref().map_or_else(String::new, |source| format!(", from {source}"));
            let _ = writeln!(text, "{label:<10} {portal}, {target}{by}{from}");
        }
        let (all, least) = (self.portals.len(), self.min_paths);
        let map = match &self.map {
            Some(Map { identify, path_selector, no_path }) => {
                let identify = match identify {
                    Identify::Wwid => "WWID",
                    Identify::LuksUuid => "LUKS UUID",
                };
                let wait = if usize::try_from(least).is_ok_and(|least| least >= all) {
                    format!("all {all} paths are waited for")
                } else {
                    format!(
                        "{least} of {all} paths are waited for, and the others for {} s then",
                        self.grace_s
                    )
                };
                format!(
                    "of disks with one {identify}, {path_selector}; reads without a path {no_path}; {wait}"
                )
            }
            None if all > 1 => {
                "none: the disk of the first portal that has it; the others stand in for it".to_owned()
            }
            None => "none".to_owned(),
        };
        let _ = writeln!(text, "map        {map}");
        let Timers { preset, login, noop_interval, noop_timeout, replacement } = &self.timers;
        let noop = match noop_interval {
            0 => "not pinged".to_owned(),
            _ => format!("pinged every {noop_interval} s and lost after {noop_timeout} s without an answer"),
        };
        let _ = writeln!(
            text,
            "timers     {preset}: a login may take {login} s; a connection is {noop}; reads wait {replacement} s for a \
             lost one"
        );
        text
    }
}
