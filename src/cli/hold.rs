//! `diskless hold`.

use lexopt::{Arg, Parser};

use super::{Failed, no_more, print, step};
use crate::engine::host::Host;
use crate::engine::orders::Orders;
use crate::engine::state::{self, State, Status, Why};

pub(super) const HELP: &str = "\
usage: diskless hold [STEP]

Has the boot hold before STEP, or before the next step, until `diskless resume` or `diskless release`. It may be said
while the boot runs. In the pause after a failure, without STEP, the boot stays where it is. A step that is at work is
not interrupted.
";

/// Has the boot hold.
pub fn main(args: &mut Parser, host: &Host) -> Result<(), Failed> {
    let step = match args.next()? {
        None => None,
        Some(Arg::Short('h') | Arg::Long("help")) => return print(HELP),
        Some(Arg::Value(word)) => Some(step(&word)?),
        Some(other) => return Err(other.unexpected().into()),
    };
    no_more(args)?;
    let state = State::read(&host.path(state::FILE)).unwrap_or_default();
    if state.as_ref().is_some_and(|state| state.status == Status::Done) {
        return print("the boot is over: there is nothing to hold\n");
    }
    let after = state.as_ref().filter(|_| step.is_none()).and_then(|state| next_of(state, host));
    let step = step.or(after.as_deref());
    Orders::change(host, |orders| orders.hold(step))?;
    match step {
        Some(step) => print(&format!("the boot holds before {step}\n")),
        None if state.is_some_and(|state| state.pauses(host).is_some()) => print("the boot stays here\n"),
        None => print("the boot holds before its next step\n"),
    }
}

/// Of a boot that stands still before a step, the step behind that one: it is the next once the boot goes on.
fn next_of(state: &State, host: &Host) -> Option<String> {
    let held = state.waits(host).filter(|held| held.why != Why::Failure)?;
    let at = state.steps.iter().position(|step| step.name == held.step)?;
    state.steps.get(at + 1).map(|step| step.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::orders::NEXT;
    use crate::engine::state::{Held, StepState};

    #[test]
    fn the_next_step_of_a_boot_that_stands_still_is_the_one_behind() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::fake(root.path());
        std::fs::create_dir_all(root.path().join("proc/7")).unwrap();
        let say = |words: &[&str]| main(&mut Parser::from_args(words), &host).map_err(|_| ());
        say(&[]).unwrap();
        assert_eq!(Orders::read(&host).holds, [NEXT]);
        let held = Held { why: Why::Order, step: "iscsi".into(), since_ms: 0, pid: 7 };
        let steps = ["network", "iscsi", "luks"].map(StepState::pending).into();
        let mut state = State { held: Some(held), steps, ..State::new(String::new(), 1) };
        state.write(&host.path(state::FILE)).unwrap();
        say(&[]).unwrap();
        say(&["zram"]).unwrap();
        assert_eq!(Orders::read(&host).holds, [NEXT, "luks", "zram"]);
        assert!(say(&["lusk"]).is_err() && say(&["luks", "zram"]).is_err());
        state.status = Status::Done;
        state.write(&host.path(state::FILE)).unwrap();
        say(&["exit"]).unwrap();
        assert_eq!(Orders::read(&host).holds.len(), 3);
    }
}
