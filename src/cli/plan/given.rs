//! What the verbs of `diskless plan` are given: options, a node, a plan.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use lexopt::{Arg, Parser};
use serde::Serialize;
use zeroize::Zeroizing;

use super::HELP;
use crate::cli::{Failed, print};
use crate::engine::configured;
use crate::engine::host::Host;
use crate::error::{Code, Context, Error, Result};
use crate::input::cmdline::Cmdline;
use crate::input::config::{Config, Source};
use crate::input::document::{Document, Shown};
use crate::input::facts::Facts;
use crate::input::identity::{self, Identity};
use crate::input::parameters;
use crate::input::url::is_url;
use crate::steps::fetch::{self, Found, LONGEST_PLAN};

/// The options that say which node is meant, and how to answer.
pub const OF_A_NODE: &[&str] = &["cmdline", "plan", "facts", "json"];

/// Options with their values, and the words that are none.
#[derive(Debug, Default)]
pub struct Options {
    values: BTreeMap<String, OsString>,
    /// `--json`
    pub json: bool,
    /// The words.
    pub words: Vec<OsString>,
}

impl Options {
    /// Reads the options `known` and exactly `words` words. None: help was asked for, and was given.
    pub fn parse(args: &mut Parser, known: &[&str], words: usize) -> Result<Option<Options>, Failed> {
        let mut options = Options::default();
        while let Some(arg) = args.next()? {
            let name = match arg {
                Arg::Short('h') | Arg::Long("help") => return print(HELP).map(|()| None),
                Arg::Long(name) if known.contains(&name) => name.to_owned(),
                Arg::Value(word) if options.words.len() < words => {
                    options.words.push(word);
                    continue;
                }
                other => return Err(other.unexpected().into()),
            };
            if name == "json" {
                options.json = true;
            } else {
                let value = args.value()?;
                options.values.insert(name, value);
            }
        }
        if options.words.len() < words {
            return Err(lexopt::Error::from("a plan is missing").into());
        }
        Ok(Some(options))
    }

    /// The value of `--name`.
    pub fn value(&self, name: &str) -> Option<&OsStr> {
        self.values.get(name).map(OsString::as_os_str)
    }

    /// The same, of an option that takes text of some form.
    pub fn parsed<T>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, lexopt::Error> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let parsed = value.to_str().and_then(parse);
        parsed.map(Some).ok_or_else(|| format!("--{name}: {value:?} cannot be used").into())
    }
}

/// A node.
pub struct Node {
    /// What its kernel was told.
    pub cmdline: Cmdline,
    /// What follows from that.
    pub config: Config,
    /// What tells it from others.
    pub facts: Facts,
    /// The initiator name in its initramfs.
    pub baked: Option<String>,
}

impl Node {
    /// The one that `options` describe, else this one.
    pub fn of(host: &Host, options: &Options) -> Result<Node> {
        match options.value("cmdline") {
            Some(cmdline) => Node::elsewhere(cmdline, options.value("facts")),
            None => Node::this(host, fetch::tried(host)),
        }
    }

    /// This one, with its plan at `plan` if that is given.
    pub fn this(host: &Host, plan: Option<Source>) -> Result<Node> {
        let cmdline = configured::usable(host)?;
        let root = host.path("/");
        Ok(Node {
            config: Config::with_plan(&cmdline, plan)?,
            cmdline,
            facts: Facts::read(&root),
            baked: identity::baked(&root),
        })
    }

    /// One of this command line, `TEXT` or `@FILE`, and of the facts in that file. What this machine keeps in /etc is nothing
    /// to it.
    pub fn elsewhere(cmdline: &OsStr, facts: Option<&OsStr>) -> Result<Node> {
        let text = match cmdline.as_bytes().strip_prefix(b"@") {
            Some(file) => read(OsStr::from_bytes(file))?,
            None => Zeroizing::new(cmdline.as_bytes().to_vec()),
        };
        let cmdline = Cmdline::parse(&String::from_utf8_lossy(&text));
        let config = Config::from_cmdline(&cmdline)?;
        let facts = facts.map(self::facts).transpose()?.unwrap_or_default();
        Ok(Node { cmdline, config, facts, baked: None })
    }
}

/// The facts in a file.
pub fn facts(file: &OsStr) -> Result<Facts> {
    let facts: Facts =
        serde_json::from_slice(&read(file)?).context(Code::Facts, file.display().to_string())?;
    facts.checked(&file.display().to_string())
}

/// The boot of a node.
pub struct InForce {
    /// Whose.
    pub node: Node,
    /// The place that has the plan, as people may see it.
    pub from: String,
    /// Who signed it, if somebody had to.
    pub signer: Option<String>,
    /// The plan's text without its secrets; none: kernel parameters are the plan.
    pub shown: Option<Shown>,
    /// The plan.
    pub document: Document,
    /// Who the node is by it.
    pub identity: Identity,
}

impl InForce {
    /// That of the node which `options` describe, with the plan of `--plan`; else of this one, with the plan that it would
    /// take now.
    pub fn of(host: &Host, options: &Options) -> Result<InForce> {
        let node = Node::of(host, options)?;
        let (from, signer, text, document) = match (options.value("plan"), &node.config.plan) {
            (Some(_), Source::Parameters) => {
                let cause = "the kernel command line describes the boot itself, and names no plan";
                return Err(Error::new(Code::Parameter, "--plan").because(cause));
            }
            (Some(file), _) => {
                let text = read(file)?;
                let document = Document::parse(&text)?;
                (file.display().to_string(), None, Some(text), document)
            }
            (None, Source::Parameters) => {
                fetch::may_be_parameters(host, node.config.signing)?;
                (fetch::shown(&Source::Parameters), None, None, parameters::document(&node.cmdline)?)
            }
            (None, _) if options.value("cmdline").is_some() => {
                let cause = "nothing is fetched for another node: name the plan's file with --plan";
                return Err(Error::new(Code::PlanMissing, fetch::shown(&node.config.plan)).because(cause));
            }
            (None, source) => {
                let (place, found, judged) = fetch::now(host, source, node.config.signing)?;
                (crate::sys::http::shown(&place), judged.signer, Some(found.text), judged.document)
            }
        };
        let document = if node.config.multipath { document } else { document.without_map() };
        let identity = Identity::of(&document, &node.config, &node.facts, node.baked.as_deref())?;
        let shown = text.map(|text| Shown::of(&text)).transpose()?;
        Ok(InForce { node, from, signer, shown, document, identity })
    }
}

/// What is at `place`, a file or a URL; with its signature if it must be `signed`.
pub fn found(host: &Host, place: &OsStr, signed: bool) -> Result<Found> {
    let place = self::place(place)?;
    fetch::find(host, &place, signed).map_err(|why| why.into_error(&place))
}

/// `place` as the agent writes it: a URL, or the absolute path of a file.
pub fn place(place: &OsStr) -> Result<String> {
    let object = || place.display().to_string();
    let text = place.to_str().ok_or("not a text").context(Code::PlanMissing, object())?;
    if is_url(text) {
        return Ok(text.to_owned());
    }
    let path = std::path::absolute(text).context(Code::PlanMissing, object())?;
    Ok(path.display().to_string())
}

/// The bytes of a file.
pub fn read(file: &OsStr) -> Result<Zeroizing<Vec<u8>>> {
    let object = || file.display().to_string();
    let mut bytes = Zeroizing::new(Vec::new());
    let opened = File::open(Path::new(file)).context(Code::Io, object())?;
    opened.take(LONGEST_PLAN + 1).read_to_end(&mut bytes).context(Code::Io, object())?;
    if bytes.len() as u64 > LONGEST_PLAN {
        return Err(Error::new(Code::Io, object()).because(format!("longer than {LONGEST_PLAN} bytes")));
    }
    Ok(bytes)
}

/// Prints `value` for programs.
pub fn print_json(value: &impl Serialize) -> Result<(), Failed> {
    let text = serde_json::to_string_pretty(value).context(Code::Io, "standard output")?;
    print(&format!("{text}\n"))
}
