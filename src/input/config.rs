//! What the kernel command line tells the agent. Every parameter is one line of [`PARAMETERS`], and
//! `docs/parameters.md` is held to that table by a test.

use std::time::Duration;

use super::cmdline::{Cmdline, normal};
use crate::error::{Code, Error, Result};

/// A kernel parameter of ours.
#[derive(Debug)]
pub struct Parameter {
    /// As written on the command line; `-` and `_` are the same.
    pub name: &'static str,
    /// What holds without it, as text for people.
    pub default: &'static str,
    /// What it is for.
    pub doc: &'static str,
}

/// Where the boot plan is.
const PLAN: &str = "rd.diskless.plan";
/// The node's initiator name, in dracut's word.
const INITIATOR: &str = "rd.iscsi.initiator";
/// How long a step waits.
const TIMEOUT: &str = "rd.diskless.timeout";

/// All of them.
pub const PARAMETERS: &[Parameter] = &[
    Parameter {
        name: PLAN,
        default: "none: the agent does nothing, and the initramfs boots as if it were not there",
        doc: "Where the boot plan is: an http:// URL, or the absolute path of a file in the initramfs.",
    },
    Parameter {
        name: TIMEOUT,
        default: "180",
        doc: "How many seconds a step waits for what is outside of the node (network, server, target) before \
              it fails, 1 to 86400.",
    },
];

/// Where a boot plan is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// On the kernel command line itself.
    Parameters,
    /// The absolute path of a file in the initramfs.
    File(String),
    /// HTTP(S) URLs, to be tried in turn.
    Urls(Vec<String>),
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Source::Parameters => f.write_str("kernel command line"),
            Source::File(path) => f.write_str(path),
            Source::Urls(urls) => f.write_str(&urls.join(" ")),
        }
    }
}

/// What the command line says, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the boot plan is.
    pub plan: Source,
    /// The node's initiator name, where the plan has none.
    pub initiator: Option<String>,
    /// How long a step waits for what is outside of the node.
    pub timeout: Duration,
}

/// Whether the agent is to act on this node at all: when it is told where its boot plan is.
pub fn acts(cmdline: &Cmdline) -> bool {
    cmdline.last(PLAN).is_some()
}

impl Config {
    /// Reads the parameters.
    ///
    /// # Errors
    /// No plan is configured, a value cannot be used, or there is an unknown parameter `rd.diskless.*`.
    pub fn from_cmdline(cmdline: &Cmdline) -> Result<Config> {
        for key in cmdline.keys().filter(|key| key.starts_with("rd.diskless")) {
            if !PARAMETERS.iter().any(|parameter| normal(parameter.name) == key) {
                return Err(Error::new(Code::Parameter, key).because("there is no such parameter"));
            }
        }
        let plan = cmdline.last(PLAN).ok_or_else(|| Error::new(Code::NoPlan, "kernel command line"))?;
        Ok(Config {
            plan: source(plan)?,
            initiator: cmdline.last(INITIATOR).map(str::to_owned),
            timeout: timeout(cmdline.last(TIMEOUT).unwrap_or("180"))?,
        })
    }
}

fn source(text: &str) -> Result<Source> {
    if text.starts_with("http://") {
        Ok(Source::Urls(vec![text.to_owned()]))
    } else if text.starts_with('/') {
        Ok(Source::File(text.to_owned()))
    } else {
        Err(Error::new(Code::Parameter, format!("{PLAN}={text}"))
            .because("neither an http:// URL nor an absolute path"))
    }
}

fn timeout(text: &str) -> Result<Duration> {
    match text.parse::<u64>() {
        Ok(seconds @ 1..=86400) => Ok(Duration::from_secs(seconds)),
        _ => Err(Error::new(Code::Parameter, format!("{TIMEOUT}={text}"))
            .because("not a number of seconds from 1 to 86400")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config> {
        Config::from_cmdline(&Cmdline::parse(text))
    }

    #[test]
    fn a_url_or_a_file() {
        let config = read("quiet rd.diskless.plan=http://198.18.0.1/p ip=dhcp").unwrap();
        assert_eq!(config.plan, Source::Urls(vec!["http://198.18.0.1/p".into()]));
        assert_eq!(config.timeout, Duration::from_secs(180));
        let config = read("rd.diskless.plan=/etc/diskless/plan.json rd.diskless.timeout=5").unwrap();
        assert_eq!(config.plan, Source::File("/etc/diskless/plan.json".into()));
        assert_eq!(config.timeout, Duration::from_secs(5));
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_name() {
        let cases = [
            ("quiet", Code::NoPlan, "kernel command line"),
            ("rd.diskless.plan=plan.json", Code::Parameter, "rd.diskless.plan=plan.json"),
            ("rd.diskless.plan=/p rd.diskless.timeout=0", Code::Parameter, "rd.diskless.timeout=0"),
            ("rd.diskless.plan=/p rd.diskless.timeout=x", Code::Parameter, "rd.diskless.timeout=x"),
            ("rd.diskless.plan=/p rd.diskless.plam=/q", Code::Parameter, "rd.diskless.plam"),
        ];
        for (text, code, object) in cases {
            let error = read(text).unwrap_err();
            assert_eq!(error.code(), code, "{text}");
            assert!(error.to_string().starts_with(object), "{error}");
        }
    }

    #[test]
    fn the_agent_acts_only_when_told() {
        assert!(acts(&Cmdline::parse("rd.diskless.plan=/p")));
        assert!(!acts(&Cmdline::parse("root=/dev/vda1")));
    }
}
