//! The operators' token.

use std::path::Path;
use std::sync::{Arc, Once};

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::io::AsyncReadExt;

use super::problem::Problem;
use crate::serve::App;

/// A token file is not longer, in bytes.
const LONGEST: u64 = 4096;

/// Lets a request through that has the operators' token; any other gets the answer to an unknown node.
pub async fn needed(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    // Read for each call: a new token in the file counts at once, here and on a second server.
    let expected = match &app.site().file.server.token_file {
        Some(path) => read(path).await,
        None => Err("the site's file has no token_file".to_owned()),
    };
    match (given(request.headers()), expected) {
        (Some(given), Ok(expected)) if same(given, &expected) => return next.run(request).await,
        (_, Err(why)) => tell_once(&why),
        _ => {}
    }
    Problem::not_found().into_response()
}

/// `Authorization: Bearer TOKEN` (RFC 6750, section 2.1; the scheme in any case, RFC 9110, section 11.1).
fn given(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(b"Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

/// In a time that tells nothing of either.
fn same(one: &[u8], other: &[u8]) -> bool {
    Sha256::digest(one).as_slice().ct_eq(Sha256::digest(other).as_slice()).into()
}

/// The token in the file, without white space around it; an error if there is none to compare with.
async fn read(path: &Path) -> Result<Vec<u8>, String> {
    let told = |error: std::io::Error| format!("{}: {error}", path.display());
    let file = tokio::fs::File::open(path).await.map_err(told)?;
    let mut text = Vec::new();
    file.take(LONGEST).read_to_end(&mut text).await.map_err(told)?;
    let token = text.trim_ascii();
    if token.is_empty() {
        return Err(format!("{}: the file is empty", path.display()));
    }
    Ok(token.to_vec())
}

/// Once is enough: calls are refused from here on, and come often.
fn tell_once(why: &str) {
    static TOLD: Once = Once::new();
    TOLD.call_once(|| {
        log::warn!(event = "no-operator-token", why; "operators' calls are refused");
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())])
    }

    #[test]
    fn bearer_alone_is_a_token() {
        assert_eq!(given(&with("Bearer abc")), Some(b"abc".as_slice()));
        assert_eq!(given(&with("bearer  abc ")), Some(b"abc".as_slice()));
        for none in ["", "Bearer", "abc", "Basic abc", "Bearerabc"] {
            assert_eq!(given(&with(none)), None, "{none}");
        }
        assert_eq!(given(&HeaderMap::new()), None);
        assert!(same(b"abc", b"abc") && !same(b"abc", b"abd") && !same(b"abc", b"") && !same(b"", b"abc"));
    }

    #[tokio::test]
    async fn an_empty_file_is_no_token() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        assert!(read(&path).await.is_err());
        std::fs::write(&path, " \n").unwrap();
        assert!(read(&path).await.is_err());
        std::fs::write(&path, "abc\n").unwrap();
        assert_eq!(read(&path).await, Ok(b"abc".to_vec()));
    }
}
