//! The report from the booted system: what the boot left unsent, that the node is up, and cloud-init's form.

use std::time::Duration;

use super::after_pivot::Destination;
use super::form;
use super::phone_home::{FIRST_WAIT, LONGEST_WAIT, REQUEST_LIMIT, is_refused};
use super::record::{Kind, Record};
use super::spool::{self, Spool};
use super::timeline;
use crate::engine::host::Host;
use crate::engine::lock::Lock;
use crate::engine::state::{self, State};
use crate::error::{Code, Error, Result};
use crate::sys::http::{Client, Failure};

/// So long it is tried.
pub const LIMIT: Duration = Duration::from_secs(90);

/// What was sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Sent {
    /// How many events.
    pub events: usize,
    /// Whether cloud-init's form was. It is not where the plan has no place for it, and where the image's cloud-init
    /// sends it.
    pub form: bool,
}

/// Sends it, trying for at most `limit`. Events that cannot be sent stay for the next time. The servers of events and of
/// the form may be two: neither waits for the other.
///
/// # Errors
/// [`Code::NoReport`]: the boot plan names no server; [`Code::Report`]: a server does not answer, or refuses what it
/// gets; [`Code::TlsCa`] and the like for an `https` server that cannot be trusted.
pub fn report(host: &Host, limit: Duration) -> Result<Sent> {
    let destination = Destination::read(host)?;
    let boot_id = host.boot_id();
    let file = host.path(spool::FILE);
    let deadline = host.now().saturating_add(limit);
    let _lock = lock(host, deadline)?;
    let mut spool = Spool::read(&file, &boot_id);
    let hostname = hostname(host, &destination);
    // One that could not be sent the last time says it already.
    if !spool.holds(Kind::Up) {
        let run = State::read(&host.path(state::FILE)).ok().flatten().map_or(1, |state| state.run);
        spool.push(run, Record { hostname: hostname.clone(), ..Record::new(Kind::Up, host.now()) });
        timeline::add_last(host, &spool);
    }
    let ca = Destination::ca(host);
    let mut events = Post::to(&destination.url, Client::new(&destination.url, REQUEST_LIMIT, &ca)?);
    let form_url = destination.phone_home.as_deref().filter(|_| !form::is_cloud_inits(host));
    let mut form = match form_url {
        Some(url) => Some(Post::to(url, Client::new(url, REQUEST_LIMIT, &ca)?)),
        None => None,
    };
    let fields = form::fields(host, hostname.as_deref());
    let mut wait = FIRST_WAIT;
    loop {
        let sent_before = events.sent;
        while let Some(record) = spool.first().cloned()
            && events.attempt(|client| client.post_json(&record.json()))
        {
            spool.remove(record.seq);
        }
        if let Some(form) = form.as_mut().filter(|form| !form.is_over()) {
            form.attempt(|client| client.post_form(&fields));
        }
        let left = deadline.saturating_sub(host.now());
        if (spool.is_empty() && form.as_ref().is_none_or(Post::is_over)) || left.is_zero() {
            break;
        }
        wait = if events.sent > sent_before { FIRST_WAIT } else { wait };
        host.wait_for_change(host.around(wait).min(left));
        wait = wait.saturating_mul(2).min(LONGEST_WAIT);
    }
    spool.write(&file)?;
    let sent = Sent { events: events.sent, form: form.as_ref().is_some_and(|form| form.sent > 0) };
    let mut errors = [Some(events), form].into_iter().flatten().filter_map(Post::into_error);
    let first = errors.next();
    errors.for_each(|error| log::warn!("{error}; {}", error.advice()));
    first.map_or(Ok(sent), Err)
}

/// The queue's lock; a look at the writable layer has it for seconds at most.
fn lock(host: &Host, deadline: Duration) -> Result<Lock> {
    loop {
        match spool::lock(host) {
            Err(error) if error.code() == Code::Locked && host.now() < deadline => {
                host.wait_for_change(FIRST_WAIT);
            }
            result => return result,
        }
    }
}

/// Something to post, and what came of it.
struct Post<'a> {
    url: &'a str,
    client: Client,
    sent: usize,
    /// The server will never take something: that does not hold up what comes next, and is the error in the end.
    refused: Option<Failure>,
    /// The last attempt failed.
    failed: Option<Failure>,
}

impl<'a> Post<'a> {
    fn to(url: &'a str, client: Client) -> Post<'a> {
        Post { url, client, sent: 0, refused: None, failed: None }
    }

    /// One attempt. Whether no other is needed: the server has it, or will never take it.
    fn attempt(&mut self, post: impl FnOnce(&Client) -> Result<(), Failure>) -> bool {
        self.failed = None;
        match post(&self.client) {
            Ok(()) => self.sent += 1,
            Err(failure) if is_refused(&failure) => self.refused = Some(failure),
            Err(failure) => self.failed = Some(failure),
        }
        self.failed.is_none()
    }

    /// Whether the one thing there was to post is posted, or refused.
    fn is_over(&self) -> bool {
        self.sent > 0 || self.refused.is_some()
    }

    fn into_error(self) -> Option<Error> {
        let failure = self.failed.or(self.refused)?;
        Some(failure.into_error(self.url, Code::Report, Code::Report))
    }
}

/// The name the node has now, else that of the plan.
pub(super) fn hostname(host: &Host, destination: &Destination) -> Option<String> {
    let name = std::fs::read_to_string(host.path("/proc/sys/kernel/hostname")).unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { destination.hostname.clone() } else { Some(name.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::http::fixture::{Server, answer};

    const BOOT: &str = "b7c2\n";

    fn booted(root: &std::path::Path, url: &str) -> Host {
        booted_with(root, &format!("{{\"url\":\"{url}\"}}"))
    }

    fn booted_with(root: &std::path::Path, destination: &str) -> Host {
        let host = Host::fake(root);
        let files = [
            ("/proc/sys/kernel/random/boot_id", BOOT),
            ("/proc/sys/kernel/hostname", "node1\n"),
            (super::super::after_pivot::FILE, destination),
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
        assert_eq!(report(&host, LIMIT).unwrap(), Sent { events: 2, form: false });
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

    #[test]
    fn another_sender_is_waited_for() {
        let root = tempfile::tempdir().unwrap();
        let host = booted(root.path(), "http://127.0.0.1:1/");
        let _held = spool::lock(&host).unwrap();
        assert_eq!(report(&host, LIMIT).unwrap_err().code(), Code::Locked);
        assert_eq!(host.now(), LIMIT);
    }

    /// Events to `url`, the form to `phone_home`.
    fn with_form(root: &std::path::Path, url: &str, phone_home: &str) -> Host {
        booted_with(root, &format!("{{\"url\":\"{url}\",\"phone_home\":\"{phone_home}\"}}"))
    }

    #[test]
    fn the_form_is_sent_whatever_the_events_server_does() {
        let root = tempfile::tempdir().unwrap();
        let sensor = Server::start(vec![answer("503 Busy", ""), answer("200 OK", "")]);
        let host = with_form(root.path(), "http://127.0.0.1:1/", &sensor.url);
        let error = report(&host, LIMIT).unwrap_err();
        assert!(error.to_string().contains("127.0.0.1:1/"), "{error}");
        let requests = sensor.requests();
        assert_eq!(requests.len(), 2, "again after a failure, and not again after a success");
        let form = "pub_key_dsa=N%2FA&pub_key_rsa=N%2FA&pub_key_ecdsa=N%2FA&pub_key_ed25519=N%2FA&\
                    instance_id=node1&hostname=node1&fqdn=N%2FA";
        assert!(requests.iter().all(|request| request.ends_with(form)), "{requests:?}");
    }

    #[test]
    fn a_dead_sensor_holds_no_event_up_and_is_the_error() {
        let root = tempfile::tempdir().unwrap();
        let server = Server::start(vec![answer("204 No Content", "")]);
        let host = with_form(root.path(), &server.url, "http://127.0.0.1:1/home?token=hunter2");
        let error = report(&host, LIMIT).unwrap_err().to_string();
        assert!(error.contains("127.0.0.1:1/home") && !error.contains("hunter2"), "{error}");
        assert_eq!((server.requests().len(), host.now()), (2, LIMIT));
        assert!(Spool::read(&host.path(spool::FILE), BOOT.trim()).is_empty());
    }

    #[test]
    fn what_cloud_init_sends_is_not_sent_twice() {
        let root = tempfile::tempdir().unwrap();
        let server = Server::start(vec![answer("200 OK", "")]);
        let host = with_form(root.path(), &server.url, "http://127.0.0.1:1/");
        std::fs::create_dir_all(host.path("/run/cloud-init")).unwrap();
        std::fs::write(host.path("/run/cloud-init/enabled"), "").unwrap();
        assert_eq!(report(&host, LIMIT).unwrap(), Sent { events: 2, form: false });
    }
}
