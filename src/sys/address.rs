//! Addresses of the network interfaces.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// The addresses of each interface, without link-local ones; empty if the kernel does not tell.
pub fn by_interface() -> BTreeMap<String, Vec<IpAddr>> {
    let mut found: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
    // nix, for rustix has no getifaddrs.
    for interface in nix::ifaddrs::getifaddrs().into_iter().flatten() {
        let Some(address) = interface.address.as_ref().and_then(ip) else {
            continue;
        };
        let link_local = match address {
            IpAddr::V4(address) => address.is_link_local(),
            IpAddr::V6(address) => address.is_unicast_link_local(),
        };
        if !link_local {
            found.entry(interface.interface_name).or_default().push(address);
        }
    }
    found
}

/// The interface that has this address; none: no one has, or the kernel does not tell.
pub fn interface_of(wanted: IpAddr) -> Option<String> {
    nix::ifaddrs::getifaddrs()
        .into_iter()
        .flatten()
        .find(|interface| interface.address.as_ref().and_then(ip) == Some(wanted))
        .map(|interface| interface.interface_name)
}

fn ip(address: &nix::sys::socket::SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|address| IpAddr::from(address.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::from(address.ip())))
}
