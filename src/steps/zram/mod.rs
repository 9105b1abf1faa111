//! The writable layer: a compressed disk in memory (zram) with an ext4 file system.
//!
//! The file system is a template of a few KiB that the overlay step grows when it has mounted it, so that neither
//! mkfs nor the time to run it is needed.

mod apply;
mod observe;
mod plan;
mod template;

pub use observe::{Zram, find};

use crate::engine::converge::{Converge, Next};
use crate::engine::host::Host;
use crate::error::Result;
use crate::input::size::Size;

/// Makes the disk of the writable layer.
#[derive(Debug)]
pub struct Step {
    size: Size,
}

impl Step {
    /// Makes it as large as `size`.
    pub fn new(size: Size) -> Step {
        Step { size }
    }
}

impl Converge for Step {
    type Seen = observe::Seen;
    type Action = apply::Action;

    fn observe(&self, host: &Host) -> Result<observe::Seen> {
        observe::observe(host)
    }

    fn plan(&self, seen: &observe::Seen) -> Result<Next<apply::Action>> {
        Ok(plan::plan(self.size, seen))
    }

    fn apply(&self, host: &Host, action: apply::Action) -> Result<()> {
        apply::apply(host, action)
    }
}
