//! Looks at the zram disks.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::template;
use crate::engine::host::Host;
use crate::error::{Code, Context, Error, Result};
use crate::input::size;

/// A zram disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zram {
    /// Its number: /dev/zramN.
    pub number: u32,
    /// Its size in bytes; 0: not set up.
    pub bytes: u64,
    /// Blocks of our file system on it; none: it is not ours.
    pub file_system: Option<u64>,
}

impl Zram {
    /// The blocks our file system is to grow to: if it was never grown, or is smaller than the disk by at least a
    /// group. A rest smaller than that may be too small for the kernel to use.
    pub fn grows_to(&self) -> Option<u64> {
        let (disk, now) = (self.bytes / template::BLOCK_BYTES, self.file_system?);
        let missing = disk.saturating_sub(now);
        let worth_it =
            missing >= template::BLOCKS_OF_GROUP || (missing > 0 && now == template::BLOCKS_AT_FIRST);
        worth_it.then_some(disk)
    }
}

/// The zram disks, and what is needed to make one.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    /// The node's memory in bytes.
    pub memory: u64,
    /// The module is loaded.
    pub module: bool,
    /// All disks, by number.
    pub disks: Vec<Zram>,
}

pub fn observe(host: &Host) -> Result<Seen> {
    let path = host.path("/proc/meminfo");
    let meminfo = std::fs::read_to_string(&path).context(Code::Io, path.display().to_string())?;
    let memory = size::memory_total(&meminfo)
        .ok_or_else(|| Error::new(Code::Io, path.display().to_string()).because("no MemTotal"))?;
    Ok(Seen { memory, module: host.path("/sys/class/zram-control").exists(), disks: disks(host) })
}

/// The disk of the writable layer, if it is there.
pub fn find(host: &Host) -> Option<Zram> {
    disks(host).into_iter().find(|disk| disk.file_system.is_some())
}

fn disks(host: &Host) -> Vec<Zram> {
    let folder = host.path("/sys/block");
    let names = std::fs::read_dir(&folder).into_iter().flatten().flatten();
    let mut disks: Vec<Zram> = names
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let number = name.strip_prefix("zram")?.parse().ok()?;
            let bytes =
                std::fs::read_to_string(folder.join(&name).join("disksize")).ok()?.trim().parse().ok()?;
            let file_system = if bytes > 0 { our_file_system(host, &name) } else { None };
            Some(Zram { number, bytes, file_system })
        })
        .collect();
    disks.sort_by_key(|disk| disk.number);
    disks
}

fn our_file_system(host: &Host, name: &str) -> Option<u64> {
    let mut superblock = [0; template::SUPERBLOCK_BYTES];
    let disk = File::open(host.path("/dev").join(name)).ok()?;
    disk.read_exact_at(&mut superblock, template::SUPERBLOCK).ok()?;
    template::blocks(&superblock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_and_whose_they_are() {
        let root = tempfile::tempdir().unwrap();
        let write = |file: &str, bytes: &[u8]| {
            let file = root.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, bytes).unwrap();
        };
        write("proc/meminfo", b"MemTotal: 1000 kB\n");
        let host = Host::fake(root.path());
        assert_eq!(observe(&host).unwrap(), Seen { memory: 1_024_000, module: false, disks: vec![] });
        write("sys/class/zram-control/hot_add", b"");
        write("sys/block/sda/size", b"1\n");
        write("sys/block/zram1/disksize", b"4194304\n");
        write("dev/zram1", &template::inflate().unwrap());
        write("sys/block/zram0/disksize", b"0\n");
        write("dev/zram0", b"");
        let seen = observe(&host).unwrap();
        let ours = Zram { number: 1, bytes: 4_194_304, file_system: Some(1024) };
        assert!(seen.module);
        assert_eq!(seen.disks, [Zram { number: 0, bytes: 0, file_system: None }, ours]);
        assert_eq!(find(&host), Some(ours));
    }

    #[test]
    fn grows_once_and_then_only_by_whole_groups() {
        let mib = 1 << 20;
        let cases = [
            (4 * mib, Some(1024), None),
            (100 * mib, Some(1024), Some(25_600)),
            (100 * mib, Some(25_600), None),
            (1025 * mib, Some(262_144), None),
            (2048 * mib, Some(262_144), Some(524_288)),
            (2048 * mib, None, None),
        ];
        for (bytes, file_system, to) in cases {
            assert_eq!(Zram { number: 0, bytes, file_system }.grows_to(), to, "{bytes} {file_system:?}");
        }
    }
}
