//! What the boot leaves in memory for the end of the system: this program as /run/initramfs/shutdown, and the units that
//! see the node through to it. The image needs to know nothing of it, and nothing is written into it.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use rustix::fs::{StatVfsMountFlags, statvfs};

use crate::engine::converge::{Converge, Next};
use crate::engine::host::Host;
use crate::error::{Code, Context, Result};
use crate::report::after_pivot::{self, AGENT};
use crate::sys::mount::{self, Mount};
use crate::sys::whole_file;

/// The root of the end, and what systemd executes there.
const END_ROOT: &str = "/run/initramfs";
const SHUTDOWN: &str = "/run/initramfs/shutdown";
/// Where units are that the image does not have.
const UNITS: &str = "/run/systemd/system";

/// The units, and the target that wants each.
const OURS: [(&str, &str, &str); 2] = [
    (
        "diskless-exit.service",
        include_str!("../../systemd-units/diskless-exit.service"),
        "sysinit.target.wants",
    ),
    (
        "diskless-exit-files.service",
        include_str!("../../systemd-units/diskless-exit-files.service"),
        "multi-user.target.wants",
    ),
];
/// dracut's unit would unpack an initramfs that it finds in /boot over ours, another one than the node booted from; or
/// find none, and then remove /run/initramfs/shutdown (dracut-shutdown.service(8)).
const MASKED: &str = "dracut-shutdown.service";

/// Puts it there.
pub struct Step;

/// What of it is there.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    /// What is not yet as it is to be.
    missing: Vec<&'static str>,
    /// The bytes of the one program.
    size: u64,
    /// Programs in /run cannot be executed: the end needs a file system of its own.
    no_exec: bool,
}

/// One thing to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Mount a file system of our own.
    Mount,
    /// Write what is missing.
    Place,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Mount => write!(f, "mount a tmpfs at {END_ROOT}"),
            Action::Place => write!(f, "place {SHUTDOWN} and its units"),
        }
    }
}

impl Converge for Step {
    type Seen = Seen;
    type Action = Action;

    fn observe(&self, host: &Host) -> Result<Seen> {
        let mut missing = Vec::new();
        let length = |path: &str| fs::metadata(host.path(path)).map_or(0, |metadata| metadata.len());
        let size = length("/proc/self/exe");
        if length(AGENT) != size || length(SHUTDOWN) != size {
            missing.push(SHUTDOWN);
        }
        for (unit, text, wanted_by) in OURS {
            let written = fs::read_to_string(host.path(UNITS).join(unit)).unwrap_or_default();
            if written != text || fs::read_link(host.path(UNITS).join(wanted_by).join(unit)).is_err() {
                missing.push(unit);
            }
        }
        if fs::read_link(host.path(UNITS).join(MASKED)).is_err() {
            missing.push(MASKED);
        }
        let folder = host.path(END_ROOT);
        let folder = if folder.exists() { folder } else { host.path("/run") };
        let no_exec = statvfs(&folder).is_ok_and(|stat| stat.f_flag.contains(StatVfsMountFlags::NOEXEC));
        Ok(Seen { missing, size, no_exec })
    }

    fn plan(&self, seen: &Seen) -> Result<Next<Action>> {
        Ok(match seen {
            Seen { no_exec: true, .. } => Next::Do(Action::Mount),
            Seen { missing, .. } if !missing.is_empty() => Next::Do(Action::Place),
            Seen { size, .. } => Next::Done(format!(
                "{SHUTDOWN}, {:.1} MiB of memory, the reports' agent included",
                *size as f64 / f64::from(1 << 20)
            )),
        })
    }

    fn apply(&self, host: &Host, action: Action) -> Result<()> {
        match action {
            Action::Mount => mount::mount(&Mount {
                source: "tmpfs".into(),
                target: END_ROOT.into(),
                kind: "tmpfs".into(),
                read_only: false,
                options: "mode=0755".into(),
            }),
            Action::Place => place(host),
        }
    }
}

fn place(host: &Host) -> Result<()> {
    after_pivot::copy_agent(host)?;
    let (agent, shutdown) = (host.path(AGENT), host.path(SHUTDOWN));
    fs::create_dir_all(host.path(END_ROOT)).context(Code::Io, END_ROOT)?;
    if !is_same(&agent, &shutdown) {
        match fs::remove_file(&shutdown) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).context(Code::Io, SHUTDOWN);
            }
            _ => (),
        }
        // One file with two names, where that can be: memory holds it once.
        match fs::hard_link(&agent, &shutdown) {
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                fs::copy(&agent, &shutdown).map(|_| ()).context(Code::Io, SHUTDOWN)?;
            }
            linked => linked.context(Code::Io, SHUTDOWN)?,
        }
    }
    let units = host.path(UNITS);
    link(&units.join(MASKED), "/dev/null")?;
    for (unit, text, wanted_by) in OURS {
        whole_file::write(&units.join(unit), text.as_bytes(), 0o644, None)?;
        link(&units.join(wanted_by).join(unit), &format!("{UNITS}/{unit}"))?;
    }
    Ok(())
}

fn is_same(one: &Path, other: &Path) -> bool {
    let number = |path: &Path| fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()));
    number(one).is_some_and(|one| Some(one) == number(other))
}

/// A link at `path` to `target`; one that is there stays.
fn link(path: &Path, target: &str) -> Result<()> {
    let object = || path.display().to_string();
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).context(Code::Io, object())?;
    }
    match symlink(target, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error).context(Code::Io, object()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::engine::converge::converge;

    #[test]
    fn after_placing_nothing_is_left_to_do_and_memory_holds_one_copy() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::fake(root.path());
        fs::create_dir_all(host.path("/proc/self")).unwrap();
        fs::create_dir_all(host.path("/run/initramfs")).unwrap();
        fs::write(host.path("/proc/self/exe"), vec![1; 3 << 19]).unwrap();
        fs::write(host.path(SHUTDOWN), "an older one").unwrap();
        let run = || converge(&Step, &host, Duration::ZERO, &mut |_| ());
        let done = run().unwrap();
        assert_eq!(done, "/run/initramfs/shutdown, 1.5 MiB of memory, the reports' agent included");
        assert!(is_same(&host.path(AGENT), &host.path(SHUTDOWN)));
        assert_eq!(fs::metadata(host.path(SHUTDOWN)).unwrap().mode() & 0o777, 0o755);
        assert_eq!(fs::read_link(host.path(UNITS).join(MASKED)).unwrap(), Path::new("/dev/null"));
        for (unit, text, wanted_by) in OURS {
            let link = host.path(UNITS).join(wanted_by).join(unit);
            assert_eq!(fs::read_link(link).unwrap(), Path::new(UNITS).join(unit));
            assert_eq!(fs::read_to_string(host.path(UNITS).join(unit)).unwrap(), text);
        }
        // What reports place is the same file.
        after_pivot::copy_agent(&host).unwrap();
        assert!(is_same(&host.path(AGENT), &host.path(SHUTDOWN)));
        let seen = Step.observe(&host).unwrap();
        assert_eq!(seen, Seen { missing: Vec::new(), size: 3 << 19, no_exec: false });
        assert_eq!(run().unwrap(), done);
    }

    #[test]
    fn where_nothing_can_be_executed_there_is_a_file_system_first() {
        let seen = Seen { missing: vec![SHUTDOWN], size: 1, no_exec: true };
        assert_eq!(Step.plan(&seen).unwrap(), Next::Do(Action::Mount));
        assert_eq!(Step.plan(&Seen { no_exec: false, ..seen }).unwrap(), Next::Do(Action::Place));
    }

    #[test]
    fn the_units_run_the_copy_and_are_told_apart_from_other_processes() {
        for (unit, text, _) in OURS {
            assert!(
                text.contains(&format!("\nExecStart=@{AGENT} {} exit --", super::super::SPARED)),
                "{unit}"
            );
            assert!(text.contains(&format!("\nConditionPathExists={SHUTDOWN}\n")), "{unit}");
        }
    }
}
