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

#[cfg(test)]
pub mod tests {
    use std::fs::File;

    use super::super::probe::probe;
    use super::*;

    /// A file with what was deflated.
    pub fn file(deflated: &[u8]) -> (Vec<u8>, File) {
        let bytes = miniz_oxide::inflate::decompress_to_vec(deflated).unwrap();
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&bytes, 0).unwrap();
        (bytes, file)
    }

    macro_rules! file_system {
        ($name:literal) => {
            include_bytes!(concat!("../../../tests/data/file-systems/", $name, ".deflate"))
        };
    }

    /// Against what each file system's own tools made (`tests/data/file-systems`).
    #[test]
    fn each_file_system_is_known_and_whether_it_was_cleanly_unmounted() {
        let cases: [(&[u8], &str, Option<&str>); 9] = [
            (file_system!("ext2"), "ext4", None),
            (file_system!("ext2-in-use"), "ext4", Some("")),
            (file_system!("ext4"), "ext4", None),
            (file_system!("ext4-in-use"), "ext4", Some("noload")),
            (file_system!("btrfs"), "btrfs", None),
            (file_system!("btrfs-in-use"), "btrfs", Some("nologreplay")),
            // Its log is in the middle, beyond the end of the file.
            (file_system!("xfs"), "xfs", None),
            (file_system!("squashfs"), "squashfs", None),
            (file_system!("erofs"), "erofs", None),
        ];
        for (deflated, kind, option) in cases {
            let (start, file) = file(deflated);
            assert_eq!(probe(&start), Some(kind));
            let unclean = unclean(kind, &start, &file);
            match kind {
                "xfs" => assert_eq!(unclean.unwrap_err().kind(), io::ErrorKind::UnexpectedEof),
                _ => assert_eq!(unclean.unwrap().map(|unclean| unclean.option), option, "{kind}"),
            }
        }
    }

    #[test]
    fn what_is_too_short_or_of_another_type_is_not_judged() {
        let (start, file) = file(file_system!("ext4-in-use"));
        for (kind, length) in [("ext4", 0x463), ("btrfs", 100), ("xfs", 100), ("erofs", start.len())] {
            assert_eq!(unclean(kind, &start[..length], &file).unwrap(), None, "{kind}");
        }
    }
}
