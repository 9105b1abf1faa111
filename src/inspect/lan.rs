//! What a BMC says of its network: the answers to Get LAN Configuration Parameters (IPMI 2.0, sections 23.2 and 23.1,
//! table 23-4). Pure; [`crate::sys::ipmi`] asks.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The address.
pub const IPV4: u8 = 3;
/// The hardware address.
pub const MAC: u8 = 5;
/// Addresses of IPv6 that were set by hand, by number; and those that were found.
pub const IPV6: [u8; 2] = [56, 59];

/// What is known of a BMC.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bmc {
    /// Its IPv4 address.
    pub address: Option<Ipv4Addr>,
    /// Its IPv6 address.
    pub v6_address: Option<Ipv6Addr>,
    /// Its hardware address.
    pub mac: Option<String>,
}

/// The parameter in an answer: after the completion code, 0 for success, and its revision.
pub fn parameter(answer: &[u8]) -> Option<&[u8]> {
    match answer {
        [0, _, parameter @ ..] => Some(parameter),
        _ => None,
    }
}

/// An IPv4 address that is one.
pub fn ipv4(parameter: &[u8]) -> Option<Ipv4Addr> {
    let address = Ipv4Addr::from(*parameter.first_chunk::<4>()?);
    (!address.is_unspecified()).then_some(address)
}

/// An IPv6 address that is one and holds beyond its link: after its number and its source, before its prefix and its
/// state, of which 0 is "in use".
pub fn ipv6(parameter: &[u8]) -> Option<Ipv6Addr> {
    let [_, _, rest @ ..] = parameter else { return None };
    let address = Ipv6Addr::from(*rest.first_chunk::<16>()?);
    let is_used = rest.get(17).is_none_or(|state| *state == 0);
    (is_used && !address.is_unspecified() && !address.is_unicast_link_local()).then_some(address)
}

/// A hardware address that is one.
pub fn mac(parameter: &[u8]) -> Option<String> {
    let octets = parameter.first_chunk::<6>()?;
    let text: Vec<String> = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    crate::input::facts::mac(&text.join(":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_a_bmc() {
        assert_eq!(parameter(&[0, 0x11, 10, 0, 0, 9]).and_then(ipv4), Some(Ipv4Addr::new(10, 0, 0, 9)));
        assert_eq!(parameter(&[0xcc, 0x11, 10, 0, 0, 9]), None, "invalid data in the request");
        assert_eq!(parameter(&[0, 0x11, 0, 0, 0, 0]).and_then(ipv4), None);
        let v6 = |address: &str, state: u8| {
            let address: Ipv6Addr = address.parse().unwrap();
            ipv6(&[&[0, 0x81], &address.octets()[..], &[64, state]].concat())
        };
        assert_eq!(v6("fd00::9", 0), Some("fd00::9".parse().unwrap()));
        for (address, state) in [("::", 0), ("fe80::1", 0), ("fd00::9", 1)] {
            assert_eq!(v6(address, state), None, "{address}");
        }
        assert_eq!(mac(&[0x52, 0x54, 0, 0, 0, 1]).as_deref(), Some("52:54:00:00:00:01"));
        assert_eq!(mac(&[0; 6]), None);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_an_answer_or_none(bytes: Vec<u8>) {
            let _ = (parameter(&bytes), ipv4(&bytes), ipv6(&bytes), mac(&bytes));
        }
    }
}
