//! Bundles that nodes send (`diskless bundle --upload`): `POST /bundle/NODE`, with no token, as events. They are files beside the
//! database, each with its row; the oldest of a node go.
//!
//! A bundle is some MiB, and so does not go by way of memory as other bodies do: it is written to a file as it comes, a few of
//! them at a time.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path as UrlPath, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use axum::routing::post;
use futures_util::StreamExt;
use tokio::fs;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::peer::Peer;
use super::{App, limits, line, not_found, who};
use crate::store::{Change, NewBundle, Outcome};
use crate::time::Time;

/// What its calls begin with: their bodies are theirs to bound.
pub const PREFIX: &str = "/bundle/";
/// So many are taken at once.
pub const PLACES: usize = 8;
/// A file that did not become a bundle for so long never will.
const ABANDONED: Duration = Duration::from_secs(3600);
/// Counts the bundles of this server.
static NUMBER: AtomicU64 = AtomicU64::new(1);
/// What the name of a file ends with until it is whole.
const PART: &str = ".part";

/// Its routes.
pub fn routes() -> Router<Arc<App>> {
    Router::new().route("/bundle/{node}", post(take))
}

/// `POST /bundle/NODE`: a tar, of the boot that `Diskless-Boot-Id` names.
async fn take(
    State(app): State<Arc<App>>,
    Peer(peer): Peer,
    UrlPath(word): UrlPath<String>,
    request: Request,
) -> Response {
    let site = app.site();
    let Some(node) = who::find(&site, &word) else {
        if app.may_log("unknown-node", peer) {
            log::warn!(event = "unknown-node", name = word, from:% = peer, what = "/bundle"; "no node of the site is called that");
        }
        return not_found();
    };
    let (parts, body) = request.into_parts();
    let boot_id = match asked(&parts.headers, site.file.server.bundle_mib) {
        Ok(boot_id) => boot_id,
        Err((status, why)) => return limits::last(status, &why),
    };
    let Ok(_place) = app.bundles.try_acquire() else {
        let mut busy =
            limits::last(StatusCode::SERVICE_UNAVAILABLE, "other bundles are being taken: try again");
        busy.headers_mut().insert(header::RETRY_AFTER, 5.into());
        return busy;
    };
    let at = Time::now();
    // No name of a node holds a slash or begins with a dot: the site's check says so, and here it is held to it.
    let folder = site.file.server.bundles.join(plain(&node.name));
    // Two may come in one millisecond.
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("{boot_id}-{}-{number}.tar", at.0);
    let most = bytes(site.file.server.bundle_mib);
    let written = timeout(app.limits.bundle_time, write(&folder, &name, body, most)).await;
    let size = match written {
        Ok(Ok(size)) => size,
        Ok(Err(Refused::Large)) => {
            return limits::last(StatusCode::PAYLOAD_TOO_LARGE, &too_large(site.file.server.bundle_mib));
        }
        Ok(Err(Refused::Cut)) => return limits::last(StatusCode::BAD_REQUEST, "the bundle cannot be read"),
        Ok(Err(Refused::Disk(error))) => {
            log::error!(event = "unwritten", node = node.name, from:% = peer; "bundle: {}: {error}", folder.display());
            return limits::last(StatusCode::SERVICE_UNAVAILABLE, "the disk does not take it: try again");
        }
        Err(_) => return limits::last(StatusCode::REQUEST_TIMEOUT, "the bundle did not come in time"),
    };
    let file = Path::new(plain(&node.name).as_str()).join(&name).display().to_string();
    let new = NewBundle { boot_id, bytes: size, file, keep: site.file.server.bundles_of_node };
    let known = app.store.bundles(&node.name).await.unwrap_or_default();
    let change = Change::Bundle { node: node.name.clone(), at, from: Some(peer), new };
    match app.store.write(vec![change]).await {
        Ok(outcomes) => {
            forget(&app, &node.name, &site.file.server.bundles, &known).await;
            let id = match outcomes.first() {
                Some(Outcome::New(id)) => *id,
                _ => 0,
            };
            log::info!(event = "bundle", node = node.name, from:% = peer, id = id, bytes = size; "");
            line(StatusCode::OK, &format!("bundle {id}"))
        }
        Err(error) => {
            log::error!(event = "unwritten", node = node.name, from:% = peer; "bundle: {error}");
            // Without its row nobody would ever find it.
            let _ = fs::remove_file(folder.join(&name)).await;
            line(StatusCode::SERVICE_UNAVAILABLE, "the database does not take it: try again")
        }
    }
}

/// The boot that the head of a request says a bundle is of.
fn asked(headers: &HeaderMap, most_mib: u32) -> Result<String, (StatusCode, String)> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if text("content-type") != "application/x-tar" {
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, "a bundle is application/x-tar".to_owned()));
    }
    let boot_id = text("diskless-boot-id");
    let known = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
    if boot_id.is_empty() || boot_id.len() > 64 || !boot_id.bytes().all(known) {
        return Err((
            StatusCode::BAD_REQUEST,
            "diskless-boot-id: that is not one of the kernel's".to_owned(),
        ));
    }
    let length = text("content-length").parse::<u64>().unwrap_or(0);
    if length > bytes(most_mib) {
        return Err((StatusCode::PAYLOAD_TOO_LARGE, too_large(most_mib)));
    }
    Ok(boot_id.to_owned())
}

fn bytes(mib: u32) -> u64 {
    u64::from(mib) << 20
}

fn too_large(mib: u32) -> String {
    format!("a bundle has at most {mib} MiB (server.bundle_mib)")
}

/// `name` as the name of a file.
fn plain(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' };
    let name: String = name.chars().map(plain).collect();
    if name.starts_with('.') { format!("_{name}") } else { name }
}

/// Why a bundle is not taken.
enum Refused {
    /// It is too large.
    Large,
    /// It ended before its end.
    Cut,
    /// It cannot be written.
    Disk(std::io::Error),
}

impl From<std::io::Error> for Refused {
    fn from(error: std::io::Error) -> Refused {
        Refused::Disk(error)
    }
}

/// Removes a file that did not become a bundle.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        // After it was renamed there is none.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Writes `body` to `name` in `folder`, whole and on the disk; gives its size.
async fn write(folder: &Path, name: &str, body: Body, most: u64) -> Result<u64, Refused> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).await?;
    abandoned(folder).await;
    let part = Part(folder.join(format!("{name}{PART}")));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part.0).await?;
    let (mut stream, mut size) = (body.into_data_stream(), 0u64);
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|_| Refused::Cut)?;
        size = size.saturating_add(piece.len() as u64);
        if size > most {
            return Err(Refused::Large);
        }
        file.write_all(&piece).await?;
    }
    file.flush().await?;
    file.sync_all().await?;
    fs::rename(&part.0, folder.join(name)).await?;
    Ok(size)
}

/// Removes what a server that ended in between has left of its bundles.
async fn abandoned(folder: &Path) {
    let Ok(mut entries) = fs::read_dir(folder).await else { return };
    while let Ok(Some(entry)) = entries.next_entry().await {
        let old = entry.metadata().await.and_then(|metadata| metadata.modified());
        let old =
            old.is_ok_and(|time| SystemTime::now().duration_since(time).is_ok_and(|age| age > ABANDONED));
        if old && entry.file_name().to_string_lossy().ends_with(PART) {
            let _ = fs::remove_file(entry.path()).await;
        }
    }
}

/// Removes the files of those of `known` that the database has no more.
async fn forget(app: &App, node: &str, folder: &Path, known: &[crate::store::Bundle]) {
    let Ok(kept) = app.store.bundles(node).await else { return };
    for gone in known.iter().filter(|bundle| !kept.iter().any(|kept| kept.id == bundle.id)) {
        let _ = fs::remove_file(folder.join(&gone.file)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_that_of_a_file() {
        for (name, expected) in
            [("node1.a-b_c", "node1.a-b_c"), ("../x", "_.._x"), (".x", "_.x"), ("a/b", "a_b")]
        {
            assert_eq!(plain(name), expected);
        }
    }

    #[test]
    fn the_head_says_what_it_is() {
        let head = |kind: &'static str, boot: &'static str, length: &'static str| {
            let headers = [("content-type", kind), ("diskless-boot-id", boot), ("content-length", length)];
            let headers = headers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            asked(&headers.into_iter().collect::<HeaderMap>(), 1).map_err(|(status, _)| status.as_u16())
        };
        let tar = "application/x-tar";
        assert_eq!(head(tar, "0b5c-1", "10"), Ok("0b5c-1".to_owned()));
        assert_eq!(head(tar, "0b5c-1", "1048577"), Err(413));
        assert_eq!(head(tar, "../x", "10"), Err(400));
        assert_eq!(head(tar, "", "10"), Err(400));
        assert_eq!(head("application/json", "0b5c-1", "10"), Err(415));
    }
}
