//! A server's API, as the verbs of the command line use it.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use diskless::sys::http::{self, shown};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::serve::operator::LONGEST_WAIT;
use crate::serve::operator::answer::{Node, Nodes};
use crate::serve::operator::problem::Said;
use crate::time::Time;

/// One call, beyond the time that it waits for a change.
const CALL_LIMIT: Duration = Duration::from_secs(15);
/// No answer is longer, in bytes: 100,000 nodes, each with a long failure.
const LONGEST_ANSWER: u64 = 256 * 1024 * 1024;
/// A token file is not longer, in bytes.
const LONGEST_TOKEN: usize = 4096;
/// Changes alone do not tell of nodes that fell silent: so often all nodes are read.
const READ_ALL_EVERY: Duration = Duration::from_secs(30);
/// Between two calls that brought changes: many nodes that boot at once are told together.
const GATHER: Duration = Duration::from_millis(200);
/// The first pause after a server did not answer; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest one.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Why a call brought nothing.
#[derive(Debug)]
pub enum Failure {
    /// The server does not answer, or cannot at the moment: later it may.
    Away(Error),
    /// It will not, however often it is asked.
    Refused(Error),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        match failure {
            Failure::Away(error) | Failure::Refused(error) => error,
        }
    }
}

/// A server. There is no Debug: it holds the token.
pub struct Server {
    url: String,
    authorization: Zeroizing<String>,
}

impl Server {
    /// At this URL, `http://10.0.0.1:32001`, with the token in this file.
    ///
    /// # Errors
    /// The file cannot be read, or holds no token.
    pub fn new(url: &str, token_file: &Path) -> Result<Server> {
        let told = |source| Error::File { path: token_file.to_owned(), source };
        let text = Zeroizing::new(std::fs::read_to_string(token_file).map_err(told)?);
        let token = text.trim();
        let plain = |byte: u8| byte.is_ascii_graphic();
        if token.is_empty() || token.len() > LONGEST_TOKEN || !token.bytes().all(plain) {
            return Err(told(std::io::Error::other("this is no token: one word is expected")));
        }
        let authorization = Zeroizing::new(format!("Bearer {token}"));
        Ok(Server { url: url.trim_end_matches('/').to_owned(), authorization })
    }

    /// `GET path`, which may take as long as `wait` beyond the usual.
    ///
    /// # Errors
    /// As [`Failure`] tells.
    pub fn get<T: DeserializeOwned>(&self, path: &str, wait: Duration) -> Result<T, Failure> {
        self.call("GET", path, None, wait)
    }

    /// `PUT path` with `body`.
    ///
    /// # Errors
    /// As [`Failure`] tells.
    pub fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        let body = serde_json::to_vec(body).map_err(|error| Failure::Refused(self.error(error)))?;
        self.call("PUT", path, Some(&body), Duration::ZERO)
    }

    /// The nodes of `set`, as they are.
    ///
    /// # Errors
    /// As [`Failure`] tells; a node that is not in the site is one of them.
    pub fn nodes(&self, set: &str) -> Result<Nodes, Failure> {
        self.get(&nodes_path(set, None), Duration::ZERO).and_then(|nodes| self.all_known(nodes))
    }

    fn all_known(&self, nodes: Nodes) -> Result<Nodes, Failure> {
        if nodes.unknown.is_empty() {
            return Ok(nodes);
        }
        let unknown = crate::site::nodeset::fold(&nodes.unknown);
        Err(Failure::Refused(self.error(format!("not in the site: {unknown}"))))
    }

    fn call<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        body: Option<&[u8]>,
        wait: Duration,
    ) -> Result<T, Failure> {
        let url = format!("{}{path}", self.url);
        // The server speaks HTTP alone, so there is no CA to read.
        let client = http::Client::new(&url, CALL_LIMIT + wait, Path::new(http::CA_FILE))
            .map_err(|error| Failure::Refused(self.error(error)))?;
        let mut headers = vec![("authorization", self.authorization.as_str())];
        if body.is_some() {
            headers.push(("content-type", "application/json"));
        }
        let (status, answer) = client
            .ask(method, &headers, body, LONGEST_ANSWER)
            .map_err(|failure| Failure::Away(self.error(failure)))?;
        if status == 200 {
            return serde_json::from_slice(&answer).map_err(|error| {
                Failure::Refused(self.error(format!("an answer of another kind: {error}")))
            });
        }
        let said = serde_json::from_slice::<Said>(&answer);
        let error = self.error(said.map_or_else(|_| format!("HTTP status {status}"), |said| said.message));
        // Too many requests, and what a server says that starts or ends.
        let later = status == 408 || status == 429 || status >= 500;
        Err(if later { Failure::Away(error) } else { Failure::Refused(error) })
    }

    fn error(&self, message: impl ToString) -> Error {
        Error::Http { url: shown(&self.url), message: message.to_string() }
    }
}

fn nodes_path(set: &str, changed_after: Option<(u64, Duration)>) -> String {
    let path = "/v1/nodes?";
    let mut query = form_urlencoded::Serializer::for_suffix(path.to_owned(), path.len());
    query.append_pair("nodes", set);
    if let Some((after, wait)) = changed_after {
        query.append_pair("changed_after", &after.to_string());
        query.append_pair("wait", &wait.as_secs().to_string());
    }
    query.finish()
}

/// Nodes, kept up to date.
pub struct Follow {
    server: Server,
    set: String,
    /// When all of them were read.
    read: Option<Instant>,
    last: u64,
    /// The server's clock, by its last answer.
    pub now: Time,
    /// By name.
    pub nodes: BTreeMap<String, Node>,
}

impl Follow {
    /// The nodes of `set`; nothing is asked yet.
    pub fn new(server: Server, set: String) -> Follow {
        Follow { server, set, read: None, last: 0, now: Time::default(), nodes: BTreeMap::new() }
    }

    /// Waits until nodes changed, at most until `until`; the first time it does not wait. Gives those that are not as
    /// they were.
    ///
    /// A server that does not answer is asked again, with growing pauses, until `until`; `tell` hears of it once.
    ///
    /// # Errors
    /// The server refuses, or did not answer until `until`.
    pub fn changed(&mut self, until: Instant, tell: &mut dyn FnMut(&Error)) -> Result<Vec<Node>> {
        let mut pause = FIRST_PAUSE;
        let mut told = false;
        loop {
            let error = match self.ask(until) {
                Ok(nodes) => return Ok(nodes),
                Err(Failure::Refused(error)) => return Err(error),
                Err(Failure::Away(error)) => error,
            };
            if !told {
                tell(&error);
                told = true;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(error);
            }
            sleep(pause.min(left));
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn ask(&mut self, until: Instant) -> Result<Vec<Node>, Failure> {
        let next_read = self.read.map(|read| read + READ_ALL_EVERY).filter(|next| *next > Instant::now());
        let answer = match next_read {
            None => {
                let answer = self.server.nodes(&self.set)?;
                self.read = Some(Instant::now());
                answer
            }
            Some(next_read) => {
                sleep(GATHER.min(until.saturating_duration_since(Instant::now())));
                let wait = until.min(next_read).saturating_duration_since(Instant::now()).min(LONGEST_WAIT);
                // Whole seconds, and not none of them while there is time left: that would ask without pause.
                let wait = Duration::from_millis(u64::try_from(wait.as_millis()).unwrap_or(0) + 999);
                let answer = self.server.get(&nodes_path(&self.set, Some((self.last, wait))), wait)?;
                self.server.all_known(answer)?
            }
        };
        (self.last, self.now) = (answer.last, answer.now);
        let differs = |node: &Node| self.nodes.get(&node.name) != Some(node);
        let changed: Vec<Node> = answer.nodes.into_iter().filter(differs).collect();
        self.nodes.extend(changed.iter().map(|node| (node.name.clone(), node.clone())));
        Ok(changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_set_is_one_parameter() {
        assert_eq!(nodes_path("a[1-2],@b&c", None), "/v1/nodes?nodes=a%5B1-2%5D%2C%40b%26c");
        assert_eq!(
            nodes_path("a", Some((7, Duration::from_secs(30)))),
            "/v1/nodes?nodes=a&changed_after=7&wait=30"
        );
    }

    #[test]
    fn a_token_is_one_word() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        assert!(Server::new("http://127.0.0.1", &path).is_err());
        for (text, good) in [("abc\n", true), ("", false), ("\n", false), ("a b", false), ("a\nb\n", false)] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(Server::new("http://127.0.0.1", &path).is_ok(), good, "{text:?}");
        }
    }
}
