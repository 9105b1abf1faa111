//! HTTP GET, bounded in time and size.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use zeroize::Zeroizing;

use super::resolve::resolve;
use crate::error::{Code, Error, Result};

/// One request, from the first packet to the last byte.
const REQUEST_LIMIT: Duration = Duration::from_secs(15);
/// The longest a name may take to resolve.
const RESOLVE_LIMIT: Duration = Duration::from_secs(8);

/// The server and port of `url`; none if it is not a URL with a host.
pub fn server(url: &str) -> Option<(String, u16)> {
    let uri: Uri = url.parse().ok()?;
    let port = uri.port_u16().unwrap_or(80);
    Some((uri.host()?.to_owned(), port))
}

/// Fetches `url`, at most `most` bytes of it. The bytes are wiped when dropped: there may be secrets in them.
///
/// # Errors
/// `refused` if the server answers with a status of 400 to 499, which a further try would not change, else
/// `failed`.
pub fn get(url: &str, most: u64, failed: Code, refused: Code) -> Result<Zeroizing<Vec<u8>>> {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(REQUEST_LIMIT))
        .http_status_as_error(false)
        .user_agent(concat!("diskless/", env!("CARGO_PKG_VERSION")))
        .build();
    let agent = ureq::Agent::with_parts(config, DefaultConnector::default(), Names);
    let mut response = agent.get(url).call().map_err(|error| Error::new(failed, url).because(error))?;
    let status = response.status();
    if !status.is_success() {
        let code = if status.is_client_error() { refused } else { failed };
        return Err(Error::new(code, url).because(format!("HTTP status {status}")));
    }
    let body = response.body_mut().with_config().limit(most).read_to_vec();
    body.map(Zeroizing::new).map_err(|error| Error::new(failed, url).because(error))
}

/// ureq's way to names: ours.
#[derive(Debug)]
struct Names;

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &Uri,
        _: &ureq::config::Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let (name, port) = server(&uri.to_string()).ok_or(ureq::Error::HostNotFound)?;
        let limit = RESOLVE_LIMIT.min(*timeout.after);
        let addresses =
            resolve(Path::new("/"), &name, limit).map_err(|error| ureq::Error::Other(Box::new(error)))?;
        let mut resolved = self.empty();
        for address in addresses.into_iter().take(16) {
            resolved.push(SocketAddr::new(address, port));
        }
        Ok(resolved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    /// A server that gives one `answer` and then goes away.
    fn answering(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/plan", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = BufReader::new(stream.try_clone().unwrap()).lines();
            while request.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            stream.write_all(answer.as_bytes()).unwrap();
        });
        url
    }

    fn fetch(answer: &'static str) -> Result<Vec<u8>> {
        get(&answering(answer), 8, Code::PlanFetch, Code::PlanRefused).map(|body| body.to_vec())
    }

    #[test]
    fn a_body_or_the_reason() {
        assert_eq!(fetch("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").unwrap(), b"hi");
        let cases = [
            ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", Code::PlanRefused, "404"),
            ("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", Code::PlanFetch, "503"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123456789", Code::PlanFetch, "limit"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhi", Code::PlanFetch, ""),
            ("SSH-2.0-x\r\n", Code::PlanFetch, ""),
        ];
        for (answer, code, says) in cases {
            let error = fetch(answer).unwrap_err();
            assert_eq!(error.code(), code, "{answer}: {error}");
            assert!(error.to_string().contains(says), "{answer}: {error}");
        }
    }

    #[test]
    fn servers_of_urls() {
        assert_eq!(server("http://10.0.0.1:8080/p"), Some(("10.0.0.1".into(), 8080)));
        assert_eq!(server("http://boot/p?x=1"), Some(("boot".into(), 80)));
        assert_eq!(server("http://[::1]:81/"), Some(("[::1]".into(), 81)));
        assert_eq!(server("/p"), None);
    }
}
