//! Makes a zram disk and puts the file system on it.

use std::fmt;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use super::{template, xfs};
use crate::engine::host::Host;
use crate::error::{Code, Context, Error, Result};
use crate::input::document::FileSystem;
use crate::sys::module;
use crate::sys::program::{self, Failure};

/// How long mkfs.xfs may take. It writes some MiB, whatever the size.
const MKFS_LIMIT: Duration = Duration::from_secs(60);

/// What to do for the disk.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Load the kernel module.
    Load,
    /// Add one more disk.
    Add,
    /// Give a disk its size and the file system.
    SetUp(SetUp),
    /// Limit the memory that a disk may take.
    Limit {
        /// Which: /dev/zramN.
        number: u32,
        /// Whole pages; 0: as much as its size.
        bytes: u64,
    },
}

/// A disk as it is to be.
#[derive(Debug, PartialEq, Eq)]
pub struct SetUp {
    /// Which: /dev/zramN.
    pub number: u32,
    /// It has its size, and with it all but the file system.
    pub sized: bool,
    /// How it is compressed; none: as the kernel likes.
    pub algorithm: Option<String>,
    /// The memory that it may take, whole pages; none: as much as its size.
    pub mem_limit: Option<u64>,
    /// Its size, whole pages.
    pub bytes: u64,
    /// What to put on it.
    pub fs: FileSystem,
}

impl SetUp {
    /// The files below /sys/block/zramN to write, in their order, and what: with its size the disk begins to live.
    fn writes(&self) -> Vec<(&'static str, String)> {
        let algorithm = self.algorithm.iter().map(|name| ("comp_algorithm", name.clone()));
        let mem_limit = self.mem_limit.iter().map(|bytes| ("mem_limit", bytes.to_string()));
        algorithm.chain(mem_limit).chain([("disksize", self.bytes.to_string())]).collect()
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Load => f.write_str("load the module zram"),
            Action::Add => f.write_str("add a zram disk"),
            Action::SetUp(SetUp { number, bytes, .. }) => write!(f, "set up zram{number} with {bytes} bytes"),
            Action::Limit { number, bytes: 0 } => write!(f, "take the limit of memory from zram{number}"),
            Action::Limit { number, bytes } => write!(f, "limit zram{number} to {bytes} bytes of memory"),
        }
    }
}

pub fn apply(host: &Host, action: Action) -> Result<()> {
    match action {
        Action::Load => module::load(host, &["zram"]),
        Action::Add => {
            // Reading adds a disk (Documentation/admin-guide/blockdev/zram.rst).
            let hot_add = host.path("/sys/class/zram-control/hot_add");
            std::fs::read_to_string(&hot_add).context(Code::Kernel, hot_add.display().to_string())?;
            Ok(())
        }
        Action::Limit { number, bytes } => write(host, number, "mem_limit", &bytes.to_string()),
        Action::SetUp(disk) => {
            let done = set_up(host, &disk);
            if done.is_err() {
                // With a size but without a file system it would be left alone for ever.
                let _ = write(host, disk.number, "reset", "1");
            }
            done
        }
    }
}

fn write(host: &Host, number: u32, file: &str, text: &str) -> Result<()> {
    let path = host.path(format!("/sys/block/zram{number}/{file}"));
    std::fs::write(&path, text).context(Code::Kernel, path.display().to_string())
}

fn set_up(host: &Host, disk: &SetUp) -> Result<()> {
    for (file, text) in disk.writes().into_iter().filter(|_| !disk.sized) {
        write(host, disk.number, file, &text)?;
    }
    match disk.fs {
        FileSystem::Ext4 => format(host, disk.number),
        FileSystem::Xfs => make_xfs(host, disk.number),
    }
}

fn make_xfs(host: &Host, number: u32) -> Result<()> {
    let path = host.path(format!("/dev/zram{number}")).display().to_string();
    // -f: what an earlier life of the memory left is nothing to be asked about. -K: nothing is there to discard.
    let args = ["-q", "-f", "-K", "-L", xfs::LABEL, &path];
    program::run("mkfs.xfs", &args, MKFS_LIMIT).map_err(|failure| {
        let error = Error::new(Code::MakeFileSystem, &path);
        match failure {
            Failure::Missing => error.because(
                "mkfs.xfs is not in the initramfs: build it with `dracut --install mkfs.xfs`, or take ext4",
            ),
            failure => error.because(failure),
        }
    })
}

/// The block with the superblock comes last: until then nobody takes the disk for one that is ready.
fn format(host: &Host, number: u32) -> Result<()> {
    const BLOCK: usize = 4096;
    let path = host.path(format!("/dev/zram{number}"));
    let object = || path.display().to_string();
    let image = template::inflate()?;
    let disk = File::options().write(true).open(&path).context(Code::Io, object())?;
    // zram reads as zeros where nothing was written.
    let blocks: Vec<(u64, &[u8])> = (0..).step_by(BLOCK).zip(image.chunks(BLOCK)).collect();
    for (offset, block) in blocks.into_iter().rev() {
        if block.iter().any(|byte| *byte != 0) {
            disk.write_all_at(block, offset).context(Code::Io, object())?;
        }
    }
    disk.sync_all().context(Code::Io, object())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_the_writes() {
        let mut disk = SetUp {
            number: 3,
            sized: false,
            algorithm: None,
            mem_limit: None,
            bytes: 8192,
            fs: FileSystem::Ext4,
        };
        assert_eq!(disk.writes(), [("disksize", "8192".to_owned())]);
        (disk.algorithm, disk.mem_limit) = (Some("zstd".into()), Some(4096));
        let files: Vec<_> = disk.writes().into_iter().map(|(file, text)| format!("{file} {text}")).collect();
        assert_eq!(files, ["comp_algorithm zstd", "mem_limit 4096", "disksize 8192"]);
    }

    #[test]
    fn a_disk_that_cannot_be_finished_is_given_back() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("sys/block/zram0");
        std::fs::create_dir_all(&folder).unwrap();
        let disk = SetUp {
            number: 0,
            sized: false,
            algorithm: None,
            mem_limit: None,
            bytes: 8192,
            fs: FileSystem::Ext4,
        };
        // There is no /dev/zram0.
        assert!(apply(&Host::fake(root.path()), Action::SetUp(disk)).is_err());
        let read = |file| std::fs::read_to_string(folder.join(file)).unwrap();
        assert_eq!((read("disksize").as_str(), read("reset").as_str()), ("8192", "1"));
    }
}
