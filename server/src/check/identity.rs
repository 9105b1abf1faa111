//! Who a node is: what tells it from all others, once.

use std::collections::BTreeMap;

use diskless::input::document::is_hostname;
use diskless::input::facts::system_uuid;

use super::Level::{Error, Warning};
use super::found::{Found, Owner};
use super::rule::{Rule, Run};
use super::view::View;

pub const RULES: &[Rule] = &[
    Rule {
        code: "node-name",
        level: Error,
        doc: "The name of a node is a host name: letters, digits, `-` and `.`, 64 at most (RFC 1123).",
        advice: "rename the node: the name becomes its host name",
        run: Run::Site(name),
    },
    Rule {
        code: "node-unrecognized",
        level: Warning,
        doc: "A node has a MAC address or a UUID.",
        advice: "give it one: without, only the name that DHCP gives it tells which node it is",
        run: Run::Site(unrecognized),
    },
    Rule {
        code: "hostname-twice",
        level: Error,
        doc: "No two nodes have the same host name, in either case; a plan may give a node another one than its name.",
        advice: "take `hostname` out of the plan tables: each node gets its own name then",
        run: Run::Site(hostname_twice),
    },
    Rule {
        code: "mac-twice",
        level: Error,
        doc: "No MAC address is given twice.",
        advice: "correct one of them; `ip -br link` on the node shows its own",
        run: Run::Site(mac_twice),
    },
    Rule {
        code: "mac-unusable",
        level: Error,
        doc: "A MAC address is one of a network card, no group address (IEEE 802).",
        advice: "correct it; `ip -br link` on the node shows its own",
        run: Run::Site(mac_unusable),
    },
    Rule {
        code: "uuid-twice",
        level: Error,
        doc: "No system UUID is given twice.",
        advice: "correct one of them; /sys/class/dmi/id/product_uuid on the node shows its own",
        run: Run::Site(uuid_twice),
    },
    Rule {
        code: "uuid-unusable",
        level: Error,
        doc: "A system UUID is not what makers of boards leave in all of them.",
        advice: "correct it, or take it out and give the node's MAC address instead",
        run: Run::Site(uuid_unusable),
    },
    Rule {
        code: "initiator-twice",
        level: Error,
        doc: "No two nodes have the same iSCSI initiator name: they would take each other's sessions away.",
        advice: "put `${node}` into iscsi.initiator, or take it out: each node derives its own then",
        run: Run::Site(initiator_twice),
    },
    Rule {
        code: "machine-id-twice",
        level: Error,
        doc: "No two nodes have the same machine-id: journals, DHCP leases and D-Bus would take them for one.",
        advice: "take `machine_id` out of the plan tables: each node derives its own then",
        run: Run::Site(machine_id_twice),
    },
];

fn name(view: &View<'_>, found: &mut Found) {
    for name in view.site.nodes.keys().filter(|name| !is_hostname(name)) {
        found.node(name, "", "is not a host name");
    }
}

fn unrecognized(view: &View<'_>, found: &mut Found) {
    for node in view.site.nodes.values() {
        if node.uuid.is_none() && node.interfaces.values().all(|interface| interface.mac.is_none()) {
            found.node(&node.name, "", "has neither MAC address nor UUID");
        }
    }
}

fn hostname_twice(view: &View<'_>, found: &mut Found) {
    let planned =
        view.plans.iter().filter_map(|plan| Some((plan.node.name.as_str(), plan.text("/hostname")?)));
    let planned: BTreeMap<&str, &str> = planned.collect();
    let named = view.site.nodes.keys().map(|node| {
        let hostname = planned.get(node.as_str()).copied().unwrap_or(node);
        (hostname.to_ascii_lowercase(), Owner::node(node, ""))
    });
    found.twice("several nodes have the same host name", named);
}

fn macs<'a>(view: &View<'a>) -> impl Iterator<Item = (&'a str, &'a str, &'a str)> {
    view.site.nodes.values().flat_map(|node| {
        let interfaces = node.interfaces.iter();
        interfaces.filter_map(|(name, interface)| {
            Some((node.name.as_str(), name.as_str(), interface.mac.as_deref()?))
        })
    })
}

fn mac_twice(view: &View<'_>, found: &mut Found) {
    let owned = macs(view).map(|(node, interface, mac)| (mac, Owner::node(node, interface)));
    found.twice("several have the same MAC address", owned);
}

fn mac_unusable(view: &View<'_>, found: &mut Found) {
    for (node, interface, mac) in macs(view) {
        let first = mac.get(..2).and_then(|octet| u8::from_str_radix(octet, 16).ok());
        // The lowest bit of the first octet says that it is a group's (IEEE 802, section 8.2).
        if first.is_some_and(|octet| octet & 1 == 1) {
            found.node_with(node, interface, "no network card has this MAC address", mac);
        }
    }
}

fn uuid_twice(view: &View<'_>, found: &mut Found) {
    let nodes = view.site.nodes.values();
    let owned = nodes.filter_map(|node| Some((node.uuid.as_deref()?, Owner::node(&node.name, ""))));
    found.twice("several nodes have the same UUID", owned);
}

fn uuid_unusable(view: &View<'_>, found: &mut Found) {
    for node in view.site.nodes.values() {
        if let Some(uuid) = &node.uuid
            && system_uuid(uuid).is_none()
        {
            found.node_with(&node.name, "uuid", "is not a UUID of one system alone", uuid);
        }
    }
}

fn initiator_twice(view: &View<'_>, found: &mut Found) {
    let owned = view.plans.iter().filter_map(|plan| {
        Some((plan.text("/iscsi/initiator")?, Owner::node(&plan.node.name, "iscsi.initiator")))
    });
    found.twice("several nodes have the same initiator name", owned);
}

fn machine_id_twice(view: &View<'_>, found: &mut Found) {
    let owned = view
        .plans
        .iter()
        .filter_map(|plan| Some((plan.text("/machine_id")?, Owner::node(&plan.node.name, "machine_id"))));
    found.twice("several nodes have the same machine-id", owned);
}
