//! Addresses, routes and neighbours as text, a line each, as the kernel has them (rtnetlink(7)).

use std::fmt::Write as _;
use std::io;
use std::net::IpAddr;

use rustix::net::{AddressFamily, SocketFlags, SocketType, netdevice, socket_with};

use super::address::{DUMP, call};

const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;
const RTM_NEWNEIGH: u16 = 28;
const RTM_GETNEIGH: u16 = 30;
/// struct ifaddrmsg
const ADDRESS: usize = 8;
/// struct rtmsg
const ROUTE: usize = 12;
/// struct ndmsg
const NEIGHBOUR: usize = 12;
/// RT_TABLE_LOCAL: what the kernel makes itself of addresses.
const LOCAL: u32 = 255;
/// A table has no more lines here: a router's could have a million.
const MOST: usize = 2000;

/// All of them.
///
/// # Errors
/// The kernel's error; `TimedOut`: it does not answer.
pub fn describe() -> io::Result<String> {
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    let name = |number: u32| {
        netdevice::index_to_name(&socket, number).unwrap_or_else(|_| format!("interface {number}"))
    };
    let mut text = String::new();
    for (title, get, new, header, line) in [
        ("addresses", RTM_GETADDR, RTM_NEWADDR, ADDRESS, address as Reader),
        ("routes", RTM_GETROUTE, RTM_NEWROUTE, ROUTE, route),
        ("neighbours", RTM_GETNEIGH, RTM_NEWNEIGH, NEIGHBOUR, neighbour),
    ] {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{title}");
        let mut lines = 0;
        call(get, DUMP, &vec![0; header], |kind, told| {
            if kind == new
                && lines < MOST
                && let Some(line) = line(told, &name)
            {
                lines += 1;
                let _ = writeln!(text, "  {line}");
            }
        })?;
    }
    Ok(text)
}

/// A message as a line, with a way to an interface's name; none: it cannot be read, or is of no interest.
type Reader = fn(&[u8], &dyn Fn(u32) -> String) -> Option<String>;

fn address(told: &[u8], name: &dyn Fn(u32) -> String) -> Option<String> {
    const IFA_ADDRESS: u16 = 1;
    const IFA_LOCAL: u16 = 2;
    let prefix = told.get(1)?;
    let ip = ip(attribute(told, ADDRESS, IFA_LOCAL).or_else(|| attribute(told, ADDRESS, IFA_ADDRESS))?)?;
    // Of its flags: 0x40 not to be used yet, 0x08 another node has it.
    let flags = told.get(2)?;
    let state = if flags & 0x08 != 0 {
        " duplicate"
    } else if flags & 0x40 != 0 {
        " tentative"
    } else {
        ""
    };
    Some(format!("{ip}/{prefix} on {}{state}", name(number(told.get(4..)?)?)))
}

fn route(told: &[u8], name: &dyn Fn(u32) -> String) -> Option<String> {
    const RTA_DST: u16 = 1;
    const RTA_OIF: u16 = 4;
    const RTA_GATEWAY: u16 = 5;
    const RTA_PRIORITY: u16 = 6;
    const RTA_PREFSRC: u16 = 7;
    const RTA_METRICS: u16 = 8;
    const RTA_MULTIPATH: u16 = 9;
    const RTA_TABLE: u16 = 15;
    const RTAX_MTU: u16 = 2;
    let part = |kind: u16| attribute(told, ROUTE, kind);
    let table = part(RTA_TABLE).and_then(number).unwrap_or(u32::from(*told.get(4)?));
    // Only unicast, and what refuses: unreachable, prohibit, blackhole.
    let kind = match told.get(7)? {
        1 => "",
        6 => "blackhole ",
        7 => "unreachable ",
        8 => "prohibit ",
        _ => return None,
    };
    (table != LOCAL).then_some(())?;
    let to = part(RTA_DST)
        .and_then(ip)
        .map_or("default".to_owned(), |ip| format!("{ip}/{}", told.get(1).copied().unwrap_or_default()));
    let mut line = format!("{kind}{to}");
    let words = [
        part(RTA_GATEWAY).and_then(ip).map(|ip| format!("via {ip}")),
        part(RTA_OIF).and_then(number).map(|oif| format!("on {}", name(oif))),
        part(RTA_PREFSRC).and_then(ip).map(|ip| format!("from {ip}")),
        part(RTA_PRIORITY).and_then(number).map(|metric| format!("metric {metric}")),
        part(RTA_METRICS)
            .and_then(|all| attribute(all, 0, RTAX_MTU))
            .and_then(number)
            .map(|mtu| format!("MTU {mtu}")),
        part(RTA_MULTIPATH).map(|_| "by several ways".to_owned()),
        (table != 254).then(|| format!("table {table}")),
    ];
    words.into_iter().flatten().for_each(|word| {
        let _ = write!(line, " {word}");
    });
    Some(line)
}

fn neighbour(told: &[u8], name: &dyn Fn(u32) -> String) -> Option<String> {
    const NDA_DST: u16 = 1;
    const NDA_LLADDR: u16 = 2;
    let ip = ip(attribute(told, NEIGHBOUR, NDA_DST)?)?;
    // NUD_NOARP: multicast and the loopback.
    let state = match u16::from_ne_bytes(*told.get(8..)?.first_chunk()?) {
        0x40 => return None,
        0x01 => "incomplete",
        0x02 => "reachable",
        0x04 => "stale",
        0x08 | 0x10 => "being asked",
        0x20 => "FAILED",
        0x80 => "permanent",
        _ => "unknown",
    };
    let mac: Vec<String> = attribute(told, NEIGHBOUR, NDA_LLADDR)
        .unwrap_or_default()
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect();
    Some(format!("{ip} on {} {} {state}", name(number(told.get(4..)?)?), mac.join(":")))
}

/// The value of the attribute `wanted` (struct rtattr: length and type, each at a multiple of 4), behind `header` bytes.
fn attribute(message: &[u8], header: usize, wanted: u16) -> Option<&[u8]> {
    /// NLA_F_NESTED
    const NESTED: u16 = 0x8000;
    let mut rest = message.get(header..)?;
    loop {
        let length = usize::from(u16::from_ne_bytes(*rest.first_chunk()?));
        let kind = u16::from_ne_bytes(*rest.get(2..)?.first_chunk()?);
        let value = rest.get(4..length)?;
        if kind & !NESTED == wanted {
            return Some(value);
        }
        rest = rest.get(length.next_multiple_of(4)..)?;
    }
}

fn number(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.first_chunk()?))
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => Some(IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        16 => Some(IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(header: &[u8], attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut message = header.to_vec();
        for (kind, value) in attributes {
            message.extend((value.len() as u16 + 4).to_ne_bytes());
            message.extend(kind.to_ne_bytes());
            message.extend(*value);
            message.resize(message.len().next_multiple_of(4), 0);
        }
        message
    }

    fn name(number: u32) -> String {
        format!("eth{number}")
    }

    #[test]
    fn a_line_for_each() {
        let one = 1u32.to_ne_bytes();
        let told = message(&[&[2, 24, 0x40, 0], &one[..]].concat(), &[(1, &[10, 0, 0, 5])]);
        assert_eq!(address(&told, &name).unwrap(), "10.0.0.5/24 on eth1 tentative");
        let mtu = message(&[], &[(2, &1450u32.to_ne_bytes())]);
        let told = message(
            &[2, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0],
            &[(5, &[10, 0, 0, 1]), (4, &one), (6, &100u32.to_ne_bytes()), (8, &mtu)],
        );
        assert_eq!(route(&told, &name).unwrap(), "default via 10.0.0.1 on eth1 metric 100 MTU 1450");
        let told = message(&[2, 32, 0, 0, 255, 2, 254, 2, 0, 0, 0, 0], &[(1, &[127, 0, 0, 1])]);
        assert_eq!(route(&told, &name), None);
        let told = message(&[&[2, 0, 0, 0], &one[..], &[0x20, 0, 0, 1]].concat(), &[(1, &[10, 0, 0, 1])]);
        assert_eq!(neighbour(&told, &name).unwrap(), "10.0.0.1 on eth1  FAILED");
    }

    #[test]
    fn the_kernel_tells_of_this_machine() {
        let text = describe().unwrap();
        assert!(text.contains("127.0.0.1/8 on "), "{text}");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>) {
            let _ = (address(&bytes, &name), route(&bytes, &name), neighbour(&bytes, &name));
        }
    }
}
