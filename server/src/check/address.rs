//! Addresses of nodes: whose they are, and whether they are where they should be.

use std::net::IpAddr;

use ipnet::IpNet;

use super::Level::Error;
use super::found::{Found, Owner};
use super::rule::{Rule, Run};
use super::view::View;

pub const RULES: &[Rule] = &[
    Rule {
        code: "ip-twice",
        level: Error,
        doc: "No static address is given twice: to interfaces of nodes, gateways, portals, and this server.",
        advice: "give one of them another address",
        run: Run::Site(twice),
    },
    Rule {
        code: "ip-outside",
        level: Error,
        doc: "The address of an interface is inside of the network that it is for.",
        advice: "correct the address, or name the network that it belongs to",
        run: Run::Site(outside),
    },
    Rule {
        code: "ip-ranges",
        level: Error,
        doc: "The address of an interface is in one of the network's ranges, if it has any.",
        advice: "take an address of a range, or add a range to the network",
        run: Run::Site(ranges),
    },
    Rule {
        code: "ip-pool",
        level: Error,
        doc: "No interface, gateway or portal has an address that DHCP gives to others.",
        advice: "take an address outside of the pool, or make the pool smaller",
        run: Run::Site(pool),
    },
    Rule {
        code: "ip-unusable",
        level: Error,
        doc: "No interface has the network's own address or its broadcast address.",
        advice: "give it an address that a host can have",
        run: Run::Site(unusable),
    },
    Rule {
        code: "portal-unreachable",
        level: Error,
        doc: "Each portal in a node's plan is on one of its networks, or one of them has a gateway; where the portal names \
              an interface of the node, on one of that interface's.",
        advice: "give the node an interface on the portal's network, or its network a gateway, or name another server or \
                 interface",
        run: Run::Site(portal),
    },
];

fn twice(view: &View<'_>, found: &mut Found) {
    let nodes = view.addresses().map(|(node, interface, _, address)| (address, Owner::node(node, interface)));
    let gateways = view.networks.iter().filter_map(|(name, network)| {
        Some((network.gateway?, Owner::thing(format!("network {name} gateway"))))
    });
    let portals =
        view.portals().map(|(name, address)| (address, Owner::thing(format!("server {name} portals"))));
    let own = own_address(&view.site.file.server.url).map(|address| (address, Owner::thing("server url")));
    found.twice("several have the same address", nodes.chain(gateways).chain(portals).chain(own));
}

/// The address in this server's URL, if it is one and no name.
fn own_address(url: &str) -> Option<IpAddr> {
    let (host, _) = diskless::sys::http::server(url)?;
    host.trim_matches(['[', ']']).parse().ok()
}

fn outside(view: &View<'_>, found: &mut Found) {
    for (node, interface, name, address) in view.addresses() {
        if let Some(net) = view.networks.get(name).and_then(|network| network.net)
            && !net.contains(&address)
        {
            let message = format!("its address is outside of network {name}, {net}");
            found.node_with(node, interface, message, address.to_string());
        }
    }
}

fn ranges(view: &View<'_>, found: &mut Found) {
    for (node, interface, name, address) in view.addresses() {
        let Some(network) = view.networks.get(name) else { continue };
        let inside = network.net.is_some_and(|net| net.contains(&address));
        if inside && !network.ranges.is_empty() && !network.ranges.iter().any(|span| span.contains(address)) {
            let message = format!("its address is in none of the ranges of network {name}");
            found.node_with(node, interface, message, address.to_string());
        }
    }
}

fn pool(view: &View<'_>, found: &mut Found) {
    let in_pool = |name: &str, address: IpAddr| {
        view.networks.get(name).is_some_and(|network| network.pool.is_some_and(|pool| pool.contains(address)))
    };
    for (node, interface, name, address) in view.addresses() {
        if in_pool(name, address) {
            let message = format!("its address is in the pool of network {name}");
            found.node_with(node, interface, message, address.to_string());
        }
    }
    for (name, network) in &view.networks {
        if let Some(gateway) = network.gateway
            && in_pool(name, gateway)
        {
            found.at(format!("network {name} gateway"), format!("{gateway} is in the network's pool"));
        }
        for (server, address) in view.portals() {
            if in_pool(name, address) {
                let message = format!("{address} is in the pool of network {name}");
                found.at(format!("server {server} portals"), message);
            }
        }
    }
}

fn unusable(view: &View<'_>, found: &mut Found) {
    for (node, interface, name, address) in view.addresses() {
        let Some(net) = view.networks.get(name).and_then(|network| network.net) else { continue };
        // RFC 3021: with 31 bits both addresses are hosts'. RFC 6164 says the same of IPv6 with 127.
        let all_are_hosts = net.max_prefix_len() - net.prefix_len() <= 1;
        let broadcast = matches!(net, IpNet::V4(net) if address == net.broadcast());
        if !all_are_hosts && (address == net.network() || broadcast) {
            let which = if broadcast { "broadcast" } else { "own" };
            let message = format!("its address is the {which} address of network {name}, {net}");
            found.node_with(node, interface, message, address.to_string());
        }
    }
}

fn portal(view: &View<'_>, found: &mut Found) {
    for plan in &view.plans {
        for path in plan.portals() {
            let Ok(address) = path.portal.host.parse::<IpAddr>() else { continue };
            let interfaces = &plan.node.interfaces;
            // One that is not listed is made of others (a bond, a VLAN), and any network may be on it.
            let named = path.leaves_by().filter(|name| interfaces.contains_key(*name));
            let interfaces = interfaces.iter().filter(|(name, _)| named.is_none_or(|named| named == *name));
            let names = interfaces.flat_map(|(_, interface)| interface.networks.keys());
            let networks: Vec<_> = names.filter_map(|name| view.networks.get(name.as_str())).collect();
            // Without networks nothing is known of the node, and a router may lead anywhere.
            if networks.is_empty() || networks.iter().any(|network| network.gateway.is_some()) {
                continue;
            }
            if !networks.iter().any(|network| network.net.is_some_and(|net| net.contains(&address))) {
                let message = match named {
                    Some(name) => {
                        format!("none of the networks of {name} leads to the portal, and none has a gateway")
                    }
                    None => {
                        "none of the node's networks leads to the portal, and none has a gateway".to_owned()
                    }
                };
                found.node_with(&plan.node.name, "iscsi.portals", message, path.to_string());
            }
        }
    }
}
