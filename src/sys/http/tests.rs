use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::fixture::{Answer, Authority, Server, answer};
use super::*;

fn fetch(head: &str) -> Result<Vec<u8>> {
    let server = Server::start(vec![Answer::Text(head.into())]);
    get(&server.url, 8, Code::PlanFetch, Code::PlanRefused).map(|body| body.to_vec())
}

#[test]
fn a_body_or_the_reason() {
    assert_eq!(fetch("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").unwrap(), b"hi");
    let cases = [
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", Code::PlanRefused, "404"),
        ("HTTP/1.1 429 Too Many\r\nContent-Length: 0\r\n\r\n", Code::PlanFetch, "429"),
        ("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", Code::PlanFetch, "503"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123456789", Code::PlanFetch, "limit"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhi", Code::PlanFetch, ""),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Encoding: gzip\r\n\r\nhi",
            Code::PlanFetch,
            "encoded",
        ),
        ("HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1/\r\n\r\n", Code::PlanFetch, "from https to http"),
        ("SSH-2.0-x\r\n", Code::PlanFetch, ""),
    ];
    for (answer, code, says) in cases {
        let error = fetch(answer).unwrap_err();
        assert_eq!(error.code(), code, "{answer}: {error}");
        assert!(error.to_string().contains(says), "{answer}: {error}");
    }
}

#[test]
fn no_server_holds_a_request_longer_than_its_limit() {
    let endless = "HTTP/1.1 200 OK\r\n\r\n";
    let header = "HTTP/1.1 200 OK\r\nx: ";
    for answer in [Answer::Silence, Answer::Endless(endless.into()), Answer::Endless(header.into())] {
        let server = Server::start(vec![answer]);
        let started = Instant::now();
        let client = Client::new(&server.url, Duration::from_millis(500), Path::new("/none")).unwrap();
        assert!(client.get(&[], 1 << 20).is_err());
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    }
}

#[test]
fn redirects_end() {
    let again = Answer::Text("HTTP/1.1 302 Found\r\nLocation: /p\r\nContent-Length: 0\r\n\r\n".into());
    let hi = answer("200 OK", "hi");
    let server = Server::start(vec![again.clone(), hi]);
    assert_eq!(&**get(&server.url, 8, Code::PlanFetch, Code::PlanRefused).unwrap(), b"hi");
    let server = Server::start(vec![again]);
    let error = get(&server.url, 8, Code::PlanFetch, Code::PlanRefused).unwrap_err();
    assert!(error.to_string().contains("too many redirects"), "{error}");
    assert!(server.requests().len() <= 6);
}

#[test]
fn headers_and_bodies_are_sent() {
    let server = Server::start(vec![answer("200 OK", "hi"), answer("503 Busy", "")]);
    let client = Client::new(&server.url, REQUEST_LIMIT, Path::new("/none")).unwrap();
    client.get(&[("accept", "application/json")], 8).unwrap();
    assert!(client.post_json(b"{\"a\":1}").is_err());
    let requests = server.requests();
    assert!(requests[0].contains("\naccept: application/json\r\n"), "{}", requests[0]);
    assert!(requests[1].starts_with("post /p ") && requests[1].ends_with("{\"a\":1}"), "{}", requests[1]);
    assert!(requests[1].contains("content-type: application/json"), "{}", requests[1]);
}

#[test]
fn forms_are_encoded() {
    let server = Server::start(vec![answer("200 OK", "")]);
    let client = Client::new(&server.url, REQUEST_LIMIT, Path::new("/none")).unwrap();
    client.post_form(&[("key", "a+b/c= d&é\n".into()), ("b", String::new())]).unwrap();
    let request = &server.requests()[0];
    assert!(request.contains("content-type: application/x-www-form-urlencoded"), "{request}");
    assert!(request.ends_with("\n\nkey=a%2Bb%2Fc%3D+d%26%C3%A9%0A&b="), "{request}");
}

#[test]
fn the_server_says_when_to_come_back() {
    for (value, expected) in [("7", Some(7)), ("x", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None)] {
        let text = format!("HTTP/1.1 503 Busy\r\nRetry-After: {value}\r\nContent-Length: 0\r\n\r\n");
        let server = Server::start(vec![Answer::Text(text)]);
        let client = Client::new(&server.url, REQUEST_LIMIT, Path::new("/none")).unwrap();
        let failure = client.get(&[], 8).unwrap_err();
        assert_eq!(failure.retry_after, expected.map(Duration::from_secs), "{value}");
    }
}

/// Fetches from a server with a certificate of `authority`, trusting `trusted` in a file of `made`.
fn over_tls(
    authority: &Authority,
    name: &str,
    years: [i32; 2],
    trusted: &Authority,
    made: SystemTime,
) -> Result<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    // Several may stand in the file.
    std::fs::write(&ca, format!("{}{}", Authority::new().pem(), trusted.pem())).unwrap();
    std::fs::File::options().write(true).open(&ca).unwrap().set_modified(made).unwrap();
    let server = Server::tls(vec![answer("200 OK", "hi")], authority.server(name, years));
    let client = Client::new(&server.url, REQUEST_LIMIT, &ca)?;
    let got = client.get(&[], 8).map(|body| body.to_vec());
    assert_eq!(server.requests().len(), usize::from(got.is_ok()), "nothing is sent to whom we do not trust");
    got.map_err(|failure| failure.into_error(&server.url, Code::PlanFetch, Code::PlanRefused))
}

#[test]
fn certificates_are_told_apart() {
    let (ours, other) = (Authority::new(), Authority::new());
    let early = UNIX_EPOCH;
    let in_2200 = UNIX_EPOCH + Duration::from_secs(7_258_118_400);
    assert_eq!(over_tls(&ours, "127.0.0.1", [2020, 4000], &ours, early).unwrap(), b"hi");
    let cases = [
        (over_tls(&other, "127.0.0.1", [2020, 4000], &ours, early), Code::TlsUntrusted, ""),
        (over_tls(&ours, "127.0.0.2", [2020, 4000], &ours, early), Code::TlsName, "127.0.0.1"),
        (over_tls(&ours, "127.0.0.1", [2000, 2001], &ours, early), Code::TlsExpired, "2001-01-01T00:00:00Z"),
        (over_tls(&ours, "127.0.0.1", [2190, 4000], &ours, early), Code::TlsClock, "2190-01-01T00:00:00Z"),
        // The initramfs was made later than the clock stands: its time counts, and so does what expired since.
        (over_tls(&ours, "127.0.0.1", [2020, 2199], &ours, in_2200), Code::TlsExpired, "2200-01-01"),
    ];
    for (got, code, says) in cases {
        let error = got.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
    assert_eq!(over_tls(&ours, "127.0.0.1", [2190, 4000], &ours, in_2200).unwrap(), b"hi");
}

#[test]
fn without_a_ca_nothing_is_sent() {
    let server =
        Server::tls(vec![answer("200 OK", "hi")], Authority::new().server("127.0.0.1", [2020, 4000]));
    let error = Client::new(&server.url, REQUEST_LIMIT, Path::new("/nonexistent/ca.pem")).unwrap_err();
    assert_eq!(error.code(), Code::TlsCa);
}

#[test]
fn servers_of_urls() {
    assert_eq!(server("http://10.0.0.1:8080/p"), Some(("10.0.0.1".into(), 8080)));
    assert_eq!(server("http://boot/p?x=1"), Some(("boot".into(), 80)));
    assert_eq!(server("https://boot/p"), Some(("boot".into(), 443)));
    assert_eq!(server("http://[::1]:81/"), Some(("[::1]".into(), 81)));
    assert_eq!(server("/p"), None);
}

#[test]
fn what_is_no_url_is_not_repeated() {
    for url in
        ["secret", "http://secret:x@/p", "ftp://secret@a/p", "http://secret@a b/", "http://secret@a:x/"]
    {
        let error = get(url, 8, Code::PlanFetch, Code::PlanRefused).unwrap_err();
        assert_eq!(error.to_string().matches("secret").count(), usize::from(url == "secret"), "{error}");
    }
}

#[test]
fn no_account_and_no_token_is_shown() {
    assert_eq!(shown("http://boot:81/p"), "http://boot:81/p");
    assert_eq!(shown("https://me:secret@boot/p@q?token=x#y"), "https://boot/p@q");
    assert_eq!(shown("http://me:se@cret@boot"), "http://boot");
    assert_eq!(shown("/plan.json"), "/plan.json");
}

proptest::proptest! {
    #[test]
    fn any_url_is_taken_or_refused(url: String, host in "[a-z@:/?#\\[\\].0-9]{0,30}") {
        for url in [url, format!("http://{host}"), format!("https://{host}")] {
            let _ = server(&url);
            let shown = shown(&url);
            proptest::prop_assert!(!shown.contains('?') && shown.len() <= url.len());
        }
    }
}
