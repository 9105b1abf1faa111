//! Which file system is on a device, by the magic numbers of the kernel's own drivers.

/// As much of the device as is looked at: to the end of what is of interest in btrfs's superblock.
pub const BYTES: usize = 0x1_0068;

/// Where a magic stands, what it is, and the type to mount with (linux/magic.h and the file systems' own headers). That of
/// ext4, which has two bytes only, comes behind those that leave no room for it.
const MAGICS: &[(usize, &[u8], &str)] = &[
    (0, b"XFSB", "xfs"),
    (0, b"hsqs", "squashfs"),
    (0x1_0040, b"_BHRfS_M", "btrfs"),
    (0x400, &[0xe2, 0xe1, 0xf5, 0xe0], "erofs"),
    (0x438, &[0x53, 0xef], "ext4"), // ext2 and ext3 too
];

/// The type of the file system whose first bytes are `start`.
pub fn probe(start: &[u8]) -> Option<&'static str> {
    let found =
        MAGICS.iter().find(|(at, magic, _)| start.get(*at..).is_some_and(|rest| rest.starts_with(magic)));
    found.map(|(_, _, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_magic_and_none() {
        for (at, magic, kind) in MAGICS {
            let mut start = vec![0u8; BYTES];
            start[*at..at + magic.len()].copy_from_slice(magic);
            assert_eq!(probe(&start), Some(*kind));
        }
        assert_eq!(probe(&[0; BYTES]), None);
        assert_eq!(probe(b""), None);
    }
}
