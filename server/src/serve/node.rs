//! What nodes say and ask; no token.
//!
//! What a node says is durable when it has its answer. Only boot scripts and plans are given out whatever the database
//! does: no boot depends on bookkeeping.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use diskless::input::document::{Document, VERSIONS};
use diskless::input::signature::ENDINGS;
use tokio::time::timeout;

use super::peer::Peer;
use super::{App, form, line, not_found, who};
use crate::error::{Error, Result};
use crate::ipxe::{self, Asked, Who};
use crate::site::{Site, plan, signing};
use crate::state;
use crate::store::{Call, Change, Wish};
use crate::time::Time;

/// iPXE's GET as it starts the kernel.
const KERNEL: &str = "/phone_home/kernel";
/// Behind a node's name: not its plan, but the signature of it.
const SIGNATURE: &str = ".minisig";
/// A boot script waits no longer for the database.
const BOOKKEEPING: Duration = Duration::from_secs(2);
/// A node whose word could not be written is to say it again after so many seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// Its routes. Where nodes phone home is the site's choice, and may change while the server runs: [`phone_home`].
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/boot.ipxe", get(boot_by_query))
        .route("/boot/{document}", get(boot_by_path))
        .route(KERNEL, get(kernel))
        .route("/report/{node}", post(report))
        .route("/plan/{node}", get(plan))
}

/// `GET /boot.ipxe?mac=&uuid=&hostname=`
async fn boot_by_query(
    app: State<Arc<App>>,
    peer: Peer,
    method: Method,
    RawQuery(query): RawQuery,
) -> Response {
    boot(&app, peer, &method, &form::asked(&query.unwrap_or_default())).await
}

/// `GET /boot/NODE.ipxe`: by its name, a MAC or its UUID.
async fn boot_by_path(
    app: State<Arc<App>>,
    peer: Peer,
    method: Method,
    Path(document): Path<String>,
) -> Response {
    match document.strip_suffix(".ipxe") {
        Some(word) => boot(&app, peer, &method, &who::asked(word)).await,
        None => not_found(),
    }
}

/// The script; whoever asks gets one, for it is shown on the node's console.
async fn boot(app: &App, Peer(peer): Peer, method: &Method, asked: &Asked) -> Response {
    let site = app.site();
    let who = ipxe::who(&site, asked);
    let node = if let Who::Node(name) = &who { Some(name.as_str()) } else { None };
    let answer = match node {
        Some(name) => match tokio::join!(wanted(app, name), attempt(app, name)) {
            // A later server knew it: to guess could be to boot what was not to be booted.
            (Some(Wish::Unknown(word)), _) => {
                let reason =
                    format!("{name}: this server does not know the action {word:?} that it was set to");
                ipxe::refuse(&site, asked, &reason)
            }
            (Some(Wish::Known(action)), attempt) => {
                ipxe::answer_to(&site, asked, &who, Some(action), attempt)
            }
            (None, attempt) => ipxe::answer_to(&site, asked, &who, None, attempt),
        },
        None => ipxe::answer(&site, asked, &who, None),
    };
    app.metrics.scripts.given(answer.given);
    if let Some(warning) = &answer.warning
        && (node.is_some() || app.may_log("script", peer))
    {
        log::warn!(
            event = "script", given = answer.given, node = node.unwrap_or("-"), from:% = peer,
            mac = said(&asked.mac), uuid = said(&asked.uuid), hostname = said(&asked.hostname); "{warning}"
        );
    }
    // A HEAD is somebody who looks at it: no boot begins.
    if let Some(name) = node
        && method == Method::GET
    {
        log::info!(event = "script", given = answer.given, node = name, from:% = peer; "");
        let call = Call::Ipxe { given: Some(answer.given.to_owned()) };
        match timeout(BOOKKEEPING, hear(app, name, peer, call)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => unwritten(name, &error.to_string()),
            Err(_) => unwritten(name, "the database does not answer"),
        }
    }
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    (headers, answer.script).into_response()
}

/// What an operator wants of `node`; nothing, if the database does not say.
async fn wanted(app: &App, node: &str) -> Option<Wish> {
    let known = timeout(BOOKKEEPING, app.store.wanted(node)).await;
    let why = match known {
        Ok(Ok(known)) => return Some(known?.action),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the database does not answer".to_owned(),
    };
    log::error!(event = "unread", node = node; "it gets what the site's file says: {why}");
    None
}

/// Which boot of `node` since it was last up the next one is; nothing, if the database does not say.
async fn attempt(app: &App, node: &str) -> Option<u32> {
    let boots = timeout(BOOKKEEPING, app.store.boots(node, state::MOST_ATTEMPTS)).await;
    boots.ok()?.ok().map(|boots| state::attempt(&boots))
}

fn unwritten(node: &str, why: &str) {
    log::error!(event = "unwritten", node = node; "the node has its script, and this boot is not in the database: {why}");
}

/// `GET /phone_home/kernel?mac=&uuid=&hostname=`: iPXE starts the kernel.
async fn kernel(State(app): State<Arc<App>>, Peer(peer): Peer, RawQuery(query): RawQuery) -> Response {
    from_ipxe(&app, peer, query.as_deref(), Call::Kernel).await
}

/// Where the site has its nodes phone home: iPXE by GET, cloud-init and `diskless-report.service` by POST of a form.
pub async fn phone_home(
    State(app): State<Arc<App>>,
    Peer(peer): Peer,
    method: Method,
    uri: Uri,
    body: Bytes,
) -> Response {
    let site = app.site();
    let paths = &site.file.server.paths;
    let call = match (method, uri.path()) {
        (Method::GET, path) if path == paths.ipxe => {
            return from_ipxe(&app, peer, uri.query(), Call::Ipxe { given: None }).await;
        }
        (Method::POST, path) if path == paths.cloudinit => Call::Cloudinit,
        (Method::POST, path) if path == paths.up => Call::Up,
        _ => return not_found(),
    };
    let form = form::phone_home(&body);
    match who::of_form(&site, &form) {
        Some(node) => heard(&app, &node.name, peer, call(form)).await,
        None => {
            let hostname = form.hostname.or(form.fqdn).or(form.instance_id);
            stranger(&app, peer, uri.path(), said(&hostname))
        }
    }
}

/// A GET of iPXE.
async fn from_ipxe(app: &App, peer: IpAddr, query: Option<&str>, call: Call) -> Response {
    let asked = form::asked(query.unwrap_or_default());
    let site = app.site();
    // The original's sensor knew nodes by their host name alone, and their domain may be any.
    let by_name = || asked.hostname.as_deref().and_then(|name| who::find(&site, name));
    let node = match ipxe::who(&site, &asked) {
        Who::Node(name) => Some(name),
        Who::Contradiction(_) => None,
        Who::Nobody | Who::Unknown => by_name().map(|node| node.name.clone()),
    };
    match node {
        Some(node) => heard(app, &node, peer, call).await,
        None => stranger(app, peer, "iPXE's phone home", said(&asked.hostname)),
    }
}

/// `POST /report/NODE`: an event of the agent. Whatever its `hostname` says, it is of the node that the path names.
async fn report(
    State(app): State<Arc<App>>,
    Peer(peer): Peer,
    Path(node): Path<String>,
    body: Bytes,
) -> Response {
    let site = app.site();
    let Some(node) = who::find(&site, &node) else {
        return stranger(&app, peer, "/report", &node);
    };
    match form::event(&body) {
        Ok(record) => heard(&app, &node.name, peer, Call::Event(Box::new(record))).await,
        Err(wrong) => {
            if app.may_log("bad-report", peer) {
                log::warn!(event = "bad-report", node = node.name, from:% = peer; "{wrong}");
            }
            line(StatusCode::BAD_REQUEST, &wrong)
        }
    }
}

/// `GET /plan/NODE`: its boot plan, in the newest version that it knows, by `Diskless-Plan-Versions: 1.0, 1.1`. Behind
/// its name `.minisig`: the signature of that plan, if the site signs them.
async fn plan(
    State(app): State<Arc<App>>,
    Peer(peer): Peer,
    Path(word): Path<String>,
    headers: HeaderMap,
) -> Response {
    let site = app.site();
    let signature = word.strip_suffix(SIGNATURE);
    let word = signature.unwrap_or(&word);
    // Else the name would be that of the node in a domain, and it would get the plan for its signature.
    let none = signature.is_some() && !site.signer.is_wanted();
    if none || ENDINGS.iter().any(|ending| word.ends_with(ending)) {
        return not_found();
    }
    let Some(node) = who::find(&site, word) else {
        return stranger(&app, peer, "/plan", word);
    };
    if !who::may_have_plans(&site, peer) {
        if app.may_log("plan-refused", peer) {
            log::warn!(event = "plan-refused", node = node.name, from:% = peer;
                "that address is in no network of the site, nor in server.plans_from");
        }
        return not_found();
    }
    let asked = headers.get("diskless-plan-versions").map(|asked| asked.to_str().unwrap_or_default());
    let Some(version) = who::version(asked, VERSIONS) else {
        let there_is = format!("there are versions {}", VERSIONS.join(", "));
        if app.may_log("plan-version", peer) {
            log::warn!(event = "plan-version", node = node.name, from:% = peer; "its agent knows none: {there_is}");
        }
        return line(StatusCode::NOT_ACCEPTABLE, &there_is);
    };
    let answer = document(&site, node, version).and_then(|text| match signature {
        Some(_) => site.signer.sign(&node.name, &text).map(String::into_bytes).ok_or_else(|| {
            let why = site.signer.wrong().unwrap_or_default();
            format!("the plan cannot be signed: {why}")
        }),
        None => Ok(text),
    });
    match answer {
        Ok(text) => {
            let kind = if signature.is_some() { "text/plain; charset=utf-8" } else { "application/json" };
            let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store")];
            (headers, text).into_response()
        }
        // Not 4xx, which would end the boot: whoever mends the site's file need not visit every node then.
        Err(wrong) => {
            if app.may_log("bad-plan", peer) {
                log::error!(event = "bad-plan", node = node.name, from:% = peer; "{wrong}");
            }
            line(StatusCode::INTERNAL_SERVER_ERROR, &wrong)
        }
    }
}

/// A boot plan that the agent will take.
fn document(site: &Site, node: &crate::site::Node, version: &str) -> Result<Vec<u8>, String> {
    let mut rendered = plan::render(site, node, version).map_err(|error| error.to_string())?;
    signing::bind(&mut rendered, site, node, Time::now());
    let text = serde_json::to_vec(&rendered.document).map_err(|error| error.to_string())?;
    match Document::parse(&text) {
        Ok(_) => Ok(text),
        Err(error) => Err(format!("[{}] {error}; {}", error.code().as_str(), error.advice())),
    }
}

/// Makes durable what a node said, and answers it.
async fn heard(app: &App, node: &str, peer: IpAddr, call: Call) -> Response {
    match hear(app, node, peer, call).await {
        // Not an empty one, which iPXE takes for a failure.
        Ok(()) => line(StatusCode::OK, "ok"),
        Err(error) => {
            if app.may_log("unwritten", peer) {
                log::error!(event = "unwritten", node = node, from:% = peer; "{error}");
            }
            let mut response =
                line(StatusCode::SERVICE_UNAVAILABLE, "the database does not take it: try again");
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
            response
        }
    }
}

async fn hear(app: &App, node: &str, peer: IpAddr, call: Call) -> Result<(), Error> {
    let change = Change::Heard { node: node.to_owned(), at: Time::now(), from: Some(peer), call };
    app.store.write(vec![change]).await.map(drop)
}

/// Somebody whom the site does not know, or who asks with a typing mistake: the log says so, now and then.
fn stranger(app: &App, peer: IpAddr, what: &str, name: &str) -> Response {
    if app.may_log("unknown-node", peer) {
        log::warn!(event = "unknown-node", name = name, from:% = peer, what = what; "no node of the site is called that");
    }
    not_found()
}

fn said(word: &Option<String>) -> &str {
    word.as_deref().unwrap_or("-")
}
