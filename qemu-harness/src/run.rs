//! One scenario from the cable to the verdict.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sched::CloneFlags;
use serde_json::Value;

use crate::cache::Cache;
use crate::chroot::Root;
use crate::error::{At, Result};
use crate::lab::{Dhcp, HttpServer, Link, Machine, Seen, TargetServer};
use crate::recipe::Ready;
use crate::scenario::{Action, Fault, Scenario, command_line};
use crate::verdict::{Verdict, Watch};
use crate::{cpio, namespace, tree};

/// What came of a scenario.
pub struct Outcome {
    /// How it ended.
    pub verdict: Verdict,
    /// From start to end.
    pub took: Duration,
    /// What the booted root reported.
    pub facts: Option<Value>,
    /// Where all is recorded.
    pub folder: PathBuf,
}

/// Is shown every console line, with the time since the machine was started.
pub type Show<'a> = dyn FnMut(&str, Duration) + Send + 'a;

/// Runs a scenario. What the lab cannot do is a failure of the scenario too.
pub fn run(scenario: &Scenario, ready: &Ready, cache: &Cache, show: &mut Show) -> Outcome {
    let start = Instant::now();
    let folder = cache.run_folder(&scenario.name);
    let mut attempt = || {
        tree::remove(&folder)?;
        fs::create_dir_all(&folder).at("create", &folder)?;
        pack(scenario, ready, &folder.join("initramfs"))?;
        let flags = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET;
        let verdict = namespace::apart(flags, || boot(scenario, ready, cache, &folder, show))?;
        tree::remove(&folder.join("initramfs"))?;
        Ok(verdict)
    };
    let verdict = attempt().unwrap_or_else(|error: crate::error::Error| Verdict::Fail(error.to_string()));
    let facts = read_facts(&folder);
    Outcome { verdict, took: start.elapsed(), facts, folder }
}

/// The scenario's own files go behind dracut's archive.
fn pack(scenario: &Scenario, ready: &Ready, at: &Path) -> Result<()> {
    fs::copy(&ready.initramfs, at).at("write", at)?;
    let mut file = File::options().append(true).open(at).at("open", at)?;
    let length = file.metadata().at("look at", at)?.len();
    file.set_len(length.next_multiple_of(4)).at("extend", at)?;
    let archive = cpio::archive(&scenario.folder.join("initramfs"))?;
    io::copy(&mut archive.as_slice(), &mut file).at("write", at)?;
    Ok(())
}

/// Sets the lab up, boots, and follows the console. In namespaces of its own: all ends with it.
fn boot(
    scenario: &Scenario,
    ready: &Ready,
    cache: &Cache,
    folder: &Path,
    show: &mut Show,
) -> Result<Verdict> {
    let document = &scenario.document;
    let tools = Root::enter(&ready.builder, cache.folder())?;
    let network_log = folder.join("network.log");
    let link = Link::lay(&tools, &network_log)?;
    let mut dhcp = if document.network.dhcp { Some(Dhcp::start(&tools, folder)?) } else { None };
    let _http = HttpServer::start(scenario, &folder.join("http.log"))?;
    let start_target = || TargetServer::start(&tools, folder, ready, &document.targets);
    let mut target = Some(start_target()?);
    let words = command_line(&document.kernel.cmdline, scenario.plan.is_some());
    let mut machine = Machine::start(&tools, folder, ready, &document.machine, link.name(), &words)?;

    let start = Instant::now();
    let deadline = start + Duration::from_secs(document.timeout);
    let mut watch = Watch::new(&document.expect);
    let mut faults = document.faults.iter();
    let mut next_fault = faults.next();
    let verdict = loop {
        match machine.console.next(deadline) {
            Seen::Line(line) => {
                show(&line, start.elapsed());
                if let Some(verdict) = watch.line(&line) {
                    break verdict;
                }
                while let Some(Fault { action, .. }) = next_fault.filter(|fault| line.contains(&fault.after))
                {
                    match action {
                        Action::LinkDown => link.set(false)?,
                        Action::LinkUp => link.set(true)?,
                        Action::TargetKill => target = None,
                        Action::TargetStart => target = Some(start_target()?),
                    }
                    next_fault = faults.next();
                }
            }
            Seen::End => {
                let status = machine.wait()?;
                break watch.ended(status.success(), read_facts(folder).as_ref());
            }
            Seen::Late => break watch.late(document.timeout, read_facts(folder).as_ref()),
        }
    };
    // A server that died is the better explanation of a failure.
    if matches!(verdict, Verdict::Fail(_)) {
        dhcp.as_mut().map_or(Ok(()), Dhcp::check)?;
        target.as_mut().map_or(Ok(()), TargetServer::check)?;
    }
    Ok(verdict)
}

/// What the booted root reported, when it is whole.
fn read_facts(folder: &Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(folder.join("facts.json")).ok()?).ok()
}
