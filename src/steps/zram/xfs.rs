//! Our xfs file system, made by mkfs.xfs, and how to know it again.

/// Its label: twelve bytes at most.
pub const LABEL: &str = "diskless-rw";
/// As much of the superblock as is looked at; it is at the beginning of the disk.
pub const SUPERBLOCK_BYTES: usize = 128;
/// Fields of the superblock (fs/xfs/libxfs/xfs_format.h, struct xfs_dsb: sb_magicnum, sb_fname, sb_inprogress).
const MAGIC: (usize, &[u8]) = (0, b"XFSB");
const NAME: (usize, &[u8]) = (108, b"diskless-rw\0");
const IN_PROGRESS: usize = 126;

/// Whether the file system whose superblock begins with these bytes is ours; one that mkfs.xfs was still at work on is
/// not.
pub fn is_ours(superblock: &[u8]) -> bool {
    let holds =
        |(at, bytes): (usize, &[u8])| superblock.get(at..).is_some_and(|rest| rest.starts_with(bytes));
    holds(MAGIC) && holds(NAME) && superblock.get(IN_PROGRESS) == Some(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn superblock() -> Vec<u8> {
        let mut superblock = vec![0; SUPERBLOCK_BYTES];
        superblock[..4].copy_from_slice(b"XFSB");
        superblock[108..120].copy_from_slice(b"diskless-rw\0");
        superblock
    }

    #[test]
    fn ours_is_complete_and_has_our_label() {
        assert!(is_ours(&superblock()));
        for at in [0, 108, IN_PROGRESS] {
            let mut other = superblock();
            other[at] ^= 1;
            assert!(!is_ours(&other), "{at}");
        }
        assert!(!is_ours(&superblock()[..100]));
        assert_eq!([LABEL.as_bytes(), b"\0"].concat(), NAME.1);
    }

    /// xfs makes inodes as they are needed, in at most so much of its size as its superblock says. mkfs.xfs gives a
    /// quarter to what is smaller than a TiB.
    #[test]
    fn there_may_be_more_inodes_than_an_ext4_has() {
        let superblock = include_bytes!("../../../tests/data/xfs/superblock");
        // struct xfs_dsb: sb_inodesize at 104, sb_imax_pct at 127.
        let inode_bytes = u64::from(u16::from_be_bytes([superblock[104], superblock[105]]));
        let percent = u64::from(superblock[127]);
        for gib in [1u64, 64, 512] {
            let inodes = (gib << 30) / 100 * percent / inode_bytes;
            assert!(inodes >= (gib << 30) / 8192, "{gib} GiB: {inodes}");
        }
    }

    #[test]
    fn what_mkfs_made_is_known_again() {
        assert!(is_ours(include_bytes!("../../../tests/data/xfs/superblock")));
    }
}
