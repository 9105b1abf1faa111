//! From the caller to root, and from root into namespaces of its own.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use nix::sched::{CloneFlags, unshare};
use serde::{Deserialize, Serialize};

use crate::bench::{self, Part};
use crate::cache::Cache;
use crate::error::{At, Error, Result};
use crate::namespace;
use crate::recipe::{MIRROR, Supplies};
use crate::report;
use crate::run::{self, Outcome};
use crate::scenario::{Release, Scenario};
use crate::trace::Trace;
use crate::verdict::Verdict;

/// The verb by which the program calls itself as root.
pub const RAISED: &str = "raised";
/// The verb by which it calls itself in the namespaces.
pub const INSIDE: &str = "inside";

/// All that the raised part is told: sudo passes no environment on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Request {
    /// The cache folder.
    pub cache: PathBuf,
    /// The repository.
    pub repository: PathBuf,
    /// The agent's binary.
    pub agent: PathBuf,
    /// The site's server's, where a scenario has one.
    pub disklessd: Option<PathBuf>,
    /// The agent's package, where a scenario has an initramfs made of it.
    pub package: Option<PathBuf>,
    /// Folders that cargo, run by anybody, may change meanwhile.
    pub cargo: Vec<PathBuf>,
    /// Folders of the scenarios.
    pub scenarios: Vec<PathBuf>,
    /// The release that they are run on.
    pub release: Release,
    /// Variables for the part inside.
    pub environment: Vec<(String, String)>,
    /// What is to be done.
    pub work: Work,
    /// What is to be measured.
    pub parts: Vec<Part>,
}

/// Variables that matter to the part inside: where packages come from.
const ENVIRONMENT: [&str; 7] =
    [MIRROR, "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"];

/// Those of them that are set.
pub fn environment() -> Vec<(String, String)> {
    ENVIRONMENT.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?))).collect()
}

/// What needs root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Work {
    /// Run the scenarios.
    Run,
    /// Run them, showing what the agent says.
    Demo,
    /// Run them, and look for traces on the host.
    SelfCheck,
    /// Measure.
    Bench,
    /// Remove the cache.
    Clean,
}

/// Carries the request out as root, through sudo if need be.
pub fn raise(request: &Request) -> Result<u8> {
    if nix::unistd::geteuid().is_root() {
        return raised(request, Stdio::piped());
    }
    println!("the rest needs root (mounts, a network of its own): sudo");
    let mut sudo = Command::new("sudo");
    sudo.arg("--").arg(own_path()?).arg(RAISED).arg(encode(request)?);
    wait(spawn(&mut sudo, Stdio::piped())?)
}

/// As root: enters the namespaces. `lifeline` is what the part inside gets as its standard input; it ends
/// when that does.
pub fn raised(request: &Request, lifeline: Stdio) -> Result<u8> {
    if request.work == Work::Clean {
        return Cache::clean(&request.cache).map(|()| 0);
    }
    let except: Vec<PathBuf> = request.cargo.iter().chain([&request.cache]).cloned().collect();
    let before = match request.work {
        Work::SelfCheck => Some(Trace::of_host(&except)?),
        _ => None,
    };
    // Children of this process are in the new pid namespace: the first is its init, and ends all with it.
    unshare(CloneFlags::CLONE_NEWPID).at("unshare", "the pid namespace")?;
    let mut inside = Command::new(own_path()?);
    inside.envs(request.environment.iter().map(|(name, value)| (name, value)));
    // The host's own apt and debootstrap keep small files there: /tmp will be read-only.
    inside.arg(INSIDE).arg(encode(request)?).env("TMPDIR", scratch(&request.cache));
    let code = wait(spawn(&mut inside, lifeline)?)?;
    let Some(before) = before else { return Ok(code) };
    let found = before.differences(&Trace::of_host(&except)?);
    for line in found.iter().take(20) {
        println!("  {line}");
    }
    println!("{} host: {} traces of the run", if found.is_empty() { "PASS" } else { "FAIL" }, found.len());
    Ok(if found.is_empty() { code } else { 1 })
}

/// In the namespaces: everything else.
pub fn inside(request: &Request) -> Result<u8> {
    // Whoever started this is gone when the lifeline ends, however that came about.
    thread::spawn(|| {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(1);
    });
    let cache = Cache::open(&request.cache)?;
    let _lock = cache.lock()?;
    unshare(CloneFlags::CLONE_NEWNS).at("unshare", "the mount namespace")?;
    namespace::protect_host(cache.folder())?;
    namespace::tmpfs(&scratch(cache.folder()))?;
    let load = |folder: &PathBuf| Scenario::load(folder)?.on(request.release);
    let scenarios: Vec<Scenario> = request.scenarios.iter().map(load).collect::<Result<_>>()?;
    let mut supplies = Supplies::plan(
        &request.repository,
        &request.agent,
        request.disklessd.as_deref(),
        request.package.as_deref(),
        &scenarios,
    )?;
    if request.parts.contains(&Part::Server) {
        supplies = supplies.with_peers()?;
    }
    supplies.announce(&cache);
    let ready = supplies.prepare(&cache)?;
    if request.work == Work::Bench {
        let all = bench::run(&request.parts, &scenarios, &request.agent, &ready, &cache)?;
        return Ok(u8::from(!all));
    }
    let (mut passed, mut failed) = (0, 0);
    for scenario in &scenarios {
        let outcome = match request.work {
            Work::Demo => demo(scenario, |show| run::run(scenario, &ready, &cache, show)),
            _ => run::run(scenario, &ready, &cache, &mut |_, _| {}),
        };
        println!("{}", report::result(&scenario.name, &outcome));
        match outcome.verdict {
            Verdict::Pass => passed += 1,
            Verdict::Fail(_) => failed += 1,
        }
    }
    println!("{passed} passed, {failed} failed");
    Ok(u8::from(passed == 0 || failed > 0))
}

/// Runs with the condensed console shown, and the timeline behind it.
fn demo(scenario: &Scenario, run: impl FnOnce(&mut run::Show) -> Outcome) -> Outcome {
    println!("{}: {}", scenario.name, scenario.document.summary);
    let outcome = run(&mut |line, since| {
        if let Some(text) = report::condensed(line, since) {
            println!("{text}");
        }
    });
    if let Some(facts) = &outcome.facts {
        println!("\n{}", report::timeline(facts));
    }
    if let Some(timeline) = &outcome.timeline {
        println!("as disklessd saw it:\n{timeline}");
    }
    outcome
}

fn spawn(command: &mut Command, lifeline: Stdio) -> Result<Child> {
    let program = command.get_program().to_string_lossy().into_owned();
    command.stdin(lifeline).spawn().map_err(|source| Error::Start { program, source })
}

/// Waits with the lifeline held: `Child::wait` alone would close it first.
fn wait(mut child: Child) -> Result<u8> {
    let _lifeline = child.stdin.take();
    let status = child.wait().at("wait for", "the raised part")?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// A folder of the cache for temporary files, empty at each start.
fn scratch(cache: &Path) -> PathBuf {
    cache.join("tmp")
}

fn own_path() -> Result<PathBuf> {
    std::env::current_exe().at("find", "the own program")
}

fn encode(request: &Request) -> Result<String> {
    serde_json::to_string(request).at("encode", "the request")
}

/// The request in an argument of the own program.
pub fn decode(argument: &str) -> Result<Request> {
    serde_json::from_str(argument).map_err(|cause| Error::Usage(format!("request: {cause}")))
}
