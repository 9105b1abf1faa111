//! The verbs of the command line: one file each, which reads the arguments of its verb itself.

mod asking;
mod check;
mod dhcp;
mod init;
mod plan;
mod serve;
mod set;
mod status;
mod timeline;
mod wait;

use std::ffi::OsString;
use std::process::ExitCode;

use lexopt::{Arg, Parser};

use crate::error::Error;

const HELP: &str = "\
disklessd - serves boot scripts and plans to diskless nodes, and knows how far each of them is

usage: disklessd serve [--config FILE]             the server
       disklessd init [FOLDER]                     write a site.toml to begin with, and an operators' token
       disklessd check [FILE] [--json] [--online]  what is wrong with a site, all of it at once
       disklessd plan NODE [--config FILE] [--explain|--json] [--secrets]
                                                   the boot plan of a node, and what of it comes from where
       disklessd status NODESET... [--long|--json|--watch]
                                                   how nodes are
       disklessd wait ipxe|kernel|agent|up|cloudinit NODESET... [--ttl 10m] [--since TIME] [--json]
                                                   until they have come so far; exit code 3 when the time is over
       disklessd timeline NODE [--boot NUMBER] [--json]
                                                   what took how long in a boot
       disklessd set boot|trap|rescue|local|default NODESET... [--once]
                                                   what nodes are to do when they ask
       disklessd dhcp --format dnsmasq|kea|isc [--config FILE]
                                                   what the site's DHCP server has to know
       disklessd --help | --version

`disklessd VERB --help` tells more.
Exit codes: 0 done, 1 failed, 2 usage.
";

/// A verb: its name, and what it does with its arguments.
type Verb = (&'static str, fn(&mut Parser) -> Result<(), Failed>);

const VERBS: &[Verb] = &[
    ("serve", serve::main),
    ("init", init::main),
    ("check", check::main),
    ("plan", plan::main),
    ("status", status::main),
    ("wait", wait::main),
    ("timeline", timeline::main),
    ("set", set::main),
    ("dhcp", dhcp::main),
];

/// The site's file, unless `--config` says another one.
pub(crate) const CONFIG: &str = "/etc/disklessd/site.toml";

/// A verb failed.
#[derive(Debug)]
pub enum Failed {
    /// It has said so itself; the exit code.
    Told(u8),
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

/// Runs the verb that `args` ask for; the first of them is the name of the program.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    match run(&mut Parser::from_iter(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed::Told(code)) => ExitCode::from(code),
        Err(Failed::Usage(error)) => {
            eprintln!("disklessd: {error}; see disklessd --help");
            ExitCode::from(2)
        }
        Err(Failed::Error(error)) => {
            eprintln!("disklessd: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &mut Parser) -> Result<(), Failed> {
    match args.next()? {
        Some(Arg::Short('h') | Arg::Long("help")) => print(HELP),
        Some(Arg::Short('V') | Arg::Long("version")) => {
            print(concat!("disklessd ", env!("CARGO_PKG_VERSION"), "\n"))
        }
        Some(Arg::Value(word)) => {
            let verb = VERBS.iter().find(|(name, _)| word == *name);
            let (_, main) =
                verb.ok_or_else(|| lexopt::Error::from(format!("unknown verb {}", word.display())))?;
            main(args)
        }
        Some(other) => Err(other.unexpected().into()),
        None => Err(lexopt::Error::from("no verb").into()),
    }
}

/// Writes `text` to standard output.
pub(crate) fn print(text: &str) -> Result<(), Failed> {
    use std::io::Write;
    let wrote = std::io::stdout().write_all(text.as_bytes());
    wrote.map_err(|source| Error::Io { what: "standard output".to_owned(), source })?;
    Ok(())
}
