//! The trap: the boot stands still for a person, or pauses after a failure, in the process that drives it. What was done
//! stays as it is, and no lock is held.
//!
//! What ends it is decided apart from the waiting: by [`Shell::left`] and [`ended`].

use std::time::Duration;

use super::host::Host;
use super::orders::{FIRST, NEXT, Orders};
use super::policy::announce;
use super::state::{Next, Why};
use crate::access;
use crate::error::Code;
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
/// A shell that ends sooner may never have been open: nobody is at it.
const SHORTEST: Duration = Duration::from_secs(3);
/// One that is not there by then has come and gone.
const SEEN: Duration = Duration::from_secs(10);
/// So many that ended so soon, one after the other, are taken for somebody who leaves them; the next is one that cannot be
/// opened, and to go on for it would be a boot that fails without end.
const MOST_SHORT: u32 = 3;
/// systemd ends the machine within this, or it is ended without it.
const GOING_DOWN: Duration = Duration::from_secs(60);

/// What ended a trap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// A verb: `release`, `resume` or `retry`.
    Told,
    /// The shell was left, or its unit stopped; `soon`: before anybody can have been at it.
    Left {
        /// Soon after it began.
        soon: bool,
    },
}

/// What is known of the shell.
#[derive(Debug)]
pub struct Shell {
    /// How many before it ended soon, one after the other.
    short: u32,
    /// When it was first seen, and since when it is missed.
    up: Option<Duration>,
    missed: Option<Duration>,
    over: bool,
}

impl Shell {
    /// One that is about to open, after so many that ended soon.
    pub fn new(short: u32) -> Shell {
        Shell { short, up: None, missed: None, over: false }
    }

    /// Whether it was left, and soon, by what systemd says of its unit `now`; without an answer it is as it was.
    pub fn left(&mut self, state: Option<&str>, now: Duration) -> Option<Ended> {
        match state {
            Some("active" | "activating") => {
                self.up.get_or_insert(now);
                None
            }
            Some("inactive" | "failed") if !self.over => {
                let soon = match self.up {
                    Some(up) => now.saturating_sub(up) < SHORTEST,
                    // Its job may wait.
                    None if now.saturating_sub(*self.missed.get_or_insert(now)) < SEEN => return None,
                    None => true,
                };
                self.over = true;
                (!soon || self.short < MOST_SHORT).then_some(Ended::Left { soon })
            }
            _ => None,
        }
    }
}

/// What ends the trap that began when the boot had been `told` so often to go on; none: it goes on.
pub fn ended(told: u32, orders: &Orders, left: Option<Ended>) -> Option<Ended> {
    if orders.told == told { left } else { Some(Ended::Told) }
}

/// Opens the shell and waits until somebody lets the boot go on, that was `told` so often to do so when it came to stand
/// still. So many shells before this one ended soon: `short`.
pub fn wait(host: &Host, console: &mut Console, told: u32, short: u32) -> Ended {
    let socket = host.path(bus::SOCKET);
    let mut shell = Shell::new(short);
    if let Err(error) = bus::start(&socket, ANSWER, SHELL) {
        console.warn(&format!("{SHELL}: {error}; there may be no shell on the console"));
        // It may come all the same, unless systemd says no.
        shell.over = error.kind() == std::io::ErrorKind::Other;
    }
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

/// The name that the node has by now.
pub fn name_of(host: &Host) -> String {
    let name = std::fs::read_to_string(host.path("/proc/sys/kernel/hostname")).unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "this node".to_owned() } else { name.to_owned() }
}

/// Why a boot stands still, and what to do, on one line.
pub fn standing(node: &str, step: &str, why: Why, code: Option<Code>) -> String {
    let before = if step == FIRST { "before its first change".to_owned() } else { format!("before {step}") };
    let at = match why {
        Why::Failure => {
            let code = code.map_or_else(String::new, |code| format!(" with {}", code.as_str()));
            format!("at {step}, which failed{code}")
        }
        Why::Mode => format!("{before}: rd.diskless=trap"),
        Why::Parameter if step == FIRST => format!("{before}: rd.break=diskless"),
        Why::Parameter => format!("{before}: rd.break=diskless-{step}"),
        Why::Order => format!("{before}: diskless hold"),
    };
    let next = match why {
        Why::Failure => "`diskless diagnose` says why, `diskless retry` tries again",
        Why::Mode | Why::Parameter | Why::Order => "`diskless resume` goes on to the next hold",
    };
    format!(
        "TRAP: {node} stands {at}; {next}, `diskless release`, or leaving the shell, goes on with the boot"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::state::Does;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    const SOON: Option<Ended> = Some(Ended::Left { soon: true });

    #[test]
    fn a_shell_is_left_once_it_was_open() {
        let mut shell = Shell::new(0);
        // Its job waits; systemd reads its units again; it asks for Enter, and is left.
        let states = [
            Some("deactivating"),
            Some("inactive"),
            None,
            Some("activating"),
            None,
            Some("activating"),
            Some("deactivating"),
        ];
        for (now, state) in (0..).zip(states) {
            assert_eq!(shell.left(state, seconds(now)), None, "{state:?}");
        }
        assert_eq!(shell.left(Some("inactive"), seconds(9)), Some(Ended::Left { soon: false }));
    }

    #[test]
    fn a_shell_that_ends_soon_was_left_unless_all_do() {
        for (short, expected) in [(0, SOON), (2, SOON), (3, None)] {
            let mut shell = Shell::new(short);
            assert_eq!(shell.left(Some("activating"), seconds(0)), None);
            assert_eq!(shell.left(Some("failed"), seconds(2)), expected);
            assert_eq!(shell.left(Some("inactive"), seconds(60)), None);
            // One that has come and gone between two looks.
            let mut unseen = Shell::new(short);
            assert_eq!(unseen.left(Some("inactive"), seconds(0)), None);
            assert_eq!(unseen.left(Some("inactive"), seconds(9)), None);
            assert_eq!(unseen.left(Some("inactive"), seconds(10)), expected);
        }
    }

    #[test]
    fn a_word_goes_before_the_shell() {
        let mut orders = Orders::default();
        assert_eq!(ended(0, &orders, None), None);
        assert_eq!(ended(0, &orders, SOON), SOON);
        orders.resume(None);
        assert_eq!(ended(0, &orders, SOON), Some(Ended::Told));
        // That of an earlier trap is none of this.
        assert_eq!(ended(1, &orders, None), None);
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
        assert_eq!(wait(&host, &mut Console::open(&host), 0, 0), Ended::Told);
    }
}
