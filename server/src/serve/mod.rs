//! TALK: HTTP, with nodes and with people.

pub mod files;
pub mod metrics;
pub mod node;
pub mod operator;
pub mod page;

use std::sync::{Arc, PoisonError, RwLock};

use axum::{Router, middleware};

use crate::metrics::Metrics;
use crate::site::Site;
use crate::store::Store;

/// What all handlers share. Nothing of it is state: a second server on the same database answers the same.
pub struct App {
    /// The site in use.
    site: RwLock<Arc<Site>>,
    /// The database.
    pub store: Store,
    /// What this server counts.
    pub metrics: Metrics,
}

impl App {
    /// With this site.
    pub fn new(site: Site, store: Store) -> App {
        let metrics = Metrics::counting(store.writes());
        App { site: RwLock::new(Arc::new(site)), store, metrics }
    }

    /// The site in use.
    pub fn site(&self) -> Arc<Site> {
        Arc::clone(&self.site.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on another one is.
    pub fn replace(&self, site: Site) {
        *self.site.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(site);
    }
}

/// All of it.
pub fn router(app: Arc<App>) -> Router {
    let site = app.site();
    Router::new()
        .merge(node::routes(&site))
        .merge(files::routes(&site))
        .merge(operator::routes())
        .merge(metrics::routes(&app))
        .merge(page::routes())
        .layer(middleware::from_fn_with_state(Arc::clone(&app), metrics::count))
        .with_state(app)
}
