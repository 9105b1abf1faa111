//! The new root at /sysroot: the image read-only below, in one layer or several, the writable layer above, for `/` and
//! any further mount point. The writable layer is a zram disk or a tmpfs.
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
pub mod usage;
mod utab;
mod xfs_log;

pub use observe::root_is_there;

use crate::engine::converge::{Converge, Next};
use crate::engine::host::Host;
use crate::error::{Error, Result};
use crate::input::document::{Backing, Mount, Overlay};
use crate::steps::layer::Terms;

/// Where the new root is put together.
pub const SYSROOT: &str = "/sysroot";
/// The writable layer.
const UPPERS: &str = "/run/diskless/rw";
/// What the mount of a tmpfs says that it is of.
const TMPFS: &str = "diskless-rw";
/// The read-only layers.
const LOWERS: &str = "/run/diskless/lower";

/// Mounts the overlays.
#[derive(Debug)]
pub struct Step {
    mounts: Vec<Mount>,
    /// The tmpfs of the writable layer; none: it is on a zram disk.
    tmpfs: Option<Terms>,
}

impl Step {
    /// Mounts what `overlay` says, mount points above others first.
    pub fn new(overlay: &Overlay) -> Step {
        let mut mounts = overlay.mounts.clone();
        // "/" comes before "/var", "/var" before "/srv/data".
        mounts.sort_by_cached_key(|mount| {
            let depth = mount.at.split('/').filter(|part| !part.is_empty()).count();
            (depth, mount.at.clone())
        });
        let tmpfs = (overlay.backing == Backing::Tmpfs).then(|| Terms::of(overlay));
        Step { mounts, tmpfs }
    }
}

impl Converge for Step {
    type Seen = observe::Seen;
    type Action = apply::Action;

    fn observe(&self, host: &Host) -> Result<observe::Seen> {
        observe::observe(host, &self.mounts)
    }

    fn plan(&self, seen: &observe::Seen) -> Result<Next<apply::Action>> {
        plan::plan(&self.mounts, self.tmpfs.as_ref(), seen)
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
    use crate::input::document::{Lowers, Unclean};

    #[test]
    fn mount_points_above_others_come_first() {
        let mounts = ["/var/lib/x", "/srv/data", "/var-x", "/", "/var"].map(|at| Mount {
            at: at.into(),
            lower: Lowers::one(""),
            fs: None,
            unclean: Unclean::Refuse,
        });
        let step = Step::new(&Overlay::over(mounts.to_vec()));
        let order: Vec<_> = step.mounts.iter().map(|mount| mount.at.as_str()).collect();
        assert_eq!(order, ["/", "/var", "/var-x", "/srv/data", "/var/lib/x"]);
    }
}
