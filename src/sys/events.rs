//! What the kernel tells of changes: links, addresses and routes (rtnetlink) and devices (kobject uevents).

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SocketFlags, SocketType, bind, netlink, recv, socket_with,
};

use super::flag::Flag;

/// RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE
/// (linux/rtnetlink.h).
const ROUTE_GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;
/// The group of the kernel's own uevents (2 is udev's).
const KERNEL_UEVENTS: u32 = 1;

/// Sockets on which the kernel tells of every change of links, addresses, routes and devices.
pub struct KernelEvents {
    sockets: [OwnedFd; 2],
}

impl KernelEvents {
    /// Subscribes. What changes from here on wakes [`KernelEvents::wait`].
    ///
    /// # Errors
    /// The kernel refuses the sockets.
    pub fn open() -> io::Result<KernelEvents> {
        Ok(KernelEvents {
            sockets: [
                subscribe(None, ROUTE_GROUPS)?,
                subscribe(Some(netlink::KOBJECT_UEVENT), KERNEL_UEVENTS)?,
            ],
        })
    }

    /// Forgets the changes told so far.
    pub fn drain(&self) {
        for socket in &self.sockets {
            // What a change was does not matter, so a message may be cut; ENOBUFS (messages were lost) is a
            // change like any other, and the next call reads on.
            let mut message = [0u8; 64];
            while let Ok(_) | Err(Errno::NOBUFS | Errno::INTR) =
                recv(socket, &mut message, RecvFlags::DONTWAIT | RecvFlags::TRUNC)
            {}
        }
    }

    /// Sleeps until a change is told or `flag` is raised, for at most `at_most`. A signal may end it early, which only
    /// makes the caller look again.
    pub fn wait(&self, flag: &Flag, at_most: Duration) {
        let [route, uevent] = &self.sockets;
        flag.wait_with(&[(route.as_fd(), PollFlags::IN), (uevent.as_fd(), PollFlags::IN)], at_most);
    }
}

/// `protocol`: none is NETLINK_ROUTE, whose number is 0.
fn subscribe(protocol: Option<Protocol>, groups: u32) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol)?;
    bind(&socket, &netlink::SocketAddrNetlink::new(0, groups))?;
    Ok(socket)
}
