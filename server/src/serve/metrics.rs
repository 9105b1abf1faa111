//! Numbers for Prometheus, [`crate::metrics`] says which: who counts requests, and who shows it all.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;

use super::App;

/// Its routes.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
}

/// Counts requests: a layer for the router that has all routes, for only there the pattern of the route is known.
pub async fn count(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let route = route.as_ref().map(MatchedPath::as_str);
    app.metrics.requests.answered(method.as_str(), route, response.status().as_u16(), began.elapsed());
    response
}
