//! Fetches the plan.

use std::fmt;
use std::io::Read;

use zeroize::Zeroizing;

use super::Slot;
use crate::engine::host::Host;
use crate::error::{Code, Context, Error, Result};
use crate::input::config::Source;
use crate::input::document::Document;
use crate::sys::http;

/// No plan is longer.
const LONGEST_PLAN: u64 = 1 << 20;

/// Fetch the plan from there.
#[derive(Debug, PartialEq, Eq)]
pub struct Fetch(pub Source);

impl fmt::Display for Fetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fetch the boot plan from {}", self.0)
    }
}

pub fn apply(host: &Host, Fetch(source): Fetch, slot: &Slot) -> Result<()> {
    let text = match &source {
        Source::File(path) => read(host, path, LONGEST_PLAN, Code::PlanMissing)?,
        Source::Urls(urls) => {
            let url = urls.first().ok_or_else(|| Error::new(Code::NoPlan, "rd.diskless.plan"))?;
            http::get(url, LONGEST_PLAN, Code::PlanFetch, Code::PlanRefused)?
        }
        Source::Parameters => return Err(Error::new(Code::NoPlan, "kernel command line")),
    };
    let document = Document::parse(&text)?;
    // It was empty, or the step would be done.
    let _ = slot.set(document);
    Ok(())
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
        let error = apply(&host, Fetch(source("/plan.json")), &Slot::default()).unwrap_err();
        assert_eq!(error.code(), Code::PlanMissing);
        std::fs::write(root.path().join("plan.json"), b"{}").unwrap();
        assert_eq!(read(&host, "/plan.json", 2, Code::PlanMissing).unwrap().as_slice(), b"{}");
        assert!(read(&host, "/plan.json", 1, Code::PlanMissing).is_err());
    }
}
