//! Numbers for Prometheus, [`crate::metrics`] says which: who counts requests, and who shows it all.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::App;
use super::operator::problem::Problem;
use super::operator::token;
use crate::metrics::{CONTENT_TYPE as EXPOSITION, Nodes, exposition};
use crate::site::Site;
use crate::site::file::Paths;
use crate::state::{self, state};
use crate::store::Node;
use crate::time::Time;

/// Counts requests: a layer for the router that has all routes, for only there the pattern of the route is known.
pub async fn count(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map(|matched| matched.as_str().to_owned());
    let route = route.or_else(|| phone_home(&app.site().file.server.paths, request.uri().path()));
    let response = next.run(request).await;
    let status = response.status().as_u16();
    app.metrics.requests.answered(method.as_str(), route.as_deref(), status, began.elapsed());
    response
}

/// Where nodes phone home is the site's choice: no route of the router, but words of the site all the same.
fn phone_home(paths: &Paths, path: &str) -> Option<String> {
    [&paths.ipxe, &paths.cloudinit, &paths.up].into_iter().find(|home| *home == path).cloned()
}

/// Its route. How many nodes there are, and how they are, is the operators' business: it needs their token, which
/// Prometheus sends (`authorization: credentials_file`), unless `server.metrics_open` says otherwise.
pub fn routes(app: &Arc<App>) -> Router<Arc<App>> {
    Router::new().route("/metrics", get(show)).route_layer(from_fn_with_state(Arc::clone(app), permitted))
}

/// Asked for each call: a reload of the site's file may change it.
async fn permitted(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if app.site().file.server.metrics_open {
        return next.run(request).await;
    }
    token::needed(State(app), request, next).await
}

/// The nodes are looked up each time: they are the database's, and another server may have written of them.
async fn show(State(app): State<Arc<App>>) -> Response {
    let known = match app.store.nodes(None).await {
        Ok(known) => known,
        Err(error) => return Problem::from(error).into_response(),
    };
    let site = app.site();
    let text = exposition(&app.metrics, &by_state(&site, &known, Time::now(), site.silent_after()));
    ([(CONTENT_TYPE, EXPOSITION), (CACHE_CONTROL, "no-store")], text).into_response()
}

/// How many nodes of `site` are in each state; `known` is what the store has, by name, and may have nodes that the site
/// has not any more.
fn by_state(site: &Site, known: &[Node], now: Time, silent_after: Duration) -> Nodes {
    let mut counts = Nodes::new();
    let mut never = site.nodes.len();
    for node in known.iter().filter(|node| site.nodes.contains_key(&node.name)) {
        *counts.entry(state(node, now, silent_after)).or_default() += 1;
        never -= 1;
    }
    *counts.entry(state::State::Never).or_default() += u64::try_from(never).unwrap_or(u64::MAX);
    counts
}
