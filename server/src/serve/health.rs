//! `GET /health`: whether this server does its work, for a load balancer or a monitor; no token, and nothing secret.

use std::sync::{Arc, PoisonError};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;

use super::App;

/// Its routes.
pub fn routes() -> Router<Arc<App>> {
    Router::new().route("/health", get(health))
}

/// 200, or 503 when the database cannot be read. `site.refused` is true while the site's file is not the one in use,
/// because it is bad: nodes go on booting, and somebody must look at the log.
async fn health(State(app): State<Arc<App>>) -> Response {
    let database = app.store.nodes(Some(Vec::new())).await;
    let status = if database.is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let reloaded = app.reloaded.read().unwrap_or_else(PoisonError::into_inner).clone();
    let body = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "database": if database.is_ok() { "ok" } else { "failed" },
        "site": { "used_since": reloaded.used_since, "nodes": reloaded.nodes, "refused": reloaded.refused },
    });
    (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}
