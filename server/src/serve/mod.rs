//! TALK: HTTP, with nodes and with people.
//!
//! [`run`] is the server's life; [`listen`] takes connections and [`limits`] bounds what they may cost. What is asked is
//! answered by one file each: [`node`], [`bundle`], [`files`], [`operator`], [`metrics`], [`health`], [`page`].

pub mod bundle;
pub mod files;
pub mod form;
pub mod health;
pub mod limits;
pub mod listen;
pub mod metrics;
pub mod node;
pub mod operator;
pub mod page;
pub mod peer;
pub mod reload;
pub mod run;
pub mod systemd;
pub mod who;

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Router, middleware};
use tokio::sync::{Semaphore, watch};

use crate::metrics::Metrics;
use crate::site::Site;
use crate::store::Store;
use limits::Limits;

/// What all handlers share. Nothing of it is state: a second server on the same database answers the same.
pub struct App {
    /// The site in use.
    site: RwLock<Arc<Site>>,
    /// The database.
    pub store: Store,
    /// What this server counts.
    pub metrics: Metrics,
    /// What a request may cost.
    pub limits: Limits,
    /// How the last reading of the site's file went.
    pub reloaded: RwLock<reload::Outcome>,
    /// What the log has said lately.
    pace: peer::Pace,
    /// Places for bundles that come.
    bundles: Semaphore,
    /// Whether the server is about to end.
    stopping: watch::Sender<bool>,
}

impl App {
    /// With this site.
    pub fn new(site: Site, store: Store) -> App {
        App {
            reloaded: RwLock::new(reload::Outcome::used(&site)),
            site: RwLock::new(Arc::new(site)),
            metrics: Metrics::counting(store.writes()),
            store,
            limits: Limits::default(),
            pace: peer::Pace::default(),
            bundles: Semaphore::new(bundle::PLACES),
            stopping: watch::Sender::new(false),
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

    /// Whether the log may have `event` of `peer` now: once a minute.
    pub fn may_log(&self, event: &'static str, peer: IpAddr) -> bool {
        self.pace.may(peer, event, Instant::now())
    }

    /// From now on the server ends.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Returns when the server is about to end: whoever waits for something else for long, waits for this too.
    pub async fn stopping(&self) {
        // It cannot fail: the sender is in `self`.
        let _ = self.stopping.subscribe().wait_for(|stopping| *stopping).await;
    }
}

/// All of it.
pub fn router(app: Arc<App>) -> Router {
    let limits = app.limits;
    let quick = Router::new()
        .merge(node::routes())
        .merge(files::routes())
        .merge(health::routes())
        .fallback(node::phone_home)
        .layer(middleware::from_fn_with_state(limits, limits::in_time));
    // What operators and the page ask may be answered for hours: they end by `App::stopping`.
    Router::new()
        .merge(quick)
        .merge(bundle::routes())
        .merge(operator::routes(&app))
        .merge(metrics::routes(&app))
        .merge(page::routes())
        .layer(middleware::from_fn_with_state(limits, limits::guard))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), metrics::count))
        .with_state(app)
}

/// An answer of one line.
pub fn line(status: StatusCode, text: &str) -> Response {
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    (status, headers, format!("{text}\n")).into_response()
}

/// The one answer to whoever asks for what is not there, for a node that the site does not know, or for what is not for
/// him: they cannot be told apart.
pub fn not_found() -> Response {
    line(StatusCode::NOT_FOUND, "not found")
}
