//! Kernel modules.

use std::time::Duration;

use super::program;
use crate::engine::host::Host;
use crate::error::{Code, Context, Result};

/// How long modprobe may take. Some modules look for their hardware first.
const LIMIT: Duration = Duration::from_secs(30);

/// Makes sure that the kernel has `names`, through kmod's modprobe, which knows dependencies and configuration.
///
/// A module that is loaded already, or built into the kernel with a folder in `/sys/module`, costs nothing.
///
/// # Errors
/// modprobe cannot be started, fails or does not end; the cause holds what it said.
pub fn load(host: &Host, names: &[&str]) -> Result<()> {
    let missing: Vec<&str> = names.iter().copied().filter(|name| !is_loaded(host, name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let object = || format!("kernel module {}", missing.join(", "));
    let args = [&["-a", "--"], missing.as_slice()].concat();
    program::run("modprobe", &args, LIMIT).context(Code::Kernel, object())
}

/// Starts to load `names` and does not wait for them: what is not there yet when a step needs it, the step loads itself,
/// and tells why it cannot.
pub fn load_ahead(host: &Host, names: &[&str]) {
    if !host.path("/lib/modules").exists() {
        return;
    }
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    std::thread::spawn(move || {
        let args: Vec<&str> = ["-a", "--"].into_iter().chain(names.iter().map(String::as_str)).collect();
        // Whoever needs one of them finds out himself.
        let _ = program::run("modprobe", &args, LIMIT);
    });
}

fn is_loaded(host: &Host, name: &str) -> bool {
    // The kernel writes _ for - in module names.
    host.path("/sys/module").join(name.replace('-', "_")).exists()
}
