//! HTTP and HTTPS, bounded in time and size.

use std::error::Error as StdError;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use ureq::http::{HeaderMap, Uri};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Connector, NextTimeout, TcpConnector};
use ureq::{Agent, AsSendBody, Body};
use zeroize::Zeroizing;

use super::resolve::resolve;
use super::tls::{self, Tls};
use crate::error::{Code, Error, Result};

/// Where the initramfs has the certificates of the CAs that servers are checked by, in PEM form.
pub const CA_FILE: &str = "/etc/diskless/ca.pem";
/// One request, from the first packet to the last byte.
pub const REQUEST_LIMIT: Duration = Duration::from_secs(15);
/// A server that does not even take the connection gets less: there may be another URL.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// The longest a name may take to resolve.
const RESOLVE_LIMIT: Duration = Duration::from_secs(8);
/// So often a server may send us on to another URL.
const MOST_REDIRECTS: u32 = 4;

/// The server and port of `url`; none if it is not a URL with a host.
pub fn server(url: &str) -> Option<(String, u16)> {
    let uri: Uri = url.parse().ok()?;
    let usual = if is_https(&uri) { 443 } else { 80 };
    Some((uri.host()?.to_owned(), uri.port_u16().unwrap_or(usual)))
}

fn is_https(uri: &Uri) -> bool {
    uri.scheme_str() == Some("https")
}

/// `url` as people and reports may see it: without an account, and without the query, where tokens are.
pub fn shown(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

/// Why a request brought nothing.
#[derive(Debug)]
pub struct Failure {
    kind: Kind,
    cause: Box<dyn StdError + Send + Sync>,
    /// How long the server wants to be left alone.
    pub retry_after: Option<Duration>,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    /// May go away by itself.
    Failed,
    /// The server says that a further try would not change it.
    Refused,
    /// What is known by its own code.
    Known(Code),
}

impl Failure {
    /// `refused` if the server refused the request, a code of its own if its certificate cannot be trusted, else
    /// `failed`.
    pub fn code(&self, failed: Code, refused: Code) -> Code {
        match self.kind {
            Kind::Failed => failed,
            Kind::Refused => refused,
            Kind::Known(code) => code,
        }
    }

    /// The error, with the code of [`Failure::code`].
    pub fn into_error(self, url: &str, failed: Code, refused: Code) -> Error {
        Error::new(self.code(failed, refused), shown(url)).because(self.cause)
    }

    fn of(error: ureq::Error) -> Failure {
        let cause: Box<dyn StdError + Send + Sync> = match error {
            ureq::Error::Other(cause) => cause,
            // Its text would show the URL as it is, account and all.
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => "it is not an HTTP URL".into(),
            ureq::Error::Io(error) if error.get_ref().is_some() => match error.into_inner() {
                Some(cause) => cause,
                None => "input or output failed".into(),
            },
            other => other.into(),
        };
        match tls::refused(cause.as_ref()) {
            Some((code, why)) => Failure { kind: Kind::Known(code), cause: why.into(), retry_after: None },
            None => Failure { kind: Kind::Failed, cause, retry_after: None },
        }
    }

    /// Of an answer with a status that is no success.
    fn of_answer(status: u16, headers: &HeaderMap) -> Failure {
        // Request Timeout, Too Early, Too Many Requests: the next time it may be another answer.
        let refused = (400..500).contains(&status) && ![408, 425, 429].contains(&status);
        Failure {
            kind: if refused { Kind::Refused } else { Kind::Failed },
            cause: format!("HTTP status {status}").into(),
            retry_after: retry_after(headers),
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.cause)?;
        let mut cause = self.cause.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// `Retry-After` (RFC 9110, section 10.2.3) in seconds. A date is no use to a node without a trusted clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get("retry-after")?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// A client for one URL.
#[derive(Debug)]
pub struct Client {
    agent: Agent,
    url: String,
}

impl Client {
    /// For `url`, each request to it limited to `limit`; its server is checked by the CAs in the file `ca` if it is an
    /// `https` URL.
    ///
    /// # Errors
    /// [`Code::TlsCa`]: for an `https` URL, there is no CA in `ca`.
    pub fn new(url: &str, limit: Duration, ca: &Path) -> Result<Client> {
        let https = url.parse::<Uri>().is_ok_and(|uri| is_https(&uri));
        let tls = if https { Some(tls::trusting(ca)?) } else { None };
        let config = Agent::config_builder()
            .timeout_global(Some(limit))
            .timeout_connect(Some(CONNECT_LIMIT))
            .http_status_as_error(false)
            .max_redirects(MOST_REDIRECTS)
            .proxy(None)
            // Between two events a server may close a connection, and the next event would be the one to find out.
            .max_idle_connections(0)
            .user_agent(concat!("diskless/", env!("CARGO_PKG_VERSION")))
            .build();
        let connector = ().chain(TcpConnector::default()).chain(Tls(tls));
        Ok(Client { agent: Agent::with_parts(config, connector, Names { https }), url: url.to_owned() })
    }

    /// Fetches the body, at most `most` bytes of it, sending `headers` too. The bytes are wiped when dropped: there may
    /// be secrets in them. Redirects are followed, though not from `https` to `http` or back.
    ///
    /// # Errors
    /// No answer, another answer than success, or a body that is cut, too long or encoded.
    pub fn get(&self, headers: &[(&str, &str)], most: u64) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let mut request = self.agent.get(&self.url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = request.call().map_err(Failure::of)?;
        check(&response)?;
        let body = response.body_mut().with_config().limit(most).read_to_vec();
        body.map(Zeroizing::new).map_err(Failure::of)
    }

    /// Posts the JSON text `body`. What the server answers does not matter, only that it is a success. Redirects are
    /// not followed.
    ///
    /// # Errors
    /// No answer, or another one than success.
    pub fn post_json(&self, body: &[u8]) -> Result<(), Failure> {
        let request = self.agent.post(&self.url).header("content-type", "application/json");
        let response = request.config().max_redirects(0).build().send(body).map_err(Failure::of)?;
        check(&response)
    }

    /// Posts `fields` as a browser posts a form (`application/x-www-form-urlencoded`). Else as [`Client::post_json`].
    ///
    /// # Errors
    /// No answer, or another one than success.
    pub fn post_form(&self, fields: &[(&str, String)]) -> Result<(), Failure> {
        let request = self.agent.post(&self.url).config().max_redirects(0).build();
        let response = request.send_form(fields.iter().map(|(name, value)| (*name, value)));
        check(&response.map_err(Failure::of)?)
    }

    /// Sends a request with `headers` and, if given, a body; gives the status of the answer, whichever it is, and at
    /// most `most` bytes of its body. Redirects are not followed.
    ///
    /// # Errors
    /// No answer, or a body that is cut or too long.
    pub fn ask(
        &self,
        method: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
        most: u64,
    ) -> Result<(u16, Zeroizing<Vec<u8>>), Failure> {
        let mut request = ureq::http::Request::builder().method(method).uri(&self.url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let no_url = |error| Failure::of(ureq::Error::Http(error));
        let response = match body {
            Some(body) => self.run(request.body(body).map_err(no_url)?),
            None => self.run(request.body(()).map_err(no_url)?),
        };
        let mut response = response.map_err(Failure::of)?;
        let body = response.body_mut().with_config().limit(most).read_to_vec();
        Ok((response.status().as_u16(), Zeroizing::new(body.map_err(Failure::of)?)))
    }

    /// The status of the answer to a request without a body; what else there is to it is left where it is. Redirects are
    /// not followed.
    ///
    /// # Errors
    /// No answer.
    pub fn status(&self, method: &str) -> Result<u16, Failure> {
        let request = ureq::http::Request::builder().method(method).uri(&self.url).body(());
        let request = request.map_err(|error| Failure::of(ureq::Error::Http(error)))?;
        Ok(self.run(request).map_err(Failure::of)?.status().as_u16())
    }

    fn run(
        &self,
        request: ureq::http::Request<impl AsSendBody>,
    ) -> Result<ureq::http::Response<Body>, ureq::Error> {
        let request = self.agent.configure_request(request).max_redirects(0).build();
        self.agent.run(request)
    }
}

fn check(response: &ureq::http::Response<Body>) -> Result<(), Failure> {
    let failed = |cause: &str| Failure { kind: Kind::Failed, cause: cause.into(), retry_after: None };
    if !response.status().is_success() {
        return Err(Failure::of_answer(response.status().as_u16(), response.headers()));
    }
    match response.headers().get("content-encoding") {
        Some(encoding) if encoding != "identity" => {
            Err(failed("the body is encoded, which was not asked for"))
        }
        _ => Ok(()),
    }
}

/// Fetches `url`, at most `most` bytes of it. The bytes are wiped when dropped: there may be secrets in them.
///
/// # Errors
/// `refused` if the server answers with a status that a further try would not change, a code of its own if its
/// certificate cannot be trusted, else `failed`.
pub fn get(url: &str, most: u64, failed: Code, refused: Code) -> Result<Zeroizing<Vec<u8>>> {
    let client = Client::new(url, REQUEST_LIMIT, Path::new(CA_FILE))?;
    client.get(&[], most).map_err(|failure| failure.into_error(url, failed, refused))
}

/// ureq's way to names: ours. It is asked once more for each redirect, and so keeps them to one scheme.
#[derive(Debug)]
struct Names {
    https: bool,
}

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &Uri,
        _: &ureq::config::Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        if is_https(uri) != self.https {
            let why = format!("redirected from https to http or back: {}", shown(&uri.to_string()));
            return Err(ureq::Error::Other(why.into()));
        }
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
pub(crate) mod fixture;
#[cfg(fuzzing)]
pub mod fuzz;
#[cfg(test)]
mod tests;
