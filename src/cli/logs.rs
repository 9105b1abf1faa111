//! `diskless logs`.

use std::time::Duration;

use lexopt::{Arg, Parser};

use super::{Failed, print};
use crate::engine::host::Host;
use crate::error::{Code, Context};
use crate::keeper::{self, Journal};
use crate::report::told::{self, KERNEL_LOG, Told};
use crate::sys::kmsg;

pub(super) const HELP: &str = "\
usage: diskless logs [-f] [--json]

What agent and keeper told in this boot, of all runs, the oldest line first: from the kernel's log, the events kept in
/run/diskless and the keeper's journal. At most the last 5000 lines.

  -f, --follow   go on with what is told from now on
  --json         an object a line: at_ms (milliseconds since boot), by (agent, keeper), warning, text
  -h, --help     this text

Exit codes: 0 done, 1 failed, 2 usage.
";

/// The keeper's journal is looked at so often.
const PAUSE: Duration = Duration::from_secs(1);

/// Shows what was told.
pub fn main(args: &mut Parser, host: &Host) -> Result<(), Failed> {
    let (mut follow, mut json) = (false, false);
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return print(HELP),
            Arg::Short('f') | Arg::Long("follow") => follow = true,
            Arg::Long("json") => json = true,
            other => return Err(other.unexpected().into()),
        }
    }
    let path = host.path(KERNEL_LOG);
    let mut log = kmsg::Log::open(&path).context(Code::Io, path.display().to_string());
    let lines = log.as_mut().map(kmsg::Log::lines).unwrap_or_default();
    let keeper = || Journal::read(&host.path(keeper::FILE)).ok().flatten();
    // What is in the journal by now is told here.
    let mut last = keeper().and_then(|journal| Some(journal.events.last()?.at_ms));
    show(&told::read(host, &lines), json)?;
    if !follow {
        // Without the kernel's log something may be missing: said, and no failure.
        log.map_err(|error| eprintln!("diskless: [{}] {error}", error.code().as_str())).ok();
        return Ok(());
    }
    let mut log = log?;
    loop {
        log.wait(PAUSE);
        let mut new: Vec<Told> = log.lines().iter().filter_map(told::of_log).collect();
        if let Some(journal) = keeper() {
            new.extend(told::of_keeper(&journal).filter(|told| last.is_none_or(|last| told.at_ms > last)));
            last = journal.events.last().map(|event| event.at_ms).or(last);
        }
        show(&new, json)?;
    }
}

fn show(told: &[Told], json: bool) -> Result<(), Failed> {
    let line = |told: &Told| {
        let text = if json { serde_json::to_string(told).unwrap_or_default() } else { told.describe() };
        text + "\n"
    };
    print(&told.iter().map(line).collect::<String>())
}
