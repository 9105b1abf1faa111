//! `diskless undo STEP` and `diskless unmount`.

use lexopt::{Arg, Parser};

use super::{Failed, print};
use crate::engine::host::Host;
use crate::engine::lock;
use crate::exit::undo::{self, Part};
use crate::report::console::Console;

pub(super) const HELP: &str = "\
usage: diskless undo STEP [--dry-run]

Takes apart what the boot has made, from its last step down to STEP, in reverse order: overlays, the writable layer, maps
of volumes, the opened disk, the map of the paths, sessions. diskless retry makes it again. Only in the initramfs, and only
what the boot itself has made: what others have put on top of that is named, and nothing is touched then.

  STEP         iscsi, multipath, keeper, luks, volumes, zram or overlay
  --dry-run    show what would be done, in order
";

pub(super) const UNMOUNT_HELP: &str = "\
usage: diskless unmount [--dry-run]

Unmounts the new root: the overlays at /sysroot, and what they are made of. The writable layer keeps what is in it, and
diskless retry mounts all of it again. The same as diskless undo overlay.

  --dry-run    show what would be done, in order
";

/// Takes apart what the steps from the last one down to one of them have made.
pub fn main(args: &mut Parser, host: &Host) -> Result<(), Failed> {
    let mut step = None;
    let mut dry_run = false;
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return print(HELP),
            Arg::Long("dry-run") => dry_run = true,
            Arg::Value(word) if step.is_none() => step = Some(part(&word.to_string_lossy())?),
            other => return Err(other.unexpected().into()),
        }
    }
    let part = step.ok_or_else(|| lexopt::Error::from("no step to undo"))?;
    take_apart(host, part, dry_run)
}

/// The same of the mounts alone.
pub fn unmount(args: &mut Parser, host: &Host) -> Result<(), Failed> {
    let mut dry_run = false;
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return print(UNMOUNT_HELP),
            Arg::Long("dry-run") => dry_run = true,
            other => return Err(other.unexpected().into()),
        }
    }
    take_apart(host, Part::Overlay, dry_run)
}

/// What the step makes, or why there is nothing of it to take apart.
fn part(step: &str) -> Result<Part, lexopt::Error> {
    let known = || Part::names().collect::<Vec<_>>().join(", ");
    Part::of_step(step).ok_or_else(|| {
        let why = match step {
            "modules" | "handover" | "exit" => {
                "what it writes is in the overlay: undo overlay, or zram".to_owned()
            }
            "network" | "plan" => format!("it makes nothing; steps that do: {}", known()),
            _ => format!("there is no such step; steps that make something: {}", known()),
        };
        lexopt::Error::from(format!("{step}: {why}"))
    })
}

fn take_apart(host: &Host, part: Part, dry_run: bool) -> Result<(), Failed> {
    if dry_run {
        let lines = undo::decide(host, part)?.into_iter().map(|act| format!("{act}\n"));
        return print(&lines.collect::<String>());
    }
    let _lock = lock::take(&host.path(lock::FILE))?;
    let acts = undo::decide(host, part)?;
    // To whoever asked for it, by ssh as well.
    let mut console = Console::of_caller(host);
    if acts.is_empty() {
        console.say("undo: there is nothing left of it");
    }
    // First: of a step that is half undone the journal is not to say that it is done.
    undo::note(host, part)?;
    for act in &acts {
        console.say(&format!("undo: {}", undo::act(host, act)?));
    }
    console.say("undo: done; `diskless retry` makes it again");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_makes_nothing_is_refused_with_the_reason() {
        for (step, why) in [
            ("handover", "handover: what it writes is in the overlay: undo overlay, or zram"),
            (
                "plan",
                "plan: it makes nothing; steps that do: iscsi, multipath, keeper, luks, volumes, zram, overlay",
            ),
            ("lusk", "lusk: there is no such step; steps that make something: iscsi"),
        ] {
            let error = part(step).unwrap_err().to_string();
            assert!(error.starts_with(why), "{error}");
        }
        assert!(Part::names().all(|step| HELP.contains(step)));
    }

    #[test]
    fn a_dry_run_of_nothing_takes_no_lock() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("etc")).unwrap();
        std::fs::write(root.path().join("etc/initrd-release"), "").unwrap();
        take_apart(&Host::fake(root.path()), Part::Luks, true).unwrap();
        assert!(!root.path().join("run").exists());
        take_apart(&Host::fake(root.path()), Part::Luks, false).unwrap();
        assert!(root.path().join("run/diskless/lock").exists());
    }
}
