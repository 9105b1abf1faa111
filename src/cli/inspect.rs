//! `diskless inspect`.

use std::time::Duration;

use lexopt::{Arg, Parser};

use super::{Failed, print};
use crate::engine::host::Host;
use crate::error::{Code, Context};
use crate::inspect::{LONGEST_LISTENING, describe, inspect};
use crate::sys::http::{CA_FILE, Client};

pub(super) const HELP: &str = "\
usage: diskless inspect [--json] [--lldp SECONDS] [--post URL]

What the node is made of: processors, memory, disks, network interfaces, display controllers, firmware, BMC, secure boot
and TPM. Nothing is changed.

  --json           the inventory as Ironic's agent posts it, with more of our own
  --lldp SECONDS   listen to the switches for so long, 1 to 120; they speak every 30 seconds
  --post URL       post that JSON, to /v1/continue of an ironic-inspector or to /v1/continue_inspection of Ironic
  -h, --help       this text

Exit codes: 0 done, 1 failed, 2 usage.
";

/// No answer of an inspector is longer.
const MOST_SAID: u64 = 64 << 10;
/// An inspector may look into its database first.
const POST_LIMIT: Duration = Duration::from_secs(60);

/// Says what the node is made of.
pub fn main(args: &mut Parser, host: &Host) -> Result<(), Failed> {
    let (mut json, mut listening, mut post) = (false, Duration::ZERO, None);
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return print(HELP),
            Arg::Long("json") => json = true,
            Arg::Long("lldp") => {
                listening = Duration::from_secs(lexopt::ValueExt::parse(&args.value()?)?);
                if listening.is_zero() || listening > LONGEST_LISTENING {
                    return Err(lexopt::Error::from("--lldp: 1 to 120 seconds").into());
                }
            }
            Arg::Long("post") => post = Some(lexopt::ValueExt::string(args.value()?)?),
            other => return Err(other.unexpected().into()),
        }
    }
    let found = inspect(host, listening);
    let text = serde_json::to_string_pretty(&found).context(Code::Io, "inspection")?;
    if let Some(url) = &post {
        let client = Client::new(url, POST_LIMIT, &host.path(CA_FILE))?;
        let failed = |failure: crate::sys::http::Failure| failure.into_error(url, Code::Report, Code::Report);
        let headers = [("content-type", "application/json"), ("accept", "application/json")];
        let (status, said) =
            client.ask("POST", &headers, Some(text.as_bytes()), MOST_SAID).map_err(failed)?;
        if !(200..300).contains(&status) {
            let error = crate::error::Error::new(Code::Report, crate::sys::http::shown(url));
            return Err(error.because(format!("HTTP status {status}")).into());
        }
        // What it says is JSON, the node's id in Ironic among it.
        let said = String::from_utf8_lossy(&said);
        eprintln!(
            "posted: {}",
            said.trim().chars().filter(|c| !c.is_control()).take(500).collect::<String>()
        );
    }
    match (json, post) {
        (true, _) => print(&format!("{text}\n")),
        (false, Some(_)) => Ok(()),
        (false, None) => print(&describe(&found)),
    }
}
