//! The report from the booted system: what the boot left unsent, and that the node is up.

use std::time::Duration;

use super::after_pivot::Destination;
use super::phone_home::{FIRST_WAIT, LONGEST_WAIT, REQUEST_LIMIT, is_refused};
use super::record::{Kind, Record};
use super::spool::{self, Spool};
use crate::engine::host::Host;
use crate::engine::state::{self, State};
use crate::error::{Code, Result};
use crate::sys::http::{Client, Failure};

/// So long it is tried.
pub const LIMIT: Duration = Duration::from_secs(90);

/// Sends it, trying for at most `limit`. What cannot be sent stays for the next time. Gives how many events were sent.
///
/// # Errors
/// [`Code::NoReport`]: the boot plan names no server; [`Code::Report`]: the server does not answer, or refuses an event;
/// [`Code::TlsCa`] and the like for an `https` server that cannot be trusted.
pub fn report(host: &Host, limit: Duration) -> Result<usize> {
    let destination = Destination::read(host)?;
    let client = Client::new(&destination.url, REQUEST_LIMIT, &Destination::ca(host))?;
    let boot_id = host.boot_id();
    let file = host.path(spool::FILE);
    let mut spool = Spool::read(&file, &boot_id);
    // One that could not be sent the last time says it already.
    if !spool.holds(Kind::Up) {
        let run = State::read(&host.path(state::FILE)).ok().flatten().map_or(1, |state| state.run);
        spool.push(
            run,
            Record { hostname: hostname(host, &destination), ..Record::new(Kind::Up, host.now()) },
        );
    }
    let sent = deliver(host, &client, &mut spool, limit);
    spool.write(&file)?;
    sent.map_err(|failure| failure.into_error(&destination.url, Code::Report, Code::Report))
}

/// The name the node has now, else that of the plan.
fn hostname(host: &Host, destination: &Destination) -> Option<String> {
    let name = std::fs::read_to_string(host.path("/proc/sys/kernel/hostname")).unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { destination.hostname.clone() } else { Some(name.to_owned()) }
}

/// Sends all of `spool`. An event that is refused does not hold up the next, and is the error in the end.
fn deliver(host: &Host, client: &Client, spool: &mut Spool, limit: Duration) -> Result<usize, Failure> {
    let deadline = host.now().saturating_add(limit);
    let mut wait = FIRST_WAIT;
    let mut sent = 0;
    let mut refused = None;
    while let Some(record) = spool.first().cloned() {
        match client.post_json(&record.json()) {
            Ok(()) => {
                sent += 1;
                wait = FIRST_WAIT;
            }
            Err(failure) if is_refused(&failure) => refused = Some(failure),
            Err(failure) => {
                let left = deadline.saturating_sub(host.now());
                if left.is_zero() {
                    return Err(failure);
                }
                host.wait_for_change(host.around(wait).min(left));
                wait = wait.saturating_mul(2).min(LONGEST_WAIT);
                continue;
            }
        }
        spool.remove(record.seq);
    }
    refused.map_or(Ok(sent), Err)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::http::fixture::{Server, answer};

    const BOOT: &str = "b7c2\n";

    fn booted(root: &std::path::Path, url: &str) -> Host {
        let host = Host::fake(root);
        let destination = format!("{{\"url\":\"{url}\"}}");
        let files = [
            ("/proc/sys/kernel/random/boot_id", BOOT),
            ("/proc/sys/kernel/hostname", "node1\n"),
            (super::super::after_pivot::FILE, &destination),
        ];
        for (path, text) in files {
            std::fs::create_dir_all(host.path(path).parent().unwrap()).unwrap();
            std::fs::write(host.path(path), text).unwrap();
        }
        let mut spool = Spool::read(&host.path(spool::FILE), BOOT.trim());
        spool.push(1, Record::new(Kind::Ready, Duration::ZERO));
        spool.write(&host.path(spool::FILE)).unwrap();
        host
    }

    #[test]
    fn what_is_left_comes_first_and_then_that_it_is_up() {
        let root = tempfile::tempdir().unwrap();
        let server = Server::start(vec![answer("503 Busy", ""), answer("204 No Content", "")]);
        let host = booted(root.path(), &server.url);
        assert_eq!(report(&host, LIMIT).unwrap(), 2);
        let requests = server.requests();
        assert_eq!(requests.len(), 3);
        for (request, says) in requests.iter().skip(1).zip(["\"event\":\"ready\"", "\"event\":\"up\""]) {
            assert!(request.contains(says), "{request}");
        }
        assert!(requests[2].contains("\"seq\":2,") && requests[2].contains("\"hostname\":\"node1\""));
        assert!(Spool::read(&host.path(spool::FILE), BOOT.trim()).is_empty());
    }

    #[test]
    fn a_server_that_is_gone_is_given_up_and_what_is_unsent_stays() {
        let root = tempfile::tempdir().unwrap();
        let host = booted(root.path(), "http://127.0.0.1:1/");
        for _ in 0..2 {
            let started = host.now();
            assert_eq!(report(&host, LIMIT).unwrap_err().code(), Code::Report);
            assert_eq!(host.now() - started, LIMIT);
        }
        let mut left = Spool::read(&host.path(spool::FILE), BOOT.trim());
        assert!(left.holds(Kind::Up));
        left.remove(1);
        left.remove(2);
        assert!(left.is_empty(), "one event that it is up, not two");
    }

    #[test]
    fn refused_is_an_error_at_once() {
        let root = tempfile::tempdir().unwrap();
        let server = Server::start(vec![answer("404 Not Found", "")]);
        let host = booted(root.path(), &server.url);
        let error = report(&host, LIMIT).unwrap_err();
        assert!(error.code() == Code::Report && error.to_string().contains("404"), "{error}");
        assert_eq!(host.now(), Duration::ZERO);
    }
}
