//! IP networks, and their sizes of packets.

use ipnet::IpNet;

use super::Level::{Error, Warning};
use super::found::Found;
use super::rule::{Rule, Run};
use super::view::{Span, View};

/// What every host must take (RFC 791, section 3.2).
const LEAST_IPV4: u32 = 576;
/// The least that IPv6 works with (RFC 8200, section 5).
const LEAST_IPV6: u32 = 1280;
/// Above that, adapters and switches do not agree on what is possible.
const MOST: u32 = 9216;
/// What a link has unless it says otherwise.
const USUAL: u32 = 1500;

pub const RULES: &[Rule] = &[
    Rule {
        code: "network-syntax",
        level: Error,
        doc: "Addresses, ranges, pool, gateway and name servers of a network can be read.",
        advice: "correct it as the message says",
        run: Run::Site(syntax),
    },
    Rule {
        code: "network-overlap",
        level: Error,
        doc: "No two networks have addresses in common.",
        advice: "correct the address or the prefix of one of them",
        run: Run::Site(overlap),
    },
    Rule {
        code: "range-outside",
        level: Error,
        doc: "The ranges and the DHCP pool of a network are inside of it.",
        advice: "correct the range, or the network's address",
        run: Run::Site(ranges),
    },
    Rule {
        code: "gateway-outside",
        level: Error,
        doc: "The gateway of a network is an address of it.",
        advice: "correct the gateway, or the network's address",
        run: Run::Site(gateway),
    },
    Rule {
        code: "pool-range",
        level: Warning,
        doc: "The DHCP pool of a network is outside of the ranges that are for nodes' own addresses.",
        advice: "give the pool addresses that are in none of the ranges",
        run: Run::Site(pool),
    },
    Rule {
        code: "mtu-bounds",
        level: Error,
        doc: "MTUs are between 576 (IPv6: 1280) and 9216 bytes.",
        advice: "correct the MTU; 1500 and 9000 are usual",
        run: Run::Site(mtu_bounds),
    },
    Rule {
        code: "mtu-link",
        level: Error,
        doc: "No network has a greater MTU than its link; a link has 1500 bytes unless it says otherwise.",
        advice: "lower the network's MTU, or raise that of the link and of its switch ports",
        run: Run::Site(mtu_link),
    },
];

fn syntax(view: &View<'_>, found: &mut Found) {
    for (name, network) in &view.networks {
        for (member, why) in &network.wrong {
            found.at(format!("network {name} {member}"), why);
        }
    }
}

fn overlap(view: &View<'_>, found: &mut Found) {
    let mut nets: Vec<(IpNet, &str)> =
        view.networks.iter().filter_map(|(name, network)| Some((network.net?, *name))).collect();
    nets.sort_by_key(|(net, _)| (net.network(), net.prefix_len()));
    // Of two networks with common addresses one holds the other, so it is enough to know the last that reaches furthest.
    let mut widest: Option<(IpNet, &str)> = None;
    for (net, name) in nets {
        match widest {
            Some((wide, other)) if wide.contains(&net) => {
                found.at(format!("network {name}"), format!("{net} is in {wide} of network {other}"));
            }
            _ => widest = Some((net, name)),
        }
    }
}

fn ranges(view: &View<'_>, found: &mut Found) {
    for (name, network) in &view.networks {
        let Some(net) = network.net else { continue };
        let spans = network.ranges.iter().map(|span| ("ranges", span));
        for (member, Span { first, last }) in spans.chain(network.pool.iter().map(|span| ("pool", span))) {
            if !net.contains(first) || !net.contains(last) {
                found
                    .at(format!("network {name} {member}"), format!("{first}-{last} is not inside of {net}"));
            }
        }
    }
}

fn gateway(view: &View<'_>, found: &mut Found) {
    for (name, network) in &view.networks {
        if let (Some(net), Some(gateway)) = (network.net, network.gateway)
            && !net.contains(&gateway)
        {
            found.at(format!("network {name} gateway"), format!("{gateway} is not inside of {net}"));
        }
    }
}

fn pool(view: &View<'_>, found: &mut Found) {
    for (name, network) in &view.networks {
        let Some(pool) = network.pool else { continue };
        for range in &network.ranges {
            if pool.first <= range.last && range.first <= pool.last {
                let message = format!(
                    "{}-{} and the range {}-{} have addresses in common",
                    pool.first, pool.last, range.first, range.last
                );
                found.at(format!("network {name} pool"), message);
            }
        }
    }
}

fn mtu_bounds(view: &View<'_>, found: &mut Found) {
    for (name, network) in &view.networks {
        let least = if matches!(network.net, Some(IpNet::V6(_))) { LEAST_IPV6 } else { LEAST_IPV4 };
        bounds(&format!("network {name} mtu"), network.file.mtu, least, found);
    }
    for (name, link) in &view.site.file.links {
        bounds(&format!("link {name} mtu"), link.mtu, LEAST_IPV4, found);
    }
}

fn bounds(object: &str, mtu: Option<u32>, least: u32, found: &mut Found) {
    if let Some(mtu) = mtu
        && !(least..=MOST).contains(&mtu)
    {
        found.at(object, format!("{mtu} bytes; it must be {least} to {MOST}"));
    }
}

fn mtu_link(view: &View<'_>, found: &mut Found) {
    for (link_name, link) in &view.site.file.links {
        let most = link.mtu.unwrap_or(USUAL);
        for name in &link.networks {
            let mtu = view.networks.get(name.as_str()).and_then(|network| network.file.mtu);
            if let Some(mtu) = mtu.filter(|mtu| *mtu > most) {
                let message = format!("{mtu} bytes, and link {link_name} has {most}");
                found.at(format!("network {name} mtu"), message);
            }
        }
    }
}
