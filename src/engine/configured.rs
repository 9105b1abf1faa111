//! How the node is configured: the kernel command line, and behind it `/etc/diskless.conf` of the initramfs.

use std::io::{ErrorKind, Read};
use std::path::Path;

use super::host::Host;
use crate::error::{Code, Context, Error, Result};
use crate::input::cmdline::Cmdline;
use crate::input::conf::{self, Conf};

/// Where the kernel shows its command line.
pub const CMDLINE: &str = "/proc/cmdline";

/// What both say together, and what is wrong with the file. Of a file that is wrong the lines that are not hold.
///
/// # Errors
/// The kernel command line cannot be read.
pub fn configured(host: &Host) -> Result<(Cmdline, Vec<Error>)> {
    let text = read_text(&host.path(CMDLINE)).context(Code::Io, CMDLINE)?;
    Ok(behind(host, Cmdline::parse(&text)))
}

/// The same for who can do without the lines that are wrong, which are logged.
///
/// # Errors
/// Those of [`configured`].
pub fn usable(host: &Host) -> Result<Cmdline> {
    let (cmdline, wrong) = configured(host)?;
    for error in wrong {
        log::warn!("{error}; {}", error.advice());
    }
    Ok(cmdline)
}

/// The same with `cmdline` for the kernel command line.
pub fn behind(host: &Host, cmdline: Cmdline) -> (Cmdline, Vec<Error>) {
    match read_text(&host.path(conf::FILE)) {
        Ok(text) => {
            let conf = Conf::parse(&text);
            (conf.behind(cmdline), conf.wrong().to_vec())
        }
        Err(error) if error.kind() == ErrorKind::NotFound => (cmdline, Vec::new()),
        Err(error) => (cmdline, vec![Error::new(Code::Configuration, conf::FILE).because(error)]),
    }
}

/// A file of parameters. Not only UTF-8 may stand there; what is not is none of ours.
fn read_text(path: &Path) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(conf::LONGEST as u64).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
