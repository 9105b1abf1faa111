//! The server's life: read, open, listen, serve, end.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::limits::Limits;
use super::{App, listen, reload, router, systemd};
use crate::error::{Error, Result};
use crate::site::Site;
use crate::store::Store;
use crate::time::Time;
use crate::webhook;

/// File descriptors that are not for connections: the database, files that are served, webhooks.
const OTHER_FILES: u64 = 256;

/// Serves the site in `path`, which was read from there, until SIGTERM or SIGINT.
///
/// # Errors
/// It cannot start, or the database could not be closed in order.
pub async fn run(path: PathBuf, site: Site) -> Result<()> {
    // First of all: from here on they do not kill it.
    let hangup = signal(SignalKind::hangup()).map_err(io("SIGHUP"))?;
    let term = signal(SignalKind::terminate()).map_err(io("SIGTERM"))?;
    let interrupt = signal(SignalKind::interrupt()).map_err(io("SIGINT"))?;

    let store = Store::open(&site.file.server.database)?;
    let listeners = bind(&site.file.server.listen)?;
    let status = reload::status(&site);
    let nodes = site.nodes.len();
    let mut app = App::new(site, store);
    app.limits = limits();
    let app = Arc::new(app);
    app.metrics.reloads.started(Time::now());

    // Before anything is heard: new webhooks are told from here on.
    webhook::begin(&app).await?;
    let telling = tokio::spawn(webhook::run(Arc::clone(&app), webhook::Patience::default()));
    tokio::spawn(reload::watch(Arc::clone(&app), path, hangup));
    tokio::spawn(until_signal(Arc::clone(&app), term, interrupt));

    // The kernel has queued connections since they were bound: this is true.
    for listener in &listeners {
        let address = listener.local_addr().map_err(io("listening socket"))?;
        log::info!(event = "listening", address:% = address; "");
    }
    log::info!(event = "ready", nodes = nodes, version = env!("CARGO_PKG_VERSION"); "");
    systemd::tell(&format!("READY=1\n{status}"));

    listen::serve(listeners, router(Arc::clone(&app)), Arc::clone(&app)).await;
    if let Err(error) = telling.await {
        log::error!(event = "webhooks"; "a defect: {error}");
    }
    app.store.close().await?;
    log::info!(event = "ended"; "");
    Ok(())
}

/// Ends the server at the first signal. A second one does not hurry it: what is under way has a bound already.
async fn until_signal(app: Arc<App>, mut term: Signal, mut interrupt: Signal) {
    let by = tokio::select! {
        _ = term.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    log::info!(event = "ending", by = by; "");
    systemd::tell("STOPPING=1");
    app.stop();
}

fn bind(addresses: &[String]) -> Result<Vec<TcpListener>> {
    let bind = |text: &String| {
        let wrong = |error| std::io::Error::new(std::io::ErrorKind::InvalidInput, error);
        let address: SocketAddr = text.parse().map_err(|error| io(text)(wrong(error)))?;
        listen::bind(address).map_err(io(text))
    };
    addresses.iter().map(bind).collect()
}

/// As many connections as this process may have: of file descriptors it takes all that it is allowed.
fn limits() -> Limits {
    let allowed = getrlimit(Resource::Nofile);
    let all = rustix::process::Rlimit { current: allowed.maximum, ..allowed };
    let files = if setrlimit(Resource::Nofile, all).is_ok() { allowed.maximum } else { allowed.current };
    let limits = Limits::default();
    let room = files.map_or(u64::MAX, |files| files.saturating_sub(OTHER_FILES).max(1));
    let connections = limits.connections.min(usize::try_from(room).unwrap_or(usize::MAX));
    if connections < limits.connections {
        log::warn!(event = "few-files", connections = connections; "more need more open files (LimitNOFILE=, ulimit -n)");
    }
    Limits { connections, ..limits }
}

fn io(what: &str) -> impl FnOnce(std::io::Error) -> Error {
    move |source| Error::Io { what: what.to_owned(), source }
}
