//! Decides which zram disk to use.

use super::Step;
use super::apply::{Action, SetUp};
use super::observe::Seen;
use crate::engine::converge::Next;
use crate::error::{Code, Error, Result};
use crate::input::document::{FileSystem, LEAST_XFS};
use crate::input::size::Size;

/// zram works in pages.
const PAGE: u64 = 4096;

pub fn plan(step: &Step, seen: &Seen) -> Result<Next<Action>> {
    let pages = |size: Size| size.bytes(seen.memory).next_multiple_of(PAGE);
    let mem_limit = step.mem_limit.map(pages);
    let ours = seen.disks.iter().find_map(|disk| Some((disk, disk.file_system?)));
    if let Some((disk, file_system)) = ours {
        return Ok(match mem_limit {
            Some(bytes) if bytes != disk.mem_limit => Next::Do(Action::Limit { number: disk.number, bytes }),
            _ => {
                let (number, mib, kind) = (disk.number, disk.bytes >> 20, file_system.kind());
                Next::Done(format!("zram{number}, {mib} MiB, {kind}"))
            }
        });
    }
    let bytes = pages(step.size);
    if step.fs == FileSystem::Xfs && bytes < LEAST_XFS {
        return Err(Error::new(Code::ZramSize, format!("overlay.size {}", step.size)).because(format!(
            "{} MiB; xfs needs at least {} MiB",
            bytes >> 20,
            LEAST_XFS >> 20
        )));
    }
    if !seen.module {
        return Ok(Next::Do(Action::Load));
    }
    // One that has the very size and is empty was left by a run that was killed before it wrote the file system; all
    // else that a disk can be told was told to it before its size.
    let left = seen.disks.iter().find(|disk| disk.bytes == bytes && !disk.written);
    let set_up = |number, sized| {
        let algorithm = step.algorithm.clone();
        Ok(Next::Do(Action::SetUp(SetUp { number, sized, algorithm, mem_limit, bytes, fs: step.fs })))
    };
    if let Some(left) = left {
        return set_up(left.number, true);
    }
    // Any other disk with a size belongs to somebody else.
    let Some(free) = seen.disks.iter().find(|disk| disk.bytes == 0) else {
        return Ok(Next::Do(Action::Add));
    };
    if let Some(algorithm) = &step.algorithm
        && !seen.algorithms.contains(algorithm)
    {
        return Err(Error::new(Code::ZramAlgorithm, format!("overlay.algorithm {algorithm:?}"))
            .because(format!("the kernel has: {}", seen.algorithms.join(", "))));
    }
    set_up(free.number, false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::zram::observe::{Formatted, Zram};

    fn zram(number: u32, bytes: u64, file_system: Option<Formatted>) -> Zram {
        Zram { number, bytes, mem_limit: 0, written: bytes > 0, file_system }
    }

    fn seen(module: bool, disks: Vec<Zram>) -> Seen {
        Seen { memory: 1 << 30, module, disks, algorithms: vec!["lzo-rle".into(), "zstd".into()] }
    }

    fn step(size: u64, fs: FileSystem) -> Step {
        Step { size: Size::Bytes(size), algorithm: None, mem_limit: None, fs }
    }

    const EXT4: Option<Formatted> = Some(Formatted::Ext4 { blocks: 1024 });

    #[test]
    fn from_nothing_to_done() {
        let set_up = |sized| {
            let fs = FileSystem::Ext4;
            Next::Do(Action::SetUp(SetUp {
                number: 0,
                sized,
                algorithm: None,
                mem_limit: None,
                bytes: 8192,
                fs,
            }))
        };
        let left = |bytes| Zram { written: false, ..zram(0, bytes, None) };
        let cases = [
            (false, vec![], Next::Do(Action::Load)),
            (true, vec![], Next::Do(Action::Add)),
            (true, vec![zram(0, 8192, None)], Next::Do(Action::Add)),
            (true, vec![zram(0, 0, None)], set_up(false)),
            (true, vec![left(8192)], set_up(true)),
            (true, vec![left(4096)], Next::Do(Action::Add)),
            (true, vec![zram(0, 1 << 20, EXT4)], Next::Done("zram0, 1 MiB, ext4".into())),
            (true, vec![zram(1, 1 << 30, Some(Formatted::Xfs))], Next::Done("zram1, 1024 MiB, xfs".into())),
        ];
        for (module, disks, next) in cases {
            assert_eq!(plan(&step(5000, FileSystem::Ext4), &seen(module, disks)).unwrap(), next);
        }
    }

    #[test]
    fn compression_and_limit_are_those_of_the_plan() {
        let mut step = step(5000, FileSystem::Ext4);
        (step.algorithm, step.mem_limit) = (Some("zstd".into()), Some(Size::Bytes(4097)));
        let free = seen(true, vec![zram(0, 0, None)]);
        let Next::Do(Action::SetUp(disk)) = plan(&step, &free).unwrap() else { panic!() };
        assert_eq!((disk.algorithm.as_deref(), disk.mem_limit), (Some("zstd"), Some(8192)));
        // The kernel shows whole pages: what was just set is what is found again.
        let mut disk = zram(0, 8192, EXT4);
        let limit = Next::Do(Action::Limit { number: 0, bytes: 8192 });
        assert_eq!(plan(&step, &seen(true, vec![disk])).unwrap(), limit);
        disk.mem_limit = 8192;
        assert!(matches!(plan(&step, &seen(true, vec![disk])).unwrap(), Next::Done(_)));
        step.algorithm = Some("zip".into());
        let error = plan(&step, &free).unwrap_err();
        assert_eq!(error.code(), Code::ZramAlgorithm);
        assert!(error.to_string().ends_with("the kernel has: lzo-rle, zstd"), "{error}");
    }

    #[test]
    fn xfs_needs_its_smallest_size_before_anything_is_done() {
        let nothing = seen(false, vec![]);
        let error = plan(&step(LEAST_XFS - PAGE, FileSystem::Xfs), &nothing).unwrap_err();
        assert_eq!(error.code(), Code::ZramSize);
        assert!(error.to_string().ends_with("299 MiB; xfs needs at least 300 MiB"), "{error}");
        let enough = plan(&step(LEAST_XFS, FileSystem::Xfs), &nothing).unwrap();
        assert_eq!(enough, Next::Do(Action::Load));
    }
}
