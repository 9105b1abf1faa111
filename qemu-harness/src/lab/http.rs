//! Serves a scenario's plan and files to the node, over HTTP and HTTPS, and keeps what the node posts.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

use super::{HTTP, HTTPS};
use crate::command;
use crate::error::{At, Result};
use crate::scenario::Scenario;

/// How long a client may be silent.
const SILENCE: Duration = Duration::from_secs(20);
/// How often the server looks for clients, and whether it is to end.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The most a client may send: a line or headers, and a body.
const HEAD: u64 = 16 << 10;
const BODY: u64 = 1 << 20;

/// Running servers; dropping them ends them.
pub struct HttpServer {
    content: Arc<Content>,
    stop: Arc<AtomicBool>,
    workers: Vec<JoinHandle<()>>,
}

struct Content {
    plan: Option<String>,
    files: PathBuf,
    /// What has another content than there, or none.
    replaced: Mutex<BTreeMap<String, Option<Vec<u8>>>>,
    log: File,
    /// One line a request.
    requests: Mutex<Vec<String>>,
    /// Bodies of POST requests; what is not JSON is a text.
    posts: Mutex<Vec<Value>>,
}

struct Request {
    method: String,
    path: String,
    body: Vec<u8>,
}

impl HttpServer {
    /// Serves `plan.json` and the folder `http` of the scenario, with `tls` over HTTPS too; each request is a line
    /// in `log`.
    pub fn start(scenario: &Scenario, tls: Option<Arc<ServerConfig>>, log: &Path) -> Result<HttpServer> {
        let content = Arc::new(Content {
            plan: scenario.plan.clone(),
            files: scenario.folder.join("http"),
            replaced: Mutex::default(),
            log: command::open_log(log)?,
            requests: Mutex::default(),
            posts: Mutex::default(),
        });
        let mut server = HttpServer { content, stop: Arc::default(), workers: Vec::new() };
        server.listen(HTTP, None)?;
        if tls.is_some() {
            server.listen(HTTPS, tls)?;
        }
        Ok(server)
    }

    /// The requests so far: `METHOD PATH STATUS`.
    pub fn requests(&self) -> Vec<String> {
        self.content.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was posted so far.
    pub fn posts(&self) -> Vec<Value> {
        self.content.posts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on there is `content` at `path`, or nothing.
    pub fn replace(&self, path: &str, content: Option<Vec<u8>>) {
        let mut replaced = self.content.replaced.lock().unwrap_or_else(PoisonError::into_inner);
        replaced.insert(path.to_owned(), content);
    }

    fn listen(&mut self, url: &str, tls: Option<Arc<ServerConfig>>) -> Result<()> {
        let address = url.rsplit('/').next().unwrap_or_default();
        let listener = TcpListener::bind(address).at("listen on", address)?;
        // Blocking, it could not be told to end.
        listener.set_nonblocking(true).at("listen on", address)?;
        let (content, stop) = (Arc::clone(&self.content), Arc::clone(&self.stop));
        self.workers.push(thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let Ok((client, from)) = listener.accept() else {
                    thread::sleep(LOOK_EVERY);
                    continue;
                };
                let (content, tls) = (Arc::clone(&content), tls.clone());
                // What a client does is its own affair: the next one is served all the same.
                thread::spawn(move || {
                    if let Err(cause) = serve(client, from, tls, &content) {
                        let _ = writeln!(&content.log, "{from} {cause}");
                    }
                });
            }
        }));
        Ok(())
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
    }
}

fn serve(
    client: TcpStream,
    from: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
    content: &Content,
) -> io::Result<()> {
    client.set_nonblocking(false)?;
    client.set_read_timeout(Some(SILENCE))?;
    client.set_write_timeout(Some(SILENCE))?;
    match tls {
        Some(config) => {
            let connection = ServerConnection::new(config).map_err(io::Error::other)?;
            let mut stream = StreamOwned::new(connection, client);
            answer(&mut stream, from, content)?;
            stream.conn.send_close_notify();
            stream.flush()
        }
        None => answer(&mut &client, from, content),
    }
}

/// One request a connection.
fn answer(stream: &mut (impl Read + Write), from: SocketAddr, content: &Content) -> io::Result<()> {
    let request = read(&mut BufReader::new(&mut *stream))?;
    let (status, body) = match request.method.as_str() {
        "GET" => match find(content, &request.path) {
            Some(body) => ("200 OK", body),
            None => ("404 Not Found", b"no such file\n".to_vec()),
        },
        "POST" => {
            let text = || Value::String(String::from_utf8_lossy(&request.body).into_owned());
            let posted = serde_json::from_slice(&request.body).unwrap_or_else(|_| text());
            content.posts.lock().unwrap_or_else(PoisonError::into_inner).push(posted);
            ("200 OK", Vec::new())
        }
        _ => ("405 Method Not Allowed", b"GET and POST only\n".to_vec()),
    };
    let line = format!("{} {} {}", request.method, request.path, status.get(..3).unwrap_or_default());
    let _ = writeln!(&content.log, "{from} {line}");
    content.requests.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), &body].concat())?;
    stream.flush()
}

/// A request with its body: RFC 9112, as far as a client that is told `Connection: close` goes.
fn read(stream: &mut impl BufRead) -> io::Result<Request> {
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut head = stream.take(HEAD);
    let mut line = String::new();
    head.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Err(bad("not a request"));
    };
    let (method, path) = (method.to_owned(), path.to_owned());
    let mut length = 0;
    loop {
        let mut line = String::new();
        if head.read_line(&mut line)? == 0 {
            return Err(bad("headers without an end"));
        }
        match line.trim_end().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().map_err(|_| bad("not a length"))?;
            }
            Some((name, _)) if name.eq_ignore_ascii_case("transfer-encoding") => {
                return Err(bad("a body of unknown length"));
            }
            Some(_) => {}
            None if line.trim_end().is_empty() => break,
            None => return Err(bad("not a header")),
        }
    }
    if length > BODY {
        return Err(bad("a body that is too long"));
    }
    let mut body = Vec::new();
    stream.take(length).read_to_end(&mut body)?;
    if body.len() as u64 != length {
        return Err(bad("a body that is too short"));
    }
    Ok(Request { method, path, body })
}

/// The body for a path, never from outside of the folder.
fn find(content: &Content, url: &str) -> Option<Vec<u8>> {
    let url = url.split('?').next()?;
    if let Some(content) = content.replaced.lock().unwrap_or_else(PoisonError::into_inner).get(url) {
        return content.clone();
    }
    let path = Path::new(url).strip_prefix("/").ok()?;
    if path == Path::new("plan.json")
        && let Some(plan) = &content.plan
    {
        return Some(plan.clone().into_bytes());
    }
    let inside = path.components().all(|part| matches!(part, Component::Normal(_)));
    inside.then(|| fs::read(content.files.join(path)).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn content(folder: &Path) -> Content {
        let files = folder.join("http");
        fs::create_dir(&files).unwrap();
        fs::write(files.join("image.key"), "key").unwrap();
        fs::write(folder.join("outside"), "no").unwrap();
        let log = command::open_log(&folder.join("log")).unwrap();
        Content {
            plan: Some("{}".into()),
            files,
            replaced: Mutex::default(),
            log,
            requests: Mutex::default(),
            posts: Mutex::default(),
        }
    }

    /// The answer to `request`.
    fn talk(content: &Content, request: &str) -> io::Result<String> {
        struct Wire(Cursor<Vec<u8>>, Vec<u8>);
        impl Read for Wire {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.0.read(buffer)
            }
        }
        impl Write for Wire {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.1.write(bytes)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut wire = Wire(Cursor::new(request.as_bytes().to_vec()), Vec::new());
        answer(&mut wire, "127.0.0.1:1".parse().unwrap(), content)?;
        Ok(String::from_utf8(wire.1).unwrap())
    }

    #[test]
    fn only_what_the_scenario_has_is_served() {
        let folder = tempfile::tempdir().unwrap();
        let content = content(folder.path());
        assert_eq!(find(&content, "/plan.json?node=1").unwrap(), b"{}");
        assert_eq!(find(&content, "/image.key").unwrap(), b"key");
        assert_eq!(find(&content, "/../outside"), None);
        assert_eq!(find(&content, "/absent"), None);
        assert_eq!(find(&content, "/"), None);
        let replace = |path: &str, content_of: Option<&[u8]>| {
            content.replaced.lock().unwrap().insert(path.to_owned(), content_of.map(<[u8]>::to_vec));
        };
        replace("/plan.json", Some(b"other"));
        replace("/image.key", None);
        assert_eq!(find(&content, "/plan.json?node=1").unwrap(), b"other");
        assert_eq!(find(&content, "/image.key"), None);
    }

    #[test]
    fn requests_are_answered_and_recorded() {
        let folder = tempfile::tempdir().unwrap();
        let content = content(folder.path());
        let text = talk(&content, "GET /image.key HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert!(
            text.starts_with("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n") && text.ends_with("\r\n\r\nkey")
        );
        assert!(talk(&content, "PUT /a HTTP/1.1\r\n\r\n").unwrap().contains("405"));
        let posts = [
            "POST /e HTTP/1.1\r\ncontent-length: 7\r\n\r\n{\"a\":1}",
            "POST /e HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi",
        ];
        for post in posts {
            talk(&content, post).unwrap();
        }
        assert_eq!(*content.posts.lock().unwrap(), [serde_json::json!({"a": 1}), serde_json::json!("hi")]);
        let requests = content.requests.lock().unwrap();
        assert_eq!(*requests, ["GET /image.key 200", "PUT /a 405", "POST /e 200", "POST /e 200"]);
    }

    #[test]
    fn what_is_no_request_is_not_answered() {
        let folder = tempfile::tempdir().unwrap();
        let content = content(folder.path());
        for request in [
            "",
            "GET\r\n\r\n",
            "GET / HTTP/1.1\r\n",
            "GET / HTTP/1.1\r\nHost\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nshort",
            "POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ] {
            assert!(talk(&content, request).is_err(), "{request:?}");
        }
    }
}
