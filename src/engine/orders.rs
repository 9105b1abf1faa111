//! What operators ask of this boot, `/run/diskless/orders.json`: written by the verbs, read by the agent between steps
//! and each second of a trap.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::host::Host;
use super::lock;
use super::state::Why;
use crate::error::{Code, Context, Result};
use crate::input::trap::{Mode, Trap};
use crate::sys::whole_file;

/// Where they are.
pub const FILE: &str = "/run/diskless/orders.json";
/// Held by whoever changes them, for a moment.
const LOCK: &str = "/run/diskless/orders.lock";
/// Nobody changes them for longer.
const LIMIT: Duration = Duration::from_secs(5);
/// No file of ours is longer, in bytes.
const LONGEST: u64 = 64 << 10;

/// In the place of a step: whichever comes next.
pub const NEXT: &str = "next";
/// In the place of a step, of holds that are let go: the beginning of the boot.
pub const FIRST: &str = "first";

/// What operators ask of this boot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Orders {
    /// The boot holds before each of these steps, or before the [`NEXT`] one.
    pub holds: Vec<String>,
    /// The steps, or [`FIRST`], whose holds are over, whoever asked for them.
    pub passed: Vec<String>,
    /// The holds of the mode and of `rd.break=` are over.
    pub released: bool,
    /// How often a boot that stands still was told to go on, be it to the next hold.
    pub told: u32,
    /// What the boot does without: see [`super::skip`].
    pub skip: Vec<String>,
    /// The root is at `/sysroot` although the generator left `root=` to systemd: what it made of that is not waited for.
    pub root_is_there: bool,
}

impl Orders {
    /// Reads them; none that can be read: there are none.
    pub fn read(host: &Host) -> Orders {
        match read(&host.path(FILE)) {
            Ok(orders) => orders,
            Err(error) => {
                log::warn!("{error}; {}", error.advice());
                Orders::default()
            }
        }
    }

    /// Changes them, one after the other where several want to at the same time; gives what they are then.
    ///
    /// # Errors
    /// [`Code::Locked`]: another takes longer than it can; [`Code::Io`].
    pub fn change(host: &Host, change: impl FnOnce(&mut Orders)) -> Result<Orders> {
        let file = host.path(FILE);
        let _lock = lock::take_within(&host.path(LOCK), LIMIT)?;
        let mut orders = read(&file)?;
        change(&mut orders);
        let mut text = serde_json::to_vec_pretty(&orders).context(Code::Io, FILE)?;
        text.push(b'\n');
        whole_file::write(&file, &text, 0o600, None)?;
        Ok(orders)
    }

    /// The boot is to hold before `step`; none: before the next.
    pub fn hold(&mut self, step: Option<&str>) {
        let step = step.unwrap_or(NEXT);
        if !self.holds.iter().any(|hold| hold == step) {
            self.holds.push(step.to_owned());
        }
    }

    /// The boot goes on, and no hold holds any more.
    pub fn release(&mut self) {
        self.leave(None);
        self.holds.clear();
    }

    /// The boot goes on, for its shell was left; it stood still before the step `held`, if that is given. Only what else was
    /// asked for by [`Orders::hold`] still holds.
    pub fn leave(&mut self, held: Option<&str>) {
        self.resume(held);
        self.released = true;
    }

    /// The boot goes on to the next hold; it stood still before the step `held`, if that is given.
    pub fn resume(&mut self, held: Option<&str>) {
        self.told = self.told.wrapping_add(1);
        let Some(step) = held else { return };
        self.holds.retain(|hold| hold != step);
        if !self.passed.iter().any(|passed| passed == step) {
            self.passed.push(step.to_owned());
        }
    }

    /// The boot has come to stand still, as [`NEXT`] asks for, wherever that is.
    pub fn reached(&mut self) {
        self.holds.retain(|hold| hold != NEXT);
    }

    /// Why the boot is to hold before `step`, or at its beginning, [`FIRST`]; none: it goes on.
    pub fn holds_before(&self, trap: &Trap, step: &str) -> Option<Why> {
        let passed = |step: &str| self.passed.iter().any(|passed| passed == step);
        let ordered = |step: &str| self.holds.iter().any(|hold| hold == step);
        if trap.no_shell {
            return None;
        }
        if ordered(step) || ordered(NEXT) && !passed(step) {
            return Some(Why::Order);
        }
        if self.released || passed(step) {
            return None;
        }
        if step == FIRST && trap.mode == Mode::Trap {
            return Some(Why::Mode);
        }
        (trap.holds.contains(&step) || step == FIRST && trap.at_first).then_some(Why::Parameter)
    }
}

fn read(file: &Path) -> Result<Orders> {
    use std::io::Read;
    let object = || file.display().to_string();
    let mut text = Vec::new();
    match std::fs::File::open(file) {
        Ok(file) => file.take(LONGEST).read_to_end(&mut text).context(Code::Io, object())?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Orders::default()),
        Err(error) => return Err(error).context(Code::Io, object()),
    };
    serde_json::from_slice(&text).context(Code::Io, object())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trap(mode: Mode, holds: &[&'static str]) -> Trap {
        Trap { mode, holds: holds.to_vec(), ..Trap::default() }
    }

    #[test]
    fn orders_are_kept_and_none_is_lost() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(Orders::read(&Host::fake(root.path())), Orders::default());
        std::thread::scope(|scope| {
            for number in 0..8 {
                let host = Host::fake(root.path());
                scope.spawn(move || {
                    Orders::change(&host, |orders| orders.hold(Some(&format!("s{number}")))).unwrap()
                });
            }
        });
        let host = Host::fake(root.path());
        assert_eq!(Orders::read(&host).holds.len(), 8);
        let released = Orders::change(&host, Orders::release).unwrap();
        assert!(released.released && released.holds.is_empty());
        assert_eq!(Orders::read(&host), released);
        std::fs::write(host.path(FILE), "{").unwrap();
        assert_eq!(Orders::read(&host), Orders::default());
        assert_eq!(Orders::change(&host, Orders::release).unwrap_err().code(), Code::Io);
    }

    #[test]
    fn what_holds_and_until_when() {
        let (auto, breaks) = (trap(Mode::Auto, &[]), trap(Mode::Auto, &["luks"]));
        let mut orders = Orders::default();
        assert_eq!(orders.holds_before(&auto, FIRST), None);
        assert_eq!(orders.holds_before(&trap(Mode::Trap, &[]), FIRST), Some(Why::Mode));
        assert_eq!(orders.holds_before(&trap(Mode::Trap, &[]), "iscsi"), None);
        assert_eq!(orders.holds_before(&breaks, "luks"), Some(Why::Parameter));
        orders.resume(Some("luks"));
        assert_eq!(orders.holds_before(&breaks, "luks"), None);
        // Who asks again is heard again, after a failure too.
        orders.hold(Some("luks"));
        orders.resume(None);
        assert_eq!(orders.holds_before(&auto, "iscsi"), None);
        assert_eq!(orders.holds_before(&auto, "luks"), Some(Why::Order));
        let closed = Trap { no_shell: true, ..trap(Mode::Trap, &["luks"]) };
        assert_eq!(orders.holds_before(&closed, "luks"), None);
    }

    #[test]
    fn the_next_step_is_the_next_that_comes() {
        let auto = trap(Mode::Auto, &[]);
        let mut orders = Orders::default();
        orders.hold(None);
        assert_eq!(orders.holds_before(&auto, "iscsi"), Some(Why::Order));
        orders.reached();
        orders.resume(Some("iscsi"));
        assert_eq!(orders.holds_before(&auto, "luks"), None);
        // The steps that it was told to pass are run again, and are not the next.
        orders.hold(None);
        assert_eq!(orders.holds_before(&auto, "iscsi"), None);
        assert_eq!(orders.holds_before(&auto, "luks"), Some(Why::Order));
    }

    #[test]
    fn a_release_ends_all_holds_and_leaving_the_shell_those_of_parameters() {
        let trap = trap(Mode::Trap, &["network"]);
        for end in [Orders::release, |orders: &mut Orders| orders.leave(Some(FIRST))] {
            let mut orders = Orders::default();
            end(&mut orders);
            assert_eq!((orders.holds_before(&trap, FIRST), orders.told), (None, 1));
            assert_eq!(orders.holds_before(&trap, "network"), None);
            orders.hold(Some("luks"));
            assert_eq!(orders.holds_before(&trap, "luks"), Some(Why::Order));
        }
        let mut orders = Orders::default();
        orders.hold(Some("iscsi"));
        orders.hold(Some("luks"));
        // That before which it stood is over, whoever asked for it.
        orders.leave(Some("iscsi"));
        assert_eq!(orders.holds, ["luks"]);
        assert_eq!(orders.holds_before(&trap, "iscsi"), None);
        orders.leave(None);
        assert_eq!(orders.holds, ["luks"]);
        orders.release();
        assert!(orders.holds.is_empty());
    }

    #[test]
    fn the_hold_at_the_beginning_is_another_than_that_of_the_first_step() {
        let trap = trap(Mode::Trap, &["network"]);
        let mut orders = Orders::default();
        orders.resume(Some(FIRST));
        assert_eq!(orders.holds_before(&trap, FIRST), None);
        assert_eq!(orders.holds_before(&trap, "network"), Some(Why::Parameter));
    }
}
