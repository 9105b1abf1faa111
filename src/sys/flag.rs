//! A flag that one thread raises and others wait for, together with a file descriptor or without.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

/// Without an eventfd (the process has too many files open) a wait looks so often.
const SLICE: Duration = Duration::from_millis(100);

/// A flag. Its copies are the same flag.
#[derive(Debug, Clone)]
pub struct Flag(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    raised: AtomicBool,
    event: Option<OwnedFd>,
}

impl Default for Flag {
    fn default() -> Flag {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).ok();
        Flag(Arc::new(Inner { raised: AtomicBool::new(false), event }))
    }
}

impl Flag {
    /// Raises it: who waits goes on.
    pub fn raise(&self) {
        self.0.raised.store(true, Ordering::Release);
        if let Some(event) = &self.0.event {
            // It can only fail because it is raised 2^64 times.
            let _ = rustix::io::write(event, &1u64.to_ne_bytes());
        }
    }

    /// Takes it down for the next wait.
    pub fn lower(&self) {
        if let Some(event) = &self.0.event {
            let _ = rustix::io::read(event, &mut [0; 8]);
        }
        self.0.raised.store(false, Ordering::Release);
    }

    /// It is up.
    pub fn is_raised(&self) -> bool {
        self.0.raised.load(Ordering::Acquire)
    }

    /// Waits until one of `others` is ready or the flag is up, for at most `at_most`. A signal may end it early.
    pub fn wait_with(&self, others: &[(BorrowedFd<'_>, PollFlags)], at_most: Duration) {
        let until = Instant::now() + at_most;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if self.is_raised() || left.is_zero() {
                return;
            }
            let event = self.0.event.as_ref();
            let slice = if event.is_some() { left } else { left.min(SLICE) };
            let timeout = Timespec {
                tv_sec: i64::try_from(slice.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: slice.subsec_nanos().into(),
            };
            let mut fds: Vec<PollFd<'_>> =
                others.iter().map(|(fd, flags)| PollFd::from_borrowed_fd(*fd, *flags)).collect();
            fds.extend(event.map(|event| PollFd::from_borrowed_fd(event.as_fd(), PollFlags::IN)));
            // Nothing, and time left: a slice is over.
            if !matches!(poll(&mut fds, Some(&timeout)), Ok(0)) {
                return;
            }
        }
    }

    /// Sleeps for `time`, less if the flag is up.
    pub fn sleep(&self, time: Duration) {
        self.wait_with(&[], time);
    }

    /// The error of what the flag called off.
    ///
    /// # Errors
    /// `Interrupted`: it is up.
    pub fn check(&self) -> io::Result<()> {
        if self.is_raised() {
            return Err(io::Error::new(io::ErrorKind::Interrupted, "called off"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raised_flag_ends_every_wait() {
        for event in [Flag::default(), Flag(Arc::new(Inner { raised: AtomicBool::new(false), event: None }))]
        {
            let copy = event.clone();
            let started = Instant::now();
            std::thread::scope(|scope| {
                scope.spawn(|| event.sleep(Duration::from_secs(20)));
                copy.raise();
            });
            assert!(started.elapsed() < Duration::from_secs(10));
            assert!(event.check().is_err());
            event.lower();
            assert!(event.check().is_ok());
            event.sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_wait_ends_with_its_time() {
        let started = Instant::now();
        Flag::default().sleep(Duration::from_millis(30));
        assert!(started.elapsed() >= Duration::from_millis(30));
    }

    #[test]
    fn a_file_that_is_ready_ends_the_wait() {
        let (reader, writer) = std::os::unix::net::UnixStream::pair().unwrap();
        drop(writer);
        let started = Instant::now();
        Flag::default().wait_with(&[(reader.as_fd(), PollFlags::IN)], Duration::from_secs(20));
        assert!(started.elapsed() < Duration::from_secs(10));
    }
}
