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

    #[test]
    fn what_mkfs_made_is_known_again() {
        assert!(is_ours(include_bytes!("../../../tests/data/xfs/superblock")));
    }
}
