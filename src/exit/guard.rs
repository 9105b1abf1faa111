//! A process that waits for the end of the system: it is there from the boot on, wholly in memory, for a node whose
//! target is gone may not be able to start any program any more. systemd tells it by SIGTERM that it is to stop; it leaves
//! a watcher behind, which finds out whether that is because the machine is to end.

use std::process::{Command, Stdio};

use nix::sys::signal::{SigSet, Signal};

use super::SPARED;
use super::perform::failed;
use crate::error::Result;

/// Waits for SIGTERM, then starts the watcher.
///
/// # Errors
/// The signal cannot be waited for, or the watcher not be started.
pub fn main() -> Result<()> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    signals.thread_block().map_err(|cause| failed("SIGTERM", cause))?;
    signals.wait().map_err(|cause| failed("SIGTERM", cause))?;
    use std::os::unix::process::CommandExt;
    let watcher = Command::new("/proc/self/exe")
        .arg0(SPARED)
        .args(["exit", "--watch"])
        .current_dir("/run")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    watcher.map(|_| ()).map_err(|cause| failed("watcher of the end", cause))
}
