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
use crate::lab::{Boot, Lab, Machine, Seen};
use crate::recipe::Ready;
use crate::scenario::{Action, Faults, Scenario, command_line};
use crate::verdict::{REPORTED, Record, Verdict, Watch};
use crate::{cpio, namespace, tree};

/// What came of a scenario.
pub struct Outcome {
    /// How it ended.
    pub verdict: Verdict,
    /// From start to end.
    pub took: Duration,
    /// What the booted root reported.
    pub facts: Option<Value>,
    /// How the site's server saw the boot, for people.
    pub timeline: Option<String>,
    /// Where all is recorded.
    pub folder: PathBuf,
}

/// Is shown every console line, with the time since the machine was started.
pub type Show<'a> = dyn FnMut(&str, Duration) + Send + 'a;

/// Runs a scenario, for each of its command lines until one fails. What the lab cannot do is a failure of the scenario too.
pub fn run(scenario: &Scenario, ready: &Ready, cache: &Cache, show: &mut Show) -> Outcome {
    let start = Instant::now();
    let folder = cache.run_folder(&scenario.name);
    let each = &scenario.document.kernel.each;
    if each.is_empty() {
        return run_one(scenario, "", ready, cache, folder, show);
    }
    let mut last =
        Outcome { verdict: Verdict::Pass, took: Duration::ZERO, facts: None, timeline: None, folder };
    for (number, one) in (1..).zip(each) {
        let folder = cache.run_folder(&scenario.name).join(number.to_string());
        last = run_one(scenario, one, ready, cache, folder, show);
        last.took = start.elapsed();
        if let Verdict::Fail(why) = last.verdict {
            last.verdict = Verdict::Fail(format!("with `{one}`: {why}"));
            break;
        }
    }
    last
}

/// Runs it with one more piece of its command line, and records it in `folder`.
fn run_one(
    scenario: &Scenario,
    one: &str,
    ready: &Ready,
    cache: &Cache,
    folder: PathBuf,
    show: &mut Show,
) -> Outcome {
    let start = Instant::now();
    let (mut facts, mut timeline) = (None, None);
    let mut attempt = || {
        tree::remove(&folder)?;
        fs::create_dir_all(&folder).at("create", &folder)?;
        let flags = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET;
        let (verdict, record) = namespace::apart(flags, || boot(scenario, one, ready, cache, &folder, show))?;
        facts = record.facts.last().cloned();
        let path = folder.join("facts.json");
        fs::write(&path, format!("{:#}\n", facts.as_ref().unwrap_or(&Value::Null))).at("write", &path)?;
        Lab::tidy(&folder, scenario)?;
        timeline = record.timeline;
        Ok(verdict)
    };
    let verdict = attempt().unwrap_or_else(|error: crate::error::Error| Verdict::Fail(error.to_string()));
    Outcome { verdict, took: start.elapsed(), facts, timeline, folder }
}

/// The scenario's own files go behind dracut's archive.
fn pack(scenario: &Scenario, ready: &Ready, more: &[(&str, &str)], at: &Path) -> Result<()> {
    fs::copy(ready.initramfs(&scenario.document)?, at).at("write", at)?;
    let mut file = File::options().append(true).open(at).at("open", at)?;
    let length = file.metadata().at("look at", at)?.len();
    file.set_len(length.next_multiple_of(4)).at("extend", at)?;
    let archive = cpio::archive(&scenario.folder.join("initramfs"), more)?;
    io::copy(&mut archive.as_slice(), &mut file).at("write", at)?;
    Ok(())
}

/// Sets the lab up, boots, and follows the console. In namespaces of its own: all ends with it.
fn boot(
    scenario: &Scenario,
    one: &str,
    ready: &Ready,
    cache: &Cache,
    folder: &Path,
    show: &mut Show,
) -> Result<(Verdict, Record)> {
    let document = &scenario.document;
    let tools = Root::enter(&ready.builder, cache.folder())?;
    let network_log = folder.join("network.log");
    let mut lab = Lab::start(&tools, folder, &network_log, ready, scenario)?;
    let initramfs = Lab::initramfs(folder, scenario)?;
    let more: Vec<_> = lab.trusted.as_deref().map(|pem| ("etc/diskless/ca.pem", pem)).into_iter().collect();
    pack(scenario, ready, &more, &initramfs)?;
    lab.serve()?;
    let command_line = command_line(&document.kernel, one, scenario.plan.is_some());
    let boot = Boot {
        kernel: ready.kernel(document.release())?,
        initramfs: &initramfs,
        command_line: &command_line,
    };
    let mut machine = Machine::start(&tools, folder, ready, document, &boot)?;

    let start = Instant::now();
    let deadline = start + Duration::from_secs(document.timeout);
    let reboots = document.machine.reboots;
    let mut watch = Watch::new(&document.expect, reboots + 1);
    let mut faults = Faults::new(&document.faults, start);
    let mut record = Record::default();
    // What tgtadm showed when a booted root had reported.
    let mut shown = Vec::new();
    // When the image is to be told to go down.
    let mut leave: Option<Instant> = None;
    let verdict = loop {
        let due = [faults.due(), leave].into_iter().flatten().fold(deadline, Instant::min);
        match machine.console.next(due) {
            Seen::Line(line) => {
                show(&line, start.elapsed());
                if let Some(verdict) = watch.line(&line, start.elapsed()) {
                    break verdict;
                }
                if line.contains(REPORTED) {
                    shown.push(lab.targets()?);
                    leave = Some(Instant::now() + Duration::from_secs(document.machine.linger));
                }
                faults.line(&line, Instant::now());
            }
            Seen::End => {
                let status = machine.wait()?;
                record = Record { facts: read_reports(folder), posts: lab.posts(), timeline: lab.timeline() };
                for (facts, seen) in record.facts.iter_mut().zip(lab.seen(&shown)?) {
                    if let Some(facts) = facts.as_object_mut() {
                        facts.insert("lab".to_owned(), seen);
                    }
                }
                break match faults.missed() {
                    Some(why) => Verdict::Fail(format!("{why}: a fault was left out")),
                    None => watch.ended(status.success(), &record),
                };
            }
            Seen::Late if Instant::now() >= deadline => {
                record.facts = read_reports(folder);
                break watch.late(document.timeout, &record);
            }
            Seen::Late => {}
        }
        while let Some(fault) = faults.take(Instant::now()) {
            match fault.action {
                Action::CarrierDown => machine.carrier(fault.link, false)?,
                Action::CarrierUp => machine.carrier(fault.link, true)?,
                _ => lab.act(&fault)?,
            }
        }
        if leave.take_if(|leave| *leave <= Instant::now()).is_some() {
            watch.told_to_go(start.elapsed());
            machine.type_line(if shown.len() <= reboots { "reboot" } else { "poweroff" })?;
        }
    };
    // A server that died is the better explanation of a failure.
    if matches!(verdict, Verdict::Fail(_)) {
        lab.check()?;
    }
    Ok((verdict, record))
}

/// What the booted root reported, a line each time; what is not whole is left out.
fn read_reports(folder: &Path) -> Vec<Value> {
    let text = fs::read_to_string(folder.join("reports")).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).filter(Value::is_object).collect()
}
