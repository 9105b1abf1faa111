//! `diskless config`: what kernel parameters and the configuration file say together.

use std::fmt::Write as _;
use std::path::PathBuf;

use lexopt::{Arg, Parser};
use serde::Serialize;

use super::{Failed, print};
use crate::engine::configured::{CMDLINE, behind, configured};
use crate::engine::host::Host;
use crate::error::{Code, Context, Error};
use crate::input::cmdline::{Cmdline, Origin};
use crate::input::conf;
use crate::input::shown;
use crate::input::words::PARAMETERS;

pub(super) const HELP: &str = "\
usage: diskless config [--show-origin] [--json] [--root DIR]
  --show-origin  say of each value where it is from
  --json         for scripts
  --root DIR     look below DIR, an unpacked initramfs or the root that one is made of

Shows every parameter that diskless reads, with its value: what the kernel command line and /etc/diskless.conf say
together, or what holds where neither does. Secrets are not shown. The exit code is 1 if there is a line in the file that
cannot be used.
";

/// A parameter.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Shown {
    name: &'static str,
    /// Without secrets. Several, where it may be repeated and is; empty: the default holds.
    values: Vec<Value>,
    /// What holds without it, for people.
    default: &'static str,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Value {
    value: String,
    /// `kernel command line`, or `/etc/diskless.conf:LINE`.
    origin: String,
}

#[derive(Serialize)]
struct All<'a> {
    parameters: &'a [Shown],
    /// What is wrong with the file.
    wrong: Vec<String>,
}

/// Shows the configuration.
pub fn main(args: &mut Parser, host: &Host) -> Result<(), Failed> {
    let (mut origins, mut json, mut root) = (false, false, None);
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("show-origin") => origins = true,
            Arg::Long("json") => json = true,
            Arg::Long("root") => root = Some(PathBuf::from(args.value()?)),
            Arg::Short('h') | Arg::Long("help") => return print(HELP),
            other => return Err(other.unexpected().into()),
        }
    }
    let (cmdline, wrong) = match root {
        None => configured(host)?,
        Some(root) => {
            let there = Host::below(root);
            // What is not running has no command line yet.
            if there.path(CMDLINE).exists() {
                configured(&there)?
            } else {
                behind(&there, Cmdline::default())
            }
        }
    };
    let all: Vec<Shown> = shown(&cmdline);
    if json {
        let all = All { parameters: &all, wrong: wrong.iter().map(Error::to_string).collect() };
        let text = serde_json::to_string_pretty(&all).context(Code::Io, "standard output")?;
        print(&format!("{text}\n"))?;
    } else {
        print(&describe(&all, origins))?;
        for error in &wrong {
            eprintln!("diskless: [{}] {error}; {}", error.code().as_str(), error.advice());
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(Failed::Told) }
}

fn shown(cmdline: &Cmdline) -> Vec<Shown> {
    let parameter = |parameter: &crate::input::words::Parameter| {
        let values = cmdline.origins(parameter.name).map(|(value, origin)| Value {
            value: shown::value(parameter.name, value),
            origin: match origin {
                Origin::Kernel => "kernel command line".to_owned(),
                Origin::Line(line) => format!("{}:{line}", conf::FILE),
            },
        });
        Shown { name: parameter.name, values: values.collect(), default: parameter.default }
    };
    PARAMETERS.iter().map(parameter).collect()
}

/// For people: what is set first, and then what holds by itself.
fn describe(all: &[Shown], origins: bool) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str, origin: &str| {
        let setting = format!("{name}={value}");
        // Writing to a string cannot fail.
        let _ = match origins {
            true => writeln!(text, "{origin:<24} {setting}"),
            false => writeln!(text, "{setting}"),
        };
    };
    for shown in all {
        for Value { value, origin } in &shown.values {
            line(shown.name, value, origin);
        }
    }
    for shown in all.iter().filter(|shown| shown.values.is_empty()) {
        match origins {
            true => line(shown.name, &format!("({})", shown.default), "default"),
            false => line(&format!("# {}", shown.name), &format!("({})", shown.default), ""),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::conf::Conf;

    const CONF: &str = "# site\ntimeout=30\nplan=\"https://me:hunter2@boot/p\"\nmount=/a:/b\nmount=/c:/d\n";

    fn all(cmdline: &str) -> Vec<Shown> {
        shown(&Conf::parse(CONF).behind(Cmdline::parse(cmdline)))
    }

    #[test]
    fn values_have_their_origins_and_no_secrets() {
        let text = describe(&all("rd.diskless.timeout=9 rd.iscsi.password=hunter2 quiet"), true);
        for line in [
            "kernel command line      rd.diskless.timeout=9",
            "kernel command line      rd.iscsi.password=(secret)",
            "/etc/diskless.conf:3     rd.diskless.plan=https://(secret)@boot/p",
            "/etc/diskless.conf:4     rd.diskless.mount=/a:/b",
            "/etc/diskless.conf:5     rd.diskless.mount=/c:/d",
            "default                  rd.diskless=(auto)",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
        }
        assert!(!text.contains("hunter2") && !text.contains("quiet"));
        let plain = describe(&all(""), false);
        assert!(
            plain.contains("\n# rd.diskless=(auto)\n") && plain.starts_with("rd.diskless.plan="),
            "{plain}"
        );
    }

    #[test]
    fn every_parameter_is_there() {
        assert_eq!(all("").len(), PARAMETERS.len());
    }

    #[test]
    fn a_root_that_does_not_run_is_looked_at() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("etc")).unwrap();
        let conf = |text| std::fs::write(root.path().join("etc/diskless.conf"), text).unwrap();
        let run = || {
            let words = ["--json".into(), "--root".into(), root.path().as_os_str().to_owned()];
            main(&mut Parser::from_args(words), &Host::fake("/nonexistent"))
        };
        conf("timeout=5\n");
        run().unwrap();
        conf("timeout=5\nplam=/p\n");
        assert!(matches!(run(), Err(Failed::Told)));
    }
}
