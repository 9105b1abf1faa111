//! The writable layer: what it is in, how large it is, and when somebody is told of it.

use super::{broken, is_word};
use crate::error::{Code, Result};
use crate::input::document::{Backing, LEAST_LAYER, Overlay};
use crate::input::size::Size;

/// No plan has more of them.
const MOST_WATERMARKS: usize = 10;
/// What a system needs for its start alone.
const LEAST_INODES: u64 = 1024;

pub(super) fn layer(overlay: &Overlay) -> Result<()> {
    match overlay.backing {
        Backing::Zram => zram(overlay)?,
        Backing::Tmpfs => tmpfs(overlay)?,
    }
    let marks = &overlay.watermarks;
    let rising = marks.windows(2).all(|pair| matches!(pair, [low, high] if low < high));
    if !rising || marks.len() > MOST_WATERMARKS || !marks.iter().all(|mark| (1..=100).contains(mark)) {
        let cause = format!(
            "not {MOST_WATERMARKS} percentages at most, from 1 to 100, each larger than the one before"
        );
        return broken(Code::PlanWatermarks, "overlay.watermarks", cause);
    }
    Ok(())
}

fn zram(overlay: &Overlay) -> Result<()> {
    if overlay.algorithm.as_deref().is_some_and(|algorithm| !is_word(algorithm)) {
        return broken(Code::PlanOverlay, "overlay.algorithm", "not a word of the kernel, like zstd");
    }
    if overlay.nr_inodes.is_some() {
        let cause = "is for a tmpfs: what is on a zram disk has enough of them";
        return broken(Code::PlanOverlay, "overlay.nr_inodes", cause);
    }
    let fs = overlay.fs.unwrap_or_default();
    least(overlay, fs.least(), &fs.to_string())
}

fn tmpfs(overlay: &Overlay) -> Result<()> {
    let of_zram = [
        ("overlay.algorithm", overlay.algorithm.is_some()),
        ("overlay.mem_limit", overlay.mem_limit.is_some()),
        ("overlay.fs", overlay.fs.is_some()),
    ];
    if let Some((place, _)) = of_zram.iter().find(|(_, there)| *there) {
        return broken(Code::PlanOverlay, *place, "is for zram: a tmpfs is neither compressed nor on a disk");
    }
    if overlay.nr_inodes.is_some_and(|inodes| inodes < LEAST_INODES) {
        return broken(Code::PlanOverlay, "overlay.nr_inodes", "fewer than 1024: no system starts with that");
    }
    least(overlay, LEAST_LAYER, "a layer")
}

/// A share of the memory is for the node to judge.
fn least(overlay: &Overlay, least: u64, what: &str) -> Result<()> {
    for (place, size) in [("overlay.size", overlay.size), ("overlay.mem_limit", overlay.mem_limit)] {
        let limits = place == "overlay.size" || !overlay.overcommit;
        if let Some(Size::Bytes(bytes)) = size
            && bytes < least
            && limits
        {
            return broken(Code::PlanOverlay, place, format!("{what} needs {} MiB", least >> 20));
        }
    }
    Ok(())
}
