//! `diskless access`.

use std::ffi::OsStr;

use lexopt::{Arg, Parser};

use super::{Failed, print};
use crate::access::{self, CONFIG, KEYS};
use crate::engine::configured::configured;
use crate::engine::host::Host;
use crate::error::{Code, Error, Result};
use crate::input::cmdline::Cmdline;
use crate::report::console::Console;
use crate::sys::program;

pub(super) const HELP: &str = "\
usage: diskless access

systemd's own: makes what sshd of the initramfs needs, and goes on as sshd.

Host key, authorized keys and configuration are written to /run/diskless/ssh. The host keys are those in
/etc/diskless/ssh_host_*_key of the initramfs, else one that is made at each boot and shown on the console. Keys of
operators are taken from /etc/diskless/authorized_keys of the initramfs, from rd.diskless.authorized_key= and, once there
is one, from access.authorized_keys of the boot plan. Without any key sshd is not started.

  --initiator             write the node's own initiator name to /etc/iscsi/initiatorname.iscsi instead, for open-iscsi
                          of the initramfs; a file that is there stays
  -h, --help              this text
";

/// Prepares sshd and goes on as it.
pub fn main(args: &mut Parser, host: &Host) -> Result<(), Failed> {
    let mut initiator = false;
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return print(HELP),
            Arg::Long("initiator") => initiator = true,
            other => return Err(other.unexpected().into()),
        }
    }
    // What is wrong in the configuration, the boot says.
    let (cmdline, _) = configured(host)?;
    if initiator {
        return Ok(access::name_initiator(host, &cmdline)?);
    }
    let mut console = Console::of_machine(host);
    serve(host, &cmdline, &mut console).map_err(|error| {
        // The person in front sees no journal.
        console.warn(&format!("no ssh: [{}] {error}; {}", error.code().as_str(), error.advice()));
        Failed::Told
    })
}

/// Goes on as sshd, if anybody could log in.
fn serve(host: &Host, cmdline: &Cmdline, console: &mut Console) -> Result<()> {
    let prepared = access::prepare(host, cmdline)?;
    for warning in &prepared.warnings {
        console.warn(&format!("WARNING: [{}] {warning}; {}", warning.code().as_str(), warning.advice()));
    }
    if !prepared.has_keys {
        console.say(&format!(
            "no ssh: there is no key of an operator, neither in {KEYS} nor by rd.diskless.authorized_key=; a boot plan may \
             bring one"
        ));
        return Ok(());
    }
    let words = ["-D", "-e", "-f", CONFIG].map(OsStr::new);
    Err(Error::new(Code::Access, prepared.sshd.display().to_string())
        .because(program::replace(&prepared.sshd, &words)))
}
