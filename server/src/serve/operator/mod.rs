//! What operators ask and want; with a token. docs/api.md describes it.
//!
//! [`ROUTES`] is all of it: the router and the OpenAPI document are both made of this table.

pub mod answer;
pub mod asked;
mod bundles;
mod check;
mod events;
mod nodes;
mod openapi;
pub mod problem;
mod table;
pub mod token;
mod want;

use std::sync::Arc;

use axum::http::{HeaderValue, header};
use axum::response::Response;
use axum::{Router, middleware};

pub use nodes::LONGEST_WAIT;
pub use openapi::document;
pub use table::{Answer, Kind, Method, Param, Place, ROUTES, Route};

use super::App;
use problem::Problem;

/// Its routes.
pub fn routes(app: &Arc<App>) -> Router<Arc<App>> {
    let mut router = Router::new();
    for route in ROUTES {
        let mut answers = (route.handler)(route.method.filter());
        if route.token {
            answers = answers.route_layer(middleware::from_fn_with_state(Arc::clone(app), token::needed));
        }
        router = router.route(route.path, answers);
    }
    router
        .route("/v1/{*rest}", axum::routing::any(async || Problem::not_found()))
        .layer(middleware::map_response(not_kept))
}

/// An answer holds for the moment.
async fn not_kept(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
