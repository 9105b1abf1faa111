//! `diskless exit`.

use lexopt::{Arg, Parser};

use super::{Failed, no_more, print};
use crate::engine::host::Host;
use crate::exit::{self, Verb};
use crate::report::console::Console;

pub(super) const HELP: &str = "\
usage: diskless exit --dry-run

Shows what the end of this system would take apart, in order; nothing is touched. The end itself is made by systemd,
which executes this program as /run/initramfs/shutdown: systemctl poweroff, reboot, halt, kexec.

Units and process 1 use these:
  --guard        wait for SIGTERM; leave a watcher behind
  --watch        if the machine is to end, its target is gone and it does not end by itself, end it
  --keep         copy what systemd executes at its end into memory
  --work VERB    take the node apart whose root is at /oldroot
";

/// Shows or makes the end of the system.
pub fn main(args: &mut Parser, host: &Host) -> Result<(), Failed> {
    let Some(arg) = args.next()? else { return Err(lexopt::Error::from("what of the end?").into()) };
    match arg {
        Arg::Short('h') | Arg::Long("help") => print(HELP),
        Arg::Long("dry-run") => {
            no_more(args)?;
            let lines = exit::dry_run(host).into_iter().map(|line| line + "\n");
            print(&lines.collect::<String>())
        }
        Arg::Long("guard") => {
            no_more(args)?;
            Ok(exit::guard()?)
        }
        Arg::Long("keep") => {
            no_more(args)?;
            let kept = exit::keep(host);
            let size = kept.bytes as f64 / f64::from(1 << 20);
            let line = format!("exit: {} files of systemd's end kept in memory, {size:.1} MiB", kept.files);
            Console::log(host).say(&line);
            Ok(())
        }
        Arg::Long("watch") => {
            no_more(args)?;
            exit::watch(host);
            Ok(())
        }
        Arg::Long("work") => {
            let verb = verb(args)?;
            exit::work(verb);
            Ok(())
        }
        other => Err(other.unexpected().into()),
    }
}

fn verb(args: &mut Parser) -> Result<Verb, lexopt::Error> {
    let word = args.value()?;
    no_more(args)?;
    let verb = word.to_str().and_then(Verb::parse);
    verb.ok_or_else(|| lexopt::Error::from(format!("unknown verb {}", word.display())))
}

/// `/run/initramfs/shutdown VERB …`, as process 1.
pub fn as_shutdown(args: &mut Parser) -> Result<(), Failed> {
    if std::process::id() != 1 {
        return Err(lexopt::Error::from("this is for systemd, at the end of a system").into());
    }
    let words = args.raw_args()?.collect::<Vec<_>>();
    exit::as_first_process(exit::verb(words.into_iter()))
}
