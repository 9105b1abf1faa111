//! Makes a zram disk and puts the file system on it.

use std::fmt;
use std::fs::File;
use std::os::unix::fs::FileExt;

use super::template;
use crate::engine::host::Host;
use crate::error::{Code, Context, Result};
use crate::sys::module;

/// What to do for the disk.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Load the kernel module.
    Load,
    /// Add one more disk.
    Add,
    /// Give a disk its size and the file system.
    SetUp {
        /// Which: /dev/zramN.
        number: u32,
        /// Its size, whole pages.
        bytes: u64,
    },
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Load => f.write_str("load the module zram"),
            Action::Add => f.write_str("add a zram disk"),
            Action::SetUp { number, bytes } => write!(f, "set up zram{number} with {bytes} bytes"),
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
        Action::SetUp { number, bytes } => {
            let size = host.path(format!("/sys/block/zram{number}/disksize"));
            std::fs::write(&size, bytes.to_string()).context(Code::Kernel, size.display().to_string())?;
            format(host, number)
        }
    }
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
