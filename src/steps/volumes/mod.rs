//! The volumes inside the opened disk: its partitions, each a read-only linear map, named as libparted does
//! (`luks_root1`) and with the UUID that kpartx gives (`part1-...`), so that the image's tools know them.

mod apply;
pub mod gpt;
mod observe;
mod plan;

use crate::engine::converge::{Converge, Next};
use crate::engine::host::Host;
use crate::error::Result;
use crate::sys::dm::Map;

/// Maps the partitions of a disk.
#[derive(Debug)]
pub struct Step {
    /// The disk's map: `luks_root`.
    disk: String,
    /// The volumes that must be there in the end: names below /dev/mapper.
    wanted: Vec<String>,
}

impl Step {
    /// Maps the partitions of the map `disk`, so that every one of `wanted` exists.
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

    fn apply(&self, _: &Host, Create(map): Create) -> Result<()> {
        apply::apply(&map)
    }
}
