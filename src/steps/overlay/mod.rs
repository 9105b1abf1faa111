//! The new root at /sysroot: the image read-only below, the memory disk above, for `/` and any further mount point.
//!
//! What lives on after the pivot lies below /run/diskless: mounts in the initramfs's own tree are lost with it.

mod apply;
#[cfg(fuzzing)]
pub mod fuzz;
mod journal;
pub mod mountinfo;
mod observe;
mod plan;
mod probe;
mod utab;
mod xfs_log;

use crate::engine::converge::{Converge, Next};
use crate::engine::host::Host;
use crate::error::{Error, Result};
use crate::input::document::Mount;

/// Where the new root is put together.
pub const SYSROOT: &str = "/sysroot";
/// The writable layer.
const UPPERS: &str = "/run/diskless/rw";
/// The read-only layers.
const LOWERS: &str = "/run/diskless/lower";

/// Mounts the overlays.
#[derive(Debug)]
pub struct Step {
    mounts: Vec<Mount>,
}

impl Step {
    /// Mounts `mounts`, those above others first.
    pub fn new(mut mounts: Vec<Mount>) -> Step {
        // "/" comes before "/var", "/var" before "/srv/data".
        mounts.sort_by_cached_key(|mount| {
            let depth = mount.at.split('/').filter(|part| !part.is_empty()).count();
            (depth, mount.at.clone())
        });
        Step { mounts }
    }
}

impl Converge for Step {
    type Seen = observe::Seen;
    type Action = apply::Action;

    fn observe(&self, host: &Host) -> Result<observe::Seen> {
        observe::observe(host, &self.mounts)
    }

    fn plan(&self, seen: &observe::Seen) -> Result<Next<apply::Action>> {
        plan::plan(&self.mounts, seen)
    }

    fn warnings(&self, seen: &observe::Seen) -> Vec<Error> {
        plan::warnings(&self.mounts, seen)
    }

    fn apply(&self, host: &Host, action: apply::Action) -> Result<()> {
        apply::apply(host, action)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::document::Unclean;

    #[test]
    fn mount_points_above_others_come_first() {
        let mounts = ["/var/lib/x", "/srv/data", "/var-x", "/", "/var"].map(|at| Mount {
            at: at.into(),
            lower: String::new(),
            fs: None,
            unclean: Unclean::Refuse,
        });
        let step = Step::new(mounts.to_vec());
        let order: Vec<_> = step.mounts.iter().map(|mount| mount.at.as_str()).collect();
        assert_eq!(order, ["/", "/var", "/var-x", "/srv/data", "/var/lib/x"]);
    }
}
