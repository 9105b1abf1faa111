//! The boot plan, from where a boot would have it; and the node's name in it.

use std::fs::File;
use std::io::Read;
use std::sync::Mutex;
use std::time::Duration;

use zeroize::Zeroizing;

use super::{Look, PLAN_UNTIL, way};
use crate::diagnose::evidence::{Check, Of, Outcome, Stage};
use crate::engine::configured;
use crate::error::{Code, Context, Error, Result};
use crate::input::cmdline::Cmdline;
use crate::input::config::{Config, Source};
use crate::input::document::{Document, VERSIONS};
use crate::input::facts::Facts;
use crate::input::identity::{self, Identity};
use crate::input::parameters;
use crate::steps::fetch;
use crate::steps::network::Server;
use crate::sys::http::{self, Client};

/// A server that takes connections answers within this time.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);
/// No plan is longer.
const LONGEST: u64 = 1 << 20;
/// So many servers are asked.
const MOST_SERVERS: usize = 16;

/// What the boot is to do, and as whom.
pub struct Known {
    pub document: Document,
    pub identity: Identity,
}

pub fn look(look: Look<'_>) -> Option<Known> {
    let plan = |check: Check| look.tell(check);
    let bad = |stage, object: &str, error: &Error| plan(Check::failed(stage, Of::Node, object, error));
    let (cmdline, config) = match config(look) {
        Ok(read) => read,
        Err(error) => {
            bad(Stage::Config, "kernel command line", &error);
            return None;
        }
    };
    let (from, document) = document(look, &cmdline, &config)?;
    let document = match document {
        Ok(document) => document,
        Err(error) => {
            bad(Stage::Plan, &from, &error);
            return None;
        }
    };
    let document = if config.multipath { document } else { document.without_map() };
    let wanted = document.map().map_or(1, |_| document.iscsi.min_paths);
    let found =
        format!("target {}, LUN {}, paths wanted: {wanted}", document.iscsi.target, document.iscsi.lun);
    let check = Check::ok(Stage::Plan, Of::Node, &from, found);
    plan(Check { wanted: Some(wanted), ..check });
    let root = look.host.path("/");
    let identity = Identity::of(&document, &config, &Facts::read(&root), identity::baked(&root).as_deref());
    match identity {
        Ok(identity) => {
            let initiator = &identity.initiator;
            plan(Check::ok(
                Stage::Initiator,
                Of::Node,
                &initiator.name,
                format!("from {}", initiator.origin),
            ));
            Some(Known { document, identity })
        }
        Err(error) => {
            bad(Stage::Initiator, "initiator name", &error);
            None
        }
    }
}

fn config(look: Look<'_>) -> Result<(Cmdline, Config)> {
    let cmdline = configured::usable(look.host)?;
    let config = Config::with_plan(&cmdline, fetch::tried(look.host))?;
    Ok((cmdline, config))
}

/// Where the plan is from, and what it is; none: no server has it, and that is told.
fn document(look: Look<'_>, cmdline: &Cmdline, config: &Config) -> Option<(String, Result<Document>)> {
    let file = |path: &str| {
        let text = read(look, path);
        (path.to_owned(), text.and_then(|text| Document::parse(&text)))
    };
    match &config.plan {
        Source::File(path) => Some(file(path)),
        Source::Parameters => Some((config.plan.to_string(), parameters::document(cmdline))),
        Source::Urls(urls) => {
            let found = from_servers(look, urls);
            if found.is_none() {
                look.tell(Check::open(Stage::Plan, Of::Node, "plan", "no server has one"));
            }
            found.map(|(url, document)| (url, Ok(document)))
        }
    }
}

fn read(look: Look<'_>, path: &str) -> Result<Zeroizing<Vec<u8>>> {
    let mut text = Zeroizing::new(Vec::new());
    let file = File::open(look.host.path(path)).context(Code::PlanMissing, path)?;
    file.take(LONGEST).read_to_end(&mut text).context(Code::PlanMissing, path)?;
    Ok(text)
}

/// Asks all servers at once; the plan of the first in the list that has one.
fn from_servers(look: Look<'_>, urls: &[String]) -> Option<(String, Document)> {
    let found = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for (at, url) in urls.iter().take(MOST_SERVERS).enumerate() {
            let found = &found;
            scope.spawn(move || {
                if let Some(document) = from_server(look, url)
                    && let Ok(mut found) = found.lock()
                {
                    found.push((at, http::shown(url), document));
                }
            });
        }
    });
    let found = found.into_inner().ok()?;
    found.into_iter().min_by_key(|(at, ..)| *at).map(|(_, url, document)| (url, document))
}

fn from_server(look: Look<'_>, url: &str) -> Option<Document> {
    let (host, port) = http::server(url)?;
    let name = format!("plan server {host}:{port}");
    way::look(look, Of::PlanServer, &name, &Server::new(host, port), PLAN_UNTIL)?;
    let bad = |stage, code, found: String| look.tell(Check::bad(stage, Of::PlanServer, &name, code, found));
    let limit = look.left(PLAN_UNTIL, ANSWER_LIMIT);
    let headers = [("accept", "application/json"), ("diskless-plan-versions", &VERSIONS.join(", "))];
    let client = match Client::new(url, limit, &look.host.path(http::CA_FILE)) {
        Ok(client) => client,
        Err(error) => {
            bad(Stage::Http, error.code(), error.to_string());
            return None;
        }
    };
    match client.get(&headers, LONGEST) {
        Ok(text) => {
            let found = format!("{} gives {} bytes", http::shown(url), text.len());
            look.tell(Check::ok(Stage::Http, Of::PlanServer, &name, found));
            match Document::parse(&text) {
                Ok(document) => Some(document),
                Err(error) => {
                    bad(Stage::Plan, error.code(), error.to_string());
                    None
                }
            }
        }
        Err(failure) => {
            let code = failure.code(Code::PlanFetch, Code::PlanRefused);
            bad(Stage::Http, code, format!("{}: {failure}", http::shown(url)));
            None
        }
    }
}

/// Whether the server of `url` gives it, without taking it: what is given once only is left for the boot.
pub fn is_given(look: Look<'_>, stage: Stage, url: &str, missing: Code, until: Duration) -> Outcome {
    let Some((host, port)) = http::server(url) else { return Outcome::Unseen };
    let name = format!("server {host}:{port}");
    if way::look(look, Of::KeyServer, &name, &Server::new(host, port), until).is_none() {
        return Outcome::Bad;
    }
    let shown = http::shown(url);
    let limit = look.left(until, ANSWER_LIMIT);
    let asked = Client::new(url, limit, &look.host.path(http::CA_FILE)).map(|client| client.status("HEAD"));
    let check = match asked {
        Err(error) => Check::failed(stage, Of::KeyServer, &name, &error),
        Ok(Err(failure)) => {
            let code = failure.code(Code::SecretFetch, missing);
            Check::bad(stage, Of::KeyServer, &name, code, format!("{shown}: {failure}"))
        }
        Ok(Ok(status @ (401 | 403 | 404 | 410))) => {
            Check::bad(stage, Of::KeyServer, &name, missing, format!("{shown}: HTTP status {status}"))
        }
        Ok(Ok(status @ 200..=399)) => {
            Check::ok(stage, Of::KeyServer, &name, format!("{shown}: HTTP status {status}"))
        }
        // Not all servers know HEAD.
        Ok(Ok(status)) => {
            let why = format!("{shown}: HTTP status {status} to HEAD, and a GET may be for once only");
            Check::unseen(stage, Of::KeyServer, &name, why)
        }
    };
    let outcome = check.outcome;
    look.tell(check);
    outcome
}
