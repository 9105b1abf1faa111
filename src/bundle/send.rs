//! Takes a bundle to the report server.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Bundle;
use crate::engine::host::Host;
use crate::error::{Code, Error, Result};
use crate::input::cmdline::Cmdline;
use crate::report::after_pivot::Destination;
use crate::sys::http::{CA_FILE, Client, Failure, shown};

/// A bundle has some MiB, and the network may be what is wrong.
const LIMIT: Duration = Duration::from_secs(60);
/// What the server says of it is shown so far.
const MOST_SAID: u64 = 512;

/// Sends it to `url`. Gives what the server says.
///
/// # Errors
/// [`Code::Report`]: it could not be delivered; [`Code::TlsCa`] and the like.
pub fn send(host: &Host, bundle: &Bundle, url: &str) -> Result<String> {
    let client = Client::new(url, LIMIT, &ca(host))?;
    let headers = [
        ("content-type", "application/x-tar"),
        ("diskless-boot-id", bundle.boot_id.as_str()),
        ("user-agent", concat!("diskless/", env!("CARGO_PKG_VERSION"))),
    ];
    let failed = |failure: Failure| failure.into_error(url, Code::Report, Code::Report);
    let (status, said) = client.ask("POST", &headers, Some(&bundle.bytes), MOST_SAID).map_err(failed)?;
    let said = String::from_utf8_lossy(&said);
    let said: String = said.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if (200..300).contains(&status) {
        return Ok(said);
    }
    Err(Error::new(Code::Report, shown(url)).because(format!("HTTP status {status}: {said}")))
}

/// Where the bundles of this node go: beside its reports, else beside its boot plan.
///
/// # Errors
/// [`Code::NoReport`]: neither is on a server that this node knows of.
pub fn place(host: &Host) -> Result<String> {
    // The kernel's comes first, and goes before the configuration.
    let words: Vec<Cmdline> = super::command_lines(host).iter().map(|words| Cmdline::parse(words)).collect();
    let configured = || words.iter().find_map(|words| words.last("rd.diskless.report").map(str::to_owned));
    let reports = Destination::read(host).ok().map(|destination| destination.url).or_else(configured);
    if let Some(url) = reports.as_deref().and_then(|url| beside(url, "report")) {
        return Ok(url);
    }
    let plans =
        words.iter().flat_map(|words| words.all("rd.diskless.plan")).flat_map(|value| value.split(','));
    let mut urls = plans.filter(|url| url.starts_with("http")).filter_map(|url| beside(url, "plan"));
    urls.next().ok_or_else(|| Error::new(Code::NoReport, "the place of bundles"))
}

/// `http://server/bundle/node1` for `http://server/report/node1`: the last part of the path that is `part` becomes `bundle`.
/// Of a path without one, the bundle's is below it. A query stays.
fn beside(url: &str, part: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let (rest, fragment) = rest.split_once('#').map_or((rest, ""), |(rest, _)| (rest, ""));
    let (rest, query) = rest.split_at(rest.find('?').unwrap_or(rest.len()));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let mut parts: Vec<&str> = path.split('/').collect();
    match parts.iter_mut().rev().find(|one| **one == part) {
        Some(one) => *one = "bundle",
        // A plan's URL that does not say so is some file's.
        None if part == "plan" => return None,
        None => {
            if parts.last() == Some(&"") && parts.len() > 1 {
                parts.pop();
            }
            parts.push("bundle");
        }
    }
    let path = parts.join("/");
    let path = if path.starts_with('/') { path } else { format!("/{path}") };
    Some(format!("{scheme}://{authority}{path}{query}{fragment}"))
}

/// The CAs: those of the initramfs, or the copy that the booted system has.
fn ca(host: &Host) -> PathBuf {
    let here = host.path(CA_FILE);
    if here.exists() || !Destination::ca(host).exists() { here } else { Destination::ca(host) }
}

/// Where a bundle is written unless somebody says so.
pub fn folder(host: &Host) -> PathBuf {
    host.path(Path::new("/run/diskless"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::http::fixture::{Server, answer};

    #[test]
    fn the_place_of_bundles_is_beside_that_of_reports() {
        let cases = [
            ("https://s:1/report/node1", "report", Some("https://s:1/bundle/node1")),
            ("http://s/a/report/node1?t=1#x", "report", Some("http://s/a/bundle/node1?t=1")),
            ("http://s/events", "report", Some("http://s/events/bundle")),
            ("http://s/events/", "report", Some("http://s/events/bundle")),
            ("http://s", "report", Some("http://s/bundle")),
            ("http://s/plan/node1", "plan", Some("http://s/bundle/node1")),
            ("http://s/node1.json", "plan", None),
            ("/etc/plan.json", "plan", None),
        ];
        for (url, part, expected) in cases {
            assert_eq!(beside(url, part).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn it_is_taken_from_where_it_is_told() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::fake(root.path());
        std::fs::create_dir_all(host.path("/proc")).unwrap();
        std::fs::create_dir_all(host.path("/etc")).unwrap();
        let at = |words: &str| {
            std::fs::write(host.path("/proc/cmdline"), words).unwrap();
            place(&host).map_err(|error| error.code())
        };
        assert_eq!(at("quiet"), Err(Code::NoReport));
        assert_eq!(at("rd.diskless.plan=/plan.json"), Err(Code::NoReport));
        let plans = "rd.diskless.plan=/p,http://a/plan/n,http://b/plan/n";
        assert_eq!(at(plans).as_deref(), Ok("http://a/bundle/n"));
        assert_eq!(
            at(&format!("{plans} rd.diskless.report=http://c/report/n")).as_deref(),
            Ok("http://c/bundle/n")
        );
        std::fs::write(host.path("/etc/diskless.conf"), "report=http://e/report/n\n").unwrap();
        assert_eq!(at(plans).as_deref(), Ok("http://e/bundle/n"));
        let destination = Destination { url: "http://d/report/n".into(), phone_home: None, hostname: None };
        destination.keep(&host).unwrap();
        assert_eq!(at(plans).as_deref(), Ok("http://d/bundle/n"));
    }

    #[test]
    fn a_server_takes_it_or_says_why_not() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::fake(root.path());
        let bundle = Bundle {
            name: "x.tar".into(),
            boot_id: "0b5c-1".into(),
            bytes: b"tar".to_vec(),
            missing: vec![],
        };
        let server = Server::start(vec![answer("200 OK", "bundle 7\n"), answer("413 Large", "too large\n")]);
        assert_eq!(send(&host, &bundle, &server.url).unwrap(), "bundle 7");
        let error = send(&host, &bundle, &format!("{}?t=hunter2", server.url)).unwrap_err().to_string();
        assert!(error.contains("413: too large") && !error.contains("hunter2"), "{error}");
        let request = &server.requests()[0];
        assert!(
            request.starts_with("post ")
                && request.contains("diskless-boot-id: 0b5c-1")
                && request.ends_with("tar"),
            "{request}"
        );
    }
}
