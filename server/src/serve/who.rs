//! Which node somebody means, and who may have its plan. Pure.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::ipxe::{self, Asked, Who};
use crate::site::{Node, Site};
use crate::store::Form;

/// What one word says of a node: a MAC or a UUID by its shape, else a name.
pub fn asked(word: &str) -> Asked {
    let shape = |text: &str, separators: &[char]| -> Vec<usize> {
        let hex = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
        text.split(separators).map(|part| if hex(part) { part.len() } else { 0 }).collect()
    };
    let word = word.to_owned();
    if shape(&word, &[':', '-']) == [2; 6] {
        Asked { mac: Some(word), ..Asked::default() }
    } else if shape(&word, &['-']) == [8, 4, 4, 4, 12] {
        Asked { uuid: Some(word), ..Asked::default() }
    } else {
        Asked { hostname: Some(word), ..Asked::default() }
    }
}

/// The node that is called `word`: by its name, with or without a domain, by a MAC, or by its UUID.
pub fn find<'a>(site: &'a Site, word: &str) -> Option<&'a Node> {
    let label = word.split('.').next().unwrap_or(word);
    let by_name = site.nodes.get(word).or_else(|| site.nodes.get(label));
    by_name.or_else(|| match ipxe::who(site, &asked(word)) {
        Who::Node(name) => site.nodes.get(&name),
        Who::Nobody | Who::Unknown | Who::Contradiction(_) => None,
    })
}

/// The node that a form is of: by its host name, else by its FQDN, else by the instance's id.
pub fn of_form<'a>(site: &'a Site, form: &Form) -> Option<&'a Node> {
    let said = [&form.hostname, &form.fqdn, &form.instance_id];
    said.into_iter().flatten().find_map(|word| find(site, word))
}

/// Whether `peer` may have boot plans, which may hold secrets: if it is in `server.plans_from`, or, where that is not
/// given, in one of the site's networks. An empty list lets everybody; this machine always may.
pub fn may_have_plans(site: &Site, peer: IpAddr) -> bool {
    let within = |network: &str| network.parse::<IpNet>().is_ok_and(|network| network.contains(&peer));
    peer.is_loopback()
        || match &site.file.server.plans_from {
            Some(from) => from.is_empty() || from.iter().any(|network| within(network)),
            None => site.file.networks.values().any(|network| within(&network.address)),
        }
}

/// The version of a boot plan for an agent that says it knows `asked`, a list with commas: the first of `have`, newest
/// first, that it knows too. One that says nothing gets the newest.
pub fn version(asked: Option<&str>, have: &[&'static str]) -> Option<&'static str> {
    let known = |version: &str| asked.is_none_or(|asked| asked.split(',').any(|one| one.trim() == version));
    have.iter().copied().find(|version| known(version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::file::Network;

    fn site() -> Site {
        let mut site = Site::default();
        for name in ["node1", "node2"] {
            site.nodes.insert(name.to_owned(), Node { name: name.to_owned(), ..Node::default() });
        }
        site
    }

    #[test]
    fn a_word_is_told_by_its_shape() {
        let some = |text: &str| Some(text.to_owned());
        for mac in ["52:54:00:ab:cd:ef", "52-54-00-AB-CD-EF"] {
            assert_eq!(asked(mac), Asked { mac: some(mac), ..Asked::default() });
        }
        let uuid = "4c4c4544-0042-3510-8058-b7c04f4a3233";
        assert_eq!(asked(uuid), Asked { uuid: some(uuid), ..Asked::default() });
        for name in ["node1", "", "52:54:00:ab:cd:e", "zz:54:00:ab:cd:ef", "a-b-c-d-e-f", "52540000abcd"] {
            assert_eq!(asked(name), Asked { hostname: some(name), ..Asked::default() });
        }
    }

    #[test]
    fn a_form_finds_its_node() {
        let site = site();
        let of = |hostname: &str, fqdn: &str, id: &str| {
            let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            let form =
                Form { hostname: some(hostname), fqdn: some(fqdn), instance_id: some(id), ..Form::default() };
            of_form(&site, &form).map(|node| node.name.clone())
        };
        assert_eq!(of("node1", "node2.example.org", "").as_deref(), Some("node1"));
        assert_eq!(of("node1.example.org", "", "").as_deref(), Some("node1"));
        assert_eq!(of("localhost", "node2.example.org", "").as_deref(), Some("node2"));
        assert_eq!(of("localhost", "", "node2").as_deref(), Some("node2"));
        assert_eq!(of("localhost", "", "iid-1"), None);
        assert_eq!(of("", "", ""), None);
    }

    #[test]
    fn plans_are_for_the_sites_networks_unless_it_says_otherwise() {
        let mut site = site();
        let may = |site: &Site, peer: &str| may_have_plans(site, peer.parse().unwrap());
        assert!(may(&site, "127.0.0.1") && may(&site, "::1"));
        assert!(!may(&site, "198.18.0.7"), "a site that names no network");
        let network = Network { address: "198.18.0.0/24".to_owned(), ..Network::default() };
        site.file.networks.insert("boot".to_owned(), network);
        assert!(may(&site, "198.18.0.7") && !may(&site, "198.18.1.7"));
        site.file.server.plans_from = Some(vec!["fd00::/8".to_owned(), "no network".to_owned()]);
        assert!(may(&site, "fd00::7") && !may(&site, "198.18.0.7") && may(&site, "127.0.0.1"));
        site.file.server.plans_from = Some(Vec::new());
        assert!(may(&site, "192.0.2.1"));
    }

    #[test]
    fn the_newest_version_that_both_know() {
        let have = &["2.0", "1.1", "1.0"];
        assert_eq!(version(None, have), Some("2.0"));
        assert_eq!(version(Some("1.0, 1.1"), have), Some("1.1"));
        assert_eq!(version(Some("1.0,3.0"), have), Some("1.0"));
        assert_eq!(version(Some("3.0"), have), None);
        assert_eq!(version(Some(""), have), None);
    }
}
