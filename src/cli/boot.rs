//! `diskless boot`: by hand once, as the service until the root is there.

pub(super) mod pass;

use std::time::Duration;

use lexopt::{Arg, Parser};

use super::{Failed, print, retry};
use crate::engine::configured::configured;
use crate::engine::host::{Host, INITRAMFS};
use crate::engine::lock::{self, Lock};
use crate::engine::orders::{NEXT, Orders};
use crate::engine::policy::{self, Then};
use crate::engine::run::{Rule, Run, Stop};
use crate::engine::state::{Does, Next, Why};
use crate::engine::trap::{self, Ended, Paused};
use crate::error::{Code, Error, Result};
use crate::input::trap::{Emergency, Mode, Trap};
use crate::report::console::Console;
use pass::pass;

/// How often a lock that another has is looked at, and how often that is told.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const TELL_EVERY: u32 = 10;

pub(super) const HELP: &str = "\
usage: diskless boot [--trap]
  --trap  systemd's own: stay where the boot holds, or fails, until somebody lets it go on

Fetches the boot plan and puts the new root together. What is there already is recognised: run again, it goes on from
there. By hand it does what `diskless retry` does.
";

/// Fetches the boot plan and puts the new root together.
pub fn main(args: &mut Parser, host: &Host) -> Result<(), Failed> {
    let mut stays = false;
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("trap") => stays = true,
            Arg::Short('h') | Arg::Long("help") => return print(HELP),
            other => return Err(other.unexpected().into()),
        }
    }
    if host.is_crash_kernel() {
        return print(
            "this kernel saves the memory of one that crashed (/proc/vmcore): there is nothing to boot\n",
        );
    }
    in_initramfs(host)?;
    if !stays {
        return retry::here(host, None, Console::open(host));
    }
    match service(host)? {
        None => Ok(()),
        Some(end) => {
            trap::end(host, &mut Console::open(host), end);
            Err(Failed::Told)
        }
    }
}

/// In the booted system the boot is over: what it would find missing there is in use.
///
/// # Errors
/// [`Code::Booted`]
pub(super) fn in_initramfs(host: &Host) -> Result<()> {
    if host.is_initramfs() { Ok(()) } else { Err(Error::new(Code::Booted, INITRAMFS)) }
}

/// What came of one run of the boot.
enum Turn {
    /// The root is there.
    Done,
    /// The boot stands still before this step; none: where it failed.
    Stands(Option<&'static str>),
    /// It failed at this step with this code, and this follows.
    Pauses(&'static str, Code, Next),
    /// The machine is to end.
    Ends(Emergency),
}

/// Boots until the root is there; where the boot holds, or fails, as the configuration and operators have it. Gives how
/// the machine is to end, if that is what comes.
fn service(host: &Host) -> Result<Option<Emergency>> {
    let (mut failures, mut short) = (0, 0);
    let mut goes_on = None;
    loop {
        let lock = lock(host)?;
        let told = Orders::read(host).told;
        let turn = turn(host, &mut failures, goes_on);
        // Whoever has the boot in hand needs the lock.
        drop(lock);
        goes_on = Some(match turn {
            Turn::Done => return Ok(None),
            Turn::Ends(end) => return Ok(Some(end)),
            Turn::Stands(held) => stand(host, held, told, &mut short),
            Turn::Pauses(step, code, next) => {
                match trap::pause(host, &mut Console::open(host), &next, told) {
                    Paused::Told => "the boot goes on: somebody ended the pause",
                    Paused::Held => {
                        hold_here(host, step, code)?;
                        stand(host, None, told, &mut short)
                    }
                    Paused::Over => match next.does {
                        Does::Retry => "the boot is tried again",
                        Does::Reboot => return Ok(Some(Emergency::Reboot)),
                        Does::PowerOff => return Ok(Some(Emergency::PowerOff)),
                    },
                }
            }
        });
    }
}

/// One run of the boot, under the lock; `goes_on` says why it is not the first.
fn turn(host: &Host, failures: &mut u32, goes_on: Option<&str>) -> Turn {
    // The command line's file may have been mended since the last time.
    let configured = configured(host);
    let trap = configured.as_ref().map(|(cmdline, _)| Trap::read(cmdline).0).unwrap_or_default();
    let mut run = Run::start(host, Rule::Holds(trap.clone()), Console::open(host));
    match goes_on {
        Some(what) => run.released(what),
        None if trap.no_shell && trap.mode == Mode::Trap => {
            run.warn("rd.shell=0 goes before rd.diskless=trap: the boot does not hold");
        }
        None => (),
    }
    let turn = match pass(&mut run, host, configured) {
        Ok(()) => {
            run.finish();
            return Turn::Done;
        }
        Err(Stop::Held(step, why)) => {
            run.stands_still(step, why, None);
            Turn::Stands(Some(step))
        }
        Err(Stop::Failed(step, error)) => {
            *failures += 1;
            follow(host, &mut run, &trap, *failures, step, error.code())
        }
        // No run with this rule ends so.
        Err(Stop::Reached) => Turn::Stands(None),
    };
    run.close();
    turn
}

/// What follows the failure of `step` with `code`, told and in the journal.
fn follow(
    host: &Host,
    run: &mut Run<'_>,
    trap: &Trap,
    failures: u32,
    step: &'static str,
    code: Code,
) -> Turn {
    // Somebody wants it to hold here.
    let ordered = !trap.no_shell && Orders::read(host).holds.iter().any(|hold| hold == NEXT);
    match if ordered { Then::Trap } else { policy::after_failure(trap, failures) } {
        Then::Trap => {
            run.stands_still(step, Why::Failure, Some(code));
            Turn::Stands(None)
        }
        Then::End(end) => Turn::Ends(end),
        Then::Pause { pause, does, number, of } => {
            if does == Does::Reboot && number.is_none() {
                run.warn(
                    "rd.diskless.on_failure=reboot: nobody counts the boots (rd.diskless.attempt=), so the pause is the \
                     longest, and the node goes on rebooting",
                );
            }
            // A thousand nodes that failed together do not come back together.
            let left = host.around(pause);
            let at_ms = u64::try_from(host.now().saturating_add(left).as_millis()).unwrap_or(u64::MAX);
            let next = Next { does, at_ms, number, of, pid: std::process::id() };
            run.pauses(next.clone(), left);
            Turn::Pauses(step, code, next)
        }
    }
}

/// The pause after the failure of `step` with `code` is over, for somebody holds the boot.
fn hold_here(host: &Host, step: &str, code: Code) -> Result<()> {
    let _lock = lock(host)?;
    let mut run = Run::go_on(host, Console::open(host));
    run.stands_still(step, Why::Failure, Some(code));
    run.close();
    Ok(())
}

/// Waits until somebody lets the boot go on, which stands still, before the step `held` if that is given, and was `told` so
/// often to go on before; gives who. Counts the shells that ended soon, one after the other: `short`.
fn stand(host: &Host, held: Option<&str>, told: u32, short: &mut u32) -> &'static str {
    warn(Orders::change(host, Orders::reached));
    match trap::wait(host, &mut Console::open(host), told, *short) {
        Ended::Told => {
            *short = 0;
            "the boot goes on: released"
        }
        Ended::Left { soon } => {
            *short = if soon { *short + 1 } else { 0 };
            warn(Orders::change(host, |orders| orders.leave(held)));
            "the boot goes on: the shell was left"
        }
    }
}

/// Takes the lock of a run. Another that has it is waited for by name: it has deadlines of its own.
fn lock(host: &Host) -> Result<Lock> {
    let mut looks = 0_u32;
    loop {
        match lock::take(&host.path(lock::FILE)) {
            Err(error) if error.code() == Code::Locked => {
                if looks.is_multiple_of(TELL_EVERY) {
                    Console::open(host).say(&format!("waiting for {error}"));
                }
                looks = looks.wrapping_add(1);
                std::thread::sleep(LOOK_EVERY);
            }
            result => return result,
        }
    }
}

/// An order that cannot be written down is no reason not to boot.
fn warn(result: Result<Orders>) {
    if let Err(error) = result {
        log::warn!("{error}; {}", error.advice());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::state::{self, State};
    use crate::steps::fetch::TRIED;
    use std::fs;

    /// What the console shows of a boot with this command line, and this file of open-iscsi in the initramfs.
    fn console(cmdline: &str, baked: &str) -> String {
        let root = tempfile::tempdir().unwrap();
        for (file, text) in [
            ("proc/cmdline", cmdline),
            ("etc/iscsi/initiatorname.iscsi", baked),
            ("dev/kmsg", ""),
            ("etc/initrd-release", ""),
        ] {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let result = main(&mut Parser::from_args([] as [&str; 0]), &Host::fake(root.path()));
        assert!(matches!(result, Err(Failed::Told)), "{cmdline}: {result:?}");
        fs::read_to_string(root.path().join("dev/kmsg")).unwrap()
    }

    #[test]
    fn a_boot_from_parameters_stops_at_a_shared_name_and_warns_of_secrets() {
        let disk = "netroot=iscsi:u:hunter2@198.18.0.1::::iqn.a:b rd.luks.key=/k root=/dev/mapper/luks_root1";
        let shown = console(disk, "InitiatorName=iqn.a:shared\n");
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines[0].starts_with("<30>diskless: WARNING: there is a secret"), "{shown}");
        assert!(lines[1].starts_with("<30>diskless: input failed [initiator-shared] /etc/iscsi/"), "{shown}");
        assert_eq!(lines.len(), 2, "{shown}");
        let shown = console(&disk.replace("rd.luks.key", "rd.luks.kye"), "");
        assert!(shown.starts_with("<30>diskless: input failed [parameter] rd.luks.kye="), "{shown}");
    }

    /// A node whose kernel says this, and an operator this before the boot.
    fn node(cmdline: &str, orders: impl FnOnce(&mut Orders)) -> (tempfile::TempDir, Host) {
        let root = tempfile::tempdir().unwrap();
        for (file, text) in [("proc/cmdline", cmdline), ("dev/kmsg", ""), ("etc/initrd-release", "")] {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        fs::create_dir_all(root.path().join("proc").join(std::process::id().to_string())).unwrap();
        let host = Host::fake(root.path());
        Orders::change(&host, orders).unwrap();
        (root, host)
    }

    fn shown(host: &Host) -> String {
        fs::read_to_string(host.path("/dev/kmsg")).unwrap()
    }

    const WRONG: &str = "rd.diskless.plan=/none";

    #[test]
    fn a_policy_is_followed_and_then_the_machine_ends() {
        let (_root, host) =
            node(&format!("{WRONG} rd.diskless.on_failure=reboot:2 rd.diskless.attempt=2"), |_| ());
        assert_eq!(service(&host).unwrap(), Some(Emergency::Reboot));
        let text = shown(&host);
        assert!(text.contains("plan failed [plan-missing]"), "{text}");
        assert!(text.contains("boot failed, rebooting in 60 s: reboot 2 of 2; `diskless hold`"), "{text}");
        assert_eq!(host.now().as_secs(), 60);
        assert_eq!(State::read(&host.path(state::FILE)).unwrap().unwrap().next.unwrap().does, Does::Reboot);

        let (_root, host) = node(&format!("{WRONG} rd.diskless.on_failure=reboot:2"), |_| ());
        assert_eq!(service(&host).unwrap(), Some(Emergency::Reboot));
        assert!(shown(&host).contains("nobody counts"), "{}", shown(&host));

        // Two pauses, and then nobody may have a shell.
        let policy = "rd.diskless.on_failure=retry:2 rd.shell=0 rd.emergency=poweroff";
        let (_root, host) = node(&format!("{WRONG} {policy}"), |_| ());
        assert_eq!(service(&host).unwrap(), Some(Emergency::PowerOff));
        assert_eq!(shown(&host).matches("plan failed").count(), 3);
        assert_eq!(host.now().as_secs(), 30);
    }

    #[test]
    fn a_node_without_a_plan_holds_and_goes_on_from_its_own_root() {
        // Released before it came to hold: it is not asked for again.
        let (_root, host) = node("rd.diskless=trap root=/dev/vda1", Orders::release);
        assert_eq!(service(&host).unwrap(), None);
        assert!(shown(&host).contains("root= is left to systemd"), "{}", shown(&host));
        let (_root, host) = node("rd.diskless=trap rd.shell=0", |_| ());
        assert_eq!(service(&host).unwrap(), Some(Emergency::Halt));
        assert!(shown(&host).contains("input failed [no-plan]"), "{}", shown(&host));
    }

    /// The boot as a service, let go by `word` as soon as it has come to stand still.
    fn held(cmdline: &str, word: impl Fn(&mut Orders) + Send) -> String {
        let (root, host) = node(&format!("{cmdline} rd.diskless.on_failure=trap"), |_| ());
        let journal = root.path().join("run/diskless/state.json");
        std::thread::scope(|scope| {
            let operator = Host::fake(root.path());
            scope.spawn(move || {
                let standing = || State::read(&journal).ok().flatten().and_then(|state| state.held);
                while standing().is_none() {
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
                Orders::change(&operator, word).unwrap();
            });
            assert_eq!(service(&host).unwrap(), None);
        });
        shown(&host)
    }

    #[test]
    fn a_hold_is_let_go_by_a_word() {
        let text = held("rd.diskless=trap root=/dev/vda1", |orders| orders.resume(Some("first")));
        assert_eq!(
            text.matches("TRAP: this node stands before its first change: rd.diskless=trap").count(),
            1,
            "{text}"
        );
        assert!(text.contains("goes on: released"), "{text}");
    }

    #[test]
    fn what_is_wrong_with_the_file_traps_and_a_release_goes_by_the_rest() {
        let (_root, host) = node("rd.diskless.on_failure=poweroff", |_| ());
        fs::write(host.path("/etc/diskless.conf"), "plan=/none\nplam=/p\n").unwrap();
        assert_eq!(service(&host).unwrap(), Some(Emergency::PowerOff));
        let text = shown(&host);
        assert!(text.contains("input failed [configuration] /etc/diskless.conf:2: "), "{text}");
        Orders::change(&host, Orders::release).unwrap();
        assert_eq!(service(&host).unwrap(), Some(Emergency::PowerOff));
        assert!(shown(&host).contains("plan failed [plan-missing] /none"), "{}", shown(&host));
    }

    #[test]
    fn a_plan_that_is_tried_goes_before_all_others() {
        let (_root, host) = node(WRONG, |_| ());
        fs::write(host.path(TRIED), "{}").unwrap();
        assert!(matches!(main(&mut Parser::from_args([] as [&str; 0]), &host), Err(Failed::Told)));
        let text = shown(&host);
        assert!(text.contains("the plan of `diskless plan --try` goes before every other"), "{text}");
        assert!(text.contains("plan failed [plan-invalid]"), "{text}");
    }
}
