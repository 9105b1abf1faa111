//! Numbers for Prometheus, [`crate::metrics`] says which: who counts requests, and who shows it all.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::Router;

use super::App;
use super::operator::problem::Problem;
use super::operator::token;
use crate::metrics::{CONTENT_TYPE as EXPOSITION, Nodes, exposition};

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
