//! What wakes a process up that has nothing to do while all is well: sockets of the kernel's events, and the ends of
//! other processes.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, netlink, recv, socket_with};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// ISCSI_NL_GRP_ISCSID, and the group of the kernel's own uevents.
const GROUP: u32 = 1;
/// Of a message so much is read: what happened, and to whom, is at its beginning.
const LONGEST: usize = 2048;

/// A socket on which the kernel tells of something.
pub struct Events(OwnedFd);

impl Events {
    /// What the kernel's iSCSI initiator tells: login PDUs and lost connections of all sessions.
    ///
    /// # Errors
    /// The kernel has no iSCSI yet, or the caller is not root of the machine.
    pub fn iscsi() -> io::Result<Events> {
        Events::open(netlink::ISCSI)
    }

    /// What the kernel tells of devices.
    ///
    /// # Errors
    /// The kernel refuses the socket.
    pub fn devices() -> io::Result<Events> {
        Events::open(netlink::KOBJECT_UEVENT)
    }

    fn open(protocol: rustix::net::Protocol) -> io::Result<Events> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, Some(protocol))?;
        bind(&socket, &netlink::SocketAddrNetlink::new(0, GROUP))?;
        Ok(Events(socket))
    }

    /// Hands every message that waits to `take`, the beginning of each. One that was lost is an empty one.
    pub fn drain(&self, mut take: impl FnMut(&[u8])) {
        let mut message = [0u8; LONGEST];
        loop {
            match recv(&self.0, &mut message, RecvFlags::DONTWAIT) {
                Ok((length, _)) => take(message.get(..length).unwrap_or_default()),
                Err(Errno::NOBUFS) => take(&[]),
                Err(Errno::INTR) => (),
                Err(_) => return,
            }
        }
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Another process, by a descriptor that can be read when it has ended.
///
/// # Errors
/// There is no such process; ENOSYS before Linux 5.3.
pub fn process(pid: u32) -> io::Result<OwnedFd> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(Errno::SRCH)?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

/// Sleeps until one of `fds` can be read, for at most `at_most`; says of each whether it can.
pub fn wait(fds: &[BorrowedFd<'_>], at_most: Duration) -> Vec<bool> {
    let mut polled: Vec<PollFd<'_>> =
        fds.iter().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
    let timeout = Timespec {
        tv_sec: i64::try_from(at_most.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(at_most.subsec_nanos()),
    };
    // A signal ends the wait early, which only makes the caller look again.
    let _ = poll(&mut polled, Some(&timeout));
    polled.iter().map(|fd| !fd.revents().is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    #[test]
    fn what_can_be_read_ends_the_wait() {
        let (mut one, other) = UnixStream::pair().unwrap();
        let fds = [one.as_fd(), other.as_fd()];
        assert_eq!(wait(&fds, Duration::from_millis(1)), [false, false]);
        one.write_all(b"x").unwrap();
        assert_eq!(wait(&[one.as_fd(), other.as_fd()], Duration::from_secs(10)), [false, true]);
    }

    #[test]
    fn the_end_of_a_process_ends_the_wait() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let ended = process(child.id()).unwrap();
        assert_eq!(wait(&[ended.as_fd()], Duration::from_millis(1)), [false]);
        child.kill().unwrap();
        assert_eq!(wait(&[ended.as_fd()], Duration::from_secs(10)), [true]);
        child.wait().unwrap();
        assert!(process(0).is_err());
    }
}
