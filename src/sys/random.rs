//! Random numbers of the kernel.

use std::time::Duration;

/// Bytes that nobody can guess; before the kernel has such, early in a boot, they come from the clock.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0u8; N];
    if rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::NONBLOCK) != Ok(N) {
        let clock = super::clock::since_boot().as_nanos().to_le_bytes();
        bytes.iter_mut().zip(clock.iter().cycle()).for_each(|(byte, clock)| *byte = *clock);
    }
    bytes
}

/// A random time between half of `time` and all of it: nodes that failed together do not come back together.
pub fn around(time: Duration) -> Duration {
    let share = f64::from(u32::from_le_bytes(bytes())) / f64::from(u32::MAX);
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
}
