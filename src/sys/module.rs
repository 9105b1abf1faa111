//! Kernel modules.

use std::process::{Command, Stdio};

use crate::engine::host::Host;
use crate::error::{Code, Error, Result};

/// Makes sure that the kernel has `names`, through kmod's modprobe, which knows dependencies and configuration.
///
/// A module that is loaded already, or built into the kernel with a folder in `/sys/module`, costs nothing.
///
/// # Errors
/// modprobe cannot be started or fails; the cause holds what it said.
pub fn load(host: &Host, names: &[&str]) -> Result<()> {
    let missing: Vec<&str> = names.iter().copied().filter(|name| !is_loaded(host, name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let object = || format!("kernel module {}", missing.join(", "));
    let output = Command::new("modprobe")
        .args(["-a", "--"])
        .args(&missing)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Error::new(Code::Kernel, object()).because(error))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
    Err(Error::new(Code::Kernel, object()).because(said))
}

fn is_loaded(host: &Host, name: &str) -> bool {
    // The kernel writes _ for - in module names.
    host.path("/sys/module").join(name.replace('-', "_")).exists()
}
