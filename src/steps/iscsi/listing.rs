//! What a target answers to SendTargets (RFC 7143, appendix C), and the addresses in it and in redirections.

use std::net::{IpAddr, SocketAddr};

use super::text::{Malformed, quote};
use crate::input::portal::{DEFAULT_PORT, Portal};

/// So many portals of one target are tried.
const MOST_PORTALS: usize = 16;
/// So many names stand in a message; a portal may list thousands.
const MOST_NAMES_SHOWN: usize = 4;

/// A target of the list.
#[derive(Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its TargetAddress keys; none: it is where the list comes from.
    pub addresses: Vec<&'a str>,
}

/// Reads the list: a TargetName, the TargetAddress keys that belong to it, the next TargetName.
///
/// # Errors
/// It is no text, or begins with an address.
pub fn targets(text: &[u8]) -> Result<Vec<Target<'_>>, Malformed> {
    let text = std::str::from_utf8(text).map_err(|_| Malformed::Encoding)?;
    let mut targets: Vec<Target<'_>> = Vec::new();
    for pair in text.split('\0').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=').ok_or(Malformed::Key)? {
            ("TargetName", name) => targets.push(Target { name, addresses: Vec::new() }),
            ("TargetAddress", address) => targets.last_mut().ok_or(Malformed::Key)?.addresses.push(address),
            // TargetAlias, and what else a vendor may say of a target.
            _ => (),
        }
    }
    Ok(targets)
}

/// The portals of the target called `name` in the list that came from `asked`, the one at that very address first;
/// none: it is not listed. Addresses that nobody can connect to are left out.
pub fn portals(targets: &[Target<'_>], name: &str, asked: SocketAddr, at: &Portal) -> Option<Vec<Portal>> {
    let mut found = targets.iter().filter(|target| target.name == name).peekable();
    found.peek()?;
    let mut portals: Vec<Portal> = Vec::new();
    for target in found {
        let here = target.addresses.is_empty().then(|| at.clone());
        let there = target.addresses.iter().filter_map(|address| usable(target_address(address)?, at));
        for portal in here.into_iter().chain(there) {
            let is_asked =
                portal == *at || (portal.port == asked.port() && portal.host.parse() == Ok(asked.ip()));
            if portals.contains(&portal) {
                continue;
            } else if is_asked {
                portals.insert(0, portal);
            } else if portals.len() < MOST_PORTALS {
                portals.push(portal);
            }
        }
    }
    Some(portals)
}

/// A portal as it can be connected to: not at "any address", and at a link-local one by the interface of `at`. Addresses
/// are in their usual spelling, for IPv6 has thousands of each: they would all be different portals.
fn usable(mut portal: Portal, at: &Portal) -> Option<Portal> {
    match portal.host.parse() {
        Ok(IpAddr::V6(address)) if address.is_unicast_link_local() => {
            let (_, interface) = at.host.split_once('%')?;
            portal.host = format!("{address}%{interface}");
        }
        Ok(address) if address.is_unspecified() => return None,
        Ok(address) => portal.host = address.to_string(),
        Err(_) => (),
    }
    Some(portal)
}

/// The portal of a TargetAddress: `host[:port][,group]` (RFC 7143, section 13.8). The group does not matter to
/// who has one connection in a session.
pub fn target_address(text: &str) -> Option<Portal> {
    let address = text.split_once(',').map_or(text, |(address, _)| address);
    // Some targets leave out the brackets around an IPv6 address.
    match address.parse() {
        Ok(address @ IpAddr::V6(_)) => Some(Portal { host: address.to_string(), port: DEFAULT_PORT }),
        _ => Portal::parse(address),
    }
}

/// The names of the list, for a message.
pub fn names(targets: &[Target<'_>]) -> String {
    let shown: Vec<String> = targets.iter().take(MOST_NAMES_SHOWN).map(|target| quote(target.name)).collect();
    match targets.len().saturating_sub(MOST_NAMES_SHOWN) {
        0 if shown.is_empty() => "it lists no targets".into(),
        0 => format!("it lists {}", shown.join(", ")),
        more => format!("it lists {} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn portal(text: &str) -> Portal {
        Portal::parse(text).unwrap()
    }

    fn chosen(list: &str, asked: &str, at: &str) -> Option<Vec<String>> {
        let targets = targets(list.as_bytes()).unwrap();
        let portals = portals(&targets, "iqn.b", asked.parse().unwrap(), &portal(at))?;
        Some(portals.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_portals_of_the_target_are_found_the_asked_one_first() {
        let at = ("10.0.0.2:3260", "10.0.0.2:3260");
        let named = ("10.0.0.2:3260", "store.example:3260");
        let local = ("[fe80::1]:3260", "[fe80::1%eth0]:3260");
        for (list, (asked, at), portals) in [
            ("TargetName=iqn.a\0TargetAddress=10.0.0.1:3260,1\0", at, None),
            ("", at, None),
            (
                "TargetName=iqn.a\0TargetAddress=10.0.0.9:3260,1\0\
                 TargetName=iqn.b\0TargetAddress=10.0.0.1:3260,1\0TargetAddress=10.0.0.2:3260,1\0\
                 TargetName=iqn.c\0TargetAddress=10.0.0.8:3260,1\0",
                at,
                Some(vec!["10.0.0.2:3260", "10.0.0.1:3260"]),
            ),
            (
                "TargetName=iqn.b\0TargetAddress=10.0.0.1,2\0TargetAddress=10.0.0.2:3261\0\
                 TargetAddress=store-b.example:3262,1\0TargetAddress=[fd00::1],1\0TargetAddress=10.0.0.2,9\0",
                named,
                Some(vec![
                    "10.0.0.2:3260",
                    "10.0.0.1:3260",
                    "10.0.0.2:3261",
                    "store-b.example:3262",
                    "[fd00::1]:3260",
                ]),
            ),
            // Without an address: where it was asked. Twice the same is once.
            ("TargetName=iqn.b\0TargetAlias=x\0TargetName=iqn.b\0", named, Some(vec!["store.example:3260"])),
            (
                "TargetName=iqn.b\0TargetAddress=0.0.0.0:3260,1\0TargetAddress=[::]:3260,1\0\
                 TargetAddress=[fe80::2]:3260,1\0TargetAddress=not a host\0",
                at,
                Some(vec![]),
            ),
            (
                "TargetName=iqn.b\0TargetAddress=[fe80::2]:3260,1\0TargetAddress=[fe80::1]:3260,1\0",
                local,
                Some(vec!["[fe80::1%eth0]:3260", "[fe80::2%eth0]:3260"]),
            ),
            (
                "TargetName=iqn.b\0TargetAddress=[fd00:0::1]:3260,1\0TargetAddress=[FD00::0001]:3260,1\0\
                 TargetAddress=[::a]:3260,1\0TargetAddress=[0::A]:3260,1\0",
                ("[fd00::1]:3260", "[fd00::1]:3260"),
                Some(vec!["[fd00::1]:3260", "[::a]:3260"]),
            ),
        ] {
            let portals = portals.map(|portals| portals.into_iter().map(str::to_owned).collect());
            assert_eq!(chosen(list, asked, at), portals, "{list}");
        }
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for (list, fault) in [
            (&b"TargetAddress=10.0.0.1\0"[..], Malformed::Key),
            (b"TargetName", Malformed::Key),
            (b"TargetName=\xff\0", Malformed::Encoding),
        ] {
            assert_eq!(targets(list), Err(fault));
        }
    }

    #[test]
    fn a_message_holds_a_few_names() {
        let list = |count: usize| {
            let text: String = (0..count).map(|n| format!("TargetName=iqn.{n}\0")).collect();
            names(&targets(text.as_bytes()).unwrap())
        };
        assert_eq!(list(0), "it lists no targets");
        assert_eq!(list(2), "it lists iqn.0, iqn.1");
        assert_eq!(list(1000), "it lists iqn.0, iqn.1, iqn.2, iqn.3 and 996 more");
    }

    #[test]
    fn addresses_of_targets() {
        for (to, address) in [
            ("198.18.0.2:3261,1", Some("198.18.0.2:3261")),
            ("198.18.0.2:3261", Some("198.18.0.2:3261")),
            ("198.18.0.2,1", Some("198.18.0.2:3260")),
            ("[fd00::2]:3261,1", Some("[fd00::2]:3261")),
            ("[fd00::2]", Some("[fd00::2]:3260")),
            ("fd00::2,1", Some("[fd00::2]:3260")),
            ("store.example:3260,1", Some("store.example:3260")),
            ("store.example", Some("store.example:3260")),
            ("", None),
            ("198.18.0.2:99999", None),
            ("a b", None),
        ] {
            assert_eq!(target_address(to).map(|portal| portal.to_string()).as_deref(), address, "{to}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(
            bytes: Vec<u8>,
            list in "(Target(Name|Address)=[a-z0-9:,.\\[\\]%]{0,12}\0){0,9}",
        ) {
            for text in [bytes.as_slice(), list.as_bytes()] {
                if let Ok(targets) = targets(text) {
                    let _ = names(&targets);
                    for target in &targets {
                        let _ = portals(&targets, target.name, "10.0.0.2:3260".parse().unwrap(), &portal("a"));
                    }
                }
            }
        }
    }
}
