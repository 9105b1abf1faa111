//! What is below an overlay.

use super::{broken, is_map_name, is_word};
use crate::error::{Code, Result};
use crate::input::document::{MOST_LOWERS, Mount};

/// The volumes below `mount`, which stands at `place` in the plan.
pub(super) fn lowers(place: &str, mount: &Mount) -> Result<()> {
    let lowers = &mount.lower.0;
    if lowers.is_empty() || lowers.len() > MOST_LOWERS {
        let cause = format!("`lower` has {} volumes, not 1 to {MOST_LOWERS}", lowers.len());
        return broken(Code::PlanLowers, place, cause);
    }
    for (i, lower) in lowers.iter().enumerate() {
        if !lower.volume.strip_prefix("/dev/mapper/").is_some_and(is_map_name) {
            let cause = "`lower` is not a volume of the image, /dev/mapper/NAME";
            return broken(Code::PlanMounts, place, cause);
        }
        if lowers.iter().take(i).any(|other| other.volume == lower.volume) {
            let cause = format!("`lower` has {} twice", lower.volume);
            return broken(Code::PlanLowers, place, cause);
        }
        if lower.fs.as_deref().is_some_and(|fs| !is_word(fs)) {
            return broken(Code::PlanMounts, place, "`fs` is not a file system's name, like ext4");
        }
    }
    Ok(())
}
