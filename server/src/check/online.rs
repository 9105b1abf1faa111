//! What servers answer, right now. Asked only on request, many at a time.

use std::collections::BTreeSet;
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use diskless::input::portal::Portal;
use diskless::sys::http::{Client, server, shown};
use diskless::sys::resolve::socket_addresses;

use super::Level::Error;
use super::found::Found;
use super::image::is_elsewhere;
use super::rule::{Rule, Run};
use super::view::View;

/// A portal that takes longer than this is of no use to a node that boots.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// One request, from the name to the head of the answer.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);
/// So many are asked at a time.
const AT_A_TIME: usize = 16;

pub const RULES: &[Rule] = &[
    Rule {
        code: "portal-silent",
        level: Error,
        doc: "Each portal takes a TCP connection within 3 s (`--online`).",
        advice: "start the target, or correct the portal; nodes may reach it where this server does not",
        run: Run::Network(portals),
    },
    Rule {
        code: "url-silent",
        level: Error,
        doc: "Each URL of a kernel, an initramfs or a key answers within 10 s (`--online`); of https:// the server takes a \
              connection: its certificate is for the node to judge.",
        advice: "start the server, or correct the URL",
        run: Run::Network(urls),
    },
];

fn portals(view: &View<'_>, found: &mut Found) {
    let listed = view.site.file.servers.values().flat_map(|server| &server.portals);
    let mut portals: BTreeSet<String> =
        listed.filter_map(|text| Portal::parse(text)).map(|portal| portal.to_string()).collect();
    let planned = view.plans.iter().flat_map(|plan| plan.portals()).map(|path| path.portal);
    // An address of a node's own link says nothing here.
    portals.extend(planned.filter(|portal| !portal.host.contains('%')).map(|portal| portal.to_string()));
    let portals: Vec<String> = portals.into_iter().collect();
    for (portal, answer) in ask_all(&portals, |portal| {
        let portal = Portal::parse(portal).ok_or("is no portal")?;
        connect(&portal.host, portal.port)
    }) {
        if let Err(why) = answer {
            found.at(format!("portal {portal}"), why);
        }
    }
}

fn urls(view: &View<'_>, found: &mut Found) {
    let images = view.site.file.images.values().flat_map(|image| [&image.kernel, &image.initramfs]);
    let mut urls: BTreeSet<&str> = images.map(String::as_str).filter(|text| is_elsewhere(text)).collect();
    urls.extend(view.plans.iter().filter_map(|plan| plan.text("/luks/key/url")));
    let urls: Vec<&str> = urls.into_iter().collect();
    for (url, answer) in ask_all(&urls, head) {
        if let Err(why) = answer {
            // Some errors quote the URL, which may have an account or a token.
            found.at(shown(url), why.replace(url, &shown(url)));
        }
    }
}

/// Asks all of `what`, [`AT_A_TIME`] at a time, and gives the answers in the order of `what`.
fn ask_all<T: AsRef<str> + Sync>(
    what: &[T],
    ask: impl Fn(&str) -> Result<(), String> + Sync,
) -> Vec<(&str, Result<(), String>)> {
    let next = AtomicUsize::new(0);
    let (tell, told) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME.min(what.len()) {
            let (tell, ask, next) = (tell.clone(), &ask, &next);
            scope.spawn(move || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(text) = what.get(at).map(AsRef::as_ref) else { return };
                    // Whoever waits for the answers is in this scope, so there is always somebody.
                    let _ = tell.send((at, text, ask(text)));
                }
            });
        }
    });
    drop(tell);
    let mut answers: Vec<_> = told.into_iter().collect();
    answers.sort_by_key(|(at, ..)| *at);
    answers.into_iter().map(|(_, text, answer)| (text, answer)).collect()
}

fn connect(host: &str, port: u16) -> Result<(), String> {
    let end = Instant::now() + CONNECT_LIMIT;
    let addresses =
        socket_addresses(Path::new("/"), host, port, CONNECT_LIMIT).map_err(|error| error.to_string())?;
    let mut why = format!("did not answer within {} s", CONNECT_LIMIT.as_secs());
    for address in addresses {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        match TcpStream::connect_timeout(&address, left) {
            Ok(_) => return Ok(()),
            Err(error) if host.parse() == Ok(address.ip()) => why = error.to_string(),
            Err(error) => why = format!("{address}: {error}"),
        }
    }
    Err(why)
}

fn head(url: &str) -> Result<(), String> {
    if url.starts_with("https://") {
        let (host, port) = server(url).ok_or("is no URL")?;
        return connect(&host, port);
    }
    // The agent's client: its resolver is safe in a static program.
    let client = Client::new(url, REQUEST_LIMIT, Path::new("")).map_err(|error| error.to_string())?;
    let asked = |method| client.status(method).map_err(|failure| failure.to_string());
    let status = match asked("HEAD")? {
        // It has no HEAD (RFC 9110, section 15.6.2).
        405 | 501 => asked("GET")?,
        status => status,
    };
    // iPXE follows redirects.
    if (200..400).contains(&status) { Ok(()) } else { Err(format!("answers {status}")) }
}
