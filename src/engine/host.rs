//! The node as steps see it: where its files are, what time it is, and what wakes a wait up.

use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::error::Error;
use crate::sys::{clock, events::KernelEvents, flag::Flag, random, wake};

/// What an initramfs has, and nothing else (os-release(5)).
pub const INITRAMFS: &str = "/etc/initrd-release";

/// The node a step works on.
///
/// Readers take their files below [`Host::path`], so that a test can show them another machine.
pub struct Host {
    root: PathBuf,
    time: Time,
    derivation_us: AtomicU64,
    /// Raised by threads that have something to tell.
    news: Flag,
    /// What somebody must know although the boot goes on.
    warnings: Mutex<Vec<Error>>,
}

enum Time {
    /// The sockets, from the first look or wait on: whoever does neither has none that nobody reads.
    Real(OnceLock<Option<KernelEvents>>),
    #[cfg(test)]
    Fake(AtomicU64),
}

impl Host {
    /// This machine.
    ///
    /// Without the kernel's event sockets (not root, or a kernel without them) waits still end, only later.
    pub fn this() -> Host {
        Host {
            root: PathBuf::from("/"),
            time: Time::Real(OnceLock::new()),
            derivation_us: AtomicU64::new(0),
            news: Flag::default(),
            warnings: Mutex::default(),
        }
    }

    /// This machine, with its files below `root`: to look at a root that does not run.
    pub fn below(root: impl Into<PathBuf>) -> Host {
        Host { root: root.into(), ..Host::this() }
    }

    /// A machine whose files are below `root`, and where time goes by only in waits.
    #[cfg(test)]
    pub fn fake(root: impl Into<PathBuf>) -> Host {
        Host {
            root: root.into(),
            time: Time::Fake(AtomicU64::new(0)),
            derivation_us: AtomicU64::new(0),
            news: Flag::default(),
            warnings: Mutex::default(),
        }
    }

    /// The same node for another thread, whose waits see no events of the kernel.
    pub fn alike(&self) -> Host {
        let time = match &self.time {
            Time::Real(_) => Time::Real(OnceLock::from(None)),
            #[cfg(test)]
            Time::Fake(us) => Time::Fake(AtomicU64::new(us.load(Ordering::Relaxed))),
        };
        Host {
            root: self.root.clone(),
            time,
            derivation_us: AtomicU64::new(0),
            news: self.news.clone(),
            warnings: Mutex::default(),
        }
    }

    /// Ends the wait for a change of whoever this is alike: a thread has something to tell.
    pub fn tell_news(&self) {
        self.news.raise();
    }

    /// Waits until one of `fds` can be read or a thread has news ([`Host::tell_news`]), for at most `at_most`; the kernel's
    /// events of this host have no part in it.
    pub fn wait_for(&self, fds: &[BorrowedFd<'_>], at_most: Duration) {
        wake::wait(fds, &self.news, at_most);
    }

    /// Whether a thread had news since this was asked last.
    pub fn take_news(&self) -> bool {
        let raised = self.news.is_raised();
        self.news.lower();
        raised
    }

    /// Keeps what somebody must know although the boot goes on, for whoever tells it ([`Host::take_warnings`]). What is
    /// kept already is not kept twice.
    pub fn warn(&self, warning: Error) {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        let text = warning.to_string();
        if !warnings.iter().any(|kept| kept.code() == warning.code() && kept.to_string() == text) {
            warnings.push(warning);
        }
    }

    /// The warnings since this was asked last.
    pub fn take_warnings(&self) -> Vec<Error> {
        std::mem::take(&mut *self.warnings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// `absolute` on this host: `/sys/block` below the host's root.
    pub fn path(&self, absolute: impl AsRef<Path>) -> PathBuf {
        let absolute = absolute.as_ref();
        self.root.join(absolute.strip_prefix("/").unwrap_or(absolute))
    }

    /// The kernel's random id of this boot; empty if it does not tell.
    pub fn boot_id(&self) -> String {
        let boot_id = std::fs::read_to_string(self.path("/proc/sys/kernel/random/boot_id"));
        boot_id.unwrap_or_default().trim().to_owned()
    }

    /// Whether this is an initramfs, and not yet the system that it boots.
    pub fn is_initramfs(&self) -> bool {
        self.path(INITRAMFS).exists()
    }

    /// Whether the kernel is one that saves the memory of another that crashed (kdump). There is no node to boot then, and
    /// hardly any memory.
    pub fn is_crash_kernel(&self) -> bool {
        self.path("/proc/vmcore").exists()
    }

    /// Time since the node's boot.
    pub fn now(&self) -> Duration {
        match &self.time {
            Time::Real(_) => clock::since_boot(),
            #[cfg(test)]
            Time::Fake(us) => Duration::from_micros(us.load(Ordering::Relaxed)),
        }
    }

    /// A random time from half of `time` to all of it: a thousand nodes that wait for the same thing do not look for it
    /// in the same moment.
    pub fn around(&self, time: Duration) -> Duration {
        match &self.time {
            Time::Real(_) => random::around(time),
            #[cfg(test)]
            Time::Fake(_) => time,
        }
    }

    /// Forgets the changes the kernel has told of so far: what follows looks at the state they made.
    pub fn changes_seen(&self) {
        self.news.lower();
        match &self.time {
            Time::Real(events) => {
                if let Some(events) = events.get_or_init(|| KernelEvents::open().ok()) {
                    events.drain();
                }
            }
            #[cfg(test)]
            Time::Fake(_) => (),
        }
    }

    /// Sleeps until a link, an address, a route or a device changes, or a thread has news ([`Host::tell_news`]), for at
    /// most `at_most`.
    pub fn wait_for_change(&self, at_most: Duration) {
        match &self.time {
            Time::Real(events) => match events.get_or_init(|| KernelEvents::open().ok()) {
                Some(events) => events.wait(&self.news, at_most),
                None => self.news.sleep(at_most),
            },
            #[cfg(test)]
            Time::Fake(us) => {
                us.fetch_add(at_most.as_micros() as u64, Ordering::Relaxed);
            }
        }
    }

    /// Runs a key derivation and counts the processor time it took, which is by design and not the agent's own.
    pub fn deriving<T>(&self, derive: impl FnOnce() -> T) -> T {
        let before = clock::process_user_time();
        let derived = derive();
        let took = clock::process_user_time().saturating_sub(before);
        self.derivation_us.fetch_add(took.as_micros() as u64, Ordering::Relaxed);
        derived
    }

    /// The processor time all key derivations took so far.
    pub fn derivation_time(&self) -> Duration {
        Duration::from_micros(self.derivation_us.load(Ordering::Relaxed))
    }
}
