//! One scenario from the cable to the verdict.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use nix::sched::CloneFlags;
use serde_json::Value;

use crate::cache::Cache;
use crate::chroot::Root;
use crate::error::{At, Result};
use crate::lab::{
    self, AUTHORIZED, Boot, Consoles, Lab, Machine, OPERATOR, Operator, Seen, Shown, node_folder,
};
use crate::recipe::Ready;
use crate::scenario::{Action, Expect, Fault, Faults, Scenario, Typed, Typing, command_line, fingerprint};
use crate::verdict::{REPORTED, Record, Verdict, Watch, alike};
use crate::{cpio, namespace, tree};

/// What came of a scenario.
pub struct Outcome {
    /// How it ended.
    pub verdict: Verdict,
    /// From start to end.
    pub took: Duration,
    /// What the booted root reported; of several nodes, that of the first.
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
        let (verdict, records) =
            namespace::apart(flags, || boot(scenario, one, ready, cache, &folder, show))?;
        let last = |record: Option<&Record>| record.and_then(|record| record.facts.last()).cloned();
        for number in 0..scenario.document.machine.nodes {
            let path = node_folder(&folder, number).join("facts.json");
            let facts = last(records.get(number)).unwrap_or_default();
            fs::write(&path, format!("{facts:#}\n")).at("write", &path)?;
        }
        facts = last(records.first());
        Lab::tidy(&folder, scenario)?;
        timeline = records.into_iter().next().and_then(|record| record.timeline);
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

/// A node, from when it is switched on.
struct Node<'a> {
    machine: Machine,
    watch: Watch<'a>,
    folder: PathBuf,
    /// How often its root has reported.
    reported: usize,
    /// It is in an emergency shell, as was expected.
    in_shell: bool,
    /// How QEMU ended.
    ended: Option<ExitStatus>,
}

impl Node<'_> {
    fn ended(&mut self) -> Result<()> {
        self.ended = Some(self.machine.wait()?);
        Ok(())
    }
}

/// Sets the lab up, boots, and follows the consoles. In namespaces of its own: all ends with it. A record for each node.
fn boot(
    scenario: &Scenario,
    one: &str,
    ready: &Ready,
    cache: &Cache,
    folder: &Path,
    show: &mut Show,
) -> Result<(Verdict, Vec<Record>)> {
    let document = &scenario.document;
    let tools = Root::enter(&ready.builder, cache.folder())?;
    let network_log = folder.join("network.log");
    let mut lab = Lab::start(&tools, folder, &network_log, ready, scenario)?;
    let initramfs = Lab::initramfs(folder, scenario)?;
    let mut more: Vec<_> =
        lab.trusted.as_deref().map(|pem| ("etc/diskless/ca.pem", pem)).into_iter().collect();
    if document.initramfs.sshd && !document.initramfs.no_key {
        more.push((AUTHORIZED, OPERATOR));
    }
    pack(scenario, ready, &more, &initramfs)?;
    lab.serve()?;
    let command_line = command_line(&document.kernel, one, scenario.plan.is_some());
    let boot = Boot {
        kernel: ready.kernel(document.release())?,
        initramfs: &initramfs,
        command_line: &command_line,
    };
    let consoles = Consoles::new();
    let reboots = document.machine.reboots;
    let mut nodes = Vec::new();
    for number in 0..document.machine.nodes {
        nodes.push(Node {
            machine: Machine::start(&tools, folder, ready, document, &boot, number, &consoles)?,
            watch: match document.ssh.is_empty() {
                true => Watch::new(&document.expect, reboots + 1),
                false => Watch::new(&document.expect, reboots + 1).operated(),
            },
            folder: node_folder(folder, number),
            reported: 0,
            in_shell: false,
            ended: None,
        });
    }

    let start = Instant::now();
    let deadline = start + Duration::from_secs(document.timeout);
    let mut faults = Faults::new(&document.faults, start);
    let mut typing = Typing::new(&document.ssh);
    let operator = match document.ssh.is_empty() {
        true => None,
        false => Some(Operator::new(Root::enter(ready.operator()?, cache.folder())?, folder)?),
    };
    // The fingerprint that the console showed.
    let mut host_key: Option<String> = None;
    let mut records = Vec::new();
    // What tgtadm showed when the booted roots had reported, and before they were told to go down.
    let (mut shown, mut leaving): (Vec<Shown>, Vec<Shown>) = Default::default();
    // When the images are to be told to go down.
    let mut leave: Option<Instant> = None;
    let verdict = loop {
        let due = [faults.due(), leave].into_iter().flatten().fold(deadline, Instant::min);
        match consoles.next(due) {
            Seen::Line(number, line) => {
                let at = start.elapsed();
                let Some(node) = nodes.get_mut(number) else { continue };
                if number == 0 {
                    show(&line, at);
                } else {
                    show(&format!("{}: {line}", lab::node(number)), at);
                }
                match node.watch.line(&line, at) {
                    Some(Verdict::Pass) => node.in_shell = true,
                    Some(Verdict::Fail(why)) => break Verdict::Fail(of_node(number, &nodes, &why)),
                    None => (),
                }
                if nodes.iter().all(|node| node.in_shell) {
                    break Verdict::Pass;
                }
                if line.contains(REPORTED) {
                    // They go on side by side until the last one has reported.
                    if let Some(node) = nodes.get_mut(number) {
                        node.reported += 1;
                    }
                    if nodes.iter().all(|node| node.reported > shown.len()) {
                        shown.push(lab.targets()?);
                        leave = Some(Instant::now() + Duration::from_secs(document.machine.linger));
                    }
                }
                faults.line(&line, Instant::now());
                typing.line(&line);
                host_key = fingerprint(&line).map(str::to_owned).or(host_key);
            }
            Seen::Typed(typed) => {
                if let Some(why) = wrong(&mut typing, typed, host_key.as_deref()) {
                    break Verdict::Fail(why);
                }
                let verdict = nodes.first().and_then(|node| node.watch.typed());
                if let Some(verdict) = verdict.filter(|_| typing.is_over()) {
                    break verdict;
                }
            }
            Seen::End(number) => {
                nodes.get_mut(number).map_or(Ok(()), Node::ended)?;
                if nodes.iter().any(|node| node.ended.is_none()) {
                    continue;
                }
                records = read_records(&lab, &nodes, &shown, &leaving)?;
                break match (faults.missed(), typing.missed()) {
                    (Some(why), _) => Verdict::Fail(format!("{why}: a fault was left out")),
                    (None, Some(why)) => Verdict::Fail(why),
                    (None, None) => ended(&document.expect, &nodes, &records),
                };
            }
            Seen::Late if Instant::now() >= deadline => {
                records = nodes
                    .iter()
                    .map(|node| Record { facts: read_reports(&node.folder), ..Record::default() })
                    .collect();
                let late = nodes.iter().zip(&records).enumerate().find(|(_, (node, _))| node.ended.is_none());
                break match late {
                    Some((number, (node, record))) => match node.watch.late(document.timeout, record) {
                        Verdict::Fail(why) => {
                            let why =
                                typing.missed().map_or(why.clone(), |missed| format!("{missed}\n  {why}"));
                            Verdict::Fail(of_node(number, &nodes, &why))
                        }
                        Verdict::Pass => Verdict::Pass,
                    },
                    None => ended(&document.expect, &nodes, &records),
                };
            }
            Seen::Late => {}
        }
        while let Some(fault) = faults.take(Instant::now()) {
            act(&fault, &mut lab, &mut nodes)?;
        }
        if let (Some(operator), Some((number, ssh))) = (&operator, typing.start()) {
            ssh.first.iter().try_for_each(|fault| act(fault, &mut lab, &mut nodes))?;
            let (operator, ssh) = (operator.clone(), ssh.clone());
            consoles.typing(move || operator.type_in(number, &ssh));
        }
        if leave.take_if(|leave| *leave <= Instant::now()).is_some() {
            leaving.push(lab.targets()?);
            for node in &mut nodes {
                node.watch.told_to_go(start.elapsed());
                node.machine.type_line(if shown.len() <= reboots { "reboot" } else { "poweroff" })?;
            }
        }
    };
    // A server that died is the better explanation of a failure.
    if matches!(verdict, Verdict::Fail(_)) {
        lab.check()?;
    }
    Ok((verdict, records))
}

/// Breaks something, or mends it: of the machines, or of the lab.
fn act(fault: &Fault, lab: &mut Lab<'_>, nodes: &mut [Node<'_>]) -> Result<()> {
    match fault.action {
        Action::CarrierDown => nodes.iter().try_for_each(|node| node.machine.carrier(fault.link, false)),
        Action::CarrierUp => nodes.iter().try_for_each(|node| node.machine.carrier(fault.link, true)),
        Action::Type => {
            let text = fault.text.as_deref().unwrap_or_default();
            nodes.iter_mut().try_for_each(|node| node.machine.type_line(text))
        }
        _ => lab.act(fault),
    }
}

/// What is wrong with what came of the command that is over, if anything is.
fn wrong(
    typing: &mut Typing,
    typed: std::result::Result<Typed, String>,
    host_key: Option<&str>,
) -> Option<String> {
    let number = typing.over() + 1;
    let ssh = typing.end()?;
    let fail = |why: &str, said: &str| {
        let said = said.lines().map(|line| format!("\n  | {line}")).collect::<String>();
        Some(format!("ssh {number} `{}`: {why}{said}", ssh.run))
    };
    match typed {
        Err(error) => fail(&error, ""),
        Ok(typed) => {
            let faults = ssh.faults(&typed, host_key);
            match faults.is_empty() {
                true => None,
                false => fail(&faults.join("\n  "), &(typed.output + &typed.errors)),
            }
        }
    }
}

/// A fault of node `number`; where there is one node it needs no name.
fn of_node(number: usize, nodes: &[Node<'_>], why: &str) -> String {
    if nodes.len() == 1 { why.to_owned() } else { format!("{}: {why}", lab::node(number)) }
}

/// All machines have ended by themselves.
fn ended(expect: &Expect, nodes: &[Node<'_>], records: &[Record]) -> Verdict {
    let mut faults = Vec::new();
    for (number, (node, record)) in nodes.iter().zip(records).enumerate() {
        let clean = node.ended.is_some_and(|status| status.success());
        if let Verdict::Fail(why) = node.watch.ended(clean, record) {
            faults.push(of_node(number, nodes, &why));
        }
    }
    faults.extend(alike(expect, records));
    if faults.is_empty() { Verdict::Pass } else { Verdict::Fail(faults.join("\n  ")) }
}

/// What there is of each node at the end.
fn read_records(
    lab: &Lab<'_>,
    nodes: &[Node<'_>],
    shown: &[Shown],
    leaving: &[Shown],
) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    for (number, node) in nodes.iter().enumerate() {
        let name = lab::node(number);
        let mut facts = read_reports(&node.folder);
        for (facts, seen) in facts.iter_mut().zip(lab.seen(&name, shown, leaving)?) {
            if let Some(facts) = facts.as_object_mut() {
                facts.insert("lab".to_owned(), seen);
            }
        }
        records.push(Record { facts, posts: lab.posts(), timeline: lab.timeline(&name) });
    }
    Ok(records)
}

/// What the booted root reported, a line each time; what is not whole is left out.
fn read_reports(folder: &Path) -> Vec<Value> {
    let text = fs::read_to_string(folder.join("reports")).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).filter(Value::is_object).collect()
}
