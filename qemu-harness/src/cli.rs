//! The verbs.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lexopt::Arg::{Long, Short, Value};
use lexopt::ValueExt;

use crate::bench::{self, Part};
use crate::cache::Cache;
use crate::error::{At, Error, Result};
use crate::raise::{self, Request, Work};
use crate::scenario::{Document, Release, Scenario};

/// What `--help` prints.
pub const USAGE: &str = "\
usage: qemu-harness VERB

  list                        the scenarios of this repository
  run [NAME|FOLDER ...|all]   boot them; without a name all
      --list FILE             those named in FILE, one a line
      --release CODENAME      on that release of Debian: bookworm, or trixie, whose images, kernel and dracut they get
  demo [NAME]                 boot one (ipxe-boot) and show what the agent says
  selfcheck [NAME]            boot one (wrong-chap-secret) and look for traces on the host
  bench [PART ...]            measure beside peers: a table, and target/bench.json; parts are luks, server, boot,
                              paths, chain and recovery; without one all
  clean                       remove the cache

  --agent FILE                use this binary instead of building the agent
  --disklessd FILE            and this instead of the site's server
  --package FILE              and this instead of the agent's package
  --help                      this text

The cache is DISKLESS_CACHE, else ~/.cache/diskless. DISKLESS_MIRROR names a Debian mirror; without it the
host's own is used. Exit code: 0 all passed, 1 not so, 2 usage.";

/// Where cargo puts programs, in a folder by their profile: .cargo/config.toml names the target.
const BUILT: &str = "x86_64-unknown-linux-gnu";
/// Packages and their profiles, as `make dist` builds them.
const AGENT: [&str; 2] = ["diskless", "release"];
const DISKLESSD: [&str; 2] = ["disklessd", "server"];
/// Builds packages, and prints their paths: the script, and which.
const PACKAGE: [&str; 2] = ["packages/build", "diskless.deb"];
/// The scenario that `demo` boots.
const DEMO: &str = "ipxe-boot";
/// The scenario that ends soonest, for `selfcheck`.
const QUICK: &str = "wrong-chap-secret";

/// Acts on the command line; returns the exit code.
pub fn main(arguments: impl Iterator<Item = OsString>) -> Result<u8> {
    let words = Words::read(lexopt::Parser::from_iter(arguments)).map_err(|e| Error::Usage(e.to_string()))?;
    if words.help {
        println!("{USAGE}");
        return Ok(0);
    }
    let names: Vec<&str> = words.rest.iter().map(String::as_str).collect();
    match (words.verb.as_deref(), names.as_slice()) {
        (Some("list"), []) => list(),
        (Some("run"), _) => {
            let scenarios = chosen(&words)?;
            // A mistake shows before anything is built.
            for folder in &scenarios {
                Scenario::load(folder)?.on(words.release)?;
            }
            start_parts(Work::Run, scenarios, words.release, Vec::new(), words.programs)
        }
        (Some("demo"), []) => start(Work::Demo, vec![find(DEMO)?], words.programs),
        (Some("demo"), [name]) => start(Work::Demo, vec![find(name)?], words.programs),
        (Some("selfcheck"), []) => start(Work::SelfCheck, vec![find(QUICK)?], words.programs),
        (Some("selfcheck"), [name]) => start(Work::SelfCheck, vec![find(name)?], words.programs),
        (Some("bench"), names) => measure(names, words.programs),
        (Some("clean"), []) => clean(),
        (Some(raise::RAISED), [request]) => raise::raised(&raise::decode(request)?, Stdio::inherit()),
        (Some(raise::INSIDE), [request]) => raise::inside(&raise::decode(request)?),
        (Some(verb), _) => Err(Error::Usage(format!("{verb}: no such verb, or not with these words"))),
        (None, _) => Err(Error::Usage("what is to be done?".into())),
    }
}

/// Programs that are not to be built.
#[derive(Default, Clone)]
struct Programs {
    agent: Option<PathBuf>,
    disklessd: Option<PathBuf>,
    package: Option<PathBuf>,
}

#[derive(Default)]
struct Words {
    verb: Option<String>,
    rest: Vec<String>,
    list: Option<PathBuf>,
    release: Release,
    programs: Programs,
    help: bool,
}

impl Words {
    fn read(mut parser: lexopt::Parser) -> std::result::Result<Words, lexopt::Error> {
        let mut words = Words::default();
        while let Some(argument) = parser.next()? {
            match argument {
                Short('h') | Long("help") => words.help = true,
                Long("list") => words.list = Some(parser.value()?.into()),
                Long("agent") => words.programs.agent = Some(parser.value()?.into()),
                Long("release") => {
                    let codename = parser.value()?.string()?;
                    let unknown = || format!("{codename}: no release that is known here");
                    words.release = Release::parse(&codename).ok_or_else(unknown)?;
                }
                Long("package") => words.programs.package = Some(parser.value()?.into()),
                Long("disklessd") => words.programs.disklessd = Some(parser.value()?.into()),
                Value(word) if words.verb.is_none() => words.verb = Some(word.string()?),
                Value(word) => words.rest.push(word.string()?),
                other => return Err(other.unexpected()),
            }
        }
        Ok(words)
    }
}

fn list() -> Result<u8> {
    for folder in Scenario::all(&scenarios())? {
        let scenario = Scenario::load(&folder)?;
        println!("{:<24} {}", scenario.name, scenario.document.summary);
    }
    Ok(0)
}

/// The folders of the scenarios to run.
fn chosen(words: &Words) -> Result<Vec<PathBuf>> {
    let mut names = words.rest.clone();
    if let Some(path) = &words.list {
        let text = fs::read_to_string(path).at("read", path)?;
        let lines = text.lines().map(str::trim);
        names.extend(lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(ToOwned::to_owned));
    }
    if (names.is_empty() && words.list.is_none()) || names == ["all"] {
        return Scenario::all(&scenarios());
    }
    names.iter().map(|name| find(name)).collect()
}

/// A scenario of the repository by name, or any folder by path.
fn find(name: &str) -> Result<PathBuf> {
    let ours = scenarios().join(name);
    let folder = if !name.contains('/') && ours.is_dir() { ours } else { PathBuf::from(name) };
    if !folder.is_dir() {
        return Err(Error::Usage(format!("{name}: no such scenario; `list` shows those there are")));
    }
    // Read already here: a mistake shows before anything is built.
    Ok(Scenario::load(&folder)?.folder)
}

fn start(work: Work, scenarios: Vec<PathBuf>, programs: Programs) -> Result<u8> {
    start_parts(work, scenarios, Release::default(), Vec::new(), programs)
}

fn start_parts(
    work: Work,
    scenarios: Vec<PathBuf>,
    release: Release,
    parts: Vec<Part>,
    programs: Programs,
) -> Result<u8> {
    if !Path::new("/dev/net/tun").exists() {
        return Err(Error::Host(
            "no /dev/net/tun: load the module tun, or give the container the device".into(),
        ));
    }
    if !program_exists("debootstrap") {
        return Err(Error::Host("debootstrap is missing: apt-get install debootstrap".into()));
    }
    let cache = Cache::open(&Cache::default_folder()?)?;
    let target = target_folder()?;
    let program = |given: Option<PathBuf>, package| match given {
        Some(path) => fs::canonicalize(&path).at("find", &path),
        None => build(&target, package),
    };
    let agent = program(programs.agent, AGENT)?;
    let load = |folder: &PathBuf| Ok(Scenario::load(folder)?.document);
    let documents: Vec<Document> = scenarios.iter().map(load).collect::<Result<_>>()?;
    let served = documents.iter().any(|document| document.disklessd.is_some());
    let disklessd = match served || parts.contains(&Part::Server) {
        true => Some(program(programs.disklessd, DISKLESSD)?),
        false => None,
    };
    let package = match (documents.iter().any(|document| document.initramfs.package), programs.package) {
        (false, _) => None,
        (true, Some(path)) => Some(fs::canonicalize(&path).at("find", &path)?),
        (true, None) => Some(build_package()?),
    };
    let cache = cache.folder().to_path_buf();
    let cargo = [Some(target), cargo_home()].into_iter().flatten().collect();
    let environment = raise::environment();
    raise::raise(&Request {
        cache,
        repository: repository(),
        agent,
        disklessd,
        package,
        cargo,
        scenarios,
        release,
        environment,
        work,
        parts,
    })
}

fn measure(names: &[&str], programs: Programs) -> Result<u8> {
    let part = |name: &&str| {
        Part::parse(name)
            .ok_or_else(|| Error::Usage(format!("{name}: not luks, server, boot, paths, chain or recovery")))
    };
    let parts: Vec<Part> = match names {
        [] => Part::ALL.to_vec(),
        names => names.iter().map(part).collect::<Result<_>>()?,
    };
    let names = parts.iter().flat_map(|part| part.scenarios());
    let scenarios = names.map(|name| package().join("bench").join(name)).collect();
    // Before the work: it ends the pid namespace that this process has for its children, and with that all further ones.
    let file = target_folder()?.join(bench::FILE);
    let code = start_parts(Work::Bench, scenarios, Release::default(), parts, programs)?;
    let made = Cache::open(&Cache::default_folder()?)?.run_folder(bench::FILE);
    // Also what was measured before something failed.
    if made.exists() {
        fs::copy(&made, &file).at("write", &file)?;
    }
    Ok(code)
}

fn clean() -> Result<u8> {
    let cache = Cache::default_folder()?;
    if !cache.exists() {
        println!("{}: nothing there", cache.display());
        return Ok(0);
    }
    let (repository, agent, disklessd, package, cargo) = Default::default();
    let (scenarios, release, environment, work, parts) =
        (Vec::new(), Release::default(), Vec::new(), Work::Clean, Vec::new());
    raise::raise(&Request {
        cache,
        repository,
        agent,
        disklessd,
        package,
        cargo,
        scenarios,
        release,
        environment,
        work,
        parts,
    })
}

/// Cargo runs as the caller, never as root through sudo. One package at a time: of two it would give the libraries of
/// each what only the other wants of them.
fn build(target: &Path, [package, profile]: [&str; 2]) -> Result<PathBuf> {
    println!("cargo build --profile {profile} -p {package}");
    let mut cargo = cargo();
    cargo.args(["build", "--profile", profile, "-p", package]);
    let program = crate::command::line(&cargo);
    let status = cargo.status().map_err(|source| Error::Start { program, source })?;
    if !status.success() {
        return Err(Error::Host(format!("{package} does not build")));
    }
    Ok(target.join(BUILT).join(profile).join(package))
}

/// The agent's package, as `make packages` makes it.
fn build_package() -> Result<PathBuf> {
    let [script, package] = PACKAGE;
    println!("{script} {package}");
    let mut build = builder(repository().join(script));
    build.arg(package).stderr(Stdio::inherit());
    let program = crate::command::line(&build);
    let output = build.output().map_err(|source| Error::Start { program, source })?;
    let text = String::from_utf8_lossy(&output.stdout);
    match text.lines().last() {
        Some(path) if output.status.success() => Ok(repository().join(path)),
        _ => Err(Error::Host(format!("{package} does not build"))),
    }
}

fn target_folder() -> Result<PathBuf> {
    let mut cargo = cargo();
    cargo.args(["metadata", "--no-deps", "--format-version", "1"]).stderr(Stdio::inherit());
    let program = crate::command::line(&cargo);
    let output = cargo.output().map_err(|source| Error::Start { program, source })?;
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).at("read", "cargo's metadata")?;
    match metadata.get("target_directory").and_then(serde_json::Value::as_str) {
        Some(folder) => Ok(PathBuf::from(folder)),
        None => Err(Error::Host("cargo metadata names no target folder".into())),
    }
}

fn cargo_home() -> Option<PathBuf> {
    let default = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo"));
    std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(default)
}

fn cargo() -> Command {
    builder(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// A program that builds, in the repository. What `cargo run` tells this program of its own package it does not see: build
/// scripts look at these variables, and with other values all that needs them would be built anew.
fn builder(program: impl AsRef<OsStr>) -> Command {
    let mut builder = Command::new(program);
    builder.current_dir(repository());
    let ours = |name: &OsString| {
        name.to_str()
            .is_some_and(|name| ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|of| name.starts_with(of)))
    };
    for (name, _) in std::env::vars_os().filter(|(name, _)| ours(name)) {
        builder.env_remove(name);
    }
    builder
}

fn program_exists(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).chain(["/usr/sbin".into()]).any(|folder| folder.join(name).is_file())
}

/// Where this package was built: the harness is run from its repository.
fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn scenarios() -> PathBuf {
    package().join("scenarios")
}

fn repository() -> PathBuf {
    package().parent().unwrap_or(package()).to_path_buf()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(words: &[&str]) -> Result<u8> {
        main(["qemu-harness"].iter().chain(words).map(OsString::from))
    }

    #[test]
    fn what_makes_no_sense_is_usage() {
        for words in [
            &[][..],
            &["fly"],
            &["list", "x"],
            &["run", "--fast"],
            &["run", "no-such-scenario"],
            &["run", "--release", "potato"],
        ] {
            assert!(matches!(run(words), Err(Error::Usage(_))), "{words:?}");
        }
    }

    #[test]
    fn help_and_list_need_nothing() {
        assert_eq!(run(&["--help"]).unwrap(), 0);
        assert_eq!(run(&["list"]).unwrap(), 0);
    }
}
