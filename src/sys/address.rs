//! Addresses of the network interfaces, and which of them leads where.

mod timed;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

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

fn ip(address: &nix::sys::socket::SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|address| IpAddr::from(address.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::from(address.ip())))
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
