//! The files that say what names mean and whom to ask: text in, addresses out.

use std::net::IpAddr;

/// The addresses that the text of /etc/hosts gives `name`.
pub fn in_hosts(hosts: &str, name: &str) -> Vec<IpAddr> {
    let lines = hosts.lines().map(|line| line.split('#').next().unwrap_or_default());
    lines
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let address = words.next()?.parse().ok()?;
            words.any(|word| word.eq_ignore_ascii_case(name)).then_some(address)
        })
        .collect()
}

/// `DNS=` of systemd-networkd's state file, in the form of resolv.conf.
pub fn networkd_servers(state: &str) -> String {
    let servers = state.lines().filter_map(|line| line.strip_prefix("DNS=")).flat_map(str::split_whitespace);
    servers.map(|server| format!("\nnameserver {server}")).collect()
}

/// Whom to ask, and below which domains.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Servers {
    /// The name servers, those to ask first in front.
    pub servers: Vec<IpAddr>,
    /// The domains that a name may be meant below.
    pub search: Vec<String>,
}

impl Servers {
    /// From the text of resolv.conf; three servers and six domains at most, as the C library takes them.
    pub fn parse(resolv: &str) -> Servers {
        let mut found = Servers::default();
        for line in resolv.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    found.servers.extend(words.next().and_then(|word| word.parse::<IpAddr>().ok()))
                }
                Some("search" | "domain") => found.search = words.take(6).map(str::to_owned).collect(),
                _ => (),
            }
        }
        found.servers.truncate(3);
        found
    }

    /// The full names to ask for, one after the other: a name with a dot is tried as it stands first,
    /// and one that ends with a dot is full already.
    pub fn candidates(&self, name: &str) -> Vec<String> {
        if let Some(full) = name.strip_suffix('.') {
            return vec![full.to_owned()];
        }
        let below = self.search.iter().map(|domain| format!("{name}.{domain}"));
        if name.contains('.') {
            std::iter::once(name.to_owned()).chain(below).collect()
        } else {
            below.chain(std::iter::once(name.to_owned())).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn hosts_file() {
        let hosts = "127.0.0.1 localhost\n# 1.1.1.1 a\n10.0.0.1 boot.example boot # b\n10.0.0.2\tBOOT\nx y\n";
        assert_eq!(in_hosts(hosts, "boot"), [v4("10.0.0.1"), v4("10.0.0.2")]);
        assert!(in_hosts(hosts, "b").is_empty());
        assert!(in_hosts(hosts, "a").is_empty());
    }

    #[test]
    fn servers_of_resolv_conf_and_networkd() {
        let text = format!(
            "search a b\nnameserver 10.0.0.1\n#nameserver 1.1.1.1{}",
            networkd_servers("X=1\nDNS=10.0.0.2 ::1\n")
        );
        let servers = Servers::parse(&text);
        assert_eq!(servers.servers, [v4("10.0.0.1"), v4("10.0.0.2"), v4("::1")]);
        assert_eq!(servers.candidates("boot"), ["boot.a", "boot.b", "boot"]);
        assert_eq!(servers.candidates("boot.x"), ["boot.x", "boot.x.a", "boot.x.b"]);
        assert_eq!(servers.candidates("boot."), ["boot"]);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text: String, name: String) {
            let _ = in_hosts(&text, &name);
            let servers = Servers::parse(&format!("{text}{}", networkd_servers(&text)));
            proptest::prop_assert!(servers.servers.len() <= 3 && servers.candidates(&name).len() <= 7);
        }

        #[test]
        fn any_line_of_a_known_word_is_read(lines in "((nameserver|search|domain|DNS=)[ 0-9a-f.:]{0,40}\n){0,9}") {
            let servers = Servers::parse(&format!("{lines}{}", networkd_servers(&lines)));
            proptest::prop_assert!(servers.servers.len() <= 3 && servers.search.len() <= 6);
        }
    }
}
