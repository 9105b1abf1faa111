//! Bundles that a node has sent.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::io::AsyncReadExt;

use super::answer::{Bundle, Bundles};
use super::asked::Named;
use super::problem::Problem;
use crate::error::Result;
use crate::serve::App;

/// A file is sent in pieces of so many bytes.
const PIECE: usize = 64 << 10;

/// `GET /v1/nodes/{node}/bundles`
pub async fn list(State(app): State<Arc<App>>, Named(node): Named) -> Result<Json<Bundles>, Problem> {
    let bundles = app.store.bundles(&node).await?;
    Ok(Json(Bundles { node, bundles: bundles.into_iter().map(Bundle::from).collect() }))
}

/// `GET /v1/nodes/{node}/bundles/{id}`
pub async fn one(
    State(app): State<Arc<App>>,
    Path((node, id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let site = app.site();
    let id: u64 = id.parse().map_err(|_| Problem::not_found())?;
    // A node that the site does not have any more has no bundles to show.
    site.nodes.get(&node).ok_or_else(Problem::not_found)?;
    let bundles = app.store.bundles(&node).await?;
    let bundle = bundles.into_iter().find(|bundle| bundle.id == id).ok_or_else(Problem::not_found)?;
    let path = site.file.server.bundles.join(&bundle.file);
    let file = tokio::fs::File::open(&path).await.map_err(|error| {
        log::error!(event = "bundle", node = node; "{}: {error}", path.display());
        Problem::not_found()
    })?;
    let pieces = stream::try_unfold(file, async |mut file| {
        let mut piece = vec![0; PIECE];
        let length = file.read(&mut piece).await?;
        piece.truncate(length);
        Ok::<_, std::io::Error>((length > 0).then_some((piece, file)))
    });
    let name = format!("attachment; filename=\"diskless-{}-{id}.tar\"", node.replace(['"', '\\'], "_"));
    let headers = [
        (header::CONTENT_TYPE, "application/x-tar".to_owned()),
        (header::CONTENT_LENGTH, bundle.bytes.to_string()),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}
