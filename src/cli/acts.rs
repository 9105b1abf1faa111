//! `diskless acts`: whether the agent acts on this node. Generators, and the hooks of the dracut module, ask it.

use std::time::Duration;

use lexopt::{Arg, Parser};

use super::{Failed, print};
use crate::engine::configured::configured;
use crate::engine::host::Host;
use crate::engine::orders::Orders;
use crate::engine::state::{self, State, Status};
use crate::error::Error;
use crate::input::cmdline::Cmdline;
use crate::input::config::{self, Acts};
use crate::input::trap::Mode;
use crate::steps::overlay::root_is_there;
use crate::sys::systemd_bus as bus;

/// What the generator leaves where the root is not the agent's.
const LEFT: &str = "/run/systemd/generator/sysroot.mount.d/50-diskless.conf";
/// All generators run again within this.
const RELOAD: Duration = Duration::from_secs(60);

pub(super) const HELP: &str = "\
usage: diskless acts [--root]
  --root  whether the root is the agent's business, not only a hold of the boot

Systemd's and dracut's own. The exit code is 0 if the agent acts on this node, else 1; nothing is printed.
";

/// Says by the exit code whether the agent acts.
pub fn main(args: &mut Parser, host: &Host) -> Result<(), Failed> {
    let mut root = false;
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("root") => root = true,
            Arg::Short('h') | Arg::Long("help") => return print(HELP),
            other => return Err(other.unexpected().into()),
        }
    }
    let (cmdline, wrong) = configured(host)?;
    // A boot that held, and was let go, is systemd's and dracut's.
    let is_over = || {
        let state = State::read(&host.path(state::FILE)).unwrap_or_default();
        state.is_some_and(|state| state.status == Status::Done)
    };
    match on(host, &cmdline, &wrong) {
        Acts::Boots => Ok(()),
        Acts::Holds if !root && !is_over() => Ok(()),
        Acts::Holds | Acts::Not => Err(Failed::Told),
    }
}

/// What the agent does on this node, by its configuration, of whose file this is `wrong`.
pub(super) fn on(host: &Host, cmdline: &Cmdline, wrong: &[Error]) -> Acts {
    if host.is_crash_kernel() {
        return Acts::Not;
    }
    match config::acts(cmdline) {
        // Somebody must see it.
        Acts::Not if !wrong.is_empty() && !matches!(Mode::read(cmdline), Ok(Mode::Off)) => Acts::Holds,
        // What systemd made of root= is in the way of the root that is there.
        Acts::Holds if Orders::read(host).root_is_there => Acts::Boots,
        acts => acts,
    }
}

/// The root is mounted. Where the generator left `root=` to systemd, that would wait for a disk that may never come: the
/// generators run again, now for a root that is the agent's.
pub(super) fn took_root(host: &Host, cmdline: &Cmdline) {
    let left = host.path(LEFT).exists() && cmdline.of_kernel().last(crate::input::words::ROOT).is_some();
    if !left || !root_is_there(host) {
        return;
    }
    if let Err(error) = Orders::change(host, |orders| orders.root_is_there = true) {
        log::warn!("{error}; {}", error.advice());
        return;
    }
    if let Err(error) = bus::reload(&host.path(bus::SOCKET), RELOAD) {
        log::warn!("systemd could not run its generators again: {error}; `systemctl daemon-reload` does so");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn acts(cmdline: &str, conf: &str, words: &[&str], more: &[&str]) -> bool {
        let root = tempfile::tempdir().unwrap();
        for (file, text) in [("proc/cmdline", cmdline), ("etc/diskless.conf", conf)] {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        for file in more {
            fs::write(root.path().join(file), "").unwrap();
        }
        let args = words.iter().map(std::ffi::OsString::from);
        match main(&mut Parser::from_args(args), &Host::fake(root.path())) {
            Ok(()) => true,
            Err(Failed::Told) => false,
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_decision_from_both_places() {
        for (cmdline, conf, any, root) in [
            ("root=/dev/vda1", "", false, false),
            ("rd.diskless.plan=/p", "", true, true),
            ("quiet", "plan=/p", true, true),
            ("quiet", "mode=trap", true, false),
            ("rd.diskless=off", "plan=/p", false, false),
            ("rd.diskless=auto", "mode=trap", false, false),
            ("netroot=nfs:a:/b", "plan=/p", false, false),
            // A person must see what is wrong with the file; off is off.
            ("root=/dev/vda1", "plam=/p", true, false),
            ("quiet", "plam=/p\nplan=/p", true, true),
            ("rd.diskless=off", "plam=/p", false, false),
        ] {
            assert_eq!(acts(cmdline, conf, &[], &[]), any, "{cmdline} {conf}");
            assert_eq!(acts(cmdline, conf, &["--root"], &[]), root, "{cmdline} {conf}");
        }
        assert!(!acts("rd.diskless.plan=/p", "", &[], &["proc/vmcore"]));
    }

    #[test]
    fn a_hold_that_is_over_is_nothing_any_more() {
        for (cmdline, still) in [("rd.diskless=trap", false), ("rd.diskless.plan=/p", true)] {
            let root = tempfile::tempdir().unwrap();
            fs::create_dir(root.path().join("proc")).unwrap();
            fs::write(root.path().join("proc/cmdline"), cmdline).unwrap();
            let host = Host::fake(root.path());
            let acts = || main(&mut Parser::from_args([] as [&str; 0]), &host).is_ok();
            for (status, expected) in [(Status::Held, true), (Status::Done, still)] {
                let state = State { status, ..State::new(String::new(), 1) };
                state.write(&host.path(state::FILE)).unwrap();
                assert_eq!(acts(), expected, "{cmdline}");
            }
        }
    }

    #[test]
    fn a_root_that_came_by_hand_is_the_agents() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::fake(root.path());
        let cmdline = Cmdline::parse("rd.diskless=trap root=/dev/mapper/luks_root1");
        took_root(&host, &cmdline);
        assert_eq!(on(&host, &cmdline, &[]), Acts::Holds);
        for (file, text) in [
            ("run/systemd/generator/sysroot.mount.d/50-diskless.conf", ""),
            ("sysroot/etc/os-release", ""),
            ("proc/self/mountinfo", "36 1 0:31 / /sysroot rw - overlay overlay rw\n"),
        ] {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        took_root(&host, &cmdline);
        assert_eq!(on(&host, &cmdline, &[]), Acts::Boots);
    }
}
