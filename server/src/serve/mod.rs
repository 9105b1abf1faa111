//! TALK: HTTP, with nodes and with people.

pub mod ending;
pub mod files;
pub mod metrics;
pub mod node;
pub mod operator;
pub mod page;

use std::sync::{Arc, PoisonError, RwLock};

use axum::{Router, middleware};

use self::ending::Ending;
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
    /// Whether this server ends: who waits for something on behalf of a caller waits for this too.
    pub ending: Ending,
}

impl App {
    /// With this site.
    pub fn new(site: Site, store: Store) -> App {
        App {
            site: RwLock::new(Arc::new(site)),
            metrics: Metrics::counting(store.writes()),
            store,
            ending: Ending::default(),
        }
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
        .merge(operator::routes(&app))
        .merge(metrics::routes(&app))
        .merge(page::routes())
        .layer(middleware::from_fn_with_state(Arc::clone(&app), metrics::count))
        .with_state(app)
}
