//! Takes connections, as many as there is room for, and speaks HTTP/1.1 on them.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::net::sockopt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use super::App;
use super::limits::Limits;
use super::peer::Peer;

/// Connections that the kernel keeps until they are taken; it has a bound of its own, net.core.somaxconn.
const BACKLOG: u32 = 4096;
/// Before connections are taken again when there is no room for another one (of file descriptors, mostly).
const PAUSE: Duration = Duration::from_millis(100);
/// A peer that is refused has so long to read why.
const FAREWELL: Duration = Duration::from_secs(1);
/// So many are told why at once; the others are just closed.
const FAREWELLS: usize = 64;
/// A peer that says nothing for so long is asked whether it is still there.
const ALIVE: Duration = Duration::from_secs(60);

const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\ncontent-length: 21\r\n\
    retry-after: 2\r\nconnection: close\r\n\r\ntoo many connections\n";
const LATE: &[u8] = b"HTTP/1.1 408 Request Timeout\r\ncontent-type: text/plain\r\ncontent-length: 31\r\n\
    connection: close\r\n\r\nthe request did not come whole\n";

/// Listens on `address`. Where the kernel has no IPv6, `[::]` is all of IPv4.
///
/// # Errors
/// It is taken, or not of this machine, or not allowed.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let bound = listener(address);
    let no_ipv6 = rustix::io::Errno::AFNOSUPPORT.raw_os_error();
    match bound {
        Err(error) if error.raw_os_error() == Some(no_ipv6) && address.ip().is_unspecified() => {
            listener(SocketAddr::from(([0, 0, 0, 0], address.port())))
        }
        bound => bound,
    }
}

fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv6() { TcpSocket::new_v6()? } else { TcpSocket::new_v4()? };
    // After a restart, connections of the server before may still be winding down.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The places for connections.
#[derive(Debug)]
struct Places {
    limits: Limits,
    all: Arc<Semaphore>,
    farewells: Arc<Semaphore>,
    by_peer: Mutex<HashMap<IpAddr, usize>>,
}

/// A connection's place, as long as it lives.
#[derive(Debug)]
struct Place {
    places: Arc<Places>,
    peer: IpAddr,
    _one_of_all: OwnedSemaphorePermit,
}

impl Places {
    fn new(limits: Limits) -> Arc<Places> {
        let semaphore = |places| Arc::new(Semaphore::new(places));
        let (all, farewells) = (semaphore(limits.connections), semaphore(FAREWELLS));
        Arc::new(Places { limits, all, farewells, by_peer: Mutex::default() })
    }

    fn take(self: &Arc<Places>, peer: IpAddr) -> Option<Place> {
        let one_of_all = Arc::clone(&self.all).try_acquire_owned().ok()?;
        let mut by_peer = self.by_peer.lock().unwrap_or_else(PoisonError::into_inner);
        let of_peer = by_peer.entry(peer).or_insert(0);
        if *of_peer >= self.limits.connections_of_peer {
            return None;
        }
        *of_peer += 1;
        Some(Place { places: Arc::clone(self), peer, _one_of_all: one_of_all })
    }

    /// Returns when no connection is left.
    async fn all_free(&self) {
        let all = u32::try_from(self.limits.connections).unwrap_or(u32::MAX);
        let _ = self.all.acquire_many(all).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut by_peer = self.places.by_peer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_peer) = by_peer.get_mut(&self.peer) {
            *of_peer -= 1;
            if *of_peer == 0 {
                by_peer.remove(&self.peer);
            }
        }
    }
}

/// Serves `router` on all of `listeners` until the server ends ([`App::stop`]); then the requests that are under way are
/// answered, as far as [`Limits::drain`] allows.
pub async fn serve(listeners: Vec<TcpListener>, router: Router, app: Arc<App>) {
    let places = Places::new(app.limits);
    for listener in listeners {
        tokio::spawn(accept(listener, router.clone(), Arc::clone(&app), Arc::clone(&places)));
    }
    app.stopping().await;
    if timeout(app.limits.drain, places.all_free()).await.is_err() {
        let left = app.limits.connections - places.all.available_permits();
        log::warn!(event = "cut-off", connections = left; "requests were still under way when the server ended");
    }
}

async fn accept(listener: TcpListener, router: Router, app: Arc<App>, places: Arc<Places>) {
    let mut told = false;
    loop {
        let taken = tokio::select! {
            taken = listener.accept() => taken,
            () = app.stopping() => return,
        };
        let (stream, peer) = match taken {
            Ok((stream, peer)) => (stream, peer.ip().to_canonical()),
            // The peer gave up while it waited to be taken.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(error) => {
                if !told {
                    log::error!(event = "accept"; "no connection can be taken: {error}");
                    told = true;
                }
                sleep(PAUSE).await;
                continue;
            }
        };
        told = false;
        match places.take(peer) {
            Some(place) => {
                let connection = connection(stream, peer, router.clone(), Arc::clone(&app));
                let open = app.metrics.connections.opened();
                tokio::spawn(async move {
                    connection.await;
                    drop((place, open));
                });
            }
            None => refuse(stream, peer, &app, &places),
        }
    }
}

/// Tells a peer that there is no room for it.
fn refuse(stream: TcpStream, peer: IpAddr, app: &App, places: &Places) {
    app.metrics.connections.refused();
    if app.may_log("refused", peer) {
        log::warn!(event = "refused", from:% = peer; "too many connections");
    }
    if let Ok(permit) = Arc::clone(&places.farewells).try_acquire_owned() {
        tokio::spawn(async move {
            farewell(stream, FULL).await;
            drop(permit);
        });
    }
}

/// Sends `text` and closes, after what the peer has sent was read: else the kernel would throw away what is not yet on
/// its way to it.
async fn farewell(mut stream: TcpStream, text: &[u8]) {
    let last_words = async {
        stream.write_all(text).await?;
        stream.shutdown().await?;
        let mut rest = [0; 4096];
        while stream.read(&mut rest).await? > 0 {}
        io::Result::Ok(())
    };
    // Whether it heard them is its own affair.
    let _ = timeout(FAREWELL, last_words).await;
}

/// One connection, from its first request to its last.
async fn connection(stream: TcpStream, peer: IpAddr, router: Router, app: Arc<App>) {
    let limits = app.limits;
    // A socket without them works too.
    let _ = stream.set_nodelay(true);
    let stall = u32::try_from(limits.stall.as_millis()).unwrap_or(u32::MAX);
    let _ = sockopt::set_tcp_user_timeout(&stream, stall);
    let _ = sockopt::set_socket_keepalive(&stream, true);
    let _ = sockopt::set_tcp_keepidle(&stream, ALIVE);

    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request: Request<Incoming>| -> Answering {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(peer));
        Box::pin(router.call(request))
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_headers(limits.fields)
        .max_header_size(limits.head_bytes)
        .serve_connection(TokioIo::new(stream), service);

    let mut stopping = false;
    let ended = loop {
        tokio::select! {
            ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => break ended,
            () = app.stopping(), if !stopping => {
                stopping = true;
                Pin::new(&mut connection).graceful_shutdown();
            }
        }
    };
    let late = ended.is_err_and(|error| error.is_timeout());
    let parts = connection.into_parts();
    // An idle connection is closed without a word; this one had begun a request.
    let text = if late && !parts.read_buf.is_empty() { LATE } else { b"" };
    farewell(parts.io.into_inner(), text).await;
}

/// A request that is being answered.
type Answering = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;
