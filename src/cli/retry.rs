//! `diskless retry`: the boot, by hand.

use std::time::Duration;

use lexopt::{Arg, Parser};

use super::boot::in_initramfs;
use super::boot::pass::pass;
use super::{Failed, no_more, print, step};
use crate::engine::configured::configured;
use crate::engine::host::Host;
use crate::engine::lock;
use crate::engine::orders::Orders;
use crate::engine::run::{Rule, Run, Stop};
use crate::engine::state::{self, State};
use crate::error::{Code, Result};
use crate::report::console::Console;

/// An agent that pauses, or is about to stand still, has done so within this.
const STANDS: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(super) const HELP: &str = "\
usage: diskless retry [STEP]

Runs the boot here and now, and tells on this terminal what it does: up to and with STEP, or all of it, whatever holds.
What is there already is recognised. Once all of it is done the boot goes on to the new root by itself; a boot that is in
the pause after a failure stays where it is until then. The exit code is 1 if a step fails.
";

/// Runs the boot by hand.
pub fn main(args: &mut Parser, host: &Host) -> Result<(), Failed> {
    let until = match args.next()? {
        None => None,
        Some(Arg::Short('h') | Arg::Long("help")) => return print(HELP),
        Some(Arg::Value(word)) => Some(step(&word)?),
        Some(other) => return Err(other.unexpected().into()),
    };
    no_more(args)?;
    in_initramfs(host)?;
    here(host, until, Console::of_caller(host))
}

/// Runs the boot up to `until`, or to its end, and tells it on `console`.
pub(super) fn here(host: &Host, until: Option<&'static str>, mut console: Console) -> Result<(), Failed> {
    hold_a_pause(host)?;
    let file = host.path(lock::FILE);
    let _lock = match lock::take(&file) {
        // An agent that has come to stand still lets go of it once its reports are sent.
        Err(error) if error.code() == Code::Locked => {
            console.say(&format!("waiting {} s for {error}", STANDS.as_secs()));
            lock::take_within(&file, STANDS)?
        }
        lock => lock?,
    };
    // Without a journal nobody knows whether an agent waits: what lets one go does no harm where there is none.
    let unknown = !host.path(state::FILE).exists();
    let mut run = Run::start(host, Rule::Until(until), console);
    let waits = run.waits() || unknown;
    match pass(&mut run, host, configured(host)) {
        Ok(()) if waits => {
            run.close();
            Orders::change(host, Orders::release)?;
            print("all steps are done: the boot goes on\n")
        }
        Ok(()) => {
            run.finish();
            Ok(())
        }
        Err(Stop::Reached) => {
            run.close();
            let done = until.unwrap_or_default();
            let more = if waits { ", `diskless resume` or `diskless release` by itself" } else { "" };
            print(&format!("done up to {done}: `diskless retry` goes on from there{more}\n"))
        }
        Err(Stop::Held(..) | Stop::Failed(..)) => {
            run.close();
            Err(Failed::Told)
        }
    }
}

/// An agent that is about to try again, or to reboot, is to stand still instead: somebody has the boot in hand.
fn hold_a_pause(host: &Host) -> Result<()> {
    let read = || State::read(&host.path(state::FILE)).ok().flatten();
    if read().is_none_or(|state| state.pauses(host).is_none()) {
        return Ok(());
    }
    Orders::change(host, |orders| orders.hold(None))?;
    let deadline = host.now() + STANDS;
    while host.now() < deadline && read().is_some_and(|state| state.pauses(host).is_some()) {
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}
