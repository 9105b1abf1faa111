//! What a request may cost: bytes, time, places.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::{FutureExt, StreamExt};
use tokio::time::timeout;

use super::peer::Peer;
use super::{bundle, line};
use crate::log::ACCESS;

/// The bounds of this server. Those of a connection are [`super::listen`]'s.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once. A site of 4,000 nodes that are all switched on in one second fits.
    pub connections: usize,
    /// Connections at once from one address: the nodes of a site may be behind one router.
    pub connections_of_peer: usize,
    /// Until the head of a request is there, from the beginning of the connection or from the answer before: idle
    /// connections end by it too.
    pub head_time: Duration,
    /// Bytes of a request's head.
    pub head_bytes: usize,
    /// Header fields of a request.
    pub fields: usize,
    /// Bytes of a URL.
    pub url_bytes: usize,
    /// Bytes of a body. An event of the agent has at most 10 KB, cloud-init's form with four long keys 4 KB.
    pub body_bytes: usize,
    /// Until the body of a request is there.
    pub body_time: Duration,
    /// Until a bundle is there; how large it may be says the site's file.
    pub bundle_time: Duration,
    /// Until a node has its answer, but for the time that it takes to send it.
    pub answer_time: Duration,
    /// A peer that takes nothing of its answer for so long is gone.
    pub stall: Duration,
    /// Until the requests that are under way when the server ends must be answered.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 8192,
            connections_of_peer: 4096,
            head_time: Duration::from_secs(15),
            head_bytes: 16 << 10,
            fields: 64,
            url_bytes: 4 << 10,
            body_bytes: 64 << 10,
            body_time: Duration::from_secs(15),
            bundle_time: Duration::from_secs(120),
            answer_time: Duration::from_secs(20),
            stall: Duration::from_secs(60),
            drain: Duration::from_secs(10),
        }
    }
}

/// Before every request: its URL is short, its body is short and there in time; and a defect in what answers it is one
/// bad answer and no more.
pub async fn guard(State(limits): State<Limits>, peer: Peer, request: Request, next: Next) -> Response {
    let (began, method, path) = (Instant::now(), request.method().clone(), request.uri().path().to_owned());
    let response = bounded(limits, request, next).await;
    log::info!(
        target: ACCESS, event = "request", method = method.as_str(), path = path.as_str(), from:% = peer.0,
        status = response.status().as_u16(), ms:% = began.elapsed().as_millis(); ""
    );
    response
}

async fn bounded(limits: Limits, request: Request, next: Next) -> Response {
    let url = request.uri().path_and_query().map_or(0, |url| url.as_str().len());
    if url > limits.url_bytes {
        return last(StatusCode::URI_TOO_LONG, &format!("a URL has at most {} bytes", limits.url_bytes));
    }
    // A bundle is bounded by those who take it, piece by piece.
    let request = if request.uri().path().starts_with(bundle::PREFIX) {
        request
    } else {
        match whole(limits, request).await {
            Ok(request) => request,
            Err(refusal) => return refusal,
        }
    };
    // The hook of `log::install` has said where and why.
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    answer.unwrap_or_else(|_| {
        last(StatusCode::INTERNAL_SERVER_ERROR, "a defect of disklessd; its log has more")
    })
}

/// Bounds how long a node waits for its answer. It asks again then.
pub async fn in_time(State(limits): State<Limits>, request: Request, next: Next) -> Response {
    let answer = timeout(limits.answer_time, next.run(request)).await;
    answer.unwrap_or_else(|_| last(StatusCode::SERVICE_UNAVAILABLE, "that took too long: try again"))
}

/// The request with its whole body.
async fn whole(limits: Limits, request: Request) -> Result<Request, Response> {
    let (parts, body) = request.into_parts();
    let too_large =
        || last(StatusCode::PAYLOAD_TOO_LARGE, &format!("a body has at most {} bytes", limits.body_bytes));
    let length = parts.headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > limits.body_bytes as u64) {
        return Err(too_large());
    }
    let read = async {
        let (mut stream, mut bytes) = (body.into_data_stream(), Vec::new());
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|_| last(StatusCode::BAD_REQUEST, "the body cannot be read"))?;
            if bytes.len() + chunk.len() > limits.body_bytes {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    };
    let late = |_| last(StatusCode::REQUEST_TIMEOUT, "the body did not come in time");
    let bytes = timeout(limits.body_time, read).await.map_err(late)??;
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

/// The last answer on its connection: what else the peer sends there cannot be understood any more.
pub(super) fn last(status: StatusCode, text: &str) -> Response {
    let mut response = line(status, text);
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
