//! Sources that are the agent's own: read as the types that they were written from, which hold no secret.

use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde_json::Value;

use super::source::Member;
use super::{bounded, plan_files};
use crate::engine::host::Host;
use crate::engine::state::{self, State};
use crate::input::redact::{self, HIDDEN, free_text, urls};
use crate::keeper::{self, Journal};
use crate::report::after_pivot::Destination;
use crate::report::{spool, timeline, told};
use crate::sys::{clock, program};

/// `diagnose` takes ten seconds at most where everything is dead; what it has said by then is taken.
const DIAGNOSE: Duration = Duration::from_secs(9);

type Members = Result<Vec<Member>, String>;

fn json(name: &str, value: &impl Serialize) -> Members {
    let text = serde_json::to_vec_pretty(value).map_err(|error| error.to_string())?;
    Ok(vec![Member::of(name, text)])
}

fn absent<T>() -> Result<T, String> {
    Err("there is none".to_owned())
}

pub fn about(host: &Host) -> Members {
    let kernel = bounded(&host.path("/proc/sys/kernel/osrelease"), 256).unwrap_or_default();
    let text = format!(
        "agent     diskless {}\nkernel    {}\nboot id   {}\nclock     {}\nup for    {} s\ninitramfs {}\n",
        env!("CARGO_PKG_VERSION"),
        String::from_utf8_lossy(&kernel).trim(),
        host.boot_id(),
        clock::utc(SystemTime::now()),
        host.now().as_secs(),
        host.is_initramfs(),
    );
    Ok(vec![Member::of("about.txt", text)])
}

pub fn state(host: &Host) -> Members {
    match State::read(&host.path(state::FILE)).map_err(|error| error.to_string())? {
        Some(state) => json("state.json", &state),
        None => absent(),
    }
}

pub fn keeper(host: &Host) -> Members {
    match Journal::read(&host.path(keeper::FILE)).map_err(|error| error.to_string())? {
        Some(journal) => json("keeper.json", &journal),
        None => absent(),
    }
}

pub fn timeline(host: &Host) -> Members {
    let records = timeline::read(&host.path(timeline::FILE), &host.boot_id());
    if records.is_empty() {
        return absent();
    }
    let lines = records.iter().flat_map(|record| [record.json(), b"\n".to_vec()]);
    Ok(vec![Member::of("timeline.jsonl", lines.collect::<Vec<_>>().concat())])
}

pub fn spool(host: &Host) -> Members {
    json("spool.json", &spool::Spool::read(&host.path(spool::FILE), &host.boot_id()))
}

pub fn logs(host: &Host) -> Members {
    let told = told::read(host, &told::kernel_log(host));
    let lines: String = told.iter().map(|line| line.describe() + "\n").collect();
    Ok(vec![Member::of("logs.txt", free_text(&lines))])
}

pub fn orders(host: &Host) -> Members {
    let text = bounded(&host.path("/run/diskless/orders.json"), 16 << 10);
    let Some(text) = text else { return absent() };
    let mut orders: Value =
        serde_json::from_slice(&text).map_err(|error| format!("line {}", error.line()))?;
    words(&mut orders);
    json("orders.json", &orders)
}

/// Leaves plain words, and no other text.
fn words(value: &mut Value) {
    match value {
        Value::Object(members) => members.values_mut().for_each(words),
        Value::Array(values) => values.iter_mut().for_each(words),
        Value::String(text) => {
            let plain = |c: char| c.is_ascii_lowercase() || matches!(c, '_' | '.' | '-');
            if text.len() > 32 || !text.chars().all(plain) {
                HIDDEN.clone_into(text);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => (),
    }
}

pub fn destination(host: &Host) -> Members {
    let destination = Destination::read(host).map_err(|error| error.to_string())?;
    let phone_home = destination.phone_home.as_deref().map_or("none".to_owned(), urls);
    let text = format!("events     {}\nphone home {phone_home}\n", urls(&destination.url));
    Ok(vec![Member::of("report.txt", text)])
}

pub fn cmdline(host: &Host) -> Members {
    let Some(text) = bounded(&host.path("/proc/cmdline"), 64 << 10) else { return absent() };
    Ok(vec![Member::of("cmdline.txt", redact::cmdline(&String::from_utf8_lossy(&text)) + "\n")])
}

pub fn configuration(host: &Host) -> Members {
    let lines = super::configuration(host);
    if lines.is_empty() {
        return absent();
    }
    let lines: String = lines.iter().map(|line| redact::cmdline(line) + "\n").collect();
    Ok(vec![Member::of("configuration.txt", lines)])
}

pub fn plan(host: &Host) -> Members {
    let files = plan_files(host);
    let one = |(number, path): (usize, &std::path::PathBuf)| {
        let text = bounded(path, 512 << 10)?;
        let name = if number == 0 { "plan.json".to_owned() } else { format!("plan-{}.json", number + 1) };
        // One that is no JSON could be anything.
        Some(Member::of(name, super::plan::shown(&text)?))
    };
    let plans: Vec<Member> = files.iter().enumerate().filter_map(one).collect();
    if plans.is_empty() { Err("there is none in a file".to_owned()) } else { Ok(plans) }
}

pub fn inspect(host: &Host) -> Members {
    json("inspect.json", &crate::inspect::inspect(host, Duration::ZERO))
}

pub fn diagnose(host: &Host) -> Members {
    let agent = host.path("/proc/self/exe");
    let said = program::output(&agent.display().to_string(), &["diagnose", "--json"], 256 << 10, DIAGNOSE);
    let said = said.map_err(|failure| failure.to_string())?;
    // Whatever it is: text of the agent's own, which shows no secret, and is looked at as any other text.
    Ok(vec![Member::of("diagnose.json", urls(&String::from_utf8_lossy(&said)))])
}
