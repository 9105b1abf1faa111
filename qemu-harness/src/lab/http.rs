//! Serves a scenario's plan and files to the node.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tiny_http::{Method, Request, Response, Server};

use super::HTTP;
use crate::command;
use crate::error::{Error, Result};
use crate::scenario::Scenario;

/// A running server; dropping it ends it.
pub struct HttpServer {
    server: Arc<Server>,
    worker: Option<JoinHandle<()>>,
}

struct Content {
    plan: Option<String>,
    files: PathBuf,
}

impl HttpServer {
    /// Serves `plan.json` and the folder `http` of the scenario; each request is a line in `log`.
    pub fn start(scenario: &Scenario, log: &Path) -> Result<HttpServer> {
        let address = HTTP.trim_start_matches("http://");
        let server = Server::http(address).map_err(|cause| Error::Host(format!("HTTP server: {cause}")))?;
        let server = Arc::new(server);
        let content = Content { plan: scenario.plan.clone(), files: scenario.folder.join("http") };
        let log = command::open_log(log)?;
        let worker = thread::spawn({
            let server = Arc::clone(&server);
            move || {
                for request in server.incoming_requests() {
                    answer(request, &content, &log);
                }
            }
        });
        Ok(HttpServer { server, worker: Some(worker) })
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.server.unblock();
        if let Some(worker) = self.worker.take() {
            let _ = worker.join();
        }
    }
}

/// A client that went away and a log that cannot be written are no reason to stop serving.
fn answer(request: Request, content: &Content, mut log: &File) {
    let line = format!(
        "{} {} {}",
        request.remote_addr().map_or("?".into(), ToString::to_string),
        request.method(),
        request.url()
    );
    let (status, _) = match (request.method(), find(content, request.url())) {
        (Method::Get, Some(body)) => (200, request.respond(Response::from_data(body))),
        (Method::Get, None) => {
            (404, request.respond(Response::from_string("no such file\n").with_status_code(404)))
        }
        _ => (405, request.respond(Response::from_string("GET only\n").with_status_code(405))),
    };
    let _ = writeln!(log, "{line} {status}");
}

/// The body for a path, never from outside of the folder.
fn find(content: &Content, url: &str) -> Option<Vec<u8>> {
    let path = Path::new(url.split('?').next()?).strip_prefix("/").ok()?;
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

    #[test]
    fn only_what_the_scenario_has_is_served() {
        let folder = tempfile::tempdir().unwrap();
        let files = folder.path().join("http");
        fs::create_dir(&files).unwrap();
        fs::write(files.join("image.key"), "key").unwrap();
        fs::write(folder.path().join("outside"), "no").unwrap();
        let content = Content { plan: Some("{}".into()), files };
        assert_eq!(find(&content, "/plan.json?node=1").unwrap(), b"{}");
        assert_eq!(find(&content, "/image.key").unwrap(), b"key");
        assert_eq!(find(&content, "/../outside"), None);
        assert_eq!(find(&content, "/absent"), None);
        assert_eq!(find(&content, "/"), None);
    }
}
