//! `diskless bundle`.

use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt};

use super::{Failed, print};
use crate::bundle::{self, send};
use crate::engine::host::Host;
use crate::sys::whole_file;

pub(super) const HELP: &str = "\
usage: diskless bundle [FILE] [--upload[=URL]]

Writes one tar with what somebody needs to see who was not there: the journals of agent and keeper, all that was told, the
command line and plan without secrets, the kernel's log, the journal, and the parts of /proc and /sys that matter. There is
no secret in it; docs/bundle.md says what is. It takes ten seconds at most, whatever hangs.

  FILE             where to; without it /run/diskless/diskless-NODE-BOOT-TIME.tar
  --upload[=URL]   post it too: to URL, else beside the node's reports, where disklessd keeps it with the boot
  -h, --help       this text

Exit codes: 0 done, 1 failed, 2 usage.
";

/// Gathers a bundle.
pub fn main(args: &mut Parser, host: &Host) -> Result<(), Failed> {
    let (mut file, mut upload, mut url) = (None, false, None);
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return print(HELP),
            Arg::Long("upload") => {
                upload = true;
                url = args.optional_value().map(ValueExt::string).transpose()?;
            }
            // As in other verbs: `--upload URL`.
            Arg::Value(word)
                if upload && url.is_none() && word.to_str().is_some_and(|word| word.contains("://")) =>
            {
                url = Some(word.string()?);
            }
            Arg::Value(word) if file.is_none() => file = Some(PathBuf::from(word)),
            other => return Err(other.unexpected().into()),
        }
    }
    let url = match (upload, url) {
        (false, _) => None,
        (true, Some(url)) => Some(url),
        (true, None) => Some(send::place(host)?),
    };
    let bundle = bundle::gather(host, bundle::LIMIT);
    let file = file.unwrap_or_else(|| send::folder(host).join(&bundle.name));
    whole_file::write(&file, &bundle.bytes, 0o600, None)?;
    print(&format!("{} {} bytes\n", file.display(), bundle.bytes.len()))?;
    if let Some(url) = url {
        let said = send::send(host, &bundle, &url)?;
        print(&format!("sent to {}: {said}\n", crate::sys::http::shown(&url)))?;
    }
    Ok(())
}
