//! The end of the machine, and what has no better place: swap, loop devices, processes.
#![allow(
    unsafe_code,
    reason = "swapoff(2), reboot(2) with an argument and ioctl(2) have no safe wrapper in any crate we use"
)]

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustix::system::{RebootCommand, reboot};

/// linux/loop.h
const LOOP_CLR_FD: libc::c_ulong = 0x4C01;
/// What reboot(2) is called with, so that nobody calls it by mistake.
const MAGIC: (libc::c_int, libc::c_int) = (libc::LINUX_REBOOT_MAGIC1, libc::LINUX_REBOOT_MAGIC2);
/// reboot(2) may take so long: drivers are told first, and one of them may wait for its device.
const REBOOT_LIMIT: Duration = Duration::from_secs(5);

/// How a machine ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End<'a> {
    /// Off.
    PowerOff,
    /// On again; with an argument for the firmware or the boot loader of some machines.
    Restart(Option<&'a str>),
    /// Stopped.
    Halt,
    /// On again, with the kernel that is loaded for it.
    Kexec,
}

/// Ends the machine; comes back only if the kernel refuses. If the kernel takes long, it is told so again by
/// /proc/sysrq-trigger, which asks no driver.
pub fn end(end: End<'_>) -> io::Error {
    let key = match end {
        End::PowerOff => Some("o"),
        End::Restart(_) | End::Kexec => Some("b"),
        End::Halt => None,
    };
    if let Some(key) = key {
        std::thread::spawn(move || {
            std::thread::sleep(REBOOT_LIMIT);
            // Nobody is left to tell.
            let _ = std::fs::write("/proc/sysrq-trigger", key);
        });
    }
    let result = match end {
        End::PowerOff => reboot(RebootCommand::PowerOff),
        End::Restart(Some(argument)) => return restart_with(argument),
        End::Restart(None) => reboot(RebootCommand::Restart),
        End::Halt => reboot(RebootCommand::Halt),
        End::Kexec => reboot(RebootCommand::Kexec),
    };
    result.map_or_else(io::Error::from, |()| io::Error::other("the kernel came back from reboot(2)"))
}

fn restart_with(argument: &str) -> io::Error {
    let Ok(argument) = CString::new(argument) else { return io::ErrorKind::InvalidInput.into() };
    // SAFETY: the kernel reads the text up to its NUL, which lives beyond the call, and keeps nothing of it. What the call
    // does is what it is for.
    unsafe {
        libc::syscall(libc::SYS_reboot, MAGIC.0, MAGIC.1, libc::LINUX_REBOOT_CMD_RESTART2, argument.as_ptr());
    }
    io::Error::last_os_error()
}

/// Stops swapping to `path`, a device or file.
///
/// # Errors
/// It is no swap, or what is in it does not fit into memory.
pub fn swap_off(path: &str) -> io::Result<()> {
    let path = CString::new(path)?;
    // SAFETY: the kernel reads the text up to its NUL, which lives beyond the call, and keeps nothing of it.
    let result = unsafe { libc::swapoff(path.as_ptr()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Takes the file behind the loop device at `node` away.
///
/// # Errors
/// There is none, or it is in use.
pub fn detach_loop(node: &str) -> io::Result<()> {
    let device = File::open(node)?;
    // SAFETY: the descriptor is open for as long as `device` lives, which is beyond the call; the request has no argument.
    let result = unsafe { libc::ioctl(device.as_raw_fd(), LOOP_CLR_FD, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Kills the process `pid`, if there is one; never process 1, nor a group.
pub fn kill(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).filter(|pid| *pid != Pid::INIT);
    if let Some(pid) = pid {
        // It may be gone by now.
        let _ = kill_process(pid, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        assert!(swap_off(path).is_err());
        assert!(detach_loop(path).is_err());
        assert!(detach_loop("/nonexistent").is_err());
        assert!(swap_off("a\0b").is_err());
    }

    #[test]
    fn a_process_is_killed_and_only_that() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        kill(child.id());
        assert!(!child.wait().unwrap().success());
        // 0 would be our own group, and what is larger than a pid would be negative.
        kill(0);
        kill(u32::MAX);
    }
}
