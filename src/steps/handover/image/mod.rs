//! The image's own files, written for another machine: what in them would wait for devices that are not there, act on the
//! disk of the root, or belong to an instance that is gone.

mod cloud;
mod crypttab;
mod device;
mod fstab;
#[cfg(fuzzing)]
pub mod fuzz;
#[cfg(test)]
mod generator_tests;
mod native;
mod rivals;
mod table;

use std::fmt;

use super::failed;
use super::files::{self, File};
use super::observe::LONGEST;
use super::units::Wanted;
use crate::engine::host::Host;
use crate::error::Result;
use crate::input::document::Document;
use crate::sys::in_root::Root;
use device::{Devices, Presence};
pub use rivals::{RIVALS, Rival};
use table::{Edited, marked, told};

const FSTAB: &str = "/etc/fstab";
const CRYPTTAB: &str = "/etc/crypttab";
/// Where an image has units of its own, and where masks are.
const UNITS: &str = "/etc/systemd/system";
/// What a masked unit leads to.
const NOWHERE: &str = "/dev/null";
/// So many units of its own no image has.
const MOST_UNITS: usize = 4096;

/// The image's own files, as far as something is to be done about them.
#[derive(Default)]
pub struct Seen {
    /// fstab and crypttab.
    tables: Vec<Table>,
    /// Units that are not to start.
    masks: Vec<Mask>,
    /// What is to go.
    unwanted: Vec<String>,
}

/// One of fstab and crypttab.
struct Table {
    path: &'static str,
    mode: u32,
    edited: Edited,
}

/// A unit that is not to start.
struct Mask {
    name: String,
    /// Why, if it is the image's own.
    why: Option<String>,
    /// It is masked.
    is_so: bool,
}

/// One thing to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Write a table of devices anew, and tell of each line that was changed.
    Edit {
        /// Where.
        path: &'static str,
        /// Its permissions.
        mode: u32,
        /// What.
        edited: Edited,
    },
    /// Have a unit never start.
    Mask {
        /// The unit.
        name: String,
        /// Why, if somebody must know.
        why: Option<String>,
    },
    /// Remove a file, or a folder and all that is in it.
    Remove {
        /// Absolute, in the new root.
        path: String,
    },
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Edit { path, .. } => write!(f, "edit {path}"),
            Action::Mask { name, .. } => write!(f, "mask {name}"),
            Action::Remove { path } => write!(f, "remove {path}"),
        }
    }
}

/// Looks at the image in `root`, and says what is to be written beside; `hostname` is what the kernel calls the node.
pub fn observe(
    host: &Host,
    root: &Root,
    document: &Document,
    hostname: Option<&str>,
) -> Result<(Seen, Vec<File>)> {
    let devices = Devices::of(host, &document.luks.name);
    let mounted: Vec<&str> = document.overlay.mounts.iter().map(|mount| mount.at.as_str()).collect();
    let presence = |spec: &str| devices.presence(spec);
    let crypttab = table(root, document, CRYPTTAB, |text| crypttab::rewrite(text, &presence))?;
    let opened = crypttab.as_ref().map(|table| table.edited.bytes.clone()).unwrap_or_default();
    let to_be = |spec: &str| match presence(spec) {
        Presence::Absent if crypttab::makes(&opened, spec) => Presence::There,
        found => found,
    };
    let facts = fstab::Facts { mounted: &mounted, device: &to_be };
    let fstab = table(root, document, FSTAB, |text| fstab::rewrite(text, &facts))?;
    let is_there = |path: &str| root.is_there(path).map_err(failed(path));
    let (mut files, masks) = rivals::measures(is_there)?;
    let mut seen = Seen { tables: [crypttab, fstab].into_iter().flatten().collect(), ..Seen::default() };
    for name in masks {
        seen.masks.push(Mask { name: name.to_owned(), why: None, is_so: is_masked(root, name)? });
    }
    native(root, &mounted, &to_be, &mut seen)?;
    // The plan knows better, and what it writes is not to be written over.
    seen.masks.retain(|mask| !files::is_of_plan(document, &format!("{UNITS}/{}", mask.name)));
    if is_there(cloud::SIGN)? {
        let ours = cloud::files(document, hostname, &host.boot_id());
        for path in cloud::left(document, &ours) {
            if is_there(path)? {
                seen.unwanted.push(path.to_owned());
            }
        }
        files.extend(ours);
    }
    Ok((seen, files))
}

/// The units that `document` wants of the image beside those that take over.
pub fn wanted(document: &Document) -> Vec<Wanted> {
    // Of all versions one name is the same.
    let required = |name: &str| name == "cloud-init-local.service";
    let units = document.cloud_init.iter().flat_map(|_| cloud::UNITS);
    units.map(|name| Wanted { name: name.to_owned(), required: required(name) }).collect()
}

/// The table at `path` as `rewrite` has it; none: there is none, or the plan has one of its own.
fn table(
    root: &Root,
    document: &Document,
    path: &'static str,
    rewrite: impl FnOnce(&[u8]) -> Edited,
) -> Result<Option<Table>> {
    if files::is_of_plan(document, path) {
        return Ok(None);
    }
    let found = root.read(path, LONGEST).map_err(failed(path))?;
    Ok(found.map(|found| Table { path, mode: found.mode, edited: rewrite(&found.bytes) }))
}

/// Mounts and swaps that the image has as units.
fn native(root: &Root, mounted: &[&str], presence: &dyn Fn(&str) -> Presence, seen: &mut Seen) -> Result<()> {
    let names = root.names(UNITS, MOST_UNITS).map_err(failed(UNITS))?;
    for name in names.iter().filter(|name| name.ends_with(".mount") || name.ends_with(".swap")) {
        let path = format!("{UNITS}/{name}");
        let Some(found) = root.read(&path, LONGEST).map_err(failed(&path))? else { continue };
        let text = String::from_utf8_lossy(&found.bytes);
        let Some(why) = native::why_it_goes(&text, mounted, presence) else { continue };
        // Masked, it must not be required by anything: that could not start either.
        for folder in names.iter().filter(|folder| folder.ends_with(".requires")) {
            let link = format!("{UNITS}/{folder}/{name}");
            if root.is_there(&link).map_err(failed(&link))? {
                seen.unwanted.push(link);
            }
        }
        // Before the mount itself: that one masked, nobody would look at it again.
        let automount = name.replace(".mount", ".automount");
        if automount != *name && names.contains(&automount) {
            seen.masks.push(Mask {
                is_so: is_masked(root, &automount)?,
                name: automount,
                why: Some(why.clone()),
            });
        }
        seen.masks.push(Mask { name: name.clone(), why: Some(why), is_so: false });
    }
    Ok(())
}

fn is_masked(root: &Root, name: &str) -> Result<bool> {
    let path = format!("{UNITS}/{name}");
    Ok(root.link_target(&path).map_err(failed(&path))?.as_deref() == Some(NOWHERE))
}

impl Seen {
    /// What there is to do, in its order; nothing: all is as it is to be.
    pub fn actions(&self) -> impl Iterator<Item = Action> + '_ {
        let edit = |table: &Table| Action::Edit {
            path: table.path,
            mode: table.mode,
            edited: Edited { bytes: table.edited.bytes.clone(), changes: table.edited.changes.clone() },
        };
        let tables = self.tables.iter().filter(|table| !table.edited.changes.is_empty()).map(edit);
        let remove = self.unwanted.iter().map(|path| Action::Remove { path: path.clone() });
        let masks = self.masks.iter().filter(|mask| !mask.is_so);
        let masks = masks.map(|mask| Action::Mask { name: mask.name.clone(), why: mask.why.clone() });
        tables.chain(remove).chain(masks)
    }

    /// What there is of it once all is done.
    pub fn says(&self) -> Vec<String> {
        let table =
            |table: &Table| Some(format!("{} (changed: {})", table.path, marked(&table.edited.bytes)?));
        let tables = self.tables.iter().filter_map(table);
        tables.chain(self.masks.iter().map(|mask| format!("{} (masked)", mask.name))).collect()
    }
}

/// Does it, in `root`.
pub fn apply(root: &Root, action: Action) -> Result<()> {
    match action {
        Action::Edit { path, mode, edited } => {
            root.write(path, &edited.bytes, mode).map_err(failed(path))?;
            told(path, &edited.changes).for_each(|line| log::warn!("{line}"));
        }
        Action::Mask { name, why } => {
            let path = format!("{UNITS}/{name}");
            root.remove(&path).map_err(failed(&path))?;
            root.link(&path, NOWHERE).map_err(failed(&path))?;
            if let Some(why) = why {
                log::warn!("{path}: masked, {why}");
            }
        }
        Action::Remove { path } => root.remove_all(&path).map_err(failed(&path))?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::handover::fixture::document;
    use std::os::unix::fs::symlink;

    /// A machine whose /sysroot has these files.
    fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("sysroot/etc/systemd/system")).unwrap();
        for (path, text) in files {
            let path = folder.path().join("sysroot").join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    /// Does all there is to do, and says what was done, and what there is in the end.
    fn settle(folder: &tempfile::TempDir, plan: serde_json::Value) -> (Vec<String>, Vec<String>) {
        let document = document(plan);
        let root = Root::open(&folder.path().join("sysroot")).unwrap();
        let look = || observe(&Host::fake(folder.path()), &root, &document, None).unwrap().0;
        let mut done = Vec::new();
        while let Some(action) = look().actions().next() {
            done.push(action.to_string());
            assert!(done.len() < 32, "{done:?}");
            apply(&root, action).unwrap();
        }
        (done, look().says())
    }

    #[test]
    fn tables_are_written_once_with_their_modes_and_know_of_each_other() {
        let folder = machine(&[
            ("etc/fstab", "UUID=1 / ext4\n/dev/mapper/data /data ext4\n/dev/mapper/gone /gone ext4\n"),
            ("etc/crypttab", "data PARTLABEL=data none luks\ngone PARTLABEL=gone none luks\n"),
            ("dev", ""),
        ]);
        let dev = folder.path().join("dev/disk/by-partlabel");
        std::fs::create_dir_all(&dev).unwrap();
        std::fs::write(dev.join("data"), "").unwrap();
        let (done, says) = settle(&folder, serde_json::json!({}));
        assert_eq!(done, ["edit /etc/crypttab", "edit /etc/fstab"]);
        assert_eq!(says, ["/etc/crypttab (changed: gone)", "/etc/fstab (changed: /, /gone)"]);
        let fstab = std::fs::read_to_string(folder.path().join("sysroot/etc/fstab")).unwrap();
        let left: Vec<&str> = fstab.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(left, ["/dev/mapper/data /data ext4"]);
    }

    #[test]
    fn a_table_of_the_plan_is_not_touched() {
        let folder = machine(&[("etc/fstab", "UUID=1 /a ext4\n")]);
        let plan = serde_json::json!({"handover": {"files": [{"path": "/etc/fstab", "content": "UUID=1 /b ext4\n"}]}});
        assert_eq!(settle(&folder, plan), (Vec::new(), Vec::new()));
    }

    #[test]
    fn a_unit_of_the_plan_is_not_masked() {
        let unit = "[Mount]\nWhat=/dev/vdb\nWhere=/data\n";
        let path = "etc/systemd/system/data.mount";
        let folder = machine(&[(path, unit)]);
        let plan =
            serde_json::json!({"handover": {"files": [{"path": format!("/{path}"), "content": unit}]}});
        assert_eq!(settle(&folder, plan), (Vec::new(), Vec::new()));
    }

    #[test]
    fn mounts_of_missing_devices_are_masked_and_required_by_nobody() {
        let folder = machine(&[
            ("etc/systemd/system/data.mount", "[Mount]\nWhat=/dev/disk/by-uuid/1\nWhere=/data\n"),
            ("etc/systemd/system/data.automount", "[Automount]\nWhere=/data\n"),
            ("etc/systemd/system/tmp.mount", "[Mount]\nWhat=tmpfs\nWhere=/tmp\n"),
            ("etc/systemd/system/dev-vdb.swap", "[Swap]\nWhat=/dev/vdb\n"),
            ("usr/lib/systemd/system/systemd-repart.service", "[Service]\n"),
        ]);
        let units = folder.path().join("sysroot/etc/systemd/system");
        for link in ["local-fs.target.requires/data.mount", "local-fs.target.wants/data.mount"] {
            std::fs::create_dir_all(units.join(link).parent().unwrap()).unwrap();
            symlink("../data.mount", units.join(link)).unwrap();
        }
        let (done, says) = settle(&folder, serde_json::json!({}));
        assert_eq!(
            done,
            [
                "remove /etc/systemd/system/local-fs.target.requires/data.mount",
                "mask systemd-repart.service",
                "mask data.automount",
                "mask data.mount",
                "mask dev-vdb.swap",
            ]
        );
        assert_eq!(says, ["systemd-repart.service (masked)"], "what the image has as masked says so itself");
        for (unit, masked) in
            [("data.mount", true), ("data.automount", true), ("dev-vdb.swap", true), ("tmp.mount", false)]
        {
            let target = units.join(unit).read_link().ok();
            assert_eq!(target == Some(NOWHERE.into()), masked, "{unit}");
        }
        assert!(units.join("local-fs.target.wants/data.mount").symlink_metadata().is_ok());
    }

    #[test]
    fn a_golden_image_loses_its_instance_only_if_the_plan_has_a_new_one() {
        let files = [
            ("etc/cloud/cloud.cfg", "x"),
            ("etc/cloud/cloud-init.disabled", ""),
            ("var/lib/cloud/instances/i-1/sem/config_ssh", ""),
            ("var/lib/cloud/sem/config_scripts_per_once.once", ""),
            ("var/lib/cloud/data/instance-id", "i-1"),
            ("var/lib/cloud/seed/nocloud/network-config", "x"),
            ("var/lib/cloud/scripts/per-boot/site", "x"),
        ];
        let folder = machine(&files);
        symlink("/var/lib/cloud/instances/i-1", folder.path().join("sysroot/var/lib/cloud/instance"))
            .unwrap();
        assert_eq!(settle(&folder, serde_json::json!({})), (Vec::new(), Vec::new()));
        let (done, _) = settle(&folder, serde_json::json!({"cloud_init": {}}));
        assert_eq!(done.len(), 6, "{done:?}");
        for (path, _) in &files[1..6] {
            assert!(!folder.path().join("sysroot").join(path).exists(), "{path}");
        }
        assert!(folder.path().join("sysroot").join(files[6].0).exists());
    }
}
