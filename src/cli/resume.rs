//! `diskless resume`.

use lexopt::{Arg, Parser};

use super::{Failed, print};
use crate::engine::host::Host;
use crate::engine::orders::Orders;
use crate::engine::state::{self, State, Why};

pub(super) const HELP: &str = "\
usage: diskless resume

Goes on with a boot that stands still, up to the next hold. Every step is run again, and what is there already is done at
once.
";

/// Lets the boot go on to the next hold.
pub fn main(args: &mut Parser, host: &Host) -> Result<(), Failed> {
    if let Some(arg) = args.next()? {
        return match arg {
            Arg::Short('h') | Arg::Long("help") => print(HELP),
            other => Err(other.unexpected().into()),
        };
    }
    let Some(state) = State::read(&host.path(state::FILE)).unwrap_or_default() else {
        return print("the boot does not stand still\n");
    };
    if let Some(held) = state.waits(host) {
        let before = (held.why != Why::Failure).then_some(held.step.as_str());
        Orders::change(host, |orders| orders.resume(before))?;
        return print("the boot goes on to the next hold\n");
    }
    if state.pauses(host).is_some() {
        Orders::change(host, |orders| orders.resume(None))?;
        return print("the pause is over: the boot is tried again\n");
    }
    print("the boot does not stand still\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::state::{Does, Held, Next};

    #[test]
    fn only_a_boot_that_stands_still_is_told() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::fake(root.path());
        std::fs::create_dir_all(root.path().join("proc/7")).unwrap();
        let none: [&str; 0] = [];
        let resumed = |state: Option<State>| {
            if let Some(state) = state {
                state.write(&host.path(state::FILE)).unwrap();
            }
            let before = Orders::read(&host);
            main(&mut Parser::from_args(none), &host).unwrap();
            let orders = Orders::read(&host);
            (orders.told - before.told, orders.passed)
        };
        let held = |why, pid| Some(Held { why, step: "luks".into(), since_ms: 0, pid });
        let new = || State::new(String::new(), 1);
        assert_eq!(resumed(None).0, 0);
        assert_eq!(resumed(Some(State { held: held(Why::Failure, 7), ..new() })), (1, Vec::new()));
        // The agent is gone.
        assert_eq!(resumed(Some(State { held: held(Why::Order, 8), ..new() })).0, 0);
        let next = Next { does: Does::Reboot, at_ms: 9, number: None, of: None, pid: 7 };
        assert_eq!(resumed(Some(State { next: Some(next), ..new() })), (1, Vec::new()));
        assert_eq!(resumed(Some(State { held: held(Why::Order, 7), ..new() })), (1, vec!["luks".into()]));
    }
}
