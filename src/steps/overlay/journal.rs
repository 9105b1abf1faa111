//! Whether a file system was cleanly unmounted: where it was not, its journal has to be replayed, and the image is not
//! written to.
//!
//! The kernel refuses such a file system, too, on a device that it cannot write to. Here it is told before, with what is
//! wrong, and with the option by which the kernel mounts it as it is.

use std::io;
use std::os::unix::fs::FileExt;

use super::xfs_log;

/// Where ext4 and btrfs have their superblocks.
const EXT4: usize = 0x400;
const BTRFS: usize = 0x1_0000;
/// In `s_feature_compat` and `s_feature_incompat` of ext4 (fs/ext4/ext4.h).
const HAS_JOURNAL: u32 = 0x4;
const NEEDS_RECOVERY: u32 = 0x4;
/// In `s_state`.
const VALID: u32 = 0x1;

/// A file system that was not cleanly unmounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unclean {
    /// By what that is told.
    pub sign: &'static str,
    /// The mount option with which the kernel mounts it read-only without a replay; empty: it needs none.
    pub option: &'static str,
}

/// What there is to replay on `disk`, whose first bytes are `start`, if it has a file system of the type `kind`; none:
/// nothing, or that cannot be told.
///
/// # Errors
/// The disk cannot be read.
pub fn unclean(kind: &str, start: &[u8], disk: &impl FileExt) -> io::Result<Option<Unclean>> {
    match kind {
        "ext2" | "ext3" | "ext4" => Ok(ext4(start)),
        "xfs" => {
            let is_dirty = match xfs_log::log(start) {
                Some(log) => xfs_log::is_dirty(disk, log)?.unwrap_or(false),
                None => false,
            };
            let sign = "the last record of its log is no unmount record";
            Ok(is_dirty.then_some(Unclean { sign, option: "norecovery" }))
        }
        "btrfs" => Ok(btrfs(start)),
        _ => Ok(None),
    }
}

fn ext4(start: &[u8]) -> Option<Unclean> {
    let field = |at: usize| Some(u32::from_le_bytes(*start.get(EXT4 + at..)?.first_chunk()?));
    if field(0x60)? & NEEDS_RECOVERY != 0 {
        return Some(Unclean { sign: "its journal needs recovery", option: "noload" });
    }
    // Without a journal this is all there is: the kernel takes the mark away for as long as it is mounted.
    let is_open = field(0x5c)? & HAS_JOURNAL == 0 && field(0x3a)? & VALID == 0;
    is_open.then_some(Unclean { sign: "it has no journal, and is not marked as clean", option: "" })
}

/// The tree of what was synced since the last transaction (`log_root`) is empty unless there was a crash.
fn btrfs(start: &[u8]) -> Option<Unclean> {
    let log_root = u64::from_le_bytes(*start.get(BTRFS + 0x60..)?.first_chunk()?);
    (log_root != 0).then_some(Unclean { sign: "it has a log tree", option: "nologreplay" })
}
