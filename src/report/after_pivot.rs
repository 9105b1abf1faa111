//! What reports go on with in the booted system: a copy of the agent, its unit and where to send, all below /run, which
//! outlives the switch to the new root. The image needs to know nothing of it, and nothing is written into it.

use std::path::PathBuf;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::watermark::{self, Watermarks};
use crate::engine::host::Host;
use crate::error::{Code, Context, Error, Result};
use crate::sys::http::CA_FILE;
use crate::sys::whole_file;

/// Where reports go, for the booted system.
pub const FILE: &str = "/run/diskless/report.json";
/// The copy of the agent.
pub const AGENT: &str = "/run/diskless/bin/diskless";
/// The copy of the CAs.
const CA_COPY: &str = "/run/diskless/ca.pem";
/// The unit, and what starts it.
const UNIT: &str = "/run/systemd/system/diskless-report.service";
const WANTED: &str = "/run/systemd/system/multi-user.target.wants/diskless-report.service";
const UNIT_TEXT: &str = include_str!("../../systemd-units/diskless-report.service");
/// What looks at the writable layer.
const WATCH: &str = "/run/systemd/system/diskless-watch.service";
const WATCH_TEXT: &str = include_str!("../../systemd-units/diskless-watch.service");
const TIMER: &str = "/run/systemd/system/diskless-watch.timer";
const TIMER_TEXT: &str = include_str!("../../systemd-units/diskless-watch.timer");
const TIMER_WANTED: &str = "/run/systemd/system/timers.target.wants/diskless-watch.timer";

/// Where reports go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Destination {
    /// The plan's URL. There may be a token in it.
    pub url: String,
    /// The plan's URL for cloud-init's form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone_home: Option<String>,
    /// The node's name in the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
}

impl Destination {
    /// Reads what [`prepare`] wrote.
    ///
    /// # Errors
    /// [`Code::NoReport`]: there is none; [`Code::Io`]: it cannot be read.
    pub fn read(host: &Host) -> Result<Destination> {
        match std::fs::read(host.path(FILE)) {
            Ok(text) => serde_json::from_slice(&text).context(Code::Io, FILE),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(Error::new(Code::NoReport, FILE))
            }
            Err(error) => Err(error).context(Code::Io, FILE),
        }
    }

    /// Writes it, for root alone.
    ///
    /// # Errors
    /// [`Code::Io`]: the file cannot be written.
    pub fn keep(&self, host: &Host) -> Result<()> {
        let json = serde_json::to_vec(self).context(Code::Io, FILE)?;
        whole_file::write(&host.path(FILE), &json, 0o600, None)
    }

    /// Where the CAs are after the switch.
    pub fn ca(host: &Host) -> PathBuf {
        host.path(CA_COPY)
    }
}

/// A file to write.
struct File {
    path: &'static str,
    mode: u32,
    bytes: Vec<u8>,
    /// The certificates are checked as of the time when the initramfs was made: the copies keep it.
    modified: Option<SystemTime>,
}

/// Makes all that a report from the booted system needs, with the running agent as the copy. Again: makes it anew.
///
/// # Errors
/// [`Code::Io`]: a file cannot be read or written.
pub fn prepare(host: &Host, destination: &Destination) -> Result<()> {
    copy_agent(host)?;
    let ca = if host.path(CA_FILE).exists() { Some(copied(host, CA_FILE)?) } else { None };
    for file in files(destination, ca)? {
        whole_file::write(&host.path(file.path), &file.bytes, file.mode, file.modified)?;
    }
    whole_file::link(UNIT, &host.path(WANTED))
}

/// Makes all that a look at the writable layer from the booted system needs, for these watermarks of the plan. Again:
/// makes it anew.
///
/// # Errors
/// [`Code::Io`]: a file cannot be read or written.
pub fn prepare_watch(host: &Host, marks: &[u8]) -> Result<()> {
    copy_agent(host)?;
    let watermarks = Watermarks { marks: marks.to_vec(), ..Watermarks::default() };
    let json = serde_json::to_vec(&watermarks).context(Code::Io, watermark::FILE)?;
    for (path, bytes) in
        [(watermark::FILE, json.as_slice()), (WATCH, WATCH_TEXT.as_bytes()), (TIMER, TIMER_TEXT.as_bytes())]
    {
        whole_file::write(&host.path(path), bytes, 0o644, None)?;
    }
    whole_file::link(TIMER, &host.path(TIMER_WANTED))
}

/// Makes the copy of the running agent that the booted system uses. One of its length is there for good: it has other
/// names (see [`crate::exit`]), and is in use.
///
/// # Errors
/// [`Code::Io`]: a file cannot be read or written.
pub fn copy_agent(host: &Host) -> Result<()> {
    let running = "/proc/self/exe";
    let length = |path: &str| std::fs::metadata(host.path(path)).map(|metadata| metadata.len());
    if length(AGENT).is_ok_and(|copy| length(running).is_ok_and(|running| running == copy)) {
        return Ok(());
    }
    let (bytes, modified) = copied(host, running)?;
    whole_file::write(&host.path(AGENT), &bytes, 0o755, modified)
}

/// A file's bytes, and its time.
type Copied = (Vec<u8>, Option<SystemTime>);

fn copied(host: &Host, path: &str) -> Result<Copied> {
    let bytes = std::fs::read(host.path(path)).context(Code::Io, path)?;
    let modified = std::fs::metadata(host.path(path)).and_then(|metadata| metadata.modified()).ok();
    Ok((bytes, modified))
}

/// All files, the unit last: it finds everything there.
fn files(destination: &Destination, ca: Option<Copied>) -> Result<Vec<File>> {
    let json = serde_json::to_vec(destination).context(Code::Io, FILE)?;
    let mut files = vec![File { path: FILE, mode: 0o600, bytes: json, modified: None }];
    files.extend(ca.map(|(bytes, modified)| File { path: CA_COPY, mode: 0o644, bytes, modified }));
    files.push(File { path: UNIT, mode: 0o644, bytes: UNIT_TEXT.into(), modified: None });
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    fn write(host: &Host, path: &str, text: &str) {
        let path = host.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn all_that_the_unit_needs_is_below_run() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::fake(root.path());
        assert_eq!(Destination::read(&host).unwrap_err().code(), Code::NoReport);
        write(&host, "/proc/self/exe", "agent");
        write(&host, CA_FILE, "ca");
        let destination = Destination {
            url: "https://boot/r?token=1".into(),
            phone_home: Some("http://boot/phone_home/up".into()),
            hostname: Some("node1".into()),
        };
        for _ in 0..2 {
            prepare(&host, &destination).unwrap();
            assert_eq!(Destination::read(&host).unwrap(), destination);
            for (path, mode, text) in
                [(AGENT, 0o755, "agent"), (CA_COPY, 0o644, "ca"), (UNIT, 0o644, UNIT_TEXT)]
            {
                let file = host.path(path);
                assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
                assert_eq!(file.metadata().unwrap().mode() & 0o7777, mode, "{path}");
            }
            assert_eq!(host.path(FILE).metadata().unwrap().mode() & 0o7777, 0o600);
            assert_eq!(host.path(WANTED).read_link().unwrap(), std::path::Path::new(UNIT));
        }
        let time = |path: &str| host.path(path).metadata().unwrap().modified().unwrap();
        assert_eq!(time(CA_COPY), time(CA_FILE));
    }

    #[test]
    fn the_layer_is_watched_by_a_timer_below_run() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::fake(root.path());
        write(&host, "/proc/self/exe", "agent");
        for _ in 0..2 {
            prepare_watch(&host, &[70, 85]).unwrap();
            let text = |path: &str| std::fs::read_to_string(host.path(path)).unwrap();
            assert_eq!(text(watermark::FILE), r#"{"marks":[70,85],"passed":{}}"#);
            assert_eq!((text(WATCH).as_str(), text(TIMER).as_str()), (WATCH_TEXT, TIMER_TEXT));
            assert_eq!(host.path(TIMER_WANTED).read_link().unwrap(), std::path::Path::new(TIMER));
        }
        assert!(WATCH_TEXT.contains(&format!("\nExecStart=-{AGENT} report usage\n")));
        assert!(WATCH_TEXT.contains(&format!("\nConditionPathExists={}\n", watermark::FILE)));
    }

    #[test]
    fn the_unit_runs_the_copy() {
        assert!(UNIT_TEXT.contains(&format!("\nExecStart=-{AGENT} report up\n")));
        assert!(UNIT_TEXT.contains(&format!("\nConditionPathExists={FILE}\n")));
    }
}
