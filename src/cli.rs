//! The verbs of the command line.

use std::cell::OnceCell;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;

use lexopt::{Arg, Parser};

use crate::engine::host::Host;
use crate::engine::run::Run;
use crate::engine::state::{self, State, Status};
use crate::engine::{generator, lock};
use crate::error::{Code, Context, Error, Result};
use crate::input::cmdline::Cmdline;
use crate::input::config::Config;
use crate::plan;
use crate::report::kernel_log;

const HELP: &str = "\
diskless - boots a diskless node from its initramfs

usage: diskless boot             fetch the boot plan and put the new root together; again: go on
       diskless status [--json]  what the last run did, and what it waits for
       diskless generator NORMAL EARLY LATE
                                 systemd's own: add the agent to the boot when the kernel command line asks for it
       diskless --help | --version

Kernel parameters: rd.diskless.plan=URL|FILE, rd.diskless.timeout=SECONDS.
Exit codes: 0 done, 1 failed, 2 usage.
";

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Verb {
    Boot,
    Status { json: bool },
    Generator { normal: PathBuf, early: PathBuf },
    Help,
    Version,
}

/// Runs the verb that `args` ask for; the first of them is the name of the program.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let verb = match parse(args) {
        Ok(verb) => verb,
        Err(error) => {
            eprintln!("diskless: {error}; see diskless --help");
            return ExitCode::from(2);
        }
    };
    let host = Host::this();
    kernel_log::install(&host);
    let result = match verb {
        Verb::Help => print(HELP),
        Verb::Version => print(concat!("diskless ", env!("CARGO_PKG_VERSION"), "\n")),
        Verb::Boot => boot(&host),
        Verb::Status { json } => status(&host, json),
        Verb::Generator { normal, early } => cmdline(&host)
            .and_then(|cmdline| generator::generate(&cmdline, &normal, &early))
            .map_err(Failed::from),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // A failed boot has been told by its run.
        Err(Failed::Told) => ExitCode::FAILURE,
        Err(Failed::Error(error)) => {
            eprintln!("diskless: [{}] {error}; {}", error.code().as_str(), error.advice());
            ExitCode::FAILURE
        }
    }
}

/// A verb failed.
enum Failed {
    /// It has said so itself.
    Told,
    /// This is to be said.
    Error(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Failed {
        Failed::Error(error)
    }
}

fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Verb, lexopt::Error> {
    let mut args = Parser::from_iter(args);
    // systemd calls its generators by their own name.
    let is_generator = args.bin_name().is_some_and(|name| Path::new(name).ends_with("diskless-generator"));
    let mut words: Vec<OsString> = if is_generator { vec!["generator".into()] } else { Vec::new() };
    let mut json = false;
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return Ok(Verb::Help),
            Arg::Short('V') | Arg::Long("version") => return Ok(Verb::Version),
            Arg::Long("json") if words.first().is_some_and(|verb| verb == "status") => json = true,
            Arg::Value(word) => words.push(word),
            other => return Err(other.unexpected()),
        }
    }
    let words: Vec<_> = words.iter().map(|word| word.to_str().unwrap_or_default()).collect();
    match words.as_slice() {
        ["boot"] => Ok(Verb::Boot),
        ["status"] => Ok(Verb::Status { json }),
        ["generator", normal, early, _late] => {
            Ok(Verb::Generator { normal: normal.into(), early: early.into() })
        }
        [] => Err("no verb".into()),
        words => Err(format!("unknown verb, or wrong arguments: {}", words.join(" ")).into()),
    }
}

fn print(text: &str) -> Result<(), Failed> {
    use std::io::Write;
    let wrote = std::io::stdout().write_all(text.as_bytes());
    Ok(wrote.context(Code::Io, "standard output")?)
}

fn cmdline(host: &Host) -> Result<Cmdline> {
    let path = host.path("/proc/cmdline");
    // Not only UTF-8 may stand there; what is not is none of our parameters.
    let text = std::fs::read(&path).context(Code::Io, path.display().to_string())?;
    Ok(Cmdline::parse(&String::from_utf8_lossy(&text)))
}

/// Where the lock of a run is.
const LOCK: &str = "/run/diskless/lock";

fn boot(host: &Host) -> Result<(), Failed> {
    let _lock = lock::take(&host.path(LOCK))?;
    let mut run = Run::start(host);
    let config = match cmdline(host).and_then(|cmdline| Config::from_cmdline(&cmdline)) {
        Ok(config) => config,
        Err(error) => {
            run.failed("input", &error);
            return Err(Failed::Told);
        }
    };
    let slot = Rc::new(OnceCell::new());
    let told = |_| Failed::Told;
    run.steps(&plan::until_document(&config, &slot)).map_err(told)?;
    if let Some(document) = slot.get() {
        run.steps(&plan::from_document(&config, document)?).map_err(told)?;
    }
    run.finish();
    Ok(())
}

fn status(host: &Host, json: bool) -> Result<(), Failed> {
    let file = host.path(state::FILE);
    let Some(state) = State::read(&file)? else {
        return Err(Error::new(Code::NotRun, file.display().to_string()).into());
    };
    if json {
        let text = serde_json::to_string_pretty(&state).context(Code::Io, state::FILE)?;
        return print(&format!("{text}\n"));
    }
    print(&describe(&state))
}

/// The journal for people: a line a step.
fn describe(state: &State) -> String {
    let mut text = format!("run {} of this boot: {}\n", state.run, word(state.status));
    for step in &state.steps {
        let took = step.took_ms.map_or_else(String::new, |ms| format!("{}.{:03} s", ms / 1000, ms % 1000));
        let what = match (&step.error, &step.waiting_for, &step.detail) {
            (Some(error), ..) => format!("[{}] {}; {}", error.code, error.message, error.advice),
            (None, Some(waiting), _) => format!("waiting for {waiting}"),
            (None, None, Some(detail)) => detail.clone(),
            (None, None, None) => String::new(),
        };
        let line = format!("  {:<9} {:<8} {took:>10}  {what}", step.name, word(step.status));
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Pending => "pending",
        Status::Running => "running",
        Status::Done => "done",
        Status::Failed => "failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::state::{Failure, StepState};

    fn words(text: &str) -> Result<Verb, lexopt::Error> {
        parse(text.split_whitespace().map(OsString::from))
    }

    #[test]
    fn verbs() {
        let generator = Verb::Generator { normal: "/n".into(), early: "/e".into() };
        let cases = [
            ("diskless boot", Some(Verb::Boot)),
            ("diskless status", Some(Verb::Status { json: false })),
            ("diskless status --json", Some(Verb::Status { json: true })),
            ("/usr/lib/systemd/system-generators/diskless-generator /n /e /l", Some(generator)),
            ("diskless --help", Some(Verb::Help)),
            ("diskless boot -V", Some(Verb::Version)),
            ("diskless", None),
            ("diskless boot --json", None),
            ("diskless boot now", None),
            ("diskless generator /n", None),
            ("diskless reboot", None),
        ];
        for (text, verb) in cases {
            assert_eq!(words(text).ok(), verb, "{text}");
        }
    }

    #[test]
    fn the_status_says_for_each_step_what_matters_most() {
        let mut done = StepState::pending("network");
        (done.status, done.took_ms, done.detail) = (Status::Done, Some(2041), Some("there".into()));
        let mut failed = StepState::pending("iscsi");
        failed.status = Status::Failed;
        failed.error = Some(Failure { code: "iscsi-auth".into(), message: "m".into(), advice: "a".into() });
        let state = State {
            version: 1,
            boot_id: "b".into(),
            run: 3,
            status: Status::Failed,
            steps: vec![done, failed, StepState::pending("luks")],
        };
        let expected = "run 3 of this boot: failed
  network   done        2.041 s  there
  iscsi     failed               [iscsi-auth] m; a
  luks      pending
";
        assert_eq!(describe(&state), expected);
    }
}
