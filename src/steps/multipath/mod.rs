//! The paths to the disk become one disk: a map of the kernel's dm-multipath, as multipathd would make it.
//!
//! `path` and `wwid` say what sysfs tells of a path, `identify` whether two lead to one disk, `reads` asks a path
//! without being held up by it; `table` is the kernel's table and what it says of the paths' state, `queue` decides what
//! becomes of reads and writes while there is no path.

mod apply;
#[cfg(test)]
mod fixture;
#[cfg(fuzzing)]
pub mod fuzz;
mod identify;
mod observe;
mod path;
mod plan;
pub mod queue;
mod reads;
mod table;
mod wwid;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

pub use observe::Seen;
pub use path::Path;
pub use plan::Action;

use crate::engine::converge::{Converge, Next};
use crate::engine::host::Host;
use crate::error::Result;
use crate::input::document::{Document, Iscsi, Map};
use crate::steps::iscsi;
use crate::sys::block::Disk;

use identify::{Identity, Samples};
use queue::Phase;
use reads::{Key, Reads};

/// Makes the map of the paths, and keeps it.
///
/// Whoever drives it must be the only one: not while a multipathd runs.
pub struct Step<'a> {
    iscsi: &'a Iscsi,
    map: &'a Map,
    initiator: String,
    /// Not done before each path that could be used is.
    keeping: bool,
    phase: Cell<Phase>,
    /// What the paths show of their disks, where that is asked for.
    samples: Reads<(String, Samples)>,
    /// Whether paths that the map has given up answer again.
    checks: Reads<()>,
    /// When a path was last put to use again: one that fails right after has to wait.
    reinstated: RefCell<BTreeMap<Key, Duration>>,
    /// What a path must be like to be one.
    reference: RefCell<Option<Identity>>,
    /// Since when the map has had no path.
    none_since: Cell<Option<Duration>>,
}

impl<'a> Step<'a> {
    /// The step of the boot: done as soon as there is a map with a path that works. `initiator` is what the node is
    /// called by its targets.
    pub fn new(iscsi: &'a Iscsi, map: &'a Map, initiator: impl Into<String>) -> Step<'a> {
        Step {
            iscsi,
            map,
            initiator: initiator.into(),
            keeping: false,
            phase: Cell::default(),
            samples: Reads::default(),
            checks: Reads::default(),
            reinstated: RefCell::default(),
            reference: RefCell::default(),
            none_since: Cell::default(),
        }
    }

    /// The same for whoever keeps the map: to be driven again whenever a session, a disk or the map changes. Waits
    /// while there is something that may still come by itself, and is to be driven again then, too.
    pub fn keeping(iscsi: &'a Iscsi, map: &'a Map, initiator: impl Into<String>) -> Step<'a> {
        Step { keeping: true, ..Step::new(iscsi, map, initiator) }
    }

    /// Tells where in its life the node is; [`Phase::Boot`] to begin with.
    pub fn set_phase(&self, phase: Phase) {
        self.phase.set(phase);
    }
}

/// What is to be opened as the disk: the map of the paths, or the disk itself where the plan has no map; none: it is not
/// there, or not ready.
///
/// # Errors
/// sysfs cannot be read.
pub fn disk(host: &Host, document: &Document, initiator: &str) -> Result<Option<Disk>> {
    if document.map().is_none() {
        return iscsi::disk(host, &document.iscsi, initiator);
    }
    let paths = observe::paths(host, &document.iscsi, initiator)?;
    let disks: Vec<&Disk> = paths.iter().map(|path| &path.disk).collect();
    Ok(path::map(host, &disks).map(|map| map.disk).filter(|disk| disk.sectors > 0))
}

impl Converge for Step<'_> {
    type Seen = Seen;
    type Action = Action;

    fn observe(&self, host: &Host) -> Result<Seen> {
        observe::observe(self, host)
    }

    fn plan(&self, seen: &Seen) -> Result<Next<Action>> {
        plan::plan(seen)
    }

    fn apply(&self, host: &Host, action: Action) -> Result<()> {
        apply::apply(self, host, action)
    }
}
