//! Clocks.

use std::time::Duration;

// nix, for rustix has no getrusage.
use nix::sys::resource::{UsageWho, getrusage};
use rustix::time::{ClockId, clock_gettime};

/// Time since the machine's boot, suspend included (CLOCK_BOOTTIME).
pub fn since_boot() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Processor time that this process, all its threads, has used in its own code, not in the kernel.
pub fn process_user_time() -> Duration {
    user_time(UsageWho::RUSAGE_SELF)
}

/// The same of the calling thread alone.
pub fn thread_user_time() -> Duration {
    user_time(UsageWho::RUSAGE_THREAD)
}

fn user_time(who: UsageWho) -> Duration {
    let Ok(usage) = getrusage(who) else { return Duration::ZERO };
    let time = usage.user_time();
    Duration::from_secs(u64::try_from(time.tv_sec()).unwrap_or(0))
        + Duration::from_micros(u64::try_from(time.tv_usec()).unwrap_or(0))
}
