//! Decides which zram disk to use.

use super::Step;
use super::apply::{Action, SetUp};
use super::observe::Seen;
use crate::engine::converge::Next;
use crate::error::{Code, Error, Result};

pub fn plan(step: &Step, seen: &Seen) -> Result<Next<Action>> {
    let ours = seen.disks.iter().find_map(|disk| Some((disk, disk.file_system?)));
    if let Some((disk, file_system)) = ours {
        return Ok(match step.terms.mem_limit(disk.bytes, &seen.memory) {
            Some(bytes) if bytes != disk.mem_limit => Next::Do(Action::Limit { number: disk.number, bytes }),
            _ => {
                let (number, mib, kind) = (disk.number, disk.bytes >> 20, file_system.kind());
                let compression = seen.algorithm.iter().map(|word| format!(", {word}"));
                Next::Done(format!("zram{number}, {mib} MiB, {kind}") + &compression.collect::<String>())
            }
        });
    }
    let layer = step.terms.on(&seen.memory)?;
    if !seen.module {
        return Ok(Next::Do(Action::Load));
    }
    // One that has the very size and is empty was left by a run that was killed before it wrote the file system; all
    // else that a disk can be told was told to it before its size.
    let left = seen.disks.iter().find(|disk| disk.bytes == layer.bytes && !disk.written);
    // The kernel's own choice is better than none: warnings() says so.
    let algorithm = step.algorithm.clone().filter(|word| seen.algorithms.contains(word));
    let (mem_limit, bytes) = (layer.mem_limit, layer.bytes);
    let set_up = |number, sized| {
        Ok(Next::Do(Action::SetUp(SetUp { number, sized, algorithm, mem_limit, bytes, fs: step.fs })))
    };
    if let Some(left) = left {
        return set_up(left.number, true);
    }
    // Any other disk with a size belongs to somebody else.
    match seen.disks.iter().find(|disk| disk.bytes == 0) {
        Some(free) => set_up(free.number, false),
        None => Ok(Next::Do(Action::Add)),
    }
}

pub fn warnings(step: &Step, seen: &Seen) -> Vec<Error> {
    let layer = step.terms.on(&seen.memory).ok();
    let smaller = layer.and_then(|layer| step.terms.warning(&layer));
    let wanted = step.algorithm.as_ref();
    let other = wanted.zip(seen.algorithm.as_ref()).filter(|(wanted, used)| wanted != used);
    let other = other.map(|(wanted, used)| {
        Error::new(Code::ZramAlgorithm, format!("overlay.algorithm {wanted:?}"))
            .because(format!("{used} is in its place"))
    });
    other.into_iter().chain(smaller).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::document::{FileSystem, LEAST_XFS};
    use crate::input::memory::Memory;
    use crate::steps::layer::PAGE;
    use crate::steps::zram::observe::{Formatted, Zram};
    use serde_json::{Value, json};

    const MIB: u64 = 1 << 20;

    fn zram(number: u32, bytes: u64, file_system: Option<Formatted>) -> Zram {
        Zram { number, bytes, mem_limit: 0, written: bytes > 0, file_system }
    }

    fn seen(module: bool, disks: Vec<Zram>) -> Seen {
        let ours = disks.iter().any(|disk| disk.file_system.is_some());
        Seen {
            memory: Memory { total: 1 << 30, available: 1 << 30, huge: 0 },
            module,
            disks,
            algorithms: vec!["lzo-rle".into(), "zstd".into()],
            algorithm: ours.then(|| "lzo-rle".into()),
        }
    }

    fn step(members: Value) -> Step {
        let mut overlay = json!({ "mounts": [] });
        overlay.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        Step::new(&serde_json::from_value(overlay).unwrap())
    }

    const EXT4: Option<Formatted> = Some(Formatted::Ext4 { blocks: 2048 });

    #[test]
    fn from_nothing_to_done() {
        let set_up = |sized| {
            let (bytes, fs) = (16 * MIB + PAGE, FileSystem::Ext4);
            Next::Do(Action::SetUp(SetUp { number: 0, sized, algorithm: None, mem_limit: None, bytes, fs }))
        };
        let left = |bytes| Zram { written: false, ..zram(0, bytes, None) };
        let xfs = Some(Formatted::Xfs);
        let cases = [
            (false, vec![], Next::Do(Action::Load)),
            (true, vec![], Next::Do(Action::Add)),
            (true, vec![zram(0, 16 * MIB + PAGE, None)], Next::Do(Action::Add)),
            (true, vec![zram(0, 0, None)], set_up(false)),
            (true, vec![left(16 * MIB + PAGE)], set_up(true)),
            (true, vec![left(16 * MIB)], Next::Do(Action::Add)),
            (true, vec![zram(0, MIB, EXT4)], Next::Done("zram0, 1 MiB, ext4, lzo-rle".into())),
            (true, vec![zram(1, 1 << 30, xfs)], Next::Done("zram1, 1024 MiB, xfs, lzo-rle".into())),
        ];
        for (module, disks, next) in cases {
            assert_eq!(plan(&step(json!({ "size": "16777217" })), &seen(module, disks)).unwrap(), next);
        }
    }

    #[test]
    fn zram_gets_a_limit_only_where_the_disk_is_larger() {
        let over = step(json!({ "size": "64M", "mem_limit": "33554433", "overcommit": true }));
        let free = seen(true, vec![zram(0, 0, None)]);
        let Next::Do(Action::SetUp(disk)) = plan(&over, &free).unwrap() else { panic!() };
        assert_eq!((disk.bytes, disk.mem_limit), (64 * MIB, Some(32 * MIB + PAGE)));
        // The kernel shows whole pages: what was just set is what is found again.
        let mut disk = zram(0, 64 * MIB, EXT4);
        let limit = Next::Do(Action::Limit { number: 0, bytes: 32 * MIB + PAGE });
        assert_eq!(plan(&over, &seen(true, vec![disk])).unwrap(), limit);
        disk.mem_limit = 32 * MIB + PAGE;
        assert!(matches!(plan(&over, &seen(true, vec![disk])).unwrap(), Next::Done(_)));
        // Without overcommitment the disk itself is no larger, and has no limit beside its size.
        let plain = step(json!({ "size": "64M", "mem_limit": "32M" }));
        let Next::Do(Action::SetUp(made)) = plan(&plain, &free).unwrap() else { panic!() };
        assert_eq!((made.bytes, made.mem_limit), (32 * MIB, None));
        let limited = Zram { mem_limit: MIB, ..zram(0, 32 * MIB, EXT4) };
        let unlimited = Next::Do(Action::Limit { number: 0, bytes: 0 });
        assert_eq!(plan(&plain, &seen(true, vec![limited])).unwrap(), unlimited);
        assert!(warnings(&over, &free).is_empty());
        let told = warnings(&plain, &free);
        assert!(
            told[0].to_string().contains("the layer has 32 MiB, where overlay.size asks for 64 MiB"),
            "{told:?}"
        );
    }

    #[test]
    fn a_compression_that_the_kernel_lacks_is_told_and_replaced() {
        let free = seen(true, vec![zram(0, 0, None)]);
        let made = |algorithm: &str| {
            let step = step(json!({ "size": "64M", "algorithm": algorithm }));
            let Next::Do(Action::SetUp(disk)) = plan(&step, &free).unwrap() else { panic!() };
            let told = warnings(&step, &seen(true, vec![zram(0, 64 * MIB, EXT4)]));
            (disk.algorithm, told.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let (algorithm, _) = made("zstd");
        assert_eq!(algorithm.as_deref(), Some("zstd"));
        assert_eq!(made("lzo-rle"), (Some("lzo-rle".into()), vec![]));
        let (algorithm, told) = made("zip");
        assert_eq!((algorithm, told.len()), (None, 1));
        let says =
            "overlay.algorithm \"zip\": the kernel does not have this compression: lzo-rle is in its place";
        assert_eq!(told[0], says);
    }

    #[test]
    fn what_cannot_be_is_refused_before_anything_is_done_and_not_when_it_is_there() {
        let xfs = |bytes: u64| step(json!({ "size": bytes.to_string(), "fs": "xfs" }));
        let nothing = seen(false, vec![]);
        let error = plan(
            &xfs(LEAST_XFS),
            &Seen { memory: Memory { total: LEAST_XFS, ..nothing.memory }, ..seen(false, vec![]) },
        );
        assert_eq!(error.unwrap_err().code(), Code::LayerMemory);
        assert_eq!(plan(&xfs(LEAST_XFS), &nothing).unwrap(), Next::Do(Action::Load));
        let small =
            Seen { memory: Memory { total: MIB, ..nothing.memory }, ..seen(true, vec![zram(0, MIB, EXT4)]) };
        assert!(matches!(plan(&xfs(LEAST_XFS), &small).unwrap(), Next::Done(_)));
    }
}
