//! What nodes say and ask; no token.

use std::sync::Arc;

use axum::Router;

use super::App;
use crate::site::Site;

/// Its routes.
pub fn routes(_site: &Site) -> Router<Arc<App>> {
    Router::new()
}
