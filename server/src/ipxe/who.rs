//! Which node asks, by all that it says of itself.

use std::collections::BTreeSet;

use diskless::input::facts;

use super::{Asked, Who};
use crate::site::{Node, Site};

/// No name is longer (RFC 1035, section 2.3.4).
const LONGEST_NAME: usize = 253;

/// What was said, in the form that a site has it in.
#[derive(Debug, Default)]
struct Said {
    mac: Option<String>,
    uuid: Option<String>,
    hostname: Option<String>,
    /// What was said and is none of what it should be.
    odd: Vec<&'static str>,
}

impl Said {
    fn of(asked: &Asked) -> Said {
        // SMBIOS UUIDs that firmware leaves in every board say nothing.
        let uuid = value(asked.uuid.as_deref()).and_then(facts::system_uuid);
        let mut said = Said { uuid, ..Said::default() };
        if let Some(text) = value(asked.mac.as_deref()) {
            said.mac = mac(text);
            said.odd.extend(said.mac.is_none().then_some("MAC"));
        }
        if let Some(text) = value(asked.hostname.as_deref()) {
            said.hostname = hostname(text);
            said.odd.extend(said.hostname.is_none().then_some("host name"));
        }
        said
    }

    fn nothing(&self) -> bool {
        self.mac.is_none() && self.uuid.is_none() && self.hostname.is_none() && self.odd.is_empty()
    }

    /// `MAC …, UUID …, host name …`
    fn list(&self) -> String {
        let parts = [("MAC", &self.mac), ("UUID", &self.uuid), ("host name", &self.hostname)];
        let mut said: Vec<String> =
            parts.iter().filter_map(|(what, value)| Some(format!("{what} {}", value.as_ref()?))).collect();
        said.extend(self.odd.iter().map(|what| format!("a {what} that is none")));
        said.join(", ")
    }
}

/// Who `asked` is. Whatever of it the site knows must be of one node; what it does not know is no objection, see
/// [`doubt`].
pub fn who(site: &Site, asked: &Asked) -> Who {
    let said = Said::of(asked);
    if said.nothing() {
        return Who::Nobody;
    }
    // By what, and whose that is.
    let mut known: Vec<(String, BTreeSet<&str>)> = Vec::new();
    if let Some(mac) = &said.mac {
        known.push((format!("MAC {mac}"), site.by_mac(mac).map(|node| node.name.as_str()).collect()));
    }
    if let Some(uuid) = &said.uuid {
        known.push((format!("UUID {uuid}"), site.by_uuid(uuid).map(|node| node.name.as_str()).collect()));
    }
    if let Some(hostname) = &said.hostname {
        known.push((format!("host name {hostname}"), by_hostname(site, hostname)));
    }
    known.retain(|(_, nodes)| !nodes.is_empty());
    let mut all = known.iter().flat_map(|(_, nodes)| nodes).collect::<BTreeSet<_>>().into_iter();
    match (all.next(), all.next()) {
        (None, _) => Who::Unknown,
        (Some(node), None) => Who::Node((*node).to_owned()),
        (Some(_), Some(_)) => Who::Contradiction(contradiction(&known)),
    }
}

fn contradiction(known: &[(String, BTreeSet<&str>)]) -> String {
    let whose = known.iter().map(|(what, nodes)| {
        // Two are enough to see what is wrong.
        let names: Vec<&str> = nodes.iter().take(2).copied().collect();
        let more = if nodes.len() > 2 { " and others" } else { "" };
        format!("{what} is of {}{more}", names.join(" and "))
    });
    whose.collect::<Vec<_>>().join(", ")
}

/// What an operator must know of a node that said `asked` of itself: hardware that the site does not know. Not its host
/// name: that is the DHCP server's, and many call nodes as they like.
pub(super) fn doubt(site: &Site, node: &Node, asked: &Asked) -> Option<String> {
    let said = Said::of(asked);
    let mut unknown = Vec::new();
    if let Some(mac) = said.mac
        && site.by_mac(&mac).next().is_none()
        && node.interfaces.values().any(|interface| interface.mac.is_some())
    {
        unknown.push(format!("MAC {mac}"));
    }
    if let (Some(uuid), Some(own)) = (said.uuid, &node.uuid)
        && uuid != *own
    {
        unknown.push(format!("UUID {uuid}"));
    }
    unknown.extend(said.odd.iter().map(|what| format!("a {what} that is none")));
    (!unknown.is_empty())
        .then(|| format!("{} came with what the site does not know: {}", node.name, unknown.join(", ")))
}

/// What an unknown node said of itself, for people.
pub(super) fn list(asked: &Asked) -> String {
    Said::of(asked).list()
}

/// `text`, if something was said at all: iPXE leaves a setting that it does not have empty, and one in a file that it
/// did not read as a script as it stands.
fn value(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty() && !text.contains("${"))
}

/// A hardware address as a site has it, from any way to write one: `52:54:00:…`, `52-54-00-…`, `5254.00…`, `525400…`.
fn mac(text: &str) -> Option<String> {
    // 20 octets, of InfiniBand, with something between each two.
    if text.len() > 59 || !text.bytes().all(|byte| byte.is_ascii_hexdigit() || b":-.".contains(&byte)) {
        return None;
    }
    let digits: Vec<char> = text.chars().filter(char::is_ascii_hexdigit).collect();
    let octets: Vec<String> = digits.chunks(2).map(|octet| octet.iter().collect()).collect();
    facts::mac(&octets.join(":"))
}

/// A host name (RFC 1123, section 2.1; underscores are seen too), lower case, without a dot at its end.
fn hostname(text: &str) -> Option<String> {
    let name = text.trim_end_matches('.').to_ascii_lowercase();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    (name.len() <= LONGEST_NAME && !name.is_empty() && name.bytes().all(plain)).then_some(name)
}

/// The nodes that are called so: by the whole name, or else by its first part.
fn by_hostname<'a>(site: &'a Site, hostname: &str) -> BTreeSet<&'a str> {
    let names = || site.nodes.keys().map(String::as_str);
    let whole: BTreeSet<&str> = match site.nodes.get_key_value(hostname) {
        Some((name, _)) => BTreeSet::from([name.as_str()]),
        None => names().filter(|name| name.eq_ignore_ascii_case(hostname)).collect(),
    };
    if !whole.is_empty() {
        return whole;
    }
    // `ocean7.example.org` is ocean7, and ocean7 is `ocean7.example.org`; but that is not `ocean7.example.com`.
    let short = |name: &str| name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let one_is_short = |name: &str| name.contains('.') != hostname.contains('.');
    names().filter(|name| one_is_short(name) && short(name) == short(hostname)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::site;
    use super::*;

    const UUID7: &str = "4c4c4544-0042-3510-8058-b7c04f4a3207";

    fn asked(mac: &str, uuid: &str, hostname: &str) -> Asked {
        let some = |text: &str| (text != "-").then(|| text.to_owned());
        Asked { mac: some(mac), uuid: some(uuid), hostname: some(hostname) }
    }

    #[test]
    fn any_one_of_them_is_enough() {
        let site = site();
        let node7 = Who::Node("ocean7".to_owned());
        for (mac, uuid, hostname) in [
            ("52:54:00:00:00:07", "-", "-"),
            ("52-54-00-00-00-07", "", ""),
            ("525400000007", "${uuid}", "${hostname}"),
            ("5254.0000.0007", "-", "-"),
            ("-", "4C4C4544-0042-3510-8058-B7C04F4A3207", "-"),
            ("-", "-", "ocean7"),
            ("-", "-", "OCEAN7.example.org."),
            ("52:54:00:00:00:07", UUID7, "ocean7"),
            // The second network card, another board, a name of the DHCP server's own.
            ("52:54:00:ff:00:07", UUID7, "-"),
            ("52:54:00:00:00:07", "4c4c4544-0042-3510-8058-000000000001", "-"),
            ("52:54:00:00:00:07", "-", "dhcp-17"),
            // Nothing said: firmware without a UUID of its own.
            ("52:54:00:00:00:07", "00000000-0000-0000-0000-000000000000", "-"),
            ("52:54:00:00:00:07", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF", "-"),
            ("52:54:00:00:00:07", "Not Settable", "-"),
        ] {
            assert_eq!(who(&site, &asked(mac, uuid, hostname)), node7, "{mac} {uuid} {hostname}");
        }
    }

    #[test]
    fn what_a_site_does_not_know_is_unknown_and_what_says_nothing_is_nobody() {
        let site = site();
        for (mac, uuid, hostname) in [
            ("52:54:00:ff:ff:ff", "-", "-"),
            ("banana", "-", "-"),
            ("52:54:00:00:00:0", "-", "-"),
            ("-", "4c4c4544-0042-3510-8058-000000000001", "-"),
            ("-", "-", "lake7"),
            ("-", "-", "lake7;shell"),
        ] {
            assert_eq!(who(&site, &asked(mac, uuid, hostname)), Who::Unknown, "{mac} {uuid} {hostname}");
        }
        for said in ["-", "", "  ", "${netX/mac}"] {
            assert_eq!(who(&site, &asked(said, said, said)), Who::Nobody);
        }
    }

    #[test]
    fn who_is_two_nodes_is_none() {
        let site = site();
        for (mac, uuid, hostname, reason) in [
            (
                "52:54:00:00:00:08",
                UUID7,
                "-",
                "MAC 52:54:00:00:00:08 is of ocean8, UUID 4c4c4544-0042-3510-8058-b7c04f4a3207 is of ocean7",
            ),
            (
                "52:54:00:00:00:08",
                "-",
                "ocean7",
                "MAC 52:54:00:00:00:08 is of ocean8, host name ocean7 is of ocean7",
            ),
            ("52:54:00:00:00:99", "-", "-", "MAC 52:54:00:00:00:99 is of twin1 and twin2"),
            (
                "52:54:00:00:00:99",
                "-",
                "twin1",
                "MAC 52:54:00:00:00:99 is of twin1 and twin2, host name twin1 is of twin1",
            ),
        ] {
            let expected = Who::Contradiction(reason.to_owned());
            assert_eq!(who(&site, &asked(mac, uuid, hostname)), expected, "{mac} {uuid} {hostname}");
        }
    }

    #[test]
    fn what_came_unexpected_is_told() {
        let site = site();
        let doubt = |mac, uuid, hostname| {
            doubt(&site, site.nodes.get("ocean7").unwrap(), &asked(mac, uuid, hostname))
        };
        assert_eq!(doubt("52:54:00:00:00:07", UUID7, "ocean7"), None);
        let second = doubt("52:54:00:ff:00:07", "4c4c4544-0042-3510-8058-000000000001", "dhcp-17").unwrap();
        assert_eq!(
            second,
            "ocean7 came with what the site does not know: MAC 52:54:00:ff:00:07, UUID 4c4c4544-0042-3510-8058-000000000001"
        );
        assert!(doubt("x", "-", "\n").is_some_and(|text| text.ends_with(": a MAC that is none")));
    }

    proptest::proptest! {
        #[test]
        fn anybody_may_say_anything(mac: Option<String>, uuid: Option<String>, hostname: Option<String>) {
            let asked = Asked { mac, uuid, hostname };
            let known = matches!(who(&site(), &asked), Who::Node(_) | Who::Contradiction(_));
            proptest::prop_assert!(!known);
            proptest::prop_assert!(list(&asked).bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '));
        }

        #[test]
        fn addresses_are_addresses_however_they_are_written(octets: [u8; 6], separator in "[:.-]?") {
            let digits: Vec<String> = octets.iter().map(|octet| format!("{octet:02X}")).collect();
            let expected = (octets != [0; 6]).then(|| digits.join(":").to_lowercase());
            proptest::prop_assert_eq!(mac(&digits.join(&separator)), expected);
        }
    }
}
