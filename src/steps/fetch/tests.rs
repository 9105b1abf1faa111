use std::time::Duration;

use super::*;
use crate::engine::converge::converge;
use crate::error::{Code, Error};
use crate::input::signature::SecretKey;
use crate::sys::http::CA_FILE;
use crate::sys::http::fixture::{Answer, Authority, Server, answer};
use zeroize::Zeroizing;

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

/// The node's own address, and the example of the documentation that is bound to it.
const MAC: &str = "52:54:00:00:00:01";

fn bound(serial: u64) -> String {
    let validity =
        format!(r#""validity": {{ "node": {{ "macs": ["{MAC}"] }}, "serial": {serial} }}, "hostname""#);
    plan().replacen("\"hostname\"", &validity, 1)
}

fn site_key() -> SecretKey {
    SecretKey::new(*b"the site", Zeroizing::new([7; 32])).unwrap()
}

fn signed(text: &str) -> String {
    site_key().sign(text.as_bytes(), "")
}

/// A node that trusts the site's key, with an interface, or before it has appeared.
fn trusting(interface: bool) -> (tempfile::TempDir, Host) {
    let root = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("etc/diskless/trusted.d/site.pub", &site_key().public().unwrap().text());
    if interface {
        write("sys/class/net/eth0/type", "1\n");
        write("sys/class/net/eth0/address", MAC);
        write("sys/class/net/eth0/device/uevent", "");
    }
    let host = Host::fake(root.path());
    (root, host)
}

/// What becomes of it when the server answers so, one request after the other; and after how long.
fn of_server(answers: Vec<Answer>) -> (Result<String>, u64, Vec<String>) {
    let (_root, host) = trusting(true);
    let server = Server::start(answers);
    let done = fetch(&host, &[&format!("{}?node=1", server.url)]);
    (done, host.now().as_secs(), server.requests())
}

#[test]
fn a_plan_is_fetched_with_its_signature() {
    let text = bound(7);
    let (done, after, requests) = of_server(vec![answer("200 OK", &text), answer("200 OK", &signed(&text))]);
    assert!(done.as_ref().unwrap().starts_with("node1, signed by site.pub (key "), "{done:?}");
    assert_eq!(after, 0);
    assert!(requests[0].contains("/p?node=1 http") && requests[1].contains("/p.minisig?node=1 http"));
    // signify's name is the second.
    let no = answer("404 Not Found", "");
    let (done, _, requests) = of_server(vec![answer("200 OK", &text), no, answer("200 OK", &signed(&text))]);
    assert!(done.is_ok() && requests[2].contains("/p.sig?node=1 http"), "{done:?}");
}

#[test]
fn a_plan_that_is_replaced_meanwhile_gets_another_look_and_one_that_is_wrong_no_more_than_that() {
    let (old, new) = (bound(7), bound(8));
    let ok = |text: &str| answer("200 OK", text);
    let (done, after, _) = of_server(vec![ok(&new), ok(&signed(&old)), ok(&new), ok(&signed(&new))]);
    assert!(done.is_ok() && after <= 1, "{done:?} {after}");
    let wrong: Vec<Answer> = (0..20).flat_map(|_| [ok(&new), ok(&signed(&old))]).collect();
    let (done, after, requests) = of_server(wrong);
    assert_eq!(done.unwrap_err().code(), Code::PlanSignatureWrong);
    assert!(after <= 4 && (4..=6).contains(&requests.len()), "{after} s, {}", requests.len());
}

#[test]
fn what_has_no_signature_is_refused_at_once_and_a_server_that_is_busy_is_asked_again() {
    let ok = |text: &str| answer("200 OK", text);
    let no = || answer("404 Not Found", "");
    let (done, after, _) = of_server(vec![ok(&bound(7)), no(), no()]);
    let error = done.unwrap_err();
    assert_eq!((error.code(), after), (Code::PlanSignatureMissing, 0));
    assert!(!error.to_string().contains("node=1"), "{error}");
    let text = bound(7);
    let (done, after, _) = of_server(vec![ok(&text), answer("503 Busy", ""), ok(&text), ok(&signed(&text))]);
    assert!(done.is_ok() && after <= 1, "{done:?} {after}");
}

#[test]
fn an_interface_that_is_late_is_waited_for_by_name() {
    let (root, host) = trusting(false);
    let text = bound(7);
    std::fs::write(root.path().join("p"), &text).unwrap();
    std::fs::write(root.path().join("p.minisig"), signed(&text)).unwrap();
    let step = || Step::new(Source::File("/p".into()), true, Signing::default(), Slot::default());
    let mut waits = Vec::new();
    let result = converge(&step(), &host, LIMIT, &mut |wait| waits.push(wait.what.clone()));
    assert_eq!(result.unwrap_err().code(), Code::PlanOtherNode);
    assert!((10..30).contains(&host.now().as_secs()), "{:?}", host.now());
    assert!(waits[0].starts_with("another look: /p: the boot plan is for another node: "), "{waits:?}");
    let (root, host) = trusting(true);
    std::fs::write(root.path().join("p"), &text).unwrap();
    std::fs::write(root.path().join("p.minisig"), signed(&text)).unwrap();
    assert!(converge(&step(), &host, LIMIT, &mut |_| ()).is_ok());
}

#[test]
fn kernel_parameters_are_no_plan_where_plans_are_signed() {
    let (_root, host) = trusting(true);
    assert_eq!(may_be_parameters(&host, Signing::default()).unwrap_err().code(), Code::PlanSignatureMissing);
    let not_required = Signing { required: Some(false), ..Signing::default() };
    assert!(may_be_parameters(&host, not_required).is_ok());
}
