//! Fetches the plan.

use std::fmt;
use std::io::Read;

use zeroize::Zeroizing;

use super::plan::shown;
use super::turns::{Turns, Why};
use crate::engine::host::Host;
use crate::error::{Code, Context, Error, Result};
use crate::input::config::Source;
use crate::input::document::{Document, VERSIONS};
use crate::sys::http::{self, Client};
use crate::sys::random;

/// No plan is longer.
const LONGEST_PLAN: u64 = 1 << 20;

/// Fetch the plan from there.
#[derive(Debug, PartialEq, Eq)]
pub struct Fetch(pub Source);

impl fmt::Display for Fetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fetch the boot plan from {}", shown(&self.0))
    }
}

pub fn apply(host: &Host, Fetch(source): Fetch, turns: &mut Turns) -> Result<Document> {
    match &source {
        Source::File(path) => Document::parse(&read(host, path, LONGEST_PLAN, Code::PlanMissing)?),
        Source::Urls(_) => round(host, turns),
        Source::Parameters => Err(Error::new(Code::NoPlan, "kernel command line")),
    }
}

/// Asks each URL whose turn it is, until one has a plan.
fn round(host: &Host, turns: &mut Turns) -> Result<Document> {
    for (number, url) in turns.due(host.now()) {
        match from_url(host, &url) {
            Ok(document) => return Ok(document),
            Err(why) => turns.failed(number, why, host.now(), random::around),
        }
    }
    Err(turns.error())
}

fn from_url(host: &Host, url: &str) -> Result<Document, Why> {
    let plain = |error: Error| Why { code: error.code(), cause: error.to_string(), retry_after: None };
    let client = Client::new(url, http::REQUEST_LIMIT, &host.path(http::CA_FILE)).map_err(plain)?;
    let headers = [("accept", "application/json"), ("diskless-plan-versions", &VERSIONS.join(", "))];
    let text = client.get(&headers, LONGEST_PLAN).map_err(|failure| Why {
        code: failure.code(Code::PlanFetch, Code::PlanRefused),
        cause: failure.to_string(),
        retry_after: failure.retry_after,
    })?;
    Document::parse(&text).map_err(plain)
}

/// A file of the initramfs, of at most `most` bytes.
fn read(host: &Host, path: &str, most: u64, missing: Code) -> Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    let file = std::fs::File::open(host.path(path)).context(missing, path)?;
    file.take(most + 1).read_to_end(&mut bytes).context(missing, path)?;
    if bytes.len() as u64 > most {
        return Err(Error::new(missing, path).because(format!("longer than {most} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_or_endless_file_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::fake(root.path());
        let source = |path: &str| Source::File(path.into());
        let error = apply(&host, Fetch(source("/plan.json")), &mut Turns::default()).err().unwrap();
        assert_eq!(error.code(), Code::PlanMissing);
        std::fs::write(root.path().join("plan.json"), b"{}").unwrap();
        assert_eq!(read(&host, "/plan.json", 2, Code::PlanMissing).unwrap().as_slice(), b"{}");
        assert!(read(&host, "/plan.json", 1, Code::PlanMissing).is_err());
    }
}
