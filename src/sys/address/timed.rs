//! Addresses that end with a lease (rtnetlink(7); linux/if_addr.h), and how they are kept beyond it.

use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, netlink, recv, sendto, socket_with,
};

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_ACK: u16 = 0x4;
const NLM_F_REPLACE: u16 = 0x100;
pub(in crate::sys) const NLM_F_DUMP: u16 = 0x300;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_CACHEINFO: u16 = 6;
/// struct nlmsghdr: length (u32), type and flags (u16), sequence number and port (u32).
const HEADER: usize = 16;
/// struct ifaddrmsg: family, prefix, flags, scope (u8), interface (u32).
const ADDRESS: usize = 8;
/// INFINITY_LIFE_TIME (linux/if_addr.h): for ever, in an `ifa_prefered` or `ifa_valid`, which are seconds.
const FOR_EVER: u32 = u32::MAX;
/// The kernel answers at once; a machine that hangs for so long has other troubles.
const LIMIT: Duration = Duration::from_secs(5);
/// The kernel sends dumps in pieces of at most 32 KiB.
const LONGEST: usize = 64 * 1024;

/// An address that the kernel will remove when its time is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timed {
    /// The interface's number.
    pub interface: u32,
    /// The address.
    pub address: IpAddr,
    /// All that the kernel said of it, to be said again: without its prefix route's flag, label or metric it would
    /// become another.
    told: Vec<u8>,
}

impl Timed {
    /// One for the tests of those who look at what it is, and never hand it to the kernel.
    #[cfg(test)]
    pub fn of(interface: u32, address: impl Into<IpAddr>) -> Timed {
        Timed { interface, address: address.into(), told: Vec::new() }
    }
}

/// All of them.
///
/// # Errors
/// The kernel's error; `TimedOut`: it does not answer.
pub fn timed() -> io::Result<Vec<Timed>> {
    let mut found = Vec::new();
    call(RTM_GETADDR, NLM_F_DUMP, &[0; ADDRESS], |kind, told| {
        if kind == RTM_NEWADDR {
            found.extend(parse(told));
        }
    })?;
    Ok(found)
}

/// Keeps it as long as its interface is there.
///
/// # Errors
/// The kernel's error; `TimedOut`: it does not answer.
pub fn keep_for_ever(address: &Timed) -> io::Result<()> {
    let mut message = address.told.clone();
    if let Some(lifetimes) = lifetimes(&mut message) {
        lifetimes.fill(0xff);
    }
    call(RTM_NEWADDR, NLM_F_ACK | NLM_F_REPLACE, &message, |_, _| ())
}

/// The address in an RTM_NEWADDR, from its ifaddrmsg on; none: it has no end, or cannot be read.
fn parse(told: &[u8]) -> Option<Timed> {
    let mut message = told.to_vec();
    let valid = lifetimes(&mut message)?.get(4..8)?.try_into().ok().map(u32::from_ne_bytes)?;
    if valid == FOR_EVER {
        return None;
    }
    let interface = u32::from_ne_bytes(told.get(4..ADDRESS)?.try_into().ok()?);
    // With both, IFA_ADDRESS is that of the other end.
    let bytes = attribute(told, IFA_LOCAL).or_else(|| attribute(told, IFA_ADDRESS))?;
    let bytes = told.get(bytes)?;
    let address = match bytes.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?),
        _ => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?),
    };
    Some(Timed { interface, address, told: told.to_vec() })
}

/// `ifa_prefered` and `ifa_valid` in the message's IFA_CACHEINFO.
fn lifetimes(message: &mut [u8]) -> Option<&mut [u8]> {
    let place = attribute(message, IFA_CACHEINFO)?;
    message.get_mut(place)?.get_mut(..8)
}

/// Where the value of the attribute `wanted` is: struct rtattr, length and type (u16), each at a multiple of 4.
fn attribute(message: &[u8], wanted: u16) -> Option<std::ops::Range<usize>> {
    let mut at = ADDRESS;
    loop {
        let word = |at: usize| Some(u16::from_ne_bytes(message.get(at..at + 2)?.try_into().ok()?));
        let (length, kind) = (usize::from(word(at)?), word(at + 2)?);
        let end = at.checked_add(length)?;
        if length < 4 || end > message.len() {
            return None;
        }
        if kind == wanted {
            return Some(at + 4..end);
        }
        at = end.next_multiple_of(4);
    }
}

/// Sends one request and reads its answers until the last, each as its type and what follows its header.
pub(in crate::sys) fn call(
    kind: u16,
    flags: u16,
    message: &[u8],
    mut answer: impl FnMut(u16, &[u8]),
) -> io::Result<()> {
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    bind(&socket, &netlink::SocketAddrNetlink::new(0, 0))?;
    let length = u32::try_from(HEADER + message.len()).map_err(|_| Errno::INVAL)?;
    let mut request = length.to_ne_bytes().to_vec();
    request.extend(kind.to_ne_bytes());
    request.extend((NLM_F_REQUEST | flags).to_ne_bytes());
    request.extend([0; 8]);
    request.extend(message);
    sendto(&socket, &request, SendFlags::empty(), &netlink::SocketAddrNetlink::new(0, 0))?;
    let deadline = Instant::now() + LIMIT;
    let mut buffer = vec![0; LONGEST];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
        match poll(&mut [PollFd::new(&socket, PollFlags::IN)], Some(&timeout)) {
            Err(Errno::INTR) => continue,
            Ok(0) => return Err(io::Error::new(io::ErrorKind::TimedOut, "the kernel does not answer")),
            other => other?,
        };
        let (length, _) = recv(&socket, buffer.as_mut_slice(), RecvFlags::DONTWAIT)?;
        for (kind, rest) in messages(buffer.get(..length).unwrap_or_default()) {
            match kind {
                NLMSG_DONE => return Ok(()),
                NLMSG_ERROR => return result(rest),
                kind => answer(kind, rest),
            }
        }
    }
}

/// The messages in what was received, each as its type and what follows its header.
fn messages(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
        let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
        let rest = bytes.get(HEADER..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, rest))
    })
}

/// What an NLMSG_ERROR says: a negative errno, or 0.
fn result(rest: &[u8]) -> io::Result<()> {
    let number =
        rest.get(..4).and_then(|bytes| bytes.try_into().ok()).map_or(-libc::EPROTO, i32::from_ne_bytes);
    if number == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(number.saturating_neg())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An RTM_NEWADDR as of `ip address add 10.0.0.5/24 dev NUMBER valid_lft VALID`.
    fn told(valid: u32) -> Vec<u8> {
        let mut message = vec![2, 24, 0, 0];
        message.extend(7u32.to_ne_bytes());
        for (kind, value) in [
            (IFA_ADDRESS, &[10, 0, 0, 1][..]),
            (IFA_LOCAL, &[10, 0, 0, 5]),
            (3, b"eth0\0"),
            (IFA_CACHEINFO, &[[60, 0, 0, 0], valid.to_ne_bytes(), [0; 4], [0; 4]].concat()),
        ] {
            message.extend((value.len() as u16 + 4).to_ne_bytes());
            message.extend(kind.to_ne_bytes());
            message.extend(value);
            message.resize(message.len().next_multiple_of(4), 0);
        }
        message
    }

    #[test]
    fn an_address_with_an_end_is_kept_with_all_that_was_said_of_it() {
        assert_eq!(parse(&told(FOR_EVER)), None);
        let found = parse(&told(120)).unwrap();
        assert_eq!((found.interface, found.address), (7, IpAddr::from([10, 0, 0, 5])));
        let mut kept = found.told.clone();
        lifetimes(&mut kept).unwrap().fill(0xff);
        let same = kept.iter().zip(&found.told).filter(|(a, b)| a == b).count();
        assert_eq!((kept.len(), same), (found.told.len(), kept.len() - 8));
        assert_eq!(parse(&kept), None);
    }

    #[test]
    fn the_kernel_tells_without_an_error() {
        assert!(timed().is_ok());
    }

    #[test]
    fn an_answer_may_have_many_messages_or_an_error() {
        let mut bytes = Vec::new();
        for (kind, rest) in [(RTM_NEWADDR, &[1u8, 2, 3, 4, 5][..]), (NLMSG_DONE, &[0; 4])] {
            bytes.extend((HEADER as u32 + rest.len() as u32).to_ne_bytes());
            bytes.extend(kind.to_ne_bytes());
            bytes.extend([0; 10]);
            bytes.extend(rest);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        let found: Vec<_> = messages(&bytes).collect();
        assert_eq!(found, [(RTM_NEWADDR, &[1u8, 2, 3, 4, 5][..]), (NLMSG_DONE, &[0; 4])]);
        assert!(result(&0i32.to_ne_bytes()).is_ok());
        assert_eq!(result(&(-libc::EPERM).to_ne_bytes()).unwrap_err().raw_os_error(), Some(libc::EPERM));
        assert!(result(&[]).is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>) {
            let _ = parse(&bytes);
            let _ = result(&bytes);
            proptest::prop_assert!(messages(&bytes).count() <= bytes.len() / HEADER);
        }
    }
}
