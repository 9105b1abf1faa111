//! HTTP(S) URLs.

use zeroize::Zeroizing;

use crate::error::{Code, Result};
use crate::input::secret::Secret;
use crate::sys::http;

use super::{LONGEST_HEADER, LONGEST_KEY, Piece, cut};

/// The `piece` of what `url` gives; the rest is wiped.
pub fn key(url: &str, piece: Piece) -> Result<Secret> {
    let bytes = http::get(url, LONGEST_KEY, Code::SecretFetch, Code::LuksKeyMissing)?;
    cut(bytes.as_slice(), url, bytes.len() as u64, piece)
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
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    use super::*;

    /// A server that gives one answer and then goes away.
    fn answering(status: &'static str, body: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/key", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = BufReader::new(stream.try_clone().unwrap()).lines();
            while request.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len()).unwrap();
            stream.write_all(body).unwrap();
        });
        url
    }

    #[test]
    fn what_a_server_gives_or_why_it_does_not() {
        let piece = Piece { offset: 2, size: Some(3) };
        assert_eq!(key(&answering("200 OK", b"01\xff\x003456"), piece).ok().unwrap().expose(), b"\xff\x003");
        assert_eq!(header(&answering("200 OK", b"LUKS")).unwrap().as_slice(), b"LUKS");
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
