//! What operators ask and want; with a token.

use std::sync::Arc;

use axum::Router;

use super::App;

/// Its routes.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
}
