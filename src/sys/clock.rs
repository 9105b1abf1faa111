//! Clocks.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Time since the machine's boot, suspend included (CLOCK_BOOTTIME).
pub fn since_boot() -> Duration {
    read(ClockId::Boottime)
}

/// Processor time the calling thread has used, in user space and in the kernel.
pub fn thread_cpu() -> Duration {
    read(ClockId::ThreadCPUTime)
}

fn read(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Processor time that this process, all its threads, has used in its own code (not in the kernel).
pub fn process_user_cpu() -> Duration {
    // nix, for rustix has no getrusage.
    use nix::sys::resource::{UsageWho, getrusage};
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else {
        return Duration::ZERO;
    };
    let time = usage.user_time();
    Duration::from_secs(u64::try_from(time.tv_sec()).unwrap_or(0))
        + Duration::from_micros(u64::try_from(time.tv_usec()).unwrap_or(0))
}
