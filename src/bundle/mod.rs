//! GATHER: one file with what somebody needs to see who was not there, and no secret in it.
//!
//! [`source`] is the table of all that goes in, each with a reader that gives no secret; [`scrub`] looks at all of it once more
//! for those that the node has. [`gather`] reads all sources at once, each in a thread of its own: one that hangs costs its own
//! part of the bundle, and no time beyond the limit. [`send`] takes it to the report server.

#[cfg(fuzzing)]
pub mod fuzz;
mod kernel;
mod own;
pub mod plan;
pub mod scrub;
pub mod send;
pub mod source;
mod sysfs;
pub mod tar;
#[cfg(test)]
mod tests;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime};

use crate::engine::host::Host;
use crate::input::cmdline::Cmdline;
use crate::input::conf::{self, Conf};
use crate::report::after_pivot::Destination;
use crate::steps::fetch;
use crate::sys::clock;
use scrub::Scrub;
use source::{Member, SOURCES, Source};
use tar::Tar;

/// So long may it take to gather one.
pub const LIMIT: Duration = Duration::from_secs(10);
/// Of this, so long nothing is waited for any more, but written.
const RESERVE: Duration = Duration::from_millis(500);
/// A bundle is not larger, in bytes; what comes last in the table is left out.
pub const LARGEST: usize = 12 << 20;
/// The file in it that says what is missing.
const MISSING: &str = "missing.txt";

/// A bundle.
#[derive(Debug)]
pub struct Bundle {
    /// Its file's name: `diskless-NODE-BOOT-TIME.tar`.
    pub name: String,
    /// The kernel's id of the boot.
    pub boot_id: String,
    /// The tar.
    pub bytes: Vec<u8>,
    /// What could not be read, and why.
    pub missing: Vec<String>,
}

/// Gathers a bundle of `host` in at most `limit`, and a moment.
pub fn gather(host: &Host, limit: Duration) -> Bundle {
    let deadline = Instant::now() + limit.saturating_sub(RESERVE);
    let host = Arc::new(host.alike());
    let read = SOURCES.iter().map(|source| (source, start(source, &host))).collect::<Vec<_>>();
    let scrub = within(deadline, {
        let host = Arc::clone(&host);
        move || Scrub::of(&host)
    });
    let now = SystemTime::now();
    let seconds = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let boot_id = host.boot_id();
    let stem = stem(&node(&host), &boot_id, &clock::utc(now));
    let mut tar = Tar::new(seconds);
    let mut missing = Vec::new();
    let Some(scrub) = scrub else {
        // Without knowing the secrets nothing is written that could hold one.
        missing.push(
            "everything: the node's own files cannot be read in time, so its secrets are not known"
                .to_owned(),
        );
        tar.add(&format!("{stem}/{MISSING}"), lines(&missing).as_bytes());
        return Bundle { name: format!("{stem}.tar"), boot_id, bytes: tar.finish(), missing };
    };
    for (source, told) in read {
        let left = deadline.saturating_duration_since(Instant::now());
        match told.recv_timeout(left) {
            Ok(Ok(members)) => members.into_iter().for_each(|Member { name, bytes }| {
                let text = scrub.clean(&String::from_utf8_lossy(
                    bytes.get(..bytes.len().min(source.most)).unwrap_or_default(),
                ));
                if tar.size() + text.len() + 4096 > LARGEST {
                    missing.push(format!("{name}: the bundle is full"));
                } else {
                    tar.add(&format!("{stem}/{name}"), text.as_bytes());
                }
            }),
            Ok(Err(why)) => missing.push(format!("{}: {}", source.name, scrub.clean(&why))),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                missing.push(format!("{}: it could not be read in time", source.name))
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                missing.push(format!("{}: a defect in its reader", source.name))
            }
        }
    }
    if !missing.is_empty() {
        tar.add(&format!("{stem}/{MISSING}"), lines(&missing).as_bytes());
    }
    Bundle { name: format!("{stem}.tar"), boot_id, bytes: tar.finish(), missing }
}

/// Starts to read a source.
fn start(source: &'static Source, host: &Arc<Host>) -> mpsc::Receiver<Result<Vec<Member>, String>> {
    let (tell, told) = mpsc::channel();
    let host = Arc::clone(host);
    // One that cannot be started drops its end: that is told as missing.
    let _ = std::thread::Builder::new().name("bundle".into()).spawn(move || {
        // Nobody may listen any more.
        let _ = tell.send((source.read)(&host));
    });
    told
}

/// What `work` comes to, if it does until `deadline`; a thread that hangs is left behind.
fn within<T: Send + 'static>(deadline: Instant, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (tell, told) = mpsc::channel();
    let started = std::thread::Builder::new().name("bundle".into()).spawn(move || {
        let _ = tell.send(work());
    });
    started.ok()?;
    told.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()
}

fn lines(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// The node's name: that of its plan, else the one it has now.
fn node(host: &Host) -> String {
    let planned = Destination::read(host).ok().and_then(|destination| destination.hostname);
    let now = || bounded(&host.path("/proc/sys/kernel/hostname"), 256);
    let name =
        planned.unwrap_or_else(|| String::from_utf8_lossy(&now().unwrap_or_default()).trim().to_owned());
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '.' { c } else { '_' };
    // The kernel's own name of a node without one.
    let name = if name.is_empty() || name == "(none)" { "node" } else { &name };
    name.chars().take(32).map(plain).collect()
}

/// `diskless-node1-0b5c2d35-20260131T080001Z`
fn stem(node: &str, boot_id: &str, time: &str) -> String {
    let boot = boot_id.split('-').next().filter(|boot| !boot.is_empty()).unwrap_or("boot");
    let time: String = time.chars().filter(char::is_ascii_alphanumeric).collect();
    format!("diskless-{node}-{boot}-{time}")
}

/// At most `most` bytes of a file; none: it cannot be read.
fn bounded(path: &Path, most: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path).ok()?.take(most).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// What is in a folder, by name.
fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// The lines of the configuration in the initramfs, as kernel parameters; none: there is no file, or none of use.
fn configuration(host: &Host) -> Vec<String> {
    let text = bounded(&host.path(conf::FILE), conf::LONGEST as u64).unwrap_or_default();
    Conf::parse(&String::from_utf8_lossy(&text)).parameters().collect()
}

/// The kernel command line, and each line of the configuration.
fn command_lines(host: &Host) -> Vec<String> {
    let words = bounded(&host.path("/proc/cmdline"), 64 << 10).unwrap_or_default();
    let words = String::from_utf8_lossy(&words).into_owned();
    std::iter::once(words).chain(configuration(host)).collect()
}

/// The files of boot plans on the node: the one that is tried, and those that are configured.
fn plan_files(host: &Host) -> Vec<PathBuf> {
    let words = command_lines(host).into_iter().map(|words| Cmdline::parse(&words));
    let named = words.flat_map(|words| words.all("rd.diskless.plan").map(str::to_owned).collect::<Vec<_>>());
    let named: Vec<String> = named.collect();
    let paths = named.iter().flat_map(|value| value.split(',')).filter(|path| path.starts_with('/'));
    let tried = std::iter::once(fetch::TRIED);
    tried.chain(paths).map(|path| host.path(path)).filter(|path| path.is_file()).collect()
}
