//! The verbs of the command line: one file each, which reads the arguments of its verb itself.

mod access;
mod acts;
mod boot;
mod bundle;
mod completion;
mod config;
mod console;
mod diagnose;
mod exit;
mod help;
mod hold;
mod inspect;
mod keeper;
mod logs;
mod luks;
mod plan;
mod release;
mod report;
mod resume;
mod retry;
mod skip;
mod status;
mod undo;

pub use help::{HELPS, terms};

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use lexopt::{Arg, Parser};

use crate::engine::configured::configured;
use crate::engine::generator;
use crate::engine::host::Host;
use crate::error::{Code, Context, Error, Result};
use crate::plan::STEPS;
use crate::report::kernel_log;

const HELP: &str = "\
diskless - boots a diskless node from its initramfs

usage: diskless boot             fetch the boot plan and put the new root together; again: go on
       diskless status [--watch | --json | --short]
                                 where the boot stands, what it waits for, and what to do next
       diskless hold [STEP]      hold the boot before a step, or before the next
       diskless resume           go on to the next hold
       diskless release          go on with the boot, past all holds
       diskless retry [STEP]     run the boot here and now, up to a step or to its end
       diskless skip WHAT        have the boot do without something
       diskless config [--show-origin] [--json] [--root DIR]
                                 what kernel parameters and /etc/diskless.conf say together
       diskless plan show|explain|check|diff|--try|keygen|sign|verify ...
                                 boot plans: what is in force, whether one may be used; see diskless plan --help
       diskless diagnose [--json] [--all]
                                 what is wrong: one cause, one hint, the evidence; see diskless diagnose --help
       diskless plan --cmdline TEXT|@FILE [--plan FILE] [--facts FILE] [--json]
                                 what a boot would do, on any machine; nothing is touched
       diskless report up        tell the report server that the node is up, and what the boot left unsent
       diskless report usage     tell it when the writable layer has passed a watermark; a timer does so
       diskless undo STEP        take apart what the steps from the last one down to STEP have made
       diskless unmount          the same of the new root's mounts alone
       diskless completion SHELL complete command lines in bash or zsh
       diskless inspect [--json] what the node is made of; see diskless inspect --help
       diskless logs [-f]        what agent and keeper told in this boot
       diskless bundle [--upload]
                                 one file for whoever is to help, without secrets; see diskless bundle --help
       diskless exit --dry-run   what the end of the system would take apart
       diskless luks dump|test ...
                                 look at a LUKS header, try a key; see diskless luks --help
       diskless keeper           systemd's own: keep the root's sessions alive, from the initramfs on
       diskless console          systemd's own: keys on the consoles of a node whose boot stands still
       diskless access           systemd's own: let operators in by ssh, in the initramfs
       diskless acts             systemd's and dracut's own: whether the agent acts on this node
       diskless generator NORMAL EARLY LATE
                                 systemd's own: add the agent to the boot when the kernel command line asks for it
       diskless --help | --version

Kernel parameters: rd.diskless.plan=URL|FILE or netroot=iscsi:..., and more: diskless(8).
Exit codes: 0 done, 1 failed, 2 usage.
";

/// A verb: its name, and what it does with its arguments.
type Verb = (&'static str, fn(&mut Parser, &Host) -> Result<(), Failed>);

const VERBS: &[Verb] = &[
    ("acts", acts::main),
    ("boot", boot::main),
    ("completion", completion::main),
    ("config", config::main),
    ("console", console::main),
    ("hold", hold::main),
    ("release", release::main),
    ("resume", resume::main),
    ("retry", retry::main),
    ("skip", skip::main),
    ("plan", plan::main),
    ("luks", luks::main),
    ("status", status::main),
    ("undo", undo::main),
    ("unmount", undo::unmount),
    ("diagnose", diagnose::main),
    ("inspect", inspect::main),
    ("logs", logs::main),
    ("bundle", bundle::main),
    ("report", report::main),
    ("exit", exit::main),
    ("keeper", keeper::main),
    ("access", access::main),
    ("generator", generate),
];

/// Runs the verb that `args` ask for; the first of them is the name of the program.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let host = Host::this();
    kernel_log::install(&host);
    match run(&mut Parser::from_iter(args), &host) {
        Ok(()) => ExitCode::SUCCESS,
        // A failed boot has been told by its run.
        Err(Failed::Told) => ExitCode::FAILURE,
        Err(Failed::Usage(error)) => {
            eprintln!("diskless: {error}; see diskless --help");
            ExitCode::from(2)
        }
        Err(Failed::Error(error)) => {
            eprintln!("diskless: [{}] {error}; {}", error.code().as_str(), error.advice());
            ExitCode::FAILURE
        }
    }
}

/// A verb failed.
#[derive(Debug)]
enum Failed {
    /// It has said so itself.
    Told,
    /// The command line is wrong.
    Usage(lexopt::Error),
    /// This is to be said.
    Error(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Failed {
        Failed::Error(error)
    }
}

impl From<lexopt::Error> for Failed {
    fn from(error: lexopt::Error) -> Failed {
        Failed::Usage(error)
    }
}

fn run(args: &mut Parser, host: &Host) -> Result<(), Failed> {
    // systemd calls its generators by their own name.
    if args.bin_name().is_some_and(|name| Path::new(name).ends_with("diskless-generator")) {
        return generate(args, host);
    }
    // At the end of a system it is process 1.
    if args.bin_name().is_some_and(crate::exit::is_called_by) {
        return exit::as_shutdown(args);
    }
    match args.next()? {
        Some(Arg::Short('h') | Arg::Long("help")) => print(HELP),
        Some(Arg::Short('V') | Arg::Long("version")) => {
            print(concat!("diskless ", env!("CARGO_PKG_VERSION"), "\n"))
        }
        Some(Arg::Value(word)) => {
            let verb = VERBS.iter().find(|(name, _)| word == *name);
            let (_, main) =
                verb.ok_or_else(|| lexopt::Error::from(format!("unknown verb {}", word.display())))?;
            // Of all verbs alike; what is behind the first word, a verb reads itself.
            let asks = matches!(args.clone().next(), Ok(Some(Arg::Short('h') | Arg::Long("help"))));
            match help::of(&word.to_string_lossy()).filter(|_| asks) {
                Some(text) => print(text),
                None => main(args, host),
            }
        }
        Some(other) => Err(other.unexpected().into()),
        None => Err(lexopt::Error::from("no verb").into()),
    }
}

/// The end of the arguments, or an error.
fn no_more(args: &mut Parser) -> Result<(), lexopt::Error> {
    args.next()?.map_or(Ok(()), |arg| Err(arg.unexpected()))
}

fn print(text: &str) -> Result<(), Failed> {
    use std::io::Write;
    let wrote = std::io::stdout().write_all(text.as_bytes());
    Ok(wrote.context(Code::Io, "standard output")?)
}

/// The step that a word names.
fn step(word: &OsStr) -> Result<&'static str, lexopt::Error> {
    let known = STEPS.iter().copied().find(|step| word == *step);
    known.ok_or_else(|| format!("no step {}; there are {}", word.display(), STEPS.join(", ")).into())
}

/// `diskless generator NORMAL EARLY LATE`, systemd's own.
fn generate(args: &mut Parser, host: &Host) -> Result<(), Failed> {
    let [normal, early, _late] = [args.value()?, args.value()?, args.value()?].map(PathBuf::from);
    no_more(args)?;
    if host.is_crash_kernel() {
        return Ok(());
    }
    let (cmdline, wrong) = configured(host)?;
    let acts = acts::on(host, &cmdline, &wrong);
    Ok(generator::generate(acts, &cmdline, &normal, &early)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether these words are refused as such.
    fn usage(words: &str) -> bool {
        let root = tempfile::tempdir().unwrap();
        let mut args = Parser::from_iter(words.split_whitespace().map(OsString::from));
        matches!(run(&mut args, &Host::fake(root.path())), Err(Failed::Usage(_)))
    }

    #[test]
    fn nothing_is_done_in_a_kernel_that_saves_a_crashed_one() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("proc")).unwrap();
        std::fs::write(root.path().join("proc/cmdline"), "rd.diskless.plan=/p root=diskless").unwrap();
        let folders = ["normal", "early", "late"].map(|name| root.path().join(name));
        for folder in &folders {
            std::fs::create_dir(folder).unwrap();
        }
        let made = || folders.iter().map(|folder| folder.read_dir().unwrap().count()).sum::<usize>();
        let host = Host::fake(root.path());
        let words = |words: &[&std::ffi::OsStr]| {
            run(&mut Parser::from_iter(words.iter().map(|word| word.to_os_string())), &host)
        };
        let generator = ["diskless-generator".as_ref()].into_iter();
        let generator: Vec<_> = generator.chain(folders.iter().map(|folder| folder.as_os_str())).collect();
        std::fs::write(root.path().join("proc/vmcore"), "").unwrap();
        words(&generator).unwrap();
        words(&["diskless".as_ref(), "boot".as_ref()]).unwrap();
        assert_eq!(made(), 0);
        assert!(!root.path().join("run").exists());
        std::fs::remove_file(root.path().join("proc/vmcore")).unwrap();
        words(&generator).unwrap();
        assert!(made() > 0);
        // Nor in the booted system.
        assert!(matches!(words(&["diskless".as_ref(), "boot".as_ref()]), Err(Failed::Error(_))));
    }

    #[test]
    fn verbs() {
        let good = [
            "diskless status",
            "diskless status --json",
            "diskless status --short",
            "diskless status --prompt",
            "diskless console --help",
            "diskless keeper --help",
            "diskless undo luks --dry-run",
            "diskless unmount --dry-run",
            "diskless completion zsh",
            "diskless diagnose --help",
            "diskless report up",
            "diskless report usage",
            "diskless-generator /n /e /l",
            "diskless --help",
            "diskless boot --help",
            "diskless hold --help",
            "diskless resume",
            "diskless release",
            "diskless hold luks",
            "diskless skip exit",
            "diskless retry --help",
            "diskless acts --root",
            "diskless config --show-origin --json",
            "diskless plan --help",
            "diskless plan show --json",
            "diskless plan check /nonexistent --json",
            "diskless plan verify --keys /none --now 2026-01-31T23:59:59Z --least-serial 7 /nonexistent",
            "diskless plan sign --key /none /nonexistent",
            "diskless plan --try /nonexistent",
            "diskless plan --try=none",
            "diskless inspect --help",
            "diskless logs --help",
            "diskless logs --json",
            "diskless bundle --help",
            "diskless bundle --upload",
            "diskless exit --dry-run",
            "diskless exit --help",
            "diskless luks --help",
            "diskless access --help",
            "diskless luks test --help",
            "diskless luks dump /nonexistent --header /none --json",
            "diskless luks test --key-file=/none --key-size 32 --key-offset 1 --keyslot 0 /nonexistent",
        ];
        for words in good {
            assert!(!usage(words), "{words}");
        }
        let bad = [
            "diskless",
            "diskless boot --json",
            "diskless boot now",
            "diskless hold lusk",
            "diskless hold luks zram",
            "diskless retry lusk",
            "diskless resume luks",
            "diskless release luks",
            "diskless skip",
            "diskless skip dance",
            "diskless acts now",
            "diskless config timeout",
            "diskless diagnose now",
            "diskless diagnose --evidence --json",
            "diskless diagnose --from",
            "diskless plan",
            "diskless plan --plan /p",
            "diskless plan check",
            "diskless plan check /a /b",
            "diskless plan show /a",
            "diskless plan dance",
            "diskless plan sign /p",
            "diskless plan verify --now yesterday /p",
            "diskless plan verify --least-serial x /p",
            "diskless plan --try",
            "diskless plan --try /a /b",
            "diskless plan --cmdline",
            "diskless plan --cmdline x y",
            "diskless generator /n",
            "diskless reboot",
            "diskless status --json --watch",
            "diskless undo",
            "diskless undo handover",
            "diskless undo luks volumes",
            "diskless unmount /sysroot",
            "diskless completion fish",
            "diskless console now",
            "diskless report",
            "diskless keeper now",
            "diskless access now",
            "diskless report down",
            "diskless report usage now",
            "diskless exit",
            "diskless exit reboot",
            "diskless exit --dry-run now",
            "diskless exit --watch dance",
            "diskless exit --work",
            "/shutdown poweroff",
            "diskless inspect --lldp 0",
            "diskless inspect --lldp 500",
            "diskless inspect now",
            "diskless logs now",
            "diskless bundle a b",
            "diskless bundle --json",
            "diskless luks",
            "diskless luks open /nonexistent",
            "diskless luks dump",
            "diskless luks dump /nonexistent /other",
            "diskless luks test /nonexistent",
            "diskless luks test --key-file /none",
            "diskless luks test --key-file /none --keyslot x /nonexistent",
            "diskless luks test --key-file /none --key-size -1 /nonexistent",
        ];
        for words in bad {
            assert!(usage(words), "{words}");
        }
    }
}
