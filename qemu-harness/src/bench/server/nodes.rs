//! A thousand nodes boot at once, one of ten with a fault, and the server is killed in the middle, twice. In the end each
//! node must be in the state that its own words mean, and nothing that was acknowledged may be lost.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::program::{self, NODES, Server, TOKEN, URL, name};
use super::script::{self, Say};
use crate::chroot::Root;
use crate::error::{Error, Result};

/// Nodes that are on their way at the same time.
const AT_ONCE: usize = 64;
/// A node tries again for so long.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// What was acknowledged, and how long it took.
#[derive(Default)]
struct Acknowledged {
    /// Boot id and number.
    events: BTreeSet<(String, u64)>,
    took: Vec<Duration>,
}

/// Runs them, and prints what it took.
pub fn run(tools: &Root, server: &Path, folder: &Path) -> Result<()> {
    program::site(folder)?;
    let all: usize = (1..=NODES).map(|node| script::says(node).len()).sum();
    println!("  {NODES} nodes, {all} requests, two SIGKILLs");
    let mut running = Some(Server::start(tools, server, folder)?);
    let (next, done) = (AtomicU32::new(1), AtomicUsize::new(0));
    let acknowledged = Mutex::new(Acknowledged::default());
    let failure = Mutex::new(None);
    let start = Instant::now();
    let mut peak = 0;
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(node) = take(&next) {
                    if let Err(error) = boot(node, &done, &acknowledged) {
                        failure
                            .lock()
                            .unwrap_or_else(std::sync::PoisonError::into_inner)
                            .get_or_insert(error);
                        // The others need not go on.
                        next.store(NODES + 1, Ordering::Relaxed);
                    }
                }
            });
        }
        for third in 1..=2 {
            while done.load(Ordering::Relaxed) < all * third / 3 && next.load(Ordering::Relaxed) <= NODES {
                thread::sleep(PAUSE);
            }
            peak = running.take().and_then(|server| server.peak()).unwrap_or_default().max(peak);
            running = Some(Server::start(tools, server, folder)?);
        }
        Ok::<(), Error>(())
    })?;
    let took = start.elapsed();
    if let Some(error) = failure.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        return Err(error);
    }
    peak = running.as_ref().and_then(Server::peak).unwrap_or_default().max(peak);
    let mut acknowledged = acknowledged.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let last = check_states()?;
    check_events(&acknowledged.events, last)?;
    acknowledged.took.sort_unstable();
    let p99 = acknowledged.took.get(acknowledged.took.len() * 99 / 100).copied().unwrap_or_default();
    println!(
        "  all in the right state, {} acknowledged events all there; {:.1} s, p99 {:.1} ms, {} MiB at most",
        acknowledged.events.len(),
        took.as_secs_f64(),
        p99.as_secs_f64() * 1000.0,
        peak >> 10
    );
    Ok(())
}

/// The next node that has to boot.
fn take(next: &AtomicU32) -> Option<u32> {
    let node = next.fetch_add(1, Ordering::Relaxed);
    (node <= NODES).then_some(node)
}

/// Boots one node: all it has to say, each thing until it is acknowledged.
fn boot(node: u32, done: &AtomicUsize, acknowledged: &Mutex<Acknowledged>) -> Result<()> {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(10)))
        .max_idle_connections(0)
        .build();
    let agent = ureq::Agent::new_with_config(config);
    for say in script::says(node) {
        let took = send(&agent, node, &say)?;
        done.fetch_add(1, Ordering::Relaxed);
        let mut acknowledged = acknowledged.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        acknowledged.took.push(took);
        if let Say::Event(seq, _) = say {
            acknowledged.events.insert((script::boot_id(node), seq));
        }
    }
    Ok(())
}

/// Says it, again while the server is away; gives how long the answer took.
fn send(agent: &ureq::Agent, node: u32, say: &Say) -> Result<Duration> {
    let start = Instant::now();
    loop {
        let attempt = Instant::now();
        let answer = match say {
            Say::Get(path) => agent.get(format!("{URL}{path}")).call(),
            Say::Event(_, event) => agent
                .post(format!("{URL}/report/{}", name(node)))
                .header("Content-Type", "application/json")
                .send(event.to_string()),
            Say::Form(form) => agent
                .post(format!("{URL}/phone_home/cloudinit"))
                .header("Content-Type", "application/x-www-form-urlencoded")
                .send(form),
        };
        match answer {
            Ok(_) => return Ok(attempt.elapsed()),
            Err(ureq::Error::StatusCode(status)) if status < 500 => {
                return Err(Error::Host(format!("{} said {say:?} and got {status}", name(node))));
            }
            Err(error) if start.elapsed() > PATIENCE => {
                return Err(Error::Host(format!("{} said {say:?}: {error}", name(node))));
            }
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

/// An operator's call.
fn ask(path: &str) -> Result<Value> {
    let url = format!("{URL}{path}");
    let wrong = |why: ureq::Error| Error::Host(format!("{url}: {why}"));
    let mut answer =
        ureq::get(&url).header("Authorization", format!("Bearer {TOKEN}")).call().map_err(wrong)?;
    let text = answer.body_mut().with_config().limit(256 << 20).read_to_string().map_err(wrong)?;
    serde_json::from_str(&text).map_err(|why| Error::Host(format!("{url}: {why}")))
}

/// Every node is in the state that its words mean; gives the id of the last event.
fn check_states() -> Result<u64> {
    let answer = ask("/v1/nodes")?;
    let nodes = answer.get("nodes").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let text = |node: &Value, member: &str| node.get(member).and_then(Value::as_str).map(ToOwned::to_owned);
    let states: BTreeMap<_, _> =
        nodes.iter().filter_map(|node| Some((text(node, "name")?, text(node, "state")?))).collect();
    for node in 1..=NODES {
        let state = states.get(&name(node)).map_or("not there", String::as_str);
        if state != script::end(node) {
            let wanted = script::end(node);
            return Err(Error::Host(format!(
                "{} is {state}, not {wanted}: {:?}",
                name(node),
                script::fault(node)
            )));
        }
    }
    answer
        .get("last")
        .and_then(Value::as_u64)
        .ok_or_else(|| Error::Host("/v1/nodes: no id of the last event".into()))
}

/// Every event that was acknowledged is there; `last` is the id of the last one.
fn check_events(acknowledged: &BTreeSet<(String, u64)>, last: u64) -> Result<()> {
    let url = format!("{URL}/v1/events?after=0");
    let wrong = |why: &dyn std::fmt::Display| Error::Host(format!("{url}: {why}"));
    let mut answer = ureq::get(&url)
        .config()
        .timeout_global(Some(PATIENCE))
        .build()
        .header("Authorization", format!("Bearer {TOKEN}"))
        .call()
        .map_err(|why| wrong(&why))?;
    let mut kept = BTreeSet::new();
    for line in BufReader::new(answer.body_mut().as_reader()).lines() {
        let line = line.map_err(|why| wrong(&why))?;
        let Some(data) = line.strip_prefix("data:") else { continue };
        let data: Value = serde_json::from_str(data).map_err(|why| wrong(&why))?;
        let text = data.pointer("/event/boot_id").and_then(Value::as_str);
        let number = data.pointer("/event/seq").and_then(Value::as_u64);
        kept.extend(text.map(ToOwned::to_owned).zip(number));
        if data.get("id").and_then(Value::as_u64) == Some(last) {
            break;
        }
    }
    match acknowledged.difference(&kept).next() {
        None => Ok(()),
        Some((boot, seq)) => {
            Err(Error::Host(format!("event {seq} of boot {boot} was acknowledged and is lost")))
        }
    }
}
