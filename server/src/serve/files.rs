//! Kernels and initramfs: `GET` and `HEAD /files/PATH`, with ranges and conditions (RFC 9110, sections 13 and 14).
//!
//! tower-http gives the files out; which file that is, and that it is one, is decided here.

use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{self, Request, State};
use axum::http::header;
use axum::response::Response;
use axum::routing::get;
use tower_http::services::ServeFile;

use super::{App, not_found};

/// Bytes that are read at once: an initramfs has a hundred megabytes, and each piece costs a change of threads.
const PIECE: usize = 256 << 10;

/// Its routes.
pub fn routes() -> Router<Arc<App>> {
    Router::new().route("/files/{*path}", get(file))
}

async fn file(
    State(app): State<Arc<App>>,
    extract::Path(path): extract::Path<String>,
    mut request: Request,
) -> Response {
    // Of the site in use: the folder may be another one after a reload.
    let Some(folder) = app.site().file.server.files.clone() else { return not_found() };
    let place = folder.join(&path);
    let found = tokio::task::spawn_blocking(move || below(&folder, &path)).await;
    let file = match found.unwrap_or_else(|error| Err(io::Error::other(error))) {
        Ok(Some(file)) => file,
        Ok(None) => return not_found(),
        Err(error) => return unreadable(&place, &error),
    };
    // A server may always give the whole, and must where a range is in a unit that it does not know, or of another state
    // of the file (RFC 9110, sections 14.2 and 13.1.5); tower-http looks at neither.
    let headers = request.headers_mut();
    let bytes = headers.get(header::RANGE).is_some_and(|range| range.as_bytes().starts_with(b"bytes="));
    if !bytes || headers.contains_key(header::IF_RANGE) {
        headers.remove(header::RANGE);
    }
    let mut served = ServeFile::new(file).with_buf_chunk_size(PIECE).ignore_multi_range_requests(true);
    match served.try_call(request).await {
        Ok(response) => response.map(Body::new),
        Err(error) => unreadable(&place, &error),
    }
}

/// It is there, and cannot be given: the node hears no more than of what is not there, the log has the reason.
fn unreadable(place: &Path, error: &io::Error) -> Response {
    log::error!(event = "unreadable", file:% = place.display(); "{error}");
    not_found()
}

/// The regular file that `path` is below `folder`; none: there is none. Links are followed within the folder.
///
/// # Errors
/// It is there and cannot be read, or a link leads out of the folder.
fn below(folder: &Path, path: &str) -> io::Result<Option<PathBuf>> {
    let plain = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    if !plain || path.contains('\0') {
        return Ok(None);
    }
    let folder = folder.canonicalize()?;
    let file = match folder.join(path).canonicalize() {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    if !file.starts_with(&folder) {
        return Err(io::Error::other("a link leads out of server.files"));
    }
    // A folder is not listed, and to open a pipe or a device would wait for whoever is at its other end.
    Ok(file.metadata()?.is_file().then_some(file))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_regular_files_below_the_folder_are_found() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("files");
        std::fs::create_dir_all(folder.join("el9")).unwrap();
        std::fs::write(folder.join("el9/vmlinuz-1"), "kernel").unwrap();
        std::fs::write(root.path().join("secret"), "secret").unwrap();
        symlink("vmlinuz-1", folder.join("el9/vmlinuz")).unwrap();
        symlink("../secret", folder.join("out")).unwrap();
        symlink("loop", folder.join("loop")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(folder.join("socket")).unwrap();

        let whole = folder.canonicalize().unwrap().join("el9/vmlinuz-1");
        for path in ["el9/vmlinuz-1", "el9/vmlinuz", "el9//vmlinuz"] {
            assert_eq!(below(&folder, path).unwrap(), Some(whole.clone()), "{path}");
        }
        let long = "a".repeat(300);
        for path in [
            "gone",
            "el9",
            "el9/vmlinuz/x",
            "socket",
            "",
            "../secret",
            "el9/../../secret",
            "/etc/passwd",
            "a\0b",
        ] {
            assert_eq!(below(&folder, path).unwrap(), None, "{path}");
        }
        for path in ["out", "loop", &long] {
            assert!(below(&folder, path).is_err(), "{path}");
        }
        assert!(below(&root.path().join("gone"), "a").is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_path_leads_out(path in "(\\.\\.|/|[a-z.\0%]){0,20}") {
            let root = tempfile::tempdir().unwrap();
            let folder = root.path().join("a");
            std::fs::create_dir(&folder).unwrap();
            std::fs::write(root.path().join("b"), "b").unwrap();
            proptest::prop_assert!(below(&folder, &path).is_ok_and(|file| file.is_none()));
        }
    }
}
