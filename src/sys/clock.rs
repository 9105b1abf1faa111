//! Clocks.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

// nix, for rustix has no getrusage.
use nix::sys::resource::{UsageWho, getrusage};
use rustix::time::{ClockId, clock_gettime};

/// Time since the machine's boot, suspend included (CLOCK_BOOTTIME).
pub fn since_boot() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Made when the initramfs was, and the agent itself, which is older: no clock that is right stands before them.
const MADE_WITH_THE_INITRAMFS: [&str; 2] = ["etc/initrd-release", "proc/self/exe"];

/// When the initramfs at `root` was made, as far as its files tell.
pub fn initramfs_made(root: &Path) -> Option<SystemTime> {
    let modified = |file: &&str| std::fs::metadata(root.join(file)).and_then(|file| file.modified()).ok();
    MADE_WITH_THE_INITRAMFS.iter().filter_map(modified).max()
}

/// `time` as RFC 3339 writes it, in UTC and to the second: `2026-01-31T23:59:59Z`. Before 1970 it is 1970.
pub fn utc(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (mut days, of_day) = (seconds / 86400, seconds % 86400);
    // Years from March on, in cycles of 400 years, so that the leap day is the last one of its year.
    days += 719_468; // from 0000-03-01 to 1970-01-01
    let (cycle, day) = (days / 146_097, days % 146_097);
    let year_of_cycle = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = cycle * 400 + year_of_cycle + u64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Processor time that this process, all its threads, has used in its own code, not in the kernel.
pub fn process_user_time() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return Duration::ZERO };
    let time = usage.user_time();
    Duration::from_secs(u64::try_from(time.tv_sec()).unwrap_or(0))
        + Duration::from_micros(u64::try_from(time.tv_usec()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_initramfs_is_as_old_as_its_youngest_file() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(initramfs_made(root.path()), None);
        for (file, seconds) in [("etc/initrd-release", 5000), ("proc/self/exe", 4000)] {
            let file = root.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            std::fs::File::create(file).unwrap().set_modified(time).unwrap();
        }
        assert_eq!(initramfs_made(root.path()), Some(UNIX_EPOCH + Duration::from_secs(5000)));
    }

    #[test]
    fn utc_as_date_writes_it() {
        // From `date -u -d @SECONDS +%FT%TZ`.
        let cases = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ];
        for (seconds, text) in cases {
            assert_eq!(utc(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }
}
