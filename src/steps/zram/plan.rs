//! Decides which zram disk to use.

use super::apply::Action;
use super::observe::Seen;
use crate::engine::converge::Next;
use crate::input::size::Size;

/// zram works in pages.
const PAGE: u64 = 4096;

pub fn plan(size: Size, seen: &Seen) -> Next<Action> {
    if let Some(ours) = seen.disks.iter().find(|disk| disk.file_system.is_some()) {
        return Next::Done(format!("zram{}, {} MiB, ext4", ours.number, ours.bytes >> 20));
    }
    if !seen.module {
        return Next::Do(Action::Load);
    }
    // A disk with a size that is not ours belongs to somebody else, or a run was killed before it had written the
    // file system; an empty one costs nothing, so it is left alone.
    match seen.disks.iter().find(|disk| disk.bytes == 0) {
        Some(free) => {
            let bytes = size.bytes(seen.memory).next_multiple_of(PAGE);
            Next::Do(Action::SetUp { number: free.number, bytes })
        }
        None => Next::Do(Action::Add),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::zram::observe::Zram;

    fn zram(number: u32, bytes: u64, ours: bool) -> Zram {
        Zram { number, bytes, file_system: ours.then_some(1024) }
    }

    #[test]
    fn from_nothing_to_done() {
        let cases = [
            (false, vec![], Next::Do(Action::Load)),
            (true, vec![], Next::Do(Action::Add)),
            (true, vec![zram(0, 8192, false)], Next::Do(Action::Add)),
            (true, vec![zram(0, 0, false)], Next::Do(Action::SetUp { number: 0, bytes: 8192 })),
            (true, vec![zram(0, 1 << 20, true)], Next::Done("zram0, 1 MiB, ext4".into())),
        ];
        for (module, disks, next) in cases {
            assert_eq!(plan(Size::Bytes(5000), &Seen { memory: 1 << 30, module, disks }), next);
        }
    }
}
