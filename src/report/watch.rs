//! A look at the writable layer of the booted system, once a minute: a watermark that is passed, or no longer is, goes to
//! the kernel's log and to the report server.

use std::time::Duration;

use super::after_pivot::Destination;
use super::console::Console;
use super::phone_home::{REQUEST_LIMIT, is_refused};
use super::record::Record;
use super::spool::{self, Spool};
use super::timeline;
use super::up::hostname;
use super::watermark::{self, Change, Watermarks};
use crate::engine::host::Host;
use crate::engine::state::{self, State};
use crate::error::{Code, Context, Result};
use crate::steps::overlay::usage::Usage;
use crate::sys::http::Client;
use crate::sys::whole_file;

/// So long it sends at most; what is left then is sent the next time.
const LIMIT: Duration = Duration::from_secs(20);

/// Looks once, and tells what has changed; that, it gives.
///
/// While another process sends events it does nothing: what has changed is told a minute later. A server that does not
/// answer gets the events another time, too, and is no error: whoever runs this does so again.
///
/// # Errors
/// [`Code::Io`]: there are no watermarks, or the layer cannot be looked at; [`Code::TlsCa`] and the like for an `https`
/// server that can never be asked.
pub fn watch(host: &Host) -> Result<Vec<Change>> {
    let file = host.path(watermark::FILE);
    let object = || file.display().to_string();
    let text = std::fs::read(&file).context(Code::Io, object())?;
    let mut watermarks: Watermarks = serde_json::from_slice(&text).context(Code::Io, object())?;
    let Some(usage) = Usage::observe(host)? else { return Ok(Vec::new()) };
    let _lock = match spool::lock(host) {
        Ok(lock) => lock,
        Err(error) if error.code() == Code::Locked => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let changes = watermarks.note(&usage);
    log(host, &changes);
    let destination = match Destination::read(host) {
        Ok(destination) => Some(destination),
        Err(error) if error.code() == Code::NoReport => None,
        Err(error) => return Err(error),
    };
    let mut spool = Spool::read(&host.path(spool::FILE), &host.boot_id());
    if let (Some(destination), false) = (&destination, changes.is_empty()) {
        let run = State::read(&host.path(state::FILE)).ok().flatten().map_or(1, |state| state.run);
        for change in &changes {
            let hostname = hostname(host, destination);
            spool.push(run, Record { hostname, ..Record::of_watermark(change, host.now()) });
            timeline::add_last(host, &spool);
        }
        spool.write(&host.path(spool::FILE))?;
    }
    if !changes.is_empty() {
        let text = serde_json::to_vec(&watermarks).context(Code::Io, object())?;
        whole_file::write(&file, &text, 0o644, None)?;
    }
    match destination {
        Some(destination) if !spool.is_empty() => send(host, &destination, &mut spool)?,
        _ => (),
    }
    Ok(changes)
}

/// For whoever looks into the log: also where nobody is reported to.
fn log(host: &Host, changes: &[Change]) {
    if changes.is_empty() {
        return;
    }
    let mut log = Console::log(host);
    for change in changes {
        match change.rises {
            true => log.warn(&change.text),
            false => log.say(&change.text),
        }
    }
}

fn send(host: &Host, destination: &Destination, spool: &mut Spool) -> Result<()> {
    let client = Client::new(&destination.url, REQUEST_LIMIT, &Destination::ca(host))?;
    let deadline = host.now().saturating_add(LIMIT);
    while let Some(record) = spool.first().cloned()
        && host.now() < deadline
    {
        match client.post_json(&record.json()) {
            Ok(()) => spool.remove(record.seq),
            // It would be refused for ever.
            Err(failure) if is_refused(&failure) => spool.remove(record.seq),
            Err(_) => break,
        }
    }
    spool.write(&host.path(spool::FILE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::report::after_pivot;
    use crate::sys::http::fixture::{Server, answer};
    use std::path::Path;

    const BOOT: &str = "b7c2";

    fn write(host: &Host, path: &str, text: &str) {
        let path = host.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// A booted system whose zram disk takes `memory` of a hundred bytes, with a report server or none.
    fn booted(root: &Path, url: Option<&str>) -> Host {
        let host = Host::fake(root);
        write(&host, "/dev/kmsg", "");
        write(&host, "/proc/sys/kernel/random/boot_id", BOOT);
        write(&host, "/proc/sys/kernel/hostname", "node1\n");
        write(&host, "/proc/self/mountinfo", "2 1 0:2 / /run/diskless/rw rw - ext4 /dev/zram0 rw\n");
        write(&host, "/run/diskless/rw/root/upper", "");
        // No share of the file system that these tests run on.
        write(&host, watermark::FILE, r#"{"marks":[100]}"#);
        if let Some(url) = url {
            write(&host, after_pivot::FILE, &format!("{{\"url\":\"{url}\"}}"));
        }
        memory(&host, 10);
        host
    }

    fn memory(host: &Host, taken: u32) {
        write(host, "/sys/block/zram0/mm_stat", &format!("100 100 {taken} 100 0 0 0\n"));
    }

    #[test]
    fn a_watermark_is_told_to_the_log_and_to_the_server_once() {
        let root = tempfile::tempdir().unwrap();
        let server = Server::start(vec![answer("204 No Content", "")]);
        let host = booted(root.path(), Some(&server.url));
        let mut log = Vec::new();
        for taken in [10, 100, 100, 97, 94, 94] {
            memory(&host, taken);
            watch(&host).unwrap();
            // A file is not appended to as the kernel's log is.
            log.push(std::fs::read_to_string(host.path("/dev/kmsg")).unwrap());
            write(&host, "/dev/kmsg", "");
        }
        log.retain(|line| !line.is_empty());
        let requests = server.requests();
        assert_eq!(requests.len(), 2, "{requests:?}");
        let says =
            ["\"event\":\"watermark\"", "\"resource\":\"memory\"", "\"hostname\":\"node1\"", "\"seq\":1,"];
        assert!(says.iter().all(|says| requests[0].contains(says)), "{}", requests[0]);
        assert!(requests[0].contains("\"percent\":100") && requests[0].contains("\"watermark\":100"));
        assert!(requests[1].contains("\"percent\":94") && !requests[1].contains("\"watermark\":100"));
        let first = "<28>diskless: memory of the writable layer: 100 % used, above the watermark of 100 %: ";
        let second =
            "<30>diskless: memory of the writable layer: 94 % used, back below the watermark of 100 %: ";
        assert!(log[0].starts_with(first) && log[1].starts_with(second), "{log:?}");
        assert_eq!(log.len(), 2, "{log:?}");
        assert!(Spool::read(&host.path(spool::FILE), BOOT).is_empty());
    }

    #[test]
    fn a_dead_server_gets_it_later_and_is_no_error() {
        let root = tempfile::tempdir().unwrap();
        let host = booted(root.path(), Some("http://127.0.0.1:1/"));
        memory(&host, 100);
        assert_eq!(watch(&host).unwrap().len(), 1);
        assert_eq!(watch(&host).unwrap().len(), 0);
        let server = Server::start(vec![answer("204 No Content", "")]);
        write(&host, after_pivot::FILE, &format!("{{\"url\":\"{}\"}}", server.url));
        watch(&host).unwrap();
        assert_eq!(server.requests().len(), 1);
    }

    #[test]
    fn without_a_server_there_is_the_log_alone() {
        let root = tempfile::tempdir().unwrap();
        let host = booted(root.path(), None);
        memory(&host, 100);
        assert_eq!(watch(&host).unwrap().len(), 1);
        assert!(std::fs::read_to_string(host.path("/dev/kmsg")).unwrap().contains("above the watermark"));
        assert!(!host.path(spool::FILE).exists());
    }

    #[test]
    fn while_another_sends_nothing_is_taken_from_it() {
        let root = tempfile::tempdir().unwrap();
        let host = booted(root.path(), None);
        memory(&host, 100);
        let held = spool::lock(&host).unwrap();
        assert!(watch(&host).unwrap().is_empty());
        drop(held);
        assert_eq!(watch(&host).unwrap().len(), 1);
    }

    #[test]
    fn without_watermarks_there_is_nothing_to_watch() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(watch(&Host::fake(root.path())).as_ref().map_err(Error::code), Err(Code::Io));
    }
}
