//! One place of a plan: its bytes, and those of the signature beside it.

use std::io::{ErrorKind, Read};

use zeroize::Zeroizing;

use super::turns::Why;
use crate::engine::host::Host;
use crate::error::{Code, Error};
use crate::input::document::VERSIONS;
use crate::input::signature::{self, ENDINGS};
use crate::sys::http::{self, Client};

/// No plan is longer.
pub const LONGEST_PLAN: u64 = 1 << 20;

/// A plan as it was found.
pub struct Found {
    /// Its text; there may be secrets in it.
    pub text: Zeroizing<Vec<u8>>,
    /// The text of its signature, with what stands behind the plan's name in that of the signature; none: there is none, or
    /// it was not asked for.
    pub signature: Option<(&'static str, Zeroizing<Vec<u8>>)>,
}

/// What is at `place`, the absolute path of a file or a URL; with its signature if it must be `signed`.
pub fn find(host: &Host, place: &str, signed: bool) -> Result<Found, Why> {
    if place.starts_with('/') { of_file(host, place, signed) } else { of_url(host, place, signed) }
}

fn of_file(host: &Host, path: &str, signed: bool) -> Result<Found, Why> {
    let missing = |error: std::io::Error| Why::new(Code::PlanMissing, error);
    let text = read(host, path, LONGEST_PLAN).map_err(missing)?;
    for ending in ENDINGS.into_iter().filter(|_| signed) {
        match read(host, &beside(path, ending), signature::LONGEST) {
            Ok(signature) => return Ok(Found { text, signature: Some((ending, signature)) }),
            Err(error) if error.kind() == ErrorKind::NotFound => (),
            Err(error) => return Err(Why::new(Code::PlanSignatureMissing, format!("{ending}: {error}"))),
        }
    }
    Ok(Found { text, signature: None })
}

/// A file below the host's root, of at most `most` bytes.
fn read(host: &Host, path: &str, most: u64) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    std::fs::File::open(host.path(path))?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(std::io::Error::other(format!("longer than {most} bytes")));
    }
    Ok(bytes)
}

fn of_url(host: &Host, url: &str, signed: bool) -> Result<Found, Why> {
    let text = get(host, url, LONGEST_PLAN, "application/json", Code::PlanRefused)?;
    for ending in ENDINGS.into_iter().filter(|_| signed) {
        let url = beside(url, ending);
        match get(host, &url, signature::LONGEST, "text/plain", Code::PlanSignatureMissing) {
            Ok(signature) => return Ok(Found { text, signature: Some((ending, signature)) }),
            Err(why) if why.code == Code::PlanSignatureMissing => (),
            Err(why) => return Err(Why { cause: format!("{}: {}", http::shown(&url), why.cause), ..why }),
        }
    }
    Ok(Found { text, signature: None })
}

fn get(host: &Host, url: &str, most: u64, accept: &str, refused: Code) -> Result<Zeroizing<Vec<u8>>, Why> {
    let plain = |error: Error| Why::new(error.code(), error);
    let client = Client::new(url, http::REQUEST_LIMIT, &host.path(http::CA_FILE)).map_err(plain)?;
    // A server that makes both picks the version of both by these.
    let headers = [("accept", accept), ("diskless-plan-versions", &VERSIONS.join(", "))];
    client.get(&headers, most).map_err(|failure| Why {
        retry_after: failure.retry_after,
        ..Why::new(failure.code(Code::PlanFetch, refused), failure)
    })
}

/// The place of the signature of the plan at `place`: of a URL, its path is longer, and its query the same.
pub fn beside(place: &str, ending: &str) -> String {
    let path = match place.starts_with('/') {
        true => place.len(),
        false => place.find(['?', '#']).unwrap_or(place.len()),
    };
    let (path, rest) = place.split_at(path);
    format!("{path}{ending}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_beside_its_plan() {
        let cases = [
            ("/etc/a?b.json", "/etc/a?b.json.minisig"),
            ("http://a/plan/node1", "http://a/plan/node1.minisig"),
            ("http://a/p.json?node=1#x", "http://a/p.json.minisig?node=1#x"),
        ];
        for (place, signature) in cases {
            assert_eq!(beside(place, ".minisig"), signature);
        }
    }

    #[test]
    fn files_that_are_missing_or_endless_are_errors_and_signatures_are_found() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::fake(root.path());
        let write = |name: &str, text: &str| std::fs::write(root.path().join(name), text).unwrap();
        assert_eq!(find(&host, "/p", false).err().unwrap().code, Code::PlanMissing);
        write("p", "{}");
        assert_eq!(read(&host, "/p", 2).unwrap().as_slice(), b"{}");
        assert!(read(&host, "/p", 1).is_err());
        let ending = |signed| find(&host, "/p", signed).unwrap().signature.map(|(ending, _)| ending);
        assert_eq!(ending(true), None);
        write("p.sig", "");
        assert_eq!(ending(true), Some(".sig"));
        write("p.minisig", "");
        assert_eq!(ending(true), Some(".minisig"));
        assert_eq!(ending(false), None);
        write("p.minisig", &"x".repeat(5000));
        assert_eq!(find(&host, "/p", true).err().unwrap().code, Code::PlanSignatureMissing);
    }
}
