//! Links: trunks, bonds, and which networks are on them.

use std::collections::BTreeMap;

use super::Level::{Error, Warning};
use super::found::Found;
use super::rule::{Rule, Run};
use super::view::View;
use crate::site::file::Bond;

/// The modes of the kernel's bonding driver (Linux, Documentation/networking/bonding.rst).
const MODES: &[&str] =
    &["balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb"];
/// Its transmit hash policies.
const POLICIES: &[&str] = &["layer2", "layer2+3", "layer3+4", "encap2+3", "encap3+4", "vlan+srcmac"];
/// The modes that choose an interface by a hash.
const HASHING: &[&str] = &["802.3ad", "balance-xor", "balance-tlb"];
/// The modes that prefer an interface.
const PREFERRING: &[&str] = &["active-backup", "balance-tlb", "balance-alb"];

pub const RULES: &[Rule] = &[
    Rule {
        code: "network-links",
        level: Error,
        doc: "No network is on several links.",
        advice: "name the network in one of the links only",
        run: Run::Site(network_links),
    },
    Rule {
        code: "trunk-missing",
        level: Error,
        doc: "A link with several networks is a trunk.",
        advice: "set `trunk = true`, if the switch port is one, or leave one network on the link",
        run: Run::Site(trunk),
    },
    Rule {
        code: "vlan-missing",
        level: Error,
        doc: "All networks of a link but one have a VLAN tag.",
        advice: "give each network of the link a `vlan`; one of them may do without",
        run: Run::Site(vlan_missing),
    },
    Rule {
        code: "vlan-twice",
        level: Error,
        doc: "No two networks of a link have the same VLAN tag.",
        advice: "give each of them the tag that the switch has for it",
        run: Run::Site(vlan_twice),
    },
    Rule {
        code: "vlan-bounds",
        level: Error,
        doc: "VLAN tags are 1 to 4094 (IEEE 802.1Q).",
        advice: "correct the tag; a network without one has no `vlan`",
        run: Run::Site(vlan_bounds),
    },
    Rule {
        code: "interface-network",
        level: Error,
        doc: "The networks of an interface are among those of its link.",
        advice: "correct the interface's link or networks, or add the network to the link",
        run: Run::Site(interface_network),
    },
    Rule {
        code: "bond-mode",
        level: Error,
        doc: "A bond has a mode that the kernel's bonding driver knows, by its name.",
        advice: "write one of balance-rr, active-backup, balance-xor, broadcast, 802.3ad, balance-tlb, balance-alb",
        run: Run::Site(bond_mode),
    },
    Rule {
        code: "bond-options",
        level: Error,
        doc: "A bond has only options that its mode knows, with values that the driver takes: `lacp_rate` with 802.3ad; \
              `xmit_hash_policy` with 802.3ad, balance-xor and balance-tlb; `primary` with active-backup, balance-tlb \
              and balance-alb; `updelay` and `downdelay` as multiples of `miimon`.",
        advice: "take the option out, or correct its value or the mode",
        run: Run::Site(bond_options),
    },
    Rule {
        code: "bond-miimon",
        level: Warning,
        doc: "A bond looks after its cables (`miimon`).",
        advice: "set `miimon = 100`: without it the bond goes on using a cable that is dead",
        run: Run::Site(bond_miimon),
    },
];

fn network_links(view: &View<'_>, found: &mut Found) {
    let mut links: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, link) in &view.site.file.links {
        for network in &link.networks {
            links.entry(network).or_default().push(format!("link {name}"));
        }
    }
    for (network, links) in links.into_iter().filter(|(_, links)| links.len() > 1) {
        found.at(format!("network {network}"), format!("it is on {}", links.join(" and on ")));
    }
}

fn trunk(view: &View<'_>, found: &mut Found) {
    for (name, link) in &view.site.file.links {
        if link.networks.len() > 1 && !link.trunk {
            let message = format!("it has the networks {}, and is no trunk", link.networks.join(", "));
            found.at(format!("link {name}"), message);
        }
    }
}

/// The networks of each link, with their tags.
fn tags<'a>(view: &'a View<'_>) -> impl Iterator<Item = (&'a str, Vec<(&'a str, Option<u16>)>)> {
    view.site.file.links.iter().map(|(name, link)| {
        let tag =
            |network: &'a String| Some((network.as_str(), view.networks.get(network.as_str())?.file.vlan));
        (name.as_str(), link.networks.iter().filter_map(tag).collect())
    })
}

fn vlan_missing(view: &View<'_>, found: &mut Found) {
    for (name, networks) in tags(view) {
        let without: Vec<&str> =
            networks.iter().filter(|(_, tag)| tag.is_none()).map(|(network, _)| *network).collect();
        if without.len() > 1 {
            let message = format!("its networks {} have no VLAN tag", without.join(" and "));
            found.at(format!("link {name}"), message);
        }
    }
}

fn vlan_twice(view: &View<'_>, found: &mut Found) {
    for (name, networks) in tags(view) {
        let mut owners: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
        for (network, tag) in networks {
            if let Some(tag) = tag {
                owners.entry(tag).or_default().push(network);
            }
        }
        for (tag, owners) in owners.into_iter().filter(|(_, owners)| owners.len() > 1) {
            let message = format!("its networks {} all have the tag {tag}", owners.join(" and "));
            found.at(format!("link {name}"), message);
        }
    }
}

fn vlan_bounds(view: &View<'_>, found: &mut Found) {
    for (name, network) in &view.networks {
        if let Some(tag) = network.file.vlan
            && !(1..=4094).contains(&tag)
        {
            found.at(format!("network {name} vlan"), format!("{tag} is not from 1 to 4094"));
        }
    }
}

fn interface_network(view: &View<'_>, found: &mut Found) {
    for node in view.site.nodes.values() {
        for (interface, at) in &node.interfaces {
            let Some((name, link)) =
                at.link.as_ref().and_then(|link| view.site.file.links.get_key_value(link))
            else {
                continue;
            };
            // A network that is nowhere is told by another rule.
            let known = at.networks.keys().filter(|network| view.networks.contains_key(network.as_str()));
            for network in known.filter(|network| !link.networks.contains(network)) {
                found.node(&node.name, interface, format!("the network {network} is not on link {name}"));
            }
        }
    }
}

fn bonds<'a>(view: &View<'a>) -> impl Iterator<Item = (String, &'a Bond)> {
    let links = view.site.file.links.iter();
    links.filter_map(|(name, link)| Some((format!("link {name} bond"), link.bond.as_ref()?)))
}

fn bond_mode(view: &View<'_>, found: &mut Found) {
    for (object, bond) in bonds(view) {
        if !MODES.contains(&bond.mode.as_str()) {
            found.at(object, format!("the mode {:?} is none", bond.mode));
        }
    }
}

fn bond_options(view: &View<'_>, found: &mut Found) {
    for (object, bond) in bonds(view) {
        for message in wrong_options(bond) {
            found.at(object.as_str(), message);
        }
    }
}

fn wrong_options(bond: &Bond) -> Vec<String> {
    let mut wrong = Vec::new();
    let mode = bond.mode.as_str();
    let options = [
        ("lacp_rate", bond.lacp_rate.as_deref(), &["802.3ad"][..], Some(&["slow", "fast"][..])),
        ("xmit_hash_policy", bond.xmit_hash_policy.as_deref(), HASHING, Some(POLICIES)),
        ("primary", bond.primary.as_deref(), PREFERRING, None),
    ];
    for (name, value, modes, values) in options {
        let Some(value) = value else { continue };
        // Of a mode that is none nobody can say what it knows.
        if MODES.contains(&mode) && !modes.contains(&mode) {
            wrong.push(format!("{name} means nothing to the mode {mode}, but to {}", modes.join(", ")));
        } else if values.is_some_and(|values| !values.contains(&value)) {
            let values = values.unwrap_or_default().join(", ");
            wrong.push(format!("{name} is {value:?}, which is none of {values}"));
        }
    }
    let miimon = bond.miimon.unwrap_or(0);
    for (name, delay) in [("updelay", bond.updelay), ("downdelay", bond.downdelay)] {
        match delay {
            None | Some(0) => (),
            Some(_) if miimon == 0 => wrong.push(format!("{name} means nothing without miimon")),
            Some(delay) if delay % miimon != 0 => {
                wrong.push(format!("{name} is {delay}, which is no multiple of miimon, {miimon}"));
            }
            Some(_) => (),
        }
    }
    wrong
}

fn bond_miimon(view: &View<'_>, found: &mut Found) {
    for (object, bond) in bonds(view) {
        if bond.miimon.is_none_or(|milliseconds| milliseconds == 0) {
            found.at(object, "it has no miimon");
        }
    }
}
