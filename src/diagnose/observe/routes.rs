//! The kernel's tables of routes and neighbours, IPv4: `/proc/net/route` and `/proc/net/arp` (net/ipv4/fib_trie.c,
//! net/ipv4/arp.c). Of IPv6 the errors of a connection tell the same.

use std::net::Ipv4Addr;

/// RTF_GATEWAY (linux/route.h).
const GATEWAY: u32 = 2;
/// ATF_COM (linux/if_arp.h): the address is known.
const COMPLETE: u32 = 2;

/// The gateway of the most specific route to `to` out of `interface` in the text of /proc/net/route; none: it is in the
/// interface's own network, or there is no such route.
pub fn gateway(routes: &str, interface: &str, to: Ipv4Addr) -> Option<Ipv4Addr> {
    let routes = routes.lines().filter_map(route).filter(|route| {
        route.interface == interface && u32::from(to) & u32::from(route.mask) == u32::from(route.destination)
    });
    let best = routes.min_by_key(|route| (std::cmp::Reverse(u32::from(route.mask)), route.metric))?;
    (best.flags & GATEWAY != 0).then_some(best.gateway)
}

struct Route<'a> {
    interface: &'a str,
    destination: Ipv4Addr,
    gateway: Ipv4Addr,
    flags: u32,
    metric: u32,
    mask: Ipv4Addr,
}

fn route(line: &str) -> Option<Route<'_>> {
    let mut words = line.split_ascii_whitespace();
    let interface = words.next()?;
    // As they lie in memory, on this machine.
    let mut address = || Some(Ipv4Addr::from(u32::from_str_radix(words.next()?, 16).ok()?.to_ne_bytes()));
    let (destination, gateway) = (address()?, address()?);
    let flags = u32::from_str_radix(words.next()?, 16).ok()?;
    let metric = words.nth(2)?.parse().ok()?;
    let mask = Ipv4Addr::from(u32::from_str_radix(words.next()?, 16).ok()?.to_ne_bytes());
    Some(Route { interface, destination, gateway, flags, metric, mask })
}

/// What the text of /proc/net/arp says of `address`: its hardware address; an empty one: it was asked for and nobody
/// answered; none: nothing.
pub fn neighbour(arp: &str, address: Ipv4Addr, interface: &str) -> Option<String> {
    arp.lines().skip(1).find_map(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [ip, _, flags, mac, _, device] = words.as_slice() else { return None };
        if ip.parse() != Ok(address) || *device != interface {
            return None;
        }
        let flags = u32::from_str_radix(flags.trim_start_matches("0x"), 16).ok()?;
        Some(if flags & COMPLETE != 0 { (*mac).to_owned() } else { String::new() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Of a machine with `ip route`: default via 198.18.0.254 dev eth0; 198.18.0.0/24 dev eth0; 10.0.0.0/8 via 198.18.1.2
    /// dev eth1 metric 100; the same dev eth1 metric 200. Little-endian, as on x86-64.
    const ROUTES: &str = "\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\tFE0012C6\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000012C6\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
eth1\t0000000A\t00000000\t0001\t0\t0\t200\t000000FF\t0\t0\t0
eth1\t0000000A\t020112C6\t0003\t0\t0\t100\t000000FF\t0\t0\t0
";
    const ARP: &str = "\
IP address       HW type     Flags       HW address            Mask     Device
198.18.0.1       0x1         0x2         52:54:00:00:00:fe     *        eth0
198.18.0.2       0x1         0x0         00:00:00:00:00:00     *        eth0
";

    #[test]
    #[cfg(target_endian = "little")]
    fn the_most_specific_route_of_the_interface_counts() {
        let of =
            |interface, to: [u8; 4]| gateway(ROUTES, interface, to.into()).map(|gateway| gateway.to_string());
        assert_eq!(of("eth0", [198, 18, 0, 7]), None);
        assert_eq!(of("eth0", [203, 0, 113, 1]).as_deref(), Some("198.18.0.254"));
        assert_eq!(of("eth1", [10, 9, 8, 7]).as_deref(), Some("198.18.1.2"));
        assert_eq!(of("eth1", [203, 0, 113, 1]), None);
    }

    #[test]
    fn a_neighbour_answered_or_did_not() {
        let of = |last| neighbour(ARP, [198, 18, 0, last].into(), "eth0");
        assert_eq!(of(1).as_deref(), Some("52:54:00:00:00:fe"));
        assert_eq!(of(2).as_deref(), Some(""));
        assert_eq!(of(3), None);
        assert_eq!(neighbour(ARP, [198, 18, 0, 1].into(), "eth1"), None);
    }

    proptest! {
        #[test]
        fn no_table_makes_the_readers_panic(text in "(\\PC{0,80}\n){0,4}", words in "([0-9A-Fa-fx.:*]{1,9}[ \t\n]){0,20}") {
            let to = Ipv4Addr::new(10, 0, 0, 1);
            let _ = (gateway(&text, "eth0", to), gateway(&words, "a", to));
            let _ = (neighbour(&text, to, "eth0"), neighbour(&words, to, "a"));
        }
    }
}
