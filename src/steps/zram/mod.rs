//! The writable layer: a compressed disk in memory (zram) with an ext4 or xfs file system.
//!
//! How large it is, and whether the node has the memory for it, is [`crate::steps::layer`]'s to say.
//!
//! The ext4 file system is a template of a few KiB that the overlay step grows when it has mounted it, so that neither
//! mkfs nor the time to run it is needed. For xfs there is no way around mkfs.xfs.

mod apply;
#[cfg(fuzzing)]
pub mod fuzz;
mod observe;
mod plan;
mod template;
mod xfs;

pub use observe::{Figures, Formatted, Zram, algorithm, find};

use crate::engine::converge::{Converge, Next};
use crate::engine::host::Host;
use crate::error::{Error, Result};
use crate::input::document::{FileSystem, Overlay};
use crate::steps::layer::Terms;

/// Makes the disk of the writable layer.
#[derive(Debug)]
pub struct Step {
    terms: Terms,
    algorithm: Option<String>,
    fs: FileSystem,
}

impl Step {
    /// Makes it as `overlay` says.
    pub fn new(overlay: &Overlay) -> Step {
        let fs = overlay.fs.unwrap_or_default();
        Step { terms: Terms::of(overlay), algorithm: overlay.algorithm.clone(), fs }
    }
}

impl Converge for Step {
    type Seen = observe::Seen;
    type Action = apply::Action;

    fn observe(&self, host: &Host) -> Result<observe::Seen> {
        observe::observe(host)
    }

    fn plan(&self, seen: &observe::Seen) -> Result<Next<apply::Action>> {
        plan::plan(self, seen)
    }

    fn apply(&self, host: &Host, action: apply::Action) -> Result<()> {
        apply::apply(host, action)
    }

    fn warnings(&self, seen: &observe::Seen) -> Vec<Error> {
        plan::warnings(self, seen)
    }
}
