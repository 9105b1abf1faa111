//! Random bytes of the kernel.

use std::fs::File;
use std::io;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

/// Early in the boot of a machine without a random number generator the kernel has none to give; so long it is
/// waited for.
const LIMIT: Duration = Duration::from_secs(10);

/// `N` random bytes, which nobody can foresee.
///
/// # Errors
/// The kernel has none within ten seconds (`TimedOut`), or its own error.
pub fn bytes<const N: usize>() -> io::Result<[u8; N]> {
    let deadline = Instant::now() + LIMIT;
    let mut bytes = [0; N];
    loop {
        match getrandom(bytes.as_mut_slice(), GetRandomFlags::NONBLOCK) {
            // Up to 256 bytes always come at once (getrandom(2)).
            Ok(length) if length == N => return Ok(bytes),
            Ok(_) | Err(Errno::INTR) => (),
            Err(Errno::AGAIN) => wait(deadline)?,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Waits until the kernel has random bytes: then /dev/random can be read (random(4)).
fn wait(deadline: Instant) -> io::Result<()> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::Error::new(io::ErrorKind::TimedOut, "none in ten seconds"));
    }
    let timeout = Timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: left.subsec_nanos().into(),
    };
    let file = File::open("/dev/random")?;
    match poll(&mut [PollFd::new(&file, PollFlags::IN)], Some(&timeout)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// `N` bytes for what need not be secret, without a wait: before the kernel has random ones they come from the clock.
pub fn bytes_now<const N: usize>() -> [u8; N] {
    let mut bytes = [0u8; N];
    if getrandom(bytes.as_mut_slice(), GetRandomFlags::NONBLOCK) != Ok(N) {
        let clock = super::clock::since_boot().as_nanos().to_le_bytes();
        bytes.iter_mut().zip(clock.iter().cycle()).for_each(|(byte, clock)| *byte = *clock);
    }
    bytes
}

/// A random time between half of `time` and all of it: nodes that failed together do not come back together.
pub fn around(time: Duration) -> Duration {
    let share = f64::from(u32::from_le_bytes(bytes_now())) / f64::from(u32::MAX);
    time.mul_f64(0.5 + share / 2.0).min(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_differ_within_their_bounds() {
        let second = Duration::from_secs(1);
        let times: Vec<Duration> = (0..100).map(|_| around(second)).collect();
        assert!(times.iter().all(|time| (second / 2..=second).contains(time)), "{times:?}");
        assert!(times.iter().max() > times.iter().min());
        assert_eq!(around(Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn no_two_are_alike() {
        assert_ne!(bytes::<16>().unwrap(), bytes::<16>().unwrap());
    }
}
