//! Addresses of the network interfaces.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;

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
    fn an_address_has_an_interface() {
        assert_eq!(interface_of("127.0.0.1".parse().unwrap()).as_deref(), Some("lo"));
        assert_eq!(interface_of("192.0.2.77".parse().unwrap()), None);
    }

    proptest! {
        #[test]
        fn no_line_makes_the_reader_panic(line in "\\PC{0,80}", words in "([0-9a-f]{1,33} ?){0,6}") {
            let _ = (tentative_line(&line), tentative_line(&words));
        }
    }
}
