//! Looks at the zram disks.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::{template, xfs};
use crate::engine::host::Host;
use crate::error::{Code, Context, Error, Result};
use crate::input::memory::Memory;

/// A zram disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zram {
    /// Its number: /dev/zramN.
    pub number: u32,
    /// Its size in bytes; 0: not set up.
    pub bytes: u64,
    /// The memory that it may take, in bytes; 0: as much as its size.
    pub mem_limit: u64,
    /// Something was written to it.
    pub written: bool,
    /// Our file system on it; none: it is not ours.
    pub file_system: Option<Formatted>,
}

/// Our file system on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Formatted {
    /// The template, grown or not.
    Ext4 {
        /// Its size in blocks.
        blocks: u64,
    },
    /// Made by mkfs.xfs for the whole disk.
    Xfs,
}

impl Formatted {
    /// The type to mount it with.
    pub fn kind(self) -> &'static str {
        match self {
            Formatted::Ext4 { .. } => "ext4",
            Formatted::Xfs => "xfs",
        }
    }
}

impl Zram {
    /// The blocks our file system is to grow to: if it was never grown, or is smaller than the disk by at least a
    /// group. A rest smaller than that may be too small for the kernel to use.
    pub fn grows_to(&self) -> Option<u64> {
        let Formatted::Ext4 { blocks: now } = self.file_system? else { return None };
        let disk = self.bytes / template::BLOCK_BYTES;
        let missing = disk.saturating_sub(now);
        let worth_it =
            missing >= template::BLOCKS_OF_GROUP || (missing > 0 && now == template::BLOCKS_AT_FIRST);
        worth_it.then_some(disk)
    }
}

/// The zram disks, and what is needed to make one.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    /// The node's memory.
    pub memory: Memory,
    /// The module is loaded.
    pub module: bool,
    /// All disks, by number.
    pub disks: Vec<Zram>,
    /// How the first disk that is not set up can be compressed, in the kernel's words.
    pub algorithms: Vec<String>,
    /// How the disk of the writable layer is compressed, if it is there.
    pub algorithm: Option<String>,
}

pub fn observe(host: &Host) -> Result<Seen> {
    let path = host.path("/proc/meminfo");
    let meminfo = std::fs::read_to_string(&path).context(Code::Io, path.display().to_string())?;
    let memory = Memory::parse(&meminfo)
        .ok_or_else(|| Error::new(Code::Io, path.display().to_string()).because("no MemTotal"))?;
    let disks = disks(host);
    let free = disks.iter().find(|disk| disk.bytes == 0).map(|disk| disk.number);
    let listed = free.map(|number| comp_algorithm(host, number)).unwrap_or_default();
    let ours = disks.iter().find(|disk| disk.file_system.is_some());
    let algorithm = ours.and_then(|disk| algorithm(host, disk.number));
    let module = host.path("/sys/class/zram-control").exists();
    Ok(Seen { memory, module, disks, algorithms: algorithms(&listed), algorithm })
}

/// How disk `number` is compressed, in the kernel's words.
pub fn algorithm(host: &Host, number: u32) -> Option<String> {
    in_use(&comp_algorithm(host, number)).map(str::to_owned)
}

/// Empty if it cannot be read.
fn comp_algorithm(host: &Host, number: u32) -> String {
    std::fs::read_to_string(host.path(format!("/sys/block/zram{number}/comp_algorithm"))).unwrap_or_default()
}

/// The disk of the writable layer, if it is there.
pub fn find(host: &Host) -> Option<Zram> {
    disks(host).into_iter().find(|disk| disk.file_system.is_some())
}

/// The words of comp_algorithm; the one in use is in brackets.
pub(super) fn algorithms(text: &str) -> Vec<String> {
    text.split_whitespace().map(|word| word.trim_matches(['[', ']']).to_owned()).collect()
}

/// The word of comp_algorithm that is in use.
pub(super) fn in_use(text: &str) -> Option<&str> {
    text.split_whitespace().find_map(|word| word.strip_prefix('[')?.strip_suffix(']'))
}

/// What a disk takes of the memory, in bytes: the first figures of mm_stat (Documentation/admin-guide/blockdev/zram.rst).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// The data that is stored, as it is read. Pages of one value alone, such as zeros, are not counted.
    pub data: u64,
    /// The memory that all of it takes, with what lies idle in between.
    pub taken: u64,
    /// The memory that it may take; 0: as much as its size.
    pub mem_limit: u64,
}

impl Figures {
    /// Those of disk `number`, if it has some.
    pub fn of(host: &Host, number: u32) -> Option<Figures> {
        Figures::parse(&std::fs::read_to_string(host.path(format!("/sys/block/zram{number}/mm_stat"))).ok()?)
    }

    pub(super) fn parse(mm_stat: &str) -> Option<Figures> {
        let mut figures = mm_stat.split_whitespace().map(str::parse::<u64>);
        let mut next = || figures.next()?.ok();
        let (data, _compressed, taken, mem_limit) = (next()?, next()?, next()?, next()?);
        Some(Figures { data, taken, mem_limit })
    }
}

fn disks(host: &Host) -> Vec<Zram> {
    let folder = host.path("/sys/block");
    let names = std::fs::read_dir(&folder).into_iter().flatten().flatten();
    let mut disks: Vec<Zram> = names
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let number = name.strip_prefix("zram")?.parse().ok()?;
            let read = |file: &str| std::fs::read_to_string(folder.join(&name).join(file)).ok();
            let bytes = read("disksize")?.trim().parse().ok()?;
            let mm_stat = read("mm_stat").unwrap_or_default();
            let figures = Figures::parse(&mm_stat);
            let mem_limit = figures.map_or(0, |figures| figures.mem_limit);
            // What is not told is not said to be nothing.
            let written = bytes > 0 && figures.is_none_or(|figures| figures.data > 0);
            let file_system = if bytes > 0 { our_file_system(host, &name) } else { None };
            Some(Zram { number, bytes, mem_limit, written, file_system })
        })
        .collect();
    disks.sort_by_key(|disk| disk.number);
    disks
}

fn our_file_system(host: &Host, name: &str) -> Option<Formatted> {
    let disk = File::open(host.path("/dev").join(name)).ok()?;
    let mut superblock = [0; xfs::SUPERBLOCK_BYTES];
    disk.read_exact_at(&mut superblock, 0).ok()?;
    if xfs::is_ours(&superblock) {
        return Some(Formatted::Xfs);
    }
    let mut superblock = [0; template::SUPERBLOCK_BYTES];
    disk.read_exact_at(&mut superblock, template::SUPERBLOCK).ok()?;
    template::blocks(&superblock).map(|blocks| Formatted::Ext4 { blocks })
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
        let memory = Memory { total: 1_024_000, available: 1_024_000, huge: 0 };
        let none = Seen { memory, module: false, disks: vec![], algorithms: vec![], algorithm: None };
        assert_eq!(observe(&host).unwrap(), none);
        write("sys/class/zram-control/hot_add", b"");
        write("sys/block/sda/size", b"1\n");
        write("sys/block/zram1/disksize", b"4194304\n");
        write("sys/block/zram1/mm_stat", b"  8192  0  4096  1048576  0  0  0  0  0\n");
        write("sys/block/zram0/comp_algorithm", b"lzo-rle [lz4] zstd \n");
        write("sys/block/zram1/comp_algorithm", b"[lzo-rle] lz4 zstd \n");
        write("dev/zram1", &template::inflate().unwrap());
        write("sys/block/zram0/disksize", b"0\n");
        write("dev/zram0", b"");
        let seen = observe(&host).unwrap();
        let ext4 = Formatted::Ext4 { blocks: template::BLOCKS_AT_FIRST };
        let ours =
            Zram { number: 1, bytes: 4_194_304, mem_limit: 1 << 20, written: true, file_system: Some(ext4) };
        let free = Zram { number: 0, bytes: 0, mem_limit: 0, written: false, file_system: None };
        assert!(seen.module);
        assert_eq!(seen.disks, [free, ours]);
        assert_eq!(seen.algorithms, ["lzo-rle", "lz4", "zstd"]);
        assert_eq!(seen.algorithm.as_deref(), Some("lzo-rle"));
        assert_eq!(find(&host), Some(ours));
        let figures = Figures { data: 8192, taken: 4096, mem_limit: 1 << 20 };
        assert_eq!((Figures::of(&host, 1), Figures::of(&host, 0)), (Some(figures), None));
    }

    #[test]
    fn grows_once_and_then_only_by_whole_groups() {
        let mib = 1 << 20;
        let cases = [
            (8 * mib, Some(2048), None),
            (100 * mib, Some(2048), Some(25_600)),
            (100 * mib, Some(25_600), None),
            (1025 * mib, Some(262_144), None),
            (2048 * mib, Some(262_144), Some(524_288)),
            (2048 * mib, None, None),
        ];
        for (bytes, blocks, to) in cases {
            let file_system = blocks.map(|blocks| Formatted::Ext4 { blocks });
            let disk = Zram { number: 0, bytes, mem_limit: 0, written: true, file_system };
            assert_eq!(disk.grows_to(), to, "{bytes} {blocks:?}");
        }
        let file_system = Some(Formatted::Xfs);
        let xfs = Zram { number: 0, bytes: 2048 * mib, mem_limit: 0, written: true, file_system };
        assert_eq!(xfs.grows_to(), None);
    }
}
