//! Addresses of the network interfaces, and which of them leads where.

mod timed;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::path::Path;

pub(super) use timed::{NLM_F_DUMP as DUMP, call};
pub use timed::{Timed, keep_for_ever, timed};

/// The port that IANA gave to the discard protocol; nothing is sent to it.
const ANY_PORT: u16 = 9;

/// The addresses of each interface, without link-local ones; empty if the kernel does not tell.
pub fn by_interface() -> BTreeMap<String, Vec<IpAddr>> {
    let mut found: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
    for (interface, address) in all() {
        let link_local = match address {
            IpAddr::V4(address) => address.is_link_local(),
            IpAddr::V6(address) => address.is_unicast_link_local(),
        };
        if !link_local {
            found.entry(interface).or_default().push(address);
        }
    }
    found
}

/// The interface that has `address`; none: no one has.
pub fn interface_of(address: IpAddr) -> Option<String> {
    all().into_iter().find_map(|(interface, other)| (other == address).then_some(interface))
}

/// The interface that packets to `to` leave by, from the address `from` if there is one; none: there is no way.
///
/// The kernel decides it by all of its routing rules when a UDP socket is connected, which sends nothing.
pub fn interface_to(to: IpAddr, from: Option<IpAddr>) -> Option<String> {
    let any = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((from.unwrap_or(any), 0)).ok()?;
    socket.connect((to, ANY_PORT)).ok()?;
    interface_of(socket.local_addr().ok()?.ip())
}

/// Each address with its interface.
fn all() -> Vec<(String, IpAddr)> {
    // nix, for rustix has no getifaddrs.
    let interfaces = nix::ifaddrs::getifaddrs().into_iter().flatten();
    interfaces
        .filter_map(|interface| Some((interface.interface_name, interface.address.as_ref().and_then(ip)?)))
        .collect()
}

/// The IPv6 addresses that are not to be used yet, for it is not known whether another node has them, as
/// `fd00::9 of eth0`; from the kernel's list in the `proc` of `root`.
pub fn tentative(root: &Path) -> Vec<String> {
    let list = std::fs::read_to_string(root.join("proc/net/if_inet6")).unwrap_or_default();
    list.lines().filter_map(tentative_line).collect()
}

/// A line of it: address, index, prefix length, scope and flags in hexadecimal digits, and the interface.
fn tentative_line(line: &str) -> Option<String> {
    /// IFA_F_TENTATIVE (linux/if_addr.h)
    const TENTATIVE: u8 = 0x40;
    let mut words = line.split_ascii_whitespace();
    let address = u128::from_str_radix(words.next()?, 16).ok()?;
    let flags = u8::from_str_radix(words.nth(3)?, 16).ok()?;
    let interface = words.next()?;
    (flags & TENTATIVE != 0).then(|| format!("{} of {interface}", Ipv6Addr::from(address)))
}

fn ip(address: &nix::sys::socket::SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|address| IpAddr::from(address.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::from(address.ip())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tentative_addresses_are_told() {
        let root = tempfile::tempdir().unwrap();
        assert!(tentative(root.path()).is_empty());
        std::fs::create_dir_all(root.path().join("proc/net")).unwrap();
        let list = "00000000000000000000000000000001 01 80 10 80       lo\n\
                    fd000000000000000000000000000009 02 40 00 c0     eth0\n\
                    fe80000000000000505400fffe000001 02 40 20 80     eth0\n";
        std::fs::write(root.path().join("proc/net/if_inet6"), list).unwrap();
        assert_eq!(tentative(root.path()), ["fd00::9 of eth0"]);
    }

    #[test]
    fn this_machine_reaches_itself_by_its_loopback_interface() {
        let here = IpAddr::from(Ipv4Addr::LOCALHOST);
        let name = interface_of(here).unwrap();
        assert_eq!(interface_to(here, None), Some(name.clone()));
        assert_eq!(interface_to(here, Some(here)), Some(name));
        // TEST-NET-1 (RFC 5737) is no address of anybody.
        let nobody = IpAddr::from([192, 0, 2, 1]);
        assert_eq!(interface_of(nobody), None);
        assert_eq!(interface_to(here, Some(nobody)), None);
    }

    proptest! {
        #[test]
        fn no_line_makes_the_reader_panic(line in "\\PC{0,80}", words in "([0-9a-f]{1,33} ?){0,6}") {
            let _ = (tentative_line(&line), tentative_line(&words));
        }
    }
}
