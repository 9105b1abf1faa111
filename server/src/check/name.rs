//! Names and values that nothing could be made of: what was seen while the nodes were made, and names of what is not
//! there.

use super::Level::{Error, Warning};
use super::found::Found;
use super::rule::{Rule, Run};
use super::view::View;
use crate::site::{Node, Problem};

pub const RULES: &[Rule] = &[
    Rule {
        code: "node-set",
        level: Error,
        doc: "Node sets can be read, and name only groups that stand before them in the file.",
        advice: "write it as ClusterShell does: ocean[1-16,20],admin1,@group",
        run: Run::Site(|view, found| remarks(view, found, Problem::NodeSet)),
    },
    Rule {
        code: "count",
        level: Error,
        doc: "Addresses, MACs and UUIDs of a node set are one, or as many as there are nodes.",
        advice: "fold them as the names are: ocean[1-16] and 10.1.1.[1-16]",
        run: Run::Site(|view, found| remarks(view, found, Problem::Count)),
    },
    Rule {
        code: "address-syntax",
        level: Error,
        doc: "The address of an interface is an IP address or `dhcp`.",
        advice: "write it without a prefix: 10.1.1.7",
        run: Run::Site(|view, found| remarks(view, found, Problem::Address)),
    },
    Rule {
        code: "mac-syntax",
        level: Error,
        doc: "MAC addresses can be read.",
        advice: "write six octets: 52:54:00:12:34:56",
        run: Run::Site(|view, found| remarks(view, found, Problem::Mac)),
    },
    Rule {
        code: "uuid-syntax",
        level: Error,
        doc: "UUIDs can be read.",
        advice: "write 8-4-4-4-12 hexadecimal digits",
        run: Run::Site(|view, found| remarks(view, found, Problem::Uuid)),
    },
    Rule {
        code: "memory-syntax",
        level: Error,
        doc: "`memory` is an amount of memory, no share of it.",
        advice: "write bytes, or a number with K, M, G or T: 256G",
        run: Run::Site(|view, found| remarks(view, found, Problem::Memory)),
    },
    Rule {
        code: "duration-syntax",
        level: Error,
        doc: "`server.silent_after` is a duration.",
        advice: "write a number with s, m, h or d: 90s",
        run: Run::Site(|view, found| remarks(view, found, Problem::Duration)),
    },
    Rule {
        code: "stranger",
        level: Warning,
        doc: "The nodes of a group are in `[[nodes]]`, and an ethers(5) file has all nodes that are to have their MAC of it.",
        advice: "correct the name, or add what is missing",
        run: Run::Site(|view, found| remarks(view, found, Problem::Stranger)),
    },
    Rule {
        code: "side-file",
        level: Error,
        doc: "The ethers(5) files and the files of secrets that the site's file names can be read.",
        advice: "correct the file, or its name; relative names are below the folder of the site's file",
        run: Run::Site(|view, found| remarks(view, found, Problem::SideFile)),
    },
    Rule {
        code: "unknown-variable",
        level: Error,
        doc: "All variables in plans and command lines are known where they stand.",
        advice: "correct the name; docs/site.md has all of them",
        run: Run::Site(|view, found| remarks(view, found, Problem::Variable)),
    },
    Rule {
        code: "misplaced",
        level: Error,
        doc: "No member stands where it has no meaning.",
        advice: "take it out",
        run: Run::Site(|view, found| remarks(view, found, Problem::Misplaced)),
    },
    Rule {
        code: "unknown-profile",
        level: Error,
        doc: "The profile of a node is in `[profiles]`.",
        advice: "correct the name, or add the profile",
        run: Run::Site(profile),
    },
    Rule {
        code: "unknown-image",
        level: Error,
        doc: "The image of a node is in `[images]`.",
        advice: "correct the name, or add the image",
        run: Run::Site(image),
    },
    Rule {
        code: "unknown-server",
        level: Error,
        doc: "The iSCSI servers of a node are in `[servers]`.",
        advice: "correct the name, or add the server",
        run: Run::Site(server),
    },
    Rule {
        code: "unknown-link",
        level: Error,
        doc: "The link of an interface is in `[links]`.",
        advice: "correct the name, or add the link",
        run: Run::Site(link),
    },
    Rule {
        code: "unknown-network",
        level: Error,
        doc: "The networks of interfaces and links are in `[networks]`.",
        advice: "correct the name, or add the network",
        run: Run::Site(network),
    },
];

/// What was seen to be wrong of this kind.
fn remarks(view: &View<'_>, found: &mut Found, problem: Problem) {
    for remark in view.site.remarks.iter().filter(|remark| remark.problem == problem) {
        found.at(&remark.object, &remark.message);
    }
}

/// Which table of the file says what `member` of a node is.
fn said(node: &Node, member: &str) -> String {
    node.origins.get(member).map(|origin| format!(", as {origin} says")).unwrap_or_default()
}

fn profile(view: &View<'_>, found: &mut Found) {
    for node in view.site.nodes.values() {
        if let Some(name) = &node.profile
            && !view.site.file.profiles.contains_key(name)
        {
            found.node(&node.name, "", format!("there is no profile {name}{}", said(node, "profile")));
        }
    }
}

fn image(view: &View<'_>, found: &mut Found) {
    for node in view.site.nodes.values() {
        if let Some(name) = &node.image
            && !view.site.file.images.contains_key(name)
        {
            found.node(&node.name, "", format!("there is no image {name}{}", said(node, "image")));
        }
    }
}

fn server(view: &View<'_>, found: &mut Found) {
    for node in view.site.nodes.values() {
        for name in node.servers.iter().filter(|name| !view.site.file.servers.contains_key(*name)) {
            found.node(&node.name, "", format!("there is no server {name}{}", said(node, "servers")));
        }
    }
}

fn link(view: &View<'_>, found: &mut Found) {
    for node in view.site.nodes.values() {
        for (interface, at) in &node.interfaces {
            if let Some(link) = &at.link
                && !view.site.file.links.contains_key(link)
            {
                found.node(&node.name, interface, format!("there is no link {link}"));
            }
        }
    }
}

fn network(view: &View<'_>, found: &mut Found) {
    let unknown = |name: &&String| !view.site.file.networks.contains_key(*name);
    for (name, link) in &view.site.file.links {
        for network in link.networks.iter().filter(unknown) {
            found.at(format!("link {name}"), format!("there is no network {network}"));
        }
    }
    for node in view.site.nodes.values() {
        for (interface, at) in &node.interfaces {
            for network in at.networks.keys().filter(unknown) {
                found.node(&node.name, interface, format!("there is no network {network}"));
            }
        }
    }
}
