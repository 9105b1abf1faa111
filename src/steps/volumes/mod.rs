//! The volumes inside the opened disk, each a read-only map with the name and UUID by which the image's tools know it.
//!
//! Partitions are linear maps named as libparted does (`luks_root1`), with the UUID that kpartx gives (`part1-...`).
//! Logical volumes of LVM2, on the disk itself or on its partitions, have lvm2's names (`system-var`) and UUIDs.

mod apply;
#[cfg(fuzzing)]
pub mod fuzz;
pub mod gpt;
pub mod lvm;
mod mbr;
mod observe;
mod partitions;
mod plan;

use crate::engine::converge::{Converge, Next};
use crate::engine::host::Host;
use crate::error::{Error, Result};
use crate::sys::dm::Map;

/// Maps the partitions and logical volumes of a disk.
#[derive(Debug)]
pub struct Step {
    /// The disk's map: `luks_root`.
    disk: String,
    /// The volumes that must be there in the end: names below /dev/mapper.
    wanted: Vec<String>,
}

impl Step {
    /// Maps what is on the map `disk`, so that every one of `wanted` exists.
    pub fn new(disk: impl Into<String>, wanted: Vec<String>) -> Step {
        Step { disk: disk.into(), wanted }
    }
}

/// Create one map.
#[derive(Debug, PartialEq, Eq)]
pub struct Create(Map);

impl std::fmt::Display for Create {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "map volume {}", self.0.name)
    }
}

impl Converge for Step {
    type Seen = observe::Seen;
    type Action = Create;

    fn observe(&self, host: &Host) -> Result<observe::Seen> {
        observe::observe(host, &self.disk)
    }

    fn plan(&self, seen: &observe::Seen) -> Result<Next<Create>> {
        plan::plan(&self.disk, &self.wanted, seen)
    }

    fn warnings(&self, seen: &observe::Seen) -> Vec<Error> {
        plan::warnings(&self.disk, seen)
    }

    fn apply(&self, _: &Host, Create(map): Create) -> Result<()> {
        apply::apply(&map)
    }
}
