//! What the machine is to end as, if it is: process 1 is asked, which may hang when the root's disk is gone.

use std::path::Path;
use std::time::Duration;

use super::verb::Verb;
use crate::sys::systemd_bus;

/// systemd answers at once, unless it hangs.
const ANSWER: Duration = Duration::from_secs(2);
/// The command line of process 1.
pub const FIRST: &str = "/proc/1/cmdline";

/// What process 1 was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// The end of the machine.
    End(Verb),
    /// Something else: a person stopped the unit, or the system goes on with other units (rescue, soft-reboot).
    Other,
}

/// What process 1 is about, whose command line is the file `first` and whose private bus is at `socket`; none: it does not
/// say so now. systemd has a job for the end, or is at it already (`systemctl reboot --force` stops no unit).
pub fn asked_for(first: &Path, socket: &Path) -> Option<Asked> {
    let command_line = std::fs::read(first).unwrap_or_default();
    if let Some(verb) = Verb::of_command_line(&command_line) {
        return Some(Asked::End(verb));
    }
    let jobs = systemd_bus::jobs(socket, ANSWER).ok()?;
    Some(of_jobs(&jobs).map_or(Asked::Other, Asked::End))
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
        assert_eq!(asked_for(&first, Path::new("/nonexistent")), Some(Asked::End(Verb::Kexec)));
        std::fs::write(&first, "/sbin/init\0").unwrap();
        // Process 1 hangs, or is about to become another program: nobody knows yet.
        assert_eq!(asked_for(&first, Path::new("/nonexistent")), None);
    }
}
