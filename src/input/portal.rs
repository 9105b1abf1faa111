//! Portals, as a plan and the command line write them.

use std::fmt;

/// The port that IANA gave to iSCSI targets.
pub const DEFAULT_PORT: u16 = 3260;

/// Where a target is: a host's name or address, and a TCP port.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct Portal {
    /// A name, or an address without brackets; a link-local one with its interface (`fe80::1%eth0`).
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

impl Portal {
    /// Parses `HOST`, `HOST:PORT`, `[IPV6]` or `[IPV6]:PORT`; none if it is nothing of these. A bare IPv6 address is
    /// refused: where its port would begin cannot be told.
    pub fn parse(text: &str) -> Option<Portal> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']')?;
                let address = host.split_once('%').map_or(host, |(address, _)| address);
                address.parse::<std::net::Ipv6Addr>().ok()?;
                (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'%');
        if host.is_empty() || host.len() > 253 || !host.bytes().all(plain) {
            return None;
        }
        let port = match port {
            Some(port) if port.bytes().all(|b| b.is_ascii_digit()) => {
                port.parse().ok().filter(|port| *port > 0)?
            }
            Some(_) => return None,
            None => DEFAULT_PORT,
        };
        Some(Portal { host: host.to_owned(), port })
    }
}

impl fmt::Display for Portal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl TryFrom<String> for Portal {
    type Error = String;

    fn try_from(text: String) -> Result<Portal, String> {
        Portal::parse(&text).ok_or_else(|| format!("{text:?} is not a portal like \"10.0.0.1:3260\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portals() {
        let cases = [
            ("10.0.0.1", Some("10.0.0.1:3260")),
            ("10.0.0.1:3261", Some("10.0.0.1:3261")),
            ("server.example", Some("server.example:3260")),
            ("[2001:db8::1]", Some("[2001:db8::1]:3260")),
            ("[fe80::1%eth0]:3261", Some("[fe80::1%eth0]:3261")),
            ("2001:db8::1", None),
            ("[10.0.0.1]:3260", None),
            ("[::1]3260", None),
            ("", None),
            (":3260", None),
            ("server:0", None),
            ("server:+1", None),
            ("server:65536", None),
            ("ser ver", None),
        ];
        for (text, shown) in cases {
            assert_eq!(Portal::parse(text).map(|portal| portal.to_string()).as_deref(), shown, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_shown_is_read_again(text in ".{0,40}") {
            if let Some(portal) = Portal::parse(&text) {
                proptest::prop_assert_eq!(Portal::parse(&portal.to_string()), Some(portal));
            }
        }
    }
}
