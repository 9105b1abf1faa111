//! The empty ext4 file system, and how to know it again.

use crate::error::{Code, Error, Result};

/// Made by `ext4-template.sh`.
const DEFLATED: &[u8] = include_bytes!("ext4-template.deflate");
/// Bytes of a block of the file system.
pub const BLOCK_BYTES: u64 = 4096;
/// Blocks of the file system before it is grown.
pub const BLOCKS_AT_FIRST: u64 = 2048;
/// Blocks of a group, the step in which ext4 grows.
pub const BLOCKS_OF_GROUP: u64 = 32768;
/// No template is larger.
const MOST_BYTES: usize = 16 << 20;
/// Where the superblock is, and its label in it (fs/ext4/ext4.h, struct
/// ext4_super_block: s_blocks_count_lo at 0x04, s_magic at 0x38, s_volume_name at 0x78).
pub const SUPERBLOCK: u64 = 1024;
const BLOCKS: usize = 0x04;
const MAGIC: (usize, [u8; 2]) = (0x38, [0x53, 0xef]);
const LABEL: (usize, &[u8]) = (0x78, b"diskless-rw\0");
/// As much of the superblock as is looked at.
pub const SUPERBLOCK_BYTES: usize = 0x88;

/// The file system's bytes, from the beginning of the disk.
pub fn inflate() -> Result<Vec<u8>> {
    miniz_oxide::inflate::decompress_to_vec_with_limit(DEFLATED, MOST_BYTES)
        .map_err(|error| Error::new(Code::Io, "ext4 template").because(error.to_string()))
}

/// How many blocks the file system has whose superblock begins with these bytes; none if it is not of the template.
pub fn blocks(superblock: &[u8]) -> Option<u64> {
    let holds = |at: usize, bytes: &[u8]| superblock.get(at..).is_some_and(|rest| rest.starts_with(bytes));
    if !holds(MAGIC.0, &MAGIC.1) || !holds(LABEL.0, LABEL.1) {
        return None;
    }
    let count = superblock.get(BLOCKS..)?.first_chunk()?;
    Some(u64::from(u32::from_le_bytes(*count)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn the_template_is_known_again() {
        let image = inflate().unwrap();
        let superblock = &image[SUPERBLOCK as usize..][..SUPERBLOCK_BYTES];
        assert_eq!(blocks(superblock), Some(BLOCKS_AT_FIRST));
        assert_eq!(image.len() as u64, BLOCKS_AT_FIRST * BLOCK_BYTES);
        assert_eq!(blocks(&[0; SUPERBLOCK_BYTES]), None);
        assert_eq!(blocks(&superblock[..0x40]), None);
    }

    /// Runs a program of e2fsprogs; gives what it said.
    fn e2fsprogs(program: &str, args: &[&str]) -> String {
        // Debian has them in /sbin, which is not in everybody's PATH.
        let path = format!("/usr/sbin:/sbin:{}", std::env::var("PATH").unwrap());
        let run = Command::new(program).env("PATH", path).args(args).output();
        let run = run.expect("the Debian package e2fsprogs is needed for this test");
        assert!(run.status.success(), "{program}: {}", String::from_utf8_lossy(&run.stderr));
        String::from_utf8(run.stdout).unwrap()
    }

    #[test]
    fn e2fsck_finds_nothing_wrong_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("image");
        std::fs::write(&file, inflate().unwrap()).unwrap();
        e2fsprogs("e2fsck", &["-fn", file.to_str().unwrap()]);
    }

    /// Grown by resize2fs, as the kernel grows it: with the inodes a group that it has.
    #[test]
    fn there_is_an_inode_for_8_kib_at_any_size() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("image");
        let name = file.to_str().unwrap();
        for gib in [1, 64, 512] {
            std::fs::write(&file, inflate().unwrap()).unwrap();
            // The file has holes: it takes some MiB.
            std::fs::File::options().write(true).open(&file).unwrap().set_len(gib << 30).unwrap();
            e2fsprogs("resize2fs", &[name]);
            let said = e2fsprogs("dumpe2fs", &["-h", name]);
            let figure = |name: &str| -> u64 {
                let line = said.lines().find_map(|line| line.strip_prefix(name)).unwrap();
                line.trim().parse().unwrap()
            };
            assert_eq!(figure("Block count:") * BLOCK_BYTES, gib << 30, "{gib} GiB");
            assert_eq!(figure("Inode count:"), (gib << 30) / 8192, "{gib} GiB");
        }
    }
}
