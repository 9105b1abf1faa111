//! Takes apart what the boot's steps have made, from the last one down to one of them, in the initramfs: so that it can be
//! made again, or made otherwise by hand. What others have made stays, and stands in the way.
//!
//! Reading order: `plan` (what belongs to which step, and the order; pure), `observe` (whose is what there is), and this
//! file, which does it with the means of the node's end.

mod observe;
mod plan;

pub use plan::{Act, Part};

use std::time::{Duration, Instant};

use super::perform::{self, Outcome};
use super::plan::Action;
use crate::engine::host::{Host, INITRAMFS};
use crate::engine::state::{self, State, StepState};
use crate::error::{Code, Error, Result};
use crate::keeper::{self, Request};

/// One thing may take so long.
const EACH: Duration = Duration::from_secs(10);
/// Between two tries to remove what somebody (udev, as a rule) has open for a moment.
const PAUSE: Duration = Duration::from_millis(100);

/// What is to be done on `host` to be without the work of `part` and of the steps behind it, in order.
///
/// # Errors
/// [`Code::Booted`]: its root is in use; [`Code::InUse`]: something that is not the boot's own is on top of that work.
pub fn decide(host: &Host, part: Part) -> Result<Vec<Act>> {
    if !host.is_initramfs() {
        return Err(Error::new(Code::Booted, INITRAMFS).because("there is no such file"));
    }
    plan::plan(&observe::observe(host), part)
}

/// What there is on `host` of the boot's work, by name, the uppermost first.
pub fn found(host: &Host) -> Vec<String> {
    let made = observe::observe(host);
    let mounts =
        made.overlays.iter().rev().chain(made.layers.iter().rev()).map(|path| format!("mount {path}"));
    let maps = [&made.volumes, &made.luks, &made.multipath].into_iter().flatten();
    let maps = maps.map(|map| format!("map {}", map.name));
    let sessions = made.sessions.iter().map(|session| format!("iSCSI session {}", session.sid));
    mounts.chain(made.zram.clone()).chain(maps).chain(sessions).collect()
}

/// Does one of these things, and says what was done.
///
/// # Errors
/// It could not be done.
pub fn act(host: &Host, act: &Act) -> Result<String> {
    match act {
        Act::Forget => {
            // One that does not answer would log in again to what is logged out of: it ends.
            if keeper::ask(host, &Request::Forget).is_err() {
                perform::end_keeper(EACH);
            }
            Ok(act.done())
        }
        Act::Part(action) => {
            let begin = Instant::now();
            loop {
                match perform::perform(action, EACH) {
                    Outcome::Done(_) => return Ok(act.done()),
                    Outcome::Failed(_) if is_removal(action) && begin.elapsed() < EACH => {
                        std::thread::sleep(PAUSE);
                    }
                    outcome => {
                        return Err(
                            Error::new(Code::InUse, format!("could not {action}")).because(why(&outcome))
                        );
                    }
                }
            }
        }
    }
}

/// udev looks at what changes, and has it open for that.
fn is_removal(action: &Action) -> bool {
    matches!(action, Action::Remove { .. } | Action::Reset { .. } | Action::Unmount { .. })
}

fn why(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Failed(why) => why.clone(),
        Outcome::Done(time) | Outcome::Late(time) => format!("not done after {} s", time.as_secs()),
    }
}

/// Writes into the journal that the steps of `part` and behind it are not done any more. Without a journal there is nothing
/// to be corrected.
///
/// # Errors
/// It cannot be written.
pub fn note(host: &Host, part: Part) -> Result<()> {
    let file = host.path(state::FILE);
    let Some(mut state) = State::read(&file)? else { return Ok(()) };
    let from = state.steps.iter().position(|step| Part::of_step(&step.name) == Some(part));
    for step in state.steps.iter_mut().skip(from.unwrap_or(usize::MAX)) {
        *step = StepState::pending(&step.name);
    }
    state.write(&file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::state::Status;

    #[test]
    fn a_booted_node_is_not_taken_apart() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::fake(root.path());
        let refused = decide(&host, Part::Overlay).unwrap_err();
        assert_eq!(refused.code(), Code::Booted);
        std::fs::create_dir(root.path().join("etc")).unwrap();
        std::fs::write(root.path().join("etc/initrd-release"), "").unwrap();
        assert_eq!(decide(&host, Part::Sessions).unwrap(), []);
    }

    #[test]
    fn the_journal_says_what_is_left() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::fake(root.path());
        note(&host, Part::Luks).unwrap();
        let done = |name: &str| StepState { status: Status::Done, ..StepState::pending(name) };
        let mut state = State::new("b".into(), 1);
        state.steps =
            ["network", "iscsi", "keeper", "luks", "volumes", "overlay", "modules"].map(done).into();
        state.write(&host.path(state::FILE)).unwrap();
        note(&host, Part::Luks).unwrap();
        let state = State::read(&host.path(state::FILE)).unwrap().unwrap();
        let done = state.steps.iter().filter(|step| step.status == Status::Done);
        assert_eq!(done.map(|step| step.name.as_str()).collect::<Vec<_>>(), ["network", "iscsi", "keeper"]);
        // A boot without this step: nothing was undone.
        note(&host, Part::Multipath).unwrap();
        assert_eq!(State::read(&host.path(state::FILE)).unwrap().unwrap(), state);
    }
}
