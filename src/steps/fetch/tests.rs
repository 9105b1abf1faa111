use std::time::Duration;

use super::*;
use crate::engine::converge::converge;
use crate::error::{Code, Error};
use crate::sys::http::CA_FILE;
use crate::sys::http::fixture::{Answer, Authority, Server, answer};

const LIMIT: Duration = Duration::from_secs(100);

/// The example of the documentation.
fn plan() -> String {
    let text = include_str!("../../../docs/plan.md");
    text.split("```json\n").nth(1).unwrap().split("```").next().unwrap().to_owned()
}

/// What the step finds, after how many seconds of waiting.
fn fetched(urls: &[&str]) -> (Result<String>, u64) {
    let root = tempfile::tempdir().unwrap();
    let host = Host::fake(root.path());
    (fetch(&host, urls), host.now().as_secs())
}

fn fetch(host: &Host, urls: &[&str]) -> Result<String> {
    let urls = urls.iter().map(|url| (*url).to_owned()).collect();
    converge(
        &Step::new(Source::Urls(urls), true, Signing::default(), Slot::default()),
        host,
        LIMIT,
        &mut |_| (),
    )
}

fn code(got: (Result<String>, u64)) -> (Code, String, u64) {
    let error: Error = got.0.unwrap_err();
    (error.code(), error.to_string(), got.1)
}

#[test]
fn a_server_is_asked_again_and_told_what_we_understand() {
    let server =
        Server::start(vec![answer("500 Broken", ""), answer("429 Busy", ""), answer("200 OK", &plan())]);
    let (done, after) = fetched(&[&server.url]);
    assert_eq!(done.unwrap(), format!("node1, from {}", server.url));
    assert!(after < 8, "{after} s");
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    assert!(requests[0].contains("\ndiskless-plan-versions: 1.0\r\n"), "{}", requests[0]);
    assert!(requests[0].contains("\naccept: application/json\r\n"), "{}", requests[0]);
}

#[test]
fn the_next_url_is_tried_at_once_whatever_is_wrong_with_the_first() {
    let good = Server::start(vec![answer("200 OK", &plan())]);
    let refused = answer("404 Not Found", "");
    for first in [refused, answer("200 OK", "{}"), answer("503 Busy", ""), Answer::Text("garbage".into())] {
        let first = Server::start(vec![first]);
        let (done, after) =
            fetched(&[&first.url, "https://127.0.0.1:1/p", "http://127.0.0.1:1/p", &good.url]);
        assert!(done.is_ok(), "{done:?}");
        assert_eq!(after, 0);
    }
}

#[test]
fn what_is_refused_everywhere_fails_at_once() {
    let servers =
        [answer("404 Not Found", ""), answer("410 Gone", "")].map(|answer| Server::start(vec![answer]));
    let (code, text, after) = code(fetched(&[&servers[0].url, &servers[1].url]));
    assert_eq!((code, after), (Code::PlanRefused, 0));
    for (server, status) in servers.iter().zip(["404", "410"]) {
        assert!(text.contains(&server.url) && text.contains(status), "{text}");
    }
}

#[test]
fn servers_that_do_not_answer_are_asked_until_the_time_is_over_and_not_often() {
    let server = Server::start(vec![answer("503 Busy", "")]);
    let (code, text, after) = code(fetched(&[&server.url, "http://127.0.0.1:1/p"]));
    assert_eq!((code, after), (Code::PlanFetch, LIMIT.as_secs()));
    assert!(text.contains("503") && text.contains("http://127.0.0.1:1/p: "), "{text}");
    let asked = server.requests().len();
    assert!((6..=20).contains(&asked), "{asked} times");
}

#[test]
fn a_server_that_asks_for_patience_gets_it() {
    let busy = "HTTP/1.1 503 Busy\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n";
    let server = Server::start(vec![Answer::Text(busy.into()), answer("200 OK", &plan())]);
    let (done, after) = fetched(&[&server.url]);
    assert!(done.is_ok() && (30..36).contains(&after), "{after} s");
}

#[test]
fn over_https_with_the_ca_of_the_initramfs() {
    let authority = Authority::new();
    let config = authority.server("127.0.0.1", [2020, 4000]);
    let server = Server::tls(vec![answer("200 OK", &plan())], config);
    assert_eq!(code(fetched(&[&server.url])).0, Code::TlsCa);
    let root = tempfile::tempdir().unwrap();
    let host = Host::fake(root.path());
    std::fs::create_dir_all(host.path("/etc/diskless")).unwrap();
    std::fs::write(host.path(CA_FILE), authority.pem()).unwrap();
    assert!(fetch(&host, &[&server.url]).unwrap().starts_with("node1, from https://"));
}
