//! The page that shows the nodes.

use std::sync::Arc;

use axum::Router;

use super::App;

/// Its routes.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
}
