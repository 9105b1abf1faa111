//! HTTP(S) URLs.

use zeroize::Zeroizing;

use crate::error::{Code, Result};
use crate::input::secret::Secret;
use crate::sys::http;

use super::{LONGEST_HEADER, LONGEST_KEY, Piece, cut};

/// The `piece` of what `url` gives; the rest is wiped.
pub fn key(url: &str, piece: Piece) -> Result<Secret> {
    let bytes = http::get(url, LONGEST_KEY, Code::SecretFetch, Code::LuksKeyMissing)?;
    cut(bytes.as_slice(), &http::shown(url), bytes.len() as u64, piece)
}

/// The header that `url` gives, as a whole.
///
/// # Errors
/// [`Code::LuksHeaderMissing`]: its server refuses it; [`Code::LuksHeaderFetch`]: its server does not answer, or it is
/// too long for a header.
pub fn header(url: &str) -> Result<Zeroizing<Vec<u8>>> {
    http::get(url, LONGEST_HEADER, Code::LuksHeaderFetch, Code::LuksHeaderMissing)
}

#[cfg(test)]
mod tests {
    use super::super::super::fixture::answering;
    use super::*;

    #[test]
    fn what_a_server_gives_or_why_it_does_not() {
        let piece = Piece { offset: 2, size: Some(3) };
        assert_eq!(key(&answering("200 OK", b"01\xff\x003456"), piece).ok().unwrap().expose(), b"\xff\x003");
        assert_eq!(header(&answering("200 OK", b"LUKS")).unwrap().as_slice(), b"LUKS");
    }

    #[test]
    fn what_is_wrong_with_a_key_tells_no_token_of_its_url() {
        let url = format!("{}?token=hunter2", answering("200 OK", b""));
        let error = key(&url, Piece::default()).err().unwrap().to_string();
        assert!(error.ends_with("its key is empty") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn each_refusal_has_its_code() {
        let code = |status| key(&answering(status, b""), Piece::default()).err().unwrap().code();
        assert_eq!(code("404 Not Found"), Code::LuksKeyMissing);
        assert_eq!(code("503 Busy"), Code::SecretFetch);
        let code = |status| header(&answering(status, b"")).err().unwrap().code();
        assert_eq!(code("404 Not Found"), Code::LuksHeaderMissing);
        assert_eq!(code("503 Busy"), Code::LuksHeaderFetch);
    }
}
