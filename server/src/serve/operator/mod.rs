//! What operators ask and want; with a token.

use std::sync::Arc;

pub mod answer;
pub mod problem;
pub mod token;

use axum::Router;

use super::App;

/// Its routes.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
}
