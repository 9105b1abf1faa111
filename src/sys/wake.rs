//! What wakes a process up that has nothing to do while all is well: sockets of the kernel's events, and the ends of
//! other processes.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, netlink, recv, socket_with};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::flag::Flag;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

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

/// Waits until one of `fds` can be read or `flag` is up, for at most `at_most`.
pub fn wait(fds: &[BorrowedFd<'_>], flag: &Flag, at_most: Duration) {
    let fds: Vec<_> = fds.iter().map(|fd| (*fd, PollFlags::IN)).collect();
    flag.wait_with(&fds, at_most);
}

/// Whether the process at the other end of a connection was root's when it connected.
pub fn is_of_root(stream: &UnixStream) -> bool {
    socket_peercred(stream).is_ok_and(|peer| peer.uid.is_root())
}

/// Of each of `fds`, whether it can be read.
pub fn ready(fds: &[BorrowedFd<'_>]) -> Vec<bool> {
    let mut polled: Vec<PollFd<'_>> =
        fds.iter().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
    // It cannot fail but for a signal or memory, and whoever asks looks again.
    let _ = poll(&mut polled, Some(&Timespec::default()));
    polled.iter().map(|fd| !fd.revents().is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::old_kernel;
    use std::io::Write;

    /// Whether `fd` can be read within ten seconds.
    fn comes(fd: BorrowedFd<'_>) -> bool {
        crate::engine::host::Host::fake("/").wait_for(&[fd], Duration::from_secs(10));
        ready(&[fd]) == [true]
    }

    #[test]
    fn what_can_be_read_ends_the_wait() {
        let (mut one, other) = UnixStream::pair().unwrap();
        assert_eq!(ready(&[one.as_fd(), other.as_fd()]), [false, false]);
        one.write_all(b"x").unwrap();
        assert!(comes(other.as_fd()));
        assert_eq!(ready(&[one.as_fd(), other.as_fd()]), [false, true]);
    }

    #[test]
    fn the_end_of_a_process_ends_the_wait() {
        if old_kernel::is_behind() {
            // What the keeper goes by.
            assert_eq!(process(1).unwrap_err().raw_os_error(), Some(Errno::NOSYS.raw_os_error()));
            return;
        }
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let ended = process(child.id()).unwrap();
        assert_eq!(ready(&[ended.as_fd()]), [false]);
        child.kill().unwrap();
        assert!(comes(ended.as_fd()));
        child.wait().unwrap();
        assert!(process(0).is_err());
    }
}
