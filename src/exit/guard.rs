//! A process that waits for the end of the system: it is there from the boot on, wholly in memory, for a node whose
//! target is gone may not be able to start any program any more. systemd tells it by SIGTERM that it is to stop; if that
//! is because the machine is to end, it leaves a watcher behind.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};

use super::SPARED;
use super::perform::failed;
use super::verb::Verb;
use crate::error::Result;
use crate::sys::systemd_bus;

/// systemd answers at once, unless it is dead.
const ANSWER: Duration = Duration::from_secs(2);
/// The command line of process 1.
const FIRST: &str = "/proc/1/cmdline";

/// Waits for SIGTERM; if the machine ends then, starts the watcher.
///
/// # Errors
/// The signal cannot be waited for, or the watcher not be started.
pub fn main() -> Result<()> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    signals.thread_block().map_err(|cause| failed("SIGTERM", cause))?;
    signals.wait().map_err(|cause| failed("SIGTERM", cause))?;
    let Some(verb) = asked_for(Path::new(FIRST), Path::new(systemd_bus::SOCKET)) else {
        // A person stopped the unit, or the system goes on with other units (rescue, soft-reboot).
        return Ok(());
    };
    use std::os::unix::process::CommandExt;
    let watcher = Command::new("/proc/self/exe")
        .arg0(SPARED)
        .args(["exit", "--watch", verb.as_str()])
        .current_dir("/run")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    watcher.map(|_| ()).map_err(|cause| failed("watcher of the end", cause))
}

/// How the machine is to end, if it is: systemd has a job for that, or is at it already (`systemctl reboot --force`
/// stops no unit).
fn asked_for(first: &Path, socket: &Path) -> Option<Verb> {
    let command_line = std::fs::read(first).unwrap_or_default();
    Verb::of_command_line(&command_line).or_else(|| of_jobs(&systemd_bus::jobs(socket, ANSWER).ok()?))
}

fn of_jobs(jobs: &[(String, String)]) -> Option<Verb> {
    jobs.iter().filter(|(_, kind)| kind == "start").find_map(|(unit, _)| Verb::of_target(unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_ends_when_systemd_is_about_to_start_such_a_target() {
        let jobs = |list: &[(&str, &str)]| {
            let list = list.iter().map(|(unit, kind)| ((*unit).to_owned(), (*kind).to_owned()));
            of_jobs(&list.collect::<Vec<_>>())
        };
        assert_eq!(jobs(&[]), None);
        assert_eq!(jobs(&[("diskless-exit.service", "stop")]), None);
        assert_eq!(jobs(&[("rescue.target", "start"), ("reboot.target", "stop")]), None);
        assert_eq!(jobs(&[("ssh.service", "stop"), ("poweroff.target", "start")]), Some(Verb::Poweroff));
    }

    #[test]
    fn process_1_itself_may_be_the_end_already() {
        let folder = tempfile::tempdir().unwrap();
        let first = folder.path().join("cmdline");
        std::fs::write(&first, "/lib/systemd/systemd-shutdown\0kexec\0").unwrap();
        assert_eq!(asked_for(&first, Path::new("/nonexistent")), Some(Verb::Kexec));
        std::fs::write(&first, "/sbin/init\0").unwrap();
        assert_eq!(asked_for(&first, Path::new("/nonexistent")), None);
    }
}
