//! Process 1 at the very end. It must not fail, hang or return: a child does the work, and this one waits for it for a
//! bounded time and then ends the machine.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::verb::Verb;
use super::{SPARED, end};
use crate::sys::shutdown::{self, End};

/// The whole work may take so long. It bounds itself; this is for what it cannot foresee.
const LIMIT: Duration = Duration::from_secs(20);
/// Between two looks at the child.
const PAUSE: Duration = Duration::from_millis(10);
/// What systemctl notes where the firmware or the boot loader is to do something else than usual.
const ARGUMENT: &str = "/run/systemd/reboot-param";
/// The argument is a word, not a book.
const LONGEST_ARGUMENT: usize = 256;
/// Whether the kernel has another one loaded.
const KEXEC_LOADED: &str = "/sys/kernel/kexec_loaded";

/// Takes the node apart, then ends the machine as `verb` says. Never returns.
pub fn main(verb: Verb) -> ! {
    if let Err(why) = work_of_child(verb) {
        end::say(&format!("exit: {why}"));
    }
    let argument = std::fs::read_to_string(ARGUMENT).ok();
    let loaded = std::fs::read_to_string(KEXEC_LOADED).unwrap_or_default();
    let error = shutdown::end(way(verb, argument.as_deref(), loaded.trim() == "1"));
    end::say(&format!("exit: the kernel does not {verb}: {error}"));
    // Process 1 must not end.
    loop {
        std::thread::sleep(LIMIT);
    }
}

fn work_of_child(verb: Verb) -> Result<(), String> {
    use std::os::unix::process::CommandExt;
    // The name is for people: nobody is left who would kill it.
    let child = Command::new("/proc/self/exe")
        .arg0(SPARED)
        .args(["exit", "--work", verb.as_str()])
        .stdin(Stdio::null())
        .spawn();
    let mut child = child.map_err(|error| format!("could not start its own work: {error}"))?;
    let deadline = Instant::now() + LIMIT;
    while Instant::now() < deadline {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("ended early: {status}")),
            Ok(None) => std::thread::sleep(PAUSE),
            Err(error) => return Err(format!("lost its own work: {error}")),
        }
    }
    Err(format!("not done after {} s, all that is left is left behind", LIMIT.as_secs()))
}

/// How the machine ends.
fn way(verb: Verb, argument: Option<&str>, kexec_loaded: bool) -> End<'_> {
    let argument = argument.map(str::trim).filter(|text| (1..=LONGEST_ARGUMENT).contains(&text.len()));
    match verb {
        Verb::Poweroff => End::PowerOff,
        Verb::Halt => End::Halt,
        Verb::Kexec if kexec_loaded => End::Kexec,
        Verb::Kexec | Verb::Reboot => End::Restart(argument),
    }
}

/// The verb in the arguments of process 1, as systemd-shutdown gives them: `reboot --log-level 6 …`. One that cannot be
/// understood is a reboot: a node that is off needs somebody to switch it on.
pub fn verb(arguments: impl Iterator<Item = std::ffi::OsString>) -> Verb {
    arguments.filter_map(|word| Verb::parse(word.to_str()?)).next().unwrap_or(Verb::Reboot)
}

/// Whether a program of this name is the end of a system.
pub fn is_called_by(name: &str) -> bool {
    Path::new(name).ends_with("shutdown")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_ends_as_asked() {
        assert_eq!(way(Verb::Poweroff, Some("x"), true), End::PowerOff);
        assert_eq!(way(Verb::Halt, None, true), End::Halt);
        assert_eq!(way(Verb::Kexec, None, true), End::Kexec);
        assert_eq!(way(Verb::Kexec, None, false), End::Restart(None));
        assert_eq!(way(Verb::Reboot, Some(" bootloader \n"), true), End::Restart(Some("bootloader")));
        for nothing in ["", " \n", &"x".repeat(300)] {
            assert_eq!(way(Verb::Reboot, Some(nothing), false), End::Restart(None));
        }
    }

    #[test]
    fn the_verb_is_among_the_arguments() {
        let of = |text: &str| verb(text.split_whitespace().map(Into::into));
        assert_eq!(of("poweroff --log-level 6 --log-target kmsg --timeout 90000000us"), Verb::Poweroff);
        assert_eq!(of("--log-level 6 halt"), Verb::Halt);
        assert_eq!(of("dance"), Verb::Reboot);
        assert_eq!(of(""), Verb::Reboot);
        assert!(is_called_by("/shutdown") && is_called_by("shutdown") && !is_called_by("/x/diskless"));
    }
}
