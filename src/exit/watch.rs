//! Watches the end of a system from its beginning, and sees to it that a node whose target is gone ends too. As long as
//! the root's disks can be read it does nothing, however long services take to stop.
//!
//! Process 1 may be dead by then (a page of its program that was never read before), programs may hang in reads that
//! wait for a path, or fail to start. None of that matters here: all that this process needs is in memory.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::asked::{Asked, FIRST, asked_for};
use super::perform::{line, perform, within};
use super::plan::Action;
use super::verb::Verb;
use super::{end, observe, processes};
use crate::engine::host::Host;
use crate::report::after_pivot::Destination;
use crate::sys::shutdown::{self, End};
use crate::sys::systemd_bus;

/// Without an answer from any disk for so long, the target counts as gone. A switch that learns its ports anew takes less.
const SILENT: Duration = Duration::from_secs(6);
/// So long after its beginning the end of a node without a target is made from here.
const FORCE: Duration = Duration::from_secs(20);
/// And without a word of process 1 about what end that is to be. It hangs for good then.
const UNTOLD: Duration = Duration::from_secs(40);
/// What is done from here may take so long, one thing.
const EACH: Duration = Duration::from_secs(1);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(500);
/// A read that no cache answers has to be aligned to blocks, and as long as one.
const BLOCK: usize = 4096;

/// What is known while the system ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Situation {
    /// So long ago the end began.
    begun: Duration,
    /// So long ago a disk of the root was read; at most `begun`.
    silent: Duration,
    /// Process 1 has said what end it is to be.
    known: bool,
    /// What waits for a path has been told to fail.
    told: bool,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Look again later.
    Wait,
    /// Nothing is to wait any more for a path that does not come.
    Fail,
    /// End the machine.
    End,
}

fn decide(situation: Situation) -> Step {
    match situation {
        Situation { silent, .. } if silent < SILENT => Step::Wait,
        Situation { begun, known, .. } if begun >= if known { FORCE } else { UNTOLD } => Step::End,
        Situation { told: false, .. } => Step::Fail,
        _ => Step::Wait,
    }
}

/// Watches until it is killed, which process 1 does when it has come to its own part of the end; or until process 1 says
/// that the machine is not to end.
///
/// Process 1 may hang in a read of the root, and answer only when that has been made to fail: so it is asked meanwhile.
pub fn main(host: &Host) {
    let begin = host.now();
    let asked = Arc::new(OnceLock::new());
    let answer = Arc::clone(&asked);
    std::thread::spawn(move || {
        loop {
            if let Some(asked) = asked_for(Path::new(FIRST), Path::new(systemd_bus::SOCKET)) {
                // It was empty.
                let _ = answer.set(asked);
                return;
            }
            std::thread::sleep(PAUSE);
        }
    });
    // The keeper no longer waits for a path either.
    let _ = within(EACH, || processes::ask_keeper("ending", EACH));
    let last = Arc::new(AtomicU64::new(millis(begin)));
    let mut probed = BTreeSet::new();
    let mut told = false;
    loop {
        let verb = match asked.get() {
            Some(Asked::Other) => return,
            Some(Asked::End(verb)) => Some(*verb),
            None => None,
        };
        for disk in observe::disks(host) {
            if probed.insert(disk.clone()) {
                let last = Arc::clone(&last);
                std::thread::spawn(move || probe(&format!("/dev/{disk}"), &last));
            }
        }
        let now = host.now();
        let silent = Duration::from_millis(millis(now).saturating_sub(last.load(Ordering::Relaxed)));
        match decide(Situation { begun: now.saturating_sub(begin), silent, known: verb.is_some(), told }) {
            Step::Wait => (),
            Step::Fail => {
                told = true;
                end::say("exit: the target does not answer: what waits for it fails from now on");
                fail(host);
            }
            // A node that starts anew can be told again what it was to do.
            Step::End => force(host, verb.unwrap_or(Verb::Reboot)),
        }
        std::thread::sleep(PAUSE);
    }
}

/// Reads the first block of the disk at `node` again and again, and notes when that succeeded. It may hang for ever.
fn probe(node: &str, last: &AtomicU64) {
    let host = Host::this();
    loop {
        if read_through(Path::new(node)).is_ok() {
            last.fetch_max(millis(host.now()), Ordering::Relaxed);
        }
        std::thread::sleep(PAUSE);
    }
}

/// Reads the first block, from the device and not from memory.
fn read_through(node: &Path) -> std::io::Result<()> {
    let disk = File::options().read(true).custom_flags(libc::O_DIRECT).open(node)?;
    let mut buffer = vec![0; 2 * BLOCK];
    let aligned = buffer.as_ptr().align_offset(BLOCK);
    let block = buffer.get_mut(aligned..).and_then(|rest| rest.get_mut(..BLOCK)).unwrap_or_default();
    disk.read_exact_at(block, 0)
}

/// Maps fail without a path, and the sessions go: with them all that waits for one.
fn fail(host: &Host) {
    let seen = observe::observe(host, "");
    let maps = seen.maps.iter().filter(|map| map.multipath);
    let maps = maps.map(|map| Action::FailWithoutPath { map: map.name.clone() });
    let sessions = seen.sessions.iter().map(|session| Action::Discard { sid: session.sid });
    let actions: Vec<Action> = maps.chain(sessions).collect();
    // At once: one that hangs is not to hold the others up.
    std::thread::scope(|scope| {
        for action in &actions {
            scope.spawn(move || end::say(&line(action, &perform(action, 3 * EACH))));
        }
    });
}

/// Ends the machine from here: what can still be written is, the report is sent, then the kernel is told.
fn force(host: &Host, verb: Verb) -> ! {
    let why = format!("{verb} by force: the target does not answer, and the system did not end by itself");
    end::say(&format!("exit: {why}"));
    // Other disks than the root's may have something to be written.
    let synced = std::thread::spawn(|| {
        within(2 * EACH, || {
            rustix::fs::sync();
            Ok(())
        })
    });
    if let Ok(destination) = Destination::read(host) {
        within(end::LAST_REPORT, move || end::send(&Host::this(), &destination, why, end::LAST_REPORT));
    }
    let _ = synced.join();
    let error = shutdown::end(match verb {
        Verb::Poweroff => End::PowerOff,
        Verb::Halt => End::Halt,
        // No time for niceties: the firmware starts what it always starts.
        Verb::Reboot | Verb::Kexec => End::Restart(None),
    });
    end::say(&format!("exit: the kernel does not {verb}: {error}"));
    loop {
        std::thread::sleep(FORCE);
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_with_its_target_is_left_alone_however_long_it_takes() {
        let seconds = Duration::from_secs;
        for (begun, silent, known, told, step) in [
            (0, 0, true, false, Step::Wait),
            (5, 5, true, false, Step::Wait),
            (6, 6, true, false, Step::Fail),
            (6, 6, false, false, Step::Fail),
            (7, 7, true, true, Step::Wait),
            (600, 1, true, false, Step::Wait),
            (600, 1, false, false, Step::Wait),
            (600, 5, true, true, Step::Wait),
            (600, 6, true, true, Step::End),
            (600, 6, true, false, Step::End),
            (19, 19, true, true, Step::Wait),
            (20, 20, true, true, Step::End),
            (20, 20, false, true, Step::Wait),
            (39, 39, false, true, Step::Wait),
            (40, 40, false, true, Step::End),
        ] {
            let situation = Situation { begun: seconds(begun), silent: seconds(silent), known, told };
            assert_eq!(decide(situation), step, "{situation:?}");
        }
    }

    #[test]
    fn a_disk_is_read_past_the_cache() {
        // Not in /tmp, which may be a file system without direct access.
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock");
        read_through(&file).unwrap();
        assert!(read_through(Path::new("/nonexistent")).is_err());
        assert!(read_through(Path::new("/dev/null")).is_err());
    }
}
