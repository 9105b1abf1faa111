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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_alike() {
        assert_ne!(bytes::<16>().unwrap(), bytes::<16>().unwrap());
    }
}
