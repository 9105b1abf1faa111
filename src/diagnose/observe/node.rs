//! What the node itself tells: its clock, kernel modules, writable layer, keeper, and the agent's journal.

use std::fs;
use std::time::SystemTime;

use super::Look;
use crate::diagnose::evidence::{Check, Of, Stage};
use crate::engine::state::{self, State, Status};
use crate::error::Code;
use crate::input::document::{Backing, Document, FileSystem};
use crate::keeper::{self, Doing, Journal};
use crate::steps::overlay::usage::{Resource, Usage};
use crate::sys::clock;

/// A layer that is as full as this takes nothing more that matters.
const FULL: u8 = 99;

pub fn look(look: Look<'_>) {
    let checks = [clock_of(look), layer(look), keeper_of(look), journal(look)];
    checks.into_iter().flatten().for_each(|check| look.tell(check));
}

/// Evidence alone: whether certificates are thought valid is for the server's check to tell.
fn clock_of(look: Look<'_>) -> Option<Check> {
    // In the booted system nothing says when its initramfs was made.
    let made = look.host.is_initramfs().then(|| clock::initramfs_made(&look.host.path("/")))??;
    let now = SystemTime::now();
    let (now_text, made_text) = (clock::utc(now), clock::utc(made));
    Some(if now < made {
        let found = format!(
            "{now_text} is before this initramfs was made, {made_text}: certificates are checked as of then"
        );
        Check::open(Stage::Clock, Of::Node, "clock", found)
    } else {
        Check::ok(Stage::Clock, Of::Node, "clock", now_text)
    })
}

fn layer(look: Look<'_>) -> Option<Check> {
    let usage = Usage::observe(look.host).ok()??;
    let full = |resource| usage.percent(resource).is_some_and(|percent| percent >= FULL);
    let resources = [Resource::Space, Resource::Inodes, Resource::Memory];
    let told: Vec<String> = resources
        .iter()
        .filter(|resource| usage.percent(**resource).is_some())
        .map(|resource| format!("{resource}: {}", usage.amount(*resource)))
        .collect();
    let told = told.join(", ");
    Some(if resources.into_iter().any(full) {
        Check::bad(Stage::Layer, Of::Node, &usage.backing, Code::LayerFull, told)
    } else {
        Check::ok(Stage::Layer, Of::Node, &usage.backing, told)
    })
}

fn keeper_of(look: Look<'_>) -> Option<Check> {
    let journal = Journal::read(&look.host.path(keeper::FILE)).ok()??;
    let object = format!("keeper, pid {}", journal.pid);
    let is_alive = look.host.path(format!("/proc/{}", journal.pid)).exists();
    Some(if is_alive || journal.doing == Doing::Ended {
        Check::ok(Stage::Keeper, Of::Node, &object, journal.describe())
    } else {
        let why = "it is dead: who logs lost sessions in again is iscsid, if the image has one";
        Check::bad(Stage::Keeper, Of::Node, &object, Code::Keeper, why)
    })
}

/// Of this boot; another's counts for nothing.
fn journal(look: Look<'_>) -> Option<Check> {
    let of_node = |outcome: fn(Stage, Of, &str, String) -> Check, object: &str, found: String| {
        Some(outcome(Stage::Journal, Of::Node, object, found))
    };
    let state = match State::read(&look.host.path(state::FILE)) {
        Ok(Some(state)) if state.boot_id == look.host.boot_id() => state,
        Ok(_) => return of_node(Check::unseen, "journal", "the agent has left none in this boot".to_owned()),
        Err(error) => return of_node(Check::unseen, "journal", error.to_string()),
    };
    if state.status == Status::Done {
        return of_node(Check::ok, "journal", format!("run {}: done", state.run));
    }
    let failed = state.steps.iter().find(|step| step.status == Status::Failed);
    if let Some((step, error)) = failed.and_then(|step| Some((step, step.error.as_ref()?))) {
        let code = Some(error.code.clone());
        // Not an error of now: its code is one of the table, as it was written.
        let check = Check::bad(Stage::Journal, Of::Node, &step.name, Code::Timeout, error.message.clone());
        return Some(Check { code, ..check });
    }
    let at = state.steps.iter().find(|step| step.status == Status::Running);
    let waits = at.and_then(|step| Some((step, step.waiting_for.as_ref()?)));
    if let Some((step, what)) = waits
        && let Some(code) = code_in(what)
    {
        return Some(Check::bad(Stage::Journal, Of::Node, &step.name, code, format!("it waits: {what}")));
    }
    let waits = at.map_or_else(String::new, |step| match &step.waiting_for {
        Some(what) => format!(", {} waits for {what}", step.name),
        None => format!(", at {}", step.name),
    });
    of_node(Check::open, "journal", format!("run {}{waits}", state.run))
}

/// The code of an error that a step waits on to go away, by its text: `object: meaning: cause`. Of several, that of the first.
fn code_in(waiting_for: &str) -> Option<Code> {
    let place = |code: &Code| waiting_for.find(&format!(": {}", code.meaning()));
    let found = Code::ALL.iter().filter_map(|code| Some((place(code)?, code)));
    // One meaning may begin like another.
    let first = found.min_by_key(|(at, code)| (*at, std::cmp::Reverse(code.meaning().len())))?;
    Some(*first.1)
}

/// Which modules a boot of `document` needs, as the kernel names them; without a plan, any boot.
fn needed(document: Option<&Document>) -> Vec<&str> {
    let mut needed = vec!["iscsi_tcp", "sd_mod", "dm_crypt", "overlay"];
    let Some(document) = document else { return needed };
    if document.map().is_some() {
        needed.push("dm_multipath");
    }
    if document.overlay.backing == Backing::Zram {
        needed.push("zram");
        needed.push(match document.overlay.fs.unwrap_or_default() {
            FileSystem::Ext4 => "ext4",
            FileSystem::Xfs => "xfs",
        });
    }
    let named = document.overlay.mounts.iter().filter_map(|mount| mount.fs.as_deref());
    needed.extend(named);
    needed.sort_unstable();
    needed.dedup();
    needed
}

/// Whether the kernel has these modules, or can load them from the initramfs.
pub fn modules(look: Look<'_>, document: Option<&Document>) {
    let read = |path: String| fs::read_to_string(look.host.path(path)).unwrap_or_default();
    let release = read("/proc/sys/kernel/osrelease".to_owned());
    let folder = format!("/lib/modules/{}", release.trim());
    let [dep, builtin] = ["modules.dep", "modules.builtin"].map(|name| read(format!("{folder}/{name}")));
    if dep.is_empty() && builtin.is_empty() {
        let why = format!("there is no {folder}/modules.dep to tell which there are");
        look.tell(Check::unseen(Stage::Modules, Of::Node, "kernel modules", why));
        return;
    }
    let filesystems = read("/proc/filesystems".to_owned());
    let is_there = |name: &str| {
        look.host.path("/sys/module").join(name.replace('-', "_")).exists()
            || filesystems.lines().any(|line| line.split_whitespace().last() == Some(name))
            || is_listed(&dep, name)
            || is_listed(&builtin, name)
    };
    let needed = needed(document);
    let missing: Vec<&str> = needed.iter().copied().filter(|name| !is_there(name)).collect();
    look.tell(if missing.is_empty() {
        Check::ok(Stage::Modules, Of::Node, "kernel modules", needed.join(", "))
    } else {
        let why = format!("neither loaded nor in {folder}: {}", missing.join(", "));
        Check::bad(Stage::Modules, Of::Node, "kernel modules", Code::InitramfsModule, why)
    });
}

/// Whether `list`, in the form of modules.dep or modules.builtin, has module `name`: `kernel/fs/xfs/xfs.ko.xz: ...`.
fn is_listed(list: &str, name: &str) -> bool {
    list.lines().any(|line| {
        let path = line.split(':').next().unwrap_or_default();
        let file = path.rsplit('/').next().unwrap_or_default();
        file.split_once(".ko").is_some_and(|(module, _)| module.replace('-', "_") == name.replace('-', "_"))
    })
}

#[cfg(test)]
#[path = "node_tests.rs"]
mod tests;
