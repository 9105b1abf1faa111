//! Block devices as sysfs shows them.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::io::Errno;

use crate::engine::host::Host;
use crate::error::{Code, Context, Error, Result};

/// A disk the kernel has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// The kernel's name, that of the node below /dev: `sda`.
    pub name: String,
    /// The device number, (major, minor).
    pub dev: (u32, u32),
    /// The size in sectors of 512 bytes.
    pub sectors: u64,
}

/// The size of a block device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Sectors of 512 bytes, whatever its blocks are.
    pub sectors: u64,
    /// Bytes of a logical block: 512 to 65536, a power of two.
    pub block_size: u64,
}

impl Geometry {
    /// How many logical blocks it has.
    pub fn blocks(&self) -> u64 {
        self.sectors / (self.block_size / 512).max(1)
    }
}

/// The size of the device `name`, as below /sys/block: `sda`, `dm-0`.
///
/// # Errors
/// sysfs has no such device, or says nonsense about it.
pub fn geometry(host: &Host, name: &str) -> Result<Geometry> {
    let folder = host.path("/sys/block").join(name);
    let number = |file: &str| -> Result<u64> {
        let path = folder.join(file);
        let object = || path.display().to_string();
        let text = std::fs::read_to_string(&path).context(Code::Io, object())?;
        text.trim().parse().context(Code::Io, object())
    };
    let block_size = number("queue/logical_block_size")?;
    if !(512..=65536).contains(&block_size) || !block_size.is_power_of_two() {
        return Err(Error::new(Code::Io, name).because(format!("logical blocks of {block_size} bytes")));
    }
    Ok(Geometry { sectors: number("size")?, block_size })
}

/// Whether the device at `node` can be opened by now. The kernel shows a disk in sysfs, its size included, and in
/// devtmpfs a moment before it takes the first open (block/genhd.c, device_add_disk): until then there is no node, or
/// ENXIO. Any other failure is for whoever opens it to tell.
pub fn is_ready(node: &Path) -> bool {
    match std::fs::File::open(node) {
        Err(error) => !matches!(Errno::from_io_error(&error), Some(Errno::NOENT | Errno::NXIO)),
        Ok(_) => true,
    }
}

/// [`is_ready`], if it can be told within `limit`. An open waits for the kernel's first look at the partitions, and that
/// for the disk, however long it takes: it is left to a thread then, one for each node, and the answer is no for so long.
pub fn is_ready_within(node: &Path, limit: Duration) -> bool {
    static OPENING: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    let opening = || OPENING.lock().unwrap_or_else(PoisonError::into_inner);
    if !opening().insert(node.to_owned()) {
        return false;
    }
    let (tell, told) = channel();
    let of_thread = node.to_owned();
    let started = std::thread::Builder::new().name("open".into()).spawn(move || {
        let ready = is_ready(&of_thread);
        opening().remove(&of_thread);
        // Nobody may wait any more.
        let _ = tell.send(ready);
    });
    if started.is_err() {
        opening().remove(node);
    }
    told.recv_timeout(limit).unwrap_or(false)
}

/// Reads the first block of the device at `node`, of `block_size` bytes, from the device itself: what the kernel has in
/// memory says nothing of it.
///
/// # Errors
/// It cannot be opened or read, or `block_size` is none.
pub fn read_past_cache(node: &Path, block_size: u64) -> io::Result<()> {
    let size = usize::try_from(block_size)
        .ok()
        .filter(|size| (512..=65536).contains(size) && size.is_power_of_two())
        .ok_or(io::ErrorKind::InvalidInput)?;
    let file = OpenOptions::new().read(true).custom_flags(libc::O_DIRECT).open(node)?;
    // Such a read wants its memory to lie as blocks do.
    let mut memory = vec![0; 2 * size];
    let start = memory.as_ptr().align_offset(size);
    let block = memory.get_mut(start..start.saturating_add(size)).ok_or(io::ErrorKind::OutOfMemory)?;
    file.read_exact_at(block, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_does_not_take_an_open_yet_is_not_ready() {
        let root = tempfile::tempdir().unwrap();
        assert!(!is_ready(&root.path().join("sda")));
        // Opening a socket is ENXIO, too.
        let socket = root.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert!(!is_ready(&socket));
        assert!(is_ready(root.path()));
    }

    #[test]
    fn an_open_that_takes_long_is_not_waited_for() {
        let root = tempfile::tempdir().unwrap();
        // An open of a FIFO waits for the other end.
        let node = root.path().join("sda");
        rustix::fs::mknodat(rustix::fs::CWD, &node, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let limit = Duration::from_millis(20);
        assert!(!is_ready_within(&node, limit));
        assert!(!is_ready_within(&node, limit));
        let _writer = std::fs::OpenOptions::new().write(true).open(&node).unwrap();
        let soon = std::time::Instant::now() + Duration::from_secs(20);
        while !is_ready_within(&node, limit) {
            assert!(std::time::Instant::now() < soon);
        }
    }

    #[test]
    fn sizes_from_sysfs() {
        let root = tempfile::tempdir().unwrap();
        let queue = root.path().join("sys/block/dm-0/queue");
        std::fs::create_dir_all(&queue).unwrap();
        std::fs::write(root.path().join("sys/block/dm-0/size"), "80\n").unwrap();
        for (text, blocks) in [("512\n", Some(80)), ("4096\n", Some(10)), ("0\n", None), ("x", None)] {
            std::fs::write(queue.join("logical_block_size"), text).unwrap();
            let geometry = geometry(&Host::fake(root.path()), "dm-0").ok();
            assert_eq!(geometry.map(|geometry| geometry.blocks()), blocks, "{text}");
        }
    }
}
