//! How the keeper outlives the root that it was started in.
//!
//! systemd ends all processes at the switch to the new root, and again at the node's end, but those whose first argument
//! begins with `@` ("Using Root Storage Daemons with systemd"). Such a process must not use the file systems that it
//! keeps alive: the keeper runs from a copy of the program in memory, in a root of its own in which only the kernel's
//! file systems and /run are mounted, and all of its memory is locked.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::serve;
use crate::engine::host::Host;
use crate::error::{Code, Context, Error, Result};
use crate::sys::{memory, namespace, signal};

/// What the keeper is called. The `@` is what systemd spares it for.
pub const NAME: &str = "@diskless";
/// Where its root is put together; unused and empty for everybody else.
const ROOT: &str = "/run/diskless/keeper";
/// Bytes of a thread's stack: threads of the keeper log in, and nothing else.
const STACK: &str = "262144";

/// Runs the keeper until it is told to end.
///
/// # Errors
/// [`Code::Keeper`]: it cannot be made to survive, or another one runs.
pub fn main(host: &Host) -> Result<()> {
    let program = Path::new("/proc/self/exe");
    if !runs_from_memory(program) {
        return Err(again_from_memory(program));
    }
    memory::call(c"diskless-keeper");
    signal::ignore_requests_to_end();
    leave_unit(host);
    let listener = serve::listen(host)?;
    namespace::enter_own_root(Path::new(ROOT)).context(Code::Keeper, "root of its own")?;
    // Of less use then, but of use: most nodes do not swap.
    if let Err(error) = memory::lock() {
        log::warn!("keeper: memory cannot be locked: {error}");
    }
    serve::serve(host, listener);
    Ok(())
}

/// The program is the copy that was made for it.
fn runs_from_memory(program: &Path) -> bool {
    std::fs::read_link(program)
        .is_ok_and(|target| target.as_os_str().as_encoded_bytes().starts_with(b"/memfd:"))
}

/// Starts the program anew, from a copy in memory; returns only why that is impossible.
fn again_from_memory(program: &Path) -> Error {
    let object = "copy of the agent in memory";
    let (_copy, path) = match memory::sealed_copy(program, "diskless-keeper") {
        Ok(copy) => copy,
        Err(error) => return Error::new(Code::Keeper, object).because(error),
    };
    let error = Command::new(path).arg0(NAME).arg("keeper").env_clear().env("RUST_MIN_STACK", STACK).exec();
    Error::new(Code::Keeper, object).because(error)
}

/// Leaves the control group of another unit, which systemd empties when that unit ends: that of the agent, if it had to
/// start the keeper itself.
fn leave_unit(host: &Host) {
    let groups = std::fs::read_to_string(host.path("/proc/self/cgroup")).unwrap_or_default();
    if !in_another_unit(&groups) {
        return;
    }
    for root in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"] {
        // There are at most two of them, and nothing else to try.
        let _ = std::fs::write(host.path(root).join("cgroup.procs"), "0");
    }
}

/// By its /proc/self/cgroup (cgroups(7)) the process is in a unit that is not its own.
fn in_another_unit(groups: &str) -> bool {
    let names = groups.lines().filter_map(|line| line.rsplit('/').next());
    let mut units = names.filter(|name| name.ends_with(".service"));
    units.any(|unit| unit != "diskless-keeper.service")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_it_is_in() {
        for (groups, other) in [
            ("0::/system.slice/diskless-keeper.service\n", false),
            ("0::/system.slice/diskless.service\n", true),
            ("0::/\n", false),
            ("1:name=systemd:/system.slice/diskless.service\n0::/\n", true),
            ("0::/user.slice/user-0.slice/session-1.scope\n", false),
            ("", false),
        ] {
            assert_eq!(in_another_unit(groups), other, "{groups}");
        }
    }

    #[test]
    fn a_program_in_a_file_is_not_in_memory() {
        assert!(!runs_from_memory(Path::new("/proc/self/exe")));
        assert!(!runs_from_memory(Path::new("/nonexistent")));
    }
}
