//! Frames of one protocol from some interfaces (packet(7)).
#![allow(unsafe_code, reason = "joining a link layer group has no safe wrapper in any crate we use")]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::sys::socket::{LinkAddr, recvfrom};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, Protocol, SocketFlags, SocketType, netdevice, socket_with};

/// A frame of Ethernet without a header; longer ones are cut.
const LONGEST: usize = 2048;

/// Listens on `interfaces` for frames of the EtherType `protocol` that are sent to one of `groups`, for `time` at most, or
/// until `heard` says that it is enough. It is given the interface's name and the frame without its header.
///
/// # Errors
/// The kernel has no such sockets, or the process may not have one (CAP_NET_RAW).
pub fn listen(
    interfaces: &[String],
    protocol: u16,
    groups: &[[u8; 6]],
    time: Duration,
    mut heard: impl FnMut(&str, &[u8]) -> bool,
) -> io::Result<()> {
    let deadline = Instant::now() + time;
    let wire = std::num::NonZeroU32::new(u32::from(protocol.to_be())).map(Protocol::from_raw);
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    // DGRAM: without the header.
    let socket = socket_with(AddressFamily::PACKET, SocketType::DGRAM, flags, wire)?;
    let mut numbers = Vec::new();
    for name in interfaces {
        let number = netdevice::name_to_index(&socket, name)?;
        for group in groups {
            join(&socket, number, group)?;
        }
        numbers.push((number as usize, name));
    }
    let mut frame = vec![0; LONGEST];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        match poll(&mut [PollFd::new(&socket, PollFlags::IN)], Some(&timeout)) {
            Err(Errno::INTR) => continue,
            Ok(0) => return Ok(()),
            other => other?,
        };
        let (length, from) = match recvfrom::<LinkAddr>(socket.as_raw_fd(), &mut frame) {
            Ok(received) => received,
            // An interface that went down meanwhile is one that nothing is heard of.
            Err(nix::Error::EAGAIN | nix::Error::EINTR | nix::Error::ENETDOWN) => continue,
            Err(error) => return Err(error.into()),
        };
        let name = from.and_then(|from| numbers.iter().find(|(number, _)| *number == from.ifindex()));
        if let Some((_, name)) = name
            && heard(name, frame.get(..length).unwrap_or_default())
        {
            return Ok(());
        }
    }
}

/// Has the interface take frames to `group`, as long as the socket is open.
fn join(socket: &OwnedFd, interface: u32, group: &[u8; 6]) -> io::Result<()> {
    let mut address = [0; 8];
    for (place, byte) in address.iter_mut().zip(group) {
        *place = *byte;
    }
    let request = libc::packet_mreq {
        mr_ifindex: i32::try_from(interface).map_err(|_| io::ErrorKind::InvalidInput)?,
        mr_type: libc::PACKET_MR_MULTICAST as libc::c_ushort,
        mr_alen: group.len() as libc::c_ushort,
        mr_address: address,
    };
    // SAFETY: the descriptor is open for as long as `socket` lives. The kernel reads a packet_mreq from the pointer, which
    // points to a live one of that length, and keeps nothing of it.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_ADD_MEMBERSHIP,
            (&raw const request).cast(),
            size_of::<libc::packet_mreq>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{SendFlags, send};

    const PROTOCOL: u16 = 0x88cc;
    const GROUP: [u8; 6] = [0x01, 0x80, 0xc2, 0, 0, 0x0e];

    /// Sends a frame of `protocol` to [`GROUP`] on the interface `name`, from its header on.
    fn send_frame(name: &str, protocol: u16, payload: &[u8]) {
        let wire = std::num::NonZeroU32::new(u32::from(protocol.to_be())).map(Protocol::from_raw);
        let socket = socket_with(AddressFamily::PACKET, SocketType::RAW, SocketFlags::CLOEXEC, wire).unwrap();
        let number = netdevice::name_to_index(&socket, name).unwrap();
        // SAFETY: all zeros is a value of this plain structure of the C interface.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = protocol.to_be();
        address.sll_ifindex = number as i32;
        let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        // SAFETY: the descriptor is open for as long as `socket` lives, and the kernel reads a live address of that length.
        let bound = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) };
        assert_eq!(bound, 0);
        let frame = [&GROUP[..], &[2, 0, 0, 0, 0, 1], &protocol.to_be_bytes(), payload].concat();
        send(&socket, &frame, SendFlags::empty()).unwrap();
    }

    /// On the loopback interface; it needs CAP_NET_RAW, and says so where it is not there.
    #[test]
    fn frames_of_the_protocol_are_heard_and_others_are_not() {
        let lo = ["lo".to_owned()];
        let quiet = listen(&lo, PROTOCOL, &[GROUP], Duration::from_millis(1), |_, _| true);
        if !rustix::process::geteuid().is_root() {
            assert_eq!(quiet.unwrap_err().raw_os_error(), Some(libc::EPERM));
            return;
        }
        quiet.unwrap();
        let mut heard = Vec::new();
        let sender = std::thread::spawn(|| {
            for _ in 0..200 {
                send_frame("lo", 0x88b5, b"another protocol");
                send_frame("lo", PROTOCOL, b"hello");
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        listen(&lo, PROTOCOL, &[GROUP], Duration::from_secs(10), |name, frame| {
            heard.push((name.to_owned(), frame.to_vec()));
            true
        })
        .unwrap();
        assert_eq!(heard, [("lo".to_owned(), b"hello".to_vec())]);
        let began = Instant::now();
        listen(&lo, 0x88b6, &[], Duration::from_millis(100), |_, _| true).unwrap();
        assert!(began.elapsed() >= Duration::from_millis(100));
        assert!(listen(&["no-such-nic".to_owned()], PROTOCOL, &[], Duration::ZERO, |_, _| true).is_err());
        sender.join().unwrap();
    }
}
