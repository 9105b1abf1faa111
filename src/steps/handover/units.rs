//! The units of the image that are to be enabled: which, and how they are found.

use std::collections::{BTreeMap, BTreeSet};

use super::files::{Content, File};
use super::observe::LONGEST;
use super::{failed, image, install};
use crate::error::Result;
use crate::input::document::Document;
use crate::sys::in_root::Root;

/// Where units are, those that win first (systemd.unit(5)).
pub const FOLDERS: [&str; 4] = [
    "/etc/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];
/// The types of units; a name without one is that of a service.
const TYPES: [&str; 9] =
    [".service", ".socket", ".target", ".timer", ".mount", ".automount", ".swap", ".path", ".slice"];
/// So many links in a row from a unit's name to its file lead nowhere.
const MOST_LINKS: usize = 8;
/// So many drop-ins of one unit are none that somebody meant.
const MOST_DROP_INS: usize = 256;
/// Where the units that are enabled here are named once more, for who goes by presets (systemd.preset(5)): the first file
/// that names a unit wins. Distributions differ in what the first boot of an image does: it may disable, too.
const PRESET: &str = "/etc/systemd/system-preset/00-diskless.preset";
/// So many units that are enabled with others are no image that somebody meant.
const MOST_UNITS: usize = 256;

/// A unit that is to be enabled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its name, with its type.
    pub name: String,
    /// The plan names it: it must be there, or be a file of the plan. Else it is passed over where the image does not have it.
    pub required: bool,
}

/// A unit of the image.
#[derive(Debug, PartialEq, Eq)]
pub struct Unit {
    /// What it was asked for as.
    pub name: String,
    /// The plan names it.
    pub required: bool,
    /// How it is there.
    pub state: State,
}

/// How a unit is there.
#[derive(Debug, PartialEq, Eq)]
pub enum State {
    /// Not at all.
    Missing,
    /// The image's makers do not want it to run.
    Masked,
    /// It is a template, and neither its name nor its file says of which instance.
    NoInstance,
    /// It can be enabled.
    There {
        /// Its file.
        path: String,
        /// The links that would enable it and are missing.
        missing: Vec<String>,
    },
}

/// The units that `document` asks for.
///
/// iscsid's socket comes along where iscsid is one that its socket starts (open-iscsi's own unit, and EL's): the unit names
/// it with `Also=`. Debian's does not, for its iscsid listens for itself.
pub fn wanted(document: &Document) -> Vec<Wanted> {
    let multipathd = document.map().map(|_| "multipathd.service");
    let of_plan: Vec<String> = document.handover.services.iter().map(|name| full_name(name)).collect();
    let ours = ["iscsid.service"].into_iter().chain(multipathd);
    let ours =
        ours.map(|name| Wanted { name: name.to_owned(), required: false }).chain(image::wanted(document));
    let ours = ours.filter(|ours| !of_plan.contains(&ours.name));
    ours.chain(of_plan.iter().map(|name| Wanted { name: name.clone(), required: true })).collect()
}

fn full_name(name: &str) -> String {
    if TYPES.iter().any(|kind| name.ends_with(kind)) { name.to_owned() } else { format!("{name}.service") }
}

/// Looks for the units in `wanted`, and for those that are to be enabled with them; each once.
pub fn look(root: &Root, wanted: &[Wanted]) -> Result<Vec<Unit>> {
    let mut units = Vec::new();
    let mut known: BTreeSet<String> = wanted.iter().map(|wanted| wanted.name.clone()).collect();
    let mut queue: Vec<Wanted> = wanted.iter().rev().cloned().collect();
    while let Some(Wanted { name, required }) = queue.pop() {
        let (state, also) = unit(root, &name)?;
        units.push(Unit { name, required, state });
        for name in also {
            if known.len() < MOST_UNITS && known.insert(name.clone()) {
                queue.push(Wanted { name, required: false });
            }
        }
    }
    Ok(units)
}

/// How the unit `name` is there, and what is to be enabled with it.
fn unit(root: &Root, name: &str) -> Result<(State, Vec<String>)> {
    let nothing = |state| Ok((state, Vec::new()));
    let (path, text) = match file(root, name)? {
        Place::Unit(path, text) => (path, text),
        Place::Masked => return nothing(State::Masked),
        Place::Missing => return nothing(State::Missing),
    };
    // By another name it may be another unit's alias: that one is enabled.
    let own_name = path.rsplit('/').next().unwrap_or_default();
    let name = if own_name == template(name).unwrap_or_default() { name } else { own_name };
    let mut texts = vec![text];
    texts.extend(drop_ins(root, name)?);
    let mut install = install::install(name, &texts);
    if name.contains("@.") {
        let Some(instance) = install.default_instance else { return nothing(State::NoInstance) };
        install = install::install(&name.replacen('@', &format!("@{instance}"), 1), &texts);
    }
    let mut missing = Vec::new();
    for link in install.links {
        if !root.is_there(&link).map_err(failed(&link))? {
            missing.push(link);
        }
    }
    Ok((State::There { path, missing }, install.also))
}

/// The texts of the drop-ins of the unit `name`, and of the template that it is an instance of, in their order. Of one
/// file name the folder that wins has the only one, be it an empty one.
fn drop_ins(root: &Root, name: &str) -> Result<Vec<String>> {
    let mut paths = BTreeMap::new();
    for unit in
        [Some(name.to_owned()), template(name).filter(|template| template != name)].into_iter().flatten()
    {
        for folder in FOLDERS.map(|folder| format!("{folder}/{unit}.d")) {
            let names = root.names(&folder, MOST_DROP_INS).map_err(failed(&folder))?;
            for name in names.into_iter().filter(|name| name.ends_with(".conf")) {
                paths.entry(name.clone()).or_insert(format!("{folder}/{name}"));
            }
        }
    }
    let text = |path: &String| -> Result<Option<String>> {
        let found = root.read(path, LONGEST).map_err(failed(path))?;
        Ok(found.map(|found| String::from_utf8_lossy(&found.bytes).into_owned()))
    };
    paths.values().filter_map(|path| text(path).transpose()).collect()
}

/// The file of presets that has `units` enabled, as far as they can be.
pub fn preset(units: &[Unit]) -> Option<File> {
    let there = units.iter().filter(|unit| matches!(unit.state, State::There { .. }));
    let lines: String = there.map(|unit| format!("enable {}\n", unit.name)).collect();
    let content =
        Content::text(&format!("# Written by diskless: no preset is to disable these units.\n{lines}"));
    (!lines.is_empty()).then(|| File { path: PRESET.into(), mode: 0o644, content })
}

/// What a unit's name leads to.
enum Place {
    Missing,
    Masked,
    /// The file's path and text.
    Unit(String, String),
}

/// The file of the unit `name`, or of the template that it is an instance of.
fn file(root: &Root, name: &str) -> Result<Place> {
    match file_of(root, name)? {
        Place::Missing => template(name).map_or(Ok(Place::Missing), |template| file_of(root, &template)),
        place => Ok(place),
    }
}

/// `getty@.service`, for `getty@tty1.service`.
fn template(name: &str) -> Option<String> {
    let (prefix, rest) = name.split_once('@')?;
    Some(format!("{prefix}@.{}", rest.rsplit_once('.')?.1))
}

/// Whether a file at `path` is that of the unit `name`, or of the template that it is an instance of.
pub fn is_file_of(path: &str, name: &str) -> bool {
    path.rsplit_once('/').is_some_and(|(folder, file)| {
        FOLDERS.contains(&folder) && (file == name || template(name).is_some_and(|template| file == template))
    })
}

fn file_of(root: &Root, name: &str) -> Result<Place> {
    for folder in FOLDERS {
        let Some(path) = followed(root, format!("{folder}/{name}"))? else { continue };
        if path == "/dev/null" {
            return Ok(Place::Masked);
        }
        let Some(found) = root.read(&path, LONGEST).map_err(failed(&path))? else { continue };
        if found.bytes.is_empty() {
            return Ok(Place::Masked);
        }
        return Ok(Place::Unit(path, String::from_utf8_lossy(&found.bytes).into_owned()));
    }
    Ok(Place::Missing)
}

/// Where `path` leads if it is a link, and if that is one, and so on; none if it leads nowhere.
fn followed(root: &Root, mut path: String) -> Result<Option<String>> {
    for _ in 0..MOST_LINKS {
        match root.link_target(&path).map_err(failed(&path))? {
            Some(target) => path = joined(&path, &target),
            None => return Ok(Some(path)),
        }
    }
    Ok(None)
}

/// Where a link at `path` with the target `target` leads, without `.` and `..`.
pub(super) fn joined(path: &str, target: &str) -> String {
    let mut parts: Vec<&str> = if target.starts_with('/') { Vec::new() } else { path.split('/').collect() };
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => (),
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::handover::fixture::{document, image};

    fn look_for(root: &std::path::Path, names: &[&str]) -> Vec<(String, State)> {
        let wanted = |name: &&str| Wanted { name: (*name).into(), required: true };
        let wanted: Vec<Wanted> = names.iter().map(wanted).collect();
        let units = look(&Root::open(root).unwrap(), &wanted).unwrap();
        units.into_iter().map(|unit| (unit.name, unit.state)).collect()
    }

    fn there(path: &str, missing: &[&str]) -> State {
        let missing = missing.iter().map(|link| format!("/etc/systemd/system/{link}")).collect();
        State::There { path: path.into(), missing }
    }

    #[test]
    fn the_plan_decides_what_is_wanted() {
        let names = |change| {
            let wanted = wanted(&document(change));
            wanted
                .iter()
                .map(|w| format!("{}{}", w.name, if w.required { "!" } else { "" }))
                .collect::<Vec<_>>()
        };
        assert_eq!(names(serde_json::json!({})), ["iscsid.service"]);
        let services = serde_json::json!({"services": ["sshd", "multipathd", "a.timer", "b.c"]});
        assert_eq!(
            names(serde_json::json!({"multipath": {}, "handover": services})),
            ["iscsid.service", "sshd.service!", "multipathd.service!", "a.timer!", "b.c.service!"]
        );
        assert_eq!(names(serde_json::json!({"multipath": {}})), ["iscsid.service", "multipathd.service"]);
    }

    #[test]
    fn links_aliases_and_masks_of_an_image() {
        let folder = image();
        let root = folder.path().join("sysroot");
        assert_eq!(
            look_for(&root, &["multipath-tools.service"]),
            [
                (
                    "multipath-tools.service".into(),
                    there(
                        "/lib/systemd/system/multipathd.service",
                        &["sysinit.target.wants/multipathd.service"]
                    )
                ),
                (
                    "multipathd.socket".into(),
                    there(
                        "/usr/lib/systemd/system/multipathd.socket",
                        &["sockets.target.wants/multipathd.socket"]
                    )
                ),
            ],
            "the alias is there already, and the socket comes along"
        );
        for (name, state) in [
            ("multipath-tools-boot.service", State::Masked),
            ("empty.service", State::Masked),
            ("no.service", State::Missing),
            ("loop.service", State::Missing),
            ("static.service", there("/opt/static.service", &[])),
        ] {
            assert_eq!(look_for(&root, &[name]), [(name.to_owned(), state)]);
        }
    }

    #[test]
    fn instances_are_those_of_templates() {
        let folder = image();
        let root = folder.path().join("sysroot");
        let path = "/usr/lib/systemd/system/getty@.service";
        for (name, link) in [
            ("getty@ttyS0.service", "getty.target.wants/getty@ttyS0.service"),
            ("getty@.service", "getty.target.wants/getty@tty1.service"),
        ] {
            assert_eq!(look_for(&root, &[name]), [(name.to_owned(), there(path, &[link]))]);
        }
        assert_eq!(look_for(&root, &["plain@.service"]), [("plain@.service".into(), State::NoInstance)]);
    }

    #[test]
    fn units_that_name_each_other_are_looked_at_once() {
        let folder = image();
        let root = folder.path().join("sysroot");
        let units = look_for(&root, &["ring-a.service"]);
        let names: Vec<&str> = units.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["ring-a.service", "ring-b.service"]);
        let endless = (0..2 * MOST_UNITS).map(|i| format!("u{i}.service ")).collect::<String>();
        let file = root.join("usr/lib/systemd/system/endless.service");
        std::fs::write(file, format!("[Install]\nAlso={endless}\n")).unwrap();
        assert_eq!(look_for(&root, &["endless.service"]).len(), MOST_UNITS);
    }

    #[test]
    fn targets_of_links_are_plain_paths() {
        for (path, target, joined_path) in [
            ("/a/b/c", "d", "/a/b/d"),
            ("/a/b/c", "../d", "/a/d"),
            ("/a/b/c", "/d/./e//f", "/d/e/f"),
            ("/a", "../../d", "/d"),
        ] {
            assert_eq!(joined(path, target), joined_path);
        }
    }
}
