//! The trap: the boot stands still for a person, or pauses after a failure, in the process that drives it. What was done
//! stays as it is, and no lock is held.
//!
//! What ends it is decided apart from the waiting: by [`Shell::left`] and [`ended`].

use std::time::Duration;

use super::host::Host;
use super::orders::{NEXT, Orders};
use super::policy::announce;
use super::state::Next;
use crate::access;
use crate::input::trap::Emergency;
use crate::report::console::Console;
use crate::sys::shutdown::{self, End};
use crate::sys::systemd_bus as bus;

/// The shell on the console, dracut's; where the site does not want one, the keys of the agent.
const SHELL: &str = "dracut-emergency.service";
/// How often the orders and the shell are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// systemd answers within this, or not now.
const ANSWER: Duration = Duration::from_secs(5);
/// How often a pause, or the wait for another's work, is told again.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// A shell that ends sooner was never open: nobody is at it, and nobody has left it.
const SHORTEST: Duration = Duration::from_secs(3);
/// systemd ends the machine within this, or it is ended without it.
const GOING_DOWN: Duration = Duration::from_secs(60);

/// What ended a trap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// A verb: `release`, `resume` or `retry`.
    Told,
    /// The shell was left, or its unit stopped.
    Left,
}

/// What is known of the shell.
#[derive(Debug, Default)]
pub struct Shell {
    /// When it was first seen.
    since: Option<Duration>,
    over: bool,
}

impl Shell {
    /// Whether a person has left it, by what systemd says of its unit `now`; none: it does not say.
    pub fn left(&mut self, state: Option<&str>, now: Duration) -> bool {
        match state {
            Some("active" | "activating") if !self.over => {
                self.since.get_or_insert(now);
                false
            }
            Some("inactive" | "failed") if !self.over => match self.since {
                // Its job waits.
                None => false,
                Some(since) => {
                    self.over = true;
                    now.saturating_sub(since) >= SHORTEST
                }
            },
            _ => false,
        }
    }
}

/// What ends the trap that began when the boot had been `told` so often to go on; none: it goes on.
pub fn ended(told: u32, orders: &Orders, left: bool) -> Option<Ended> {
    match () {
        () if orders.told != told => Some(Ended::Told),
        () if left => Some(Ended::Left),
        () => None,
    }
}

/// Opens the shell and waits until somebody lets the boot go on, that was `told` so often to do so when it came to stand
/// still.
pub fn wait(host: &Host, console: &mut Console, told: u32) -> Ended {
    let socket = host.path(bus::SOCKET);
    // Without an answer it may come all the same.
    if let Err(error) = bus::start(&socket, ANSWER, SHELL) {
        console.warn(&format!("{SHELL}: {error}; there may be no shell on the console"));
    }
    let mut shell = Shell::default();
    let mut invited = None;
    let ended = loop {
        // An address may be yet to come, or become another one.
        let how = access::invitation(host);
        if let Some(how) = how.filter(|how| invited.as_ref() != Some(how)) {
            console.say(&how);
            invited = Some(how);
        }
        let state = bus::state(&socket, ANSWER, SHELL).ok();
        let left = shell.left(state.as_deref(), host.now());
        if let Some(ended) = ended(told, &Orders::read(host), left) {
            break ended;
        }
        host.changes_seen();
        host.wait_for_change(LOOK_EVERY);
    };
    // The console belongs to the boot again. A shell that does not end ends with the initramfs.
    if ended == Ended::Told
        && let Err(error) = bus::stop(&socket, ANSWER, SHELL)
    {
        log::warn!("{SHELL}: {error}");
    }
    ended
}

/// How a pause ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paused {
    /// Its time is over.
    Over,
    /// Somebody lets the boot go on now.
    Told,
    /// Somebody holds it.
    Held,
}

/// Waits until it is time for `next`, of a boot that was `told` so often to go on when it failed, and says so on the way.
pub fn pause(host: &Host, console: &mut Console, next: &Next, told: u32) -> Paused {
    let at = Duration::from_millis(next.at_ms);
    let mut said: Option<Duration> = None;
    loop {
        let orders = Orders::read(host);
        if orders.told != told {
            return Paused::Told;
        }
        if orders.holds.iter().any(|hold| hold == NEXT) {
            return Paused::Held;
        }
        let left = at.saturating_sub(host.now());
        if left.is_zero() {
            return Paused::Over;
        }
        if said.is_none_or(|said| host.now() >= said + TELL_EVERY) {
            let next = announce(next.does, left, next.number, next.of);
            console.say(&format!("boot failed, {next}; `diskless hold` keeps it here"));
            said = Some(host.now());
        }
        host.changes_seen();
        host.wait_for_change(LOOK_EVERY.min(left));
    }
}

/// Ends the machine: by systemd, which takes all down in order, or without it where it does not. Does not come back,
/// unless the kernel refuses as well.
pub fn end(host: &Host, console: &mut Console, how: Emergency) {
    let (unit, end) = match how {
        Emergency::Reboot => ("reboot.target", End::Restart(None)),
        Emergency::PowerOff => ("poweroff.target", End::PowerOff),
        Emergency::Halt => ("halt.target", End::Halt),
    };
    match bus::start_for_good(&host.path(bus::SOCKET), ANSWER, unit) {
        // It ends this process on its way.
        Ok(()) => std::thread::sleep(GOING_DOWN),
        Err(error) => console.warn(&format!("{unit}: {error}; the machine is ended without systemd")),
    }
    let error = shutdown::end(end);
    console.warn(&format!("the machine does not end: {error}"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::state::Does;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_shell_is_left_once_it_was_open() {
        let mut shell = Shell::default();
        // Its job waits; systemd reads its units again; it asks for Enter, and is left.
        let states =
            [Some("inactive"), None, Some("activating"), None, Some("activating"), Some("deactivating")];
        for (now, state) in (0..).zip(states) {
            assert!(!shell.left(state, seconds(now)), "{state:?}");
        }
        assert!(shell.left(Some("inactive"), seconds(9)));
        let mut dead = Shell::default();
        assert!(!dead.left(Some("activating"), seconds(0)));
        // One that cannot open ends at once: to go on for that would be a boot that fails without end.
        assert!(!dead.left(Some("failed"), seconds(2)));
        assert!(!dead.left(Some("inactive"), seconds(60)));
        assert!(!Shell::default().left(Some("inactive"), seconds(1000)));
    }

    #[test]
    fn a_word_goes_before_the_shell() {
        let mut orders = Orders::default();
        assert_eq!(ended(0, &orders, false), None);
        assert_eq!(ended(0, &orders, true), Some(Ended::Left));
        orders.resume(None);
        assert_eq!(ended(0, &orders, true), Some(Ended::Told));
        // That of an earlier trap is none of this.
        assert_eq!(ended(1, &orders, false), None);
    }

    fn paused(orders: impl FnOnce(&mut Orders)) -> (Paused, Duration, String) {
        let root = tempfile::tempdir().unwrap();
        let host = Host::fake(root.path());
        std::fs::create_dir(root.path().join("dev")).unwrap();
        std::fs::write(root.path().join("dev/kmsg"), "").unwrap();
        Orders::change(&host, orders).unwrap();
        let next = Next { does: Does::Retry, at_ms: 25_000, number: Some(1), of: Some(5), pid: 1 };
        let ended = pause(&host, &mut Console::open(&host), &next, 0);
        (ended, host.now(), std::fs::read_to_string(root.path().join("dev/kmsg")).unwrap())
    }

    #[test]
    fn a_pause_is_a_named_wait_and_ends() {
        let (ended, now, shown) = paused(|_| ());
        assert_eq!((ended, now), (Paused::Over, seconds(25)));
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines.len(), 3, "{shown}");
        let line = "boot failed, trying again in 25 s: retry 1 of 5; `diskless hold` keeps it here";
        assert!(lines[0].ends_with(line), "{shown}");
        assert!(lines[2].contains(" in 5 s"), "{shown}");
    }

    #[test]
    fn a_pause_ends_by_a_word() {
        assert_eq!(paused(|orders| orders.hold(None)).0, Paused::Held);
        assert_eq!(paused(|orders| orders.hold(Some("luks"))).0, Paused::Over);
        assert_eq!(paused(|orders| orders.release()).0, Paused::Told);
        assert_eq!(paused(|orders| orders.resume(None)).1, Duration::ZERO);
    }

    #[test]
    fn a_trap_without_systemd_waits_for_a_word() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::fake(root.path());
        Orders::change(&host, Orders::release).unwrap();
        assert_eq!(wait(&host, &mut Console::open(&host), 0), Ended::Told);
    }
}
