//! A site as the rules look at it: its networks parsed, its boot plans rendered, each once.

use std::collections::BTreeMap;
use std::net::IpAddr;

use diskless::input::document::{Document, TargetPortal, VERSIONS};
use diskless::input::portal::Portal;
use ipnet::IpNet;
use serde::Deserialize as _;
use serde_json::Value;

use crate::ipxe::{Answer, Asked, Who, answer};
use crate::site::plan::{Rendered, render};
use crate::site::{Node, Site, file};

/// What the rules look at.
pub struct View<'a> {
    /// The site.
    pub site: &'a Site,
    /// Its networks, by name.
    pub networks: BTreeMap<&'a str, Network<'a>>,
    /// What the nodes that have an image boot with.
    pub plans: Vec<Plan<'a>>,
}

/// A network, as far as it can be read.
pub struct Network<'a> {
    /// As it was written.
    pub file: &'a file::Network,
    /// Its address.
    pub net: Option<IpNet>,
    /// Where nodes' addresses may be.
    pub ranges: Vec<Span>,
    /// What DHCP gives away.
    pub pool: Option<Span>,
    /// The router.
    pub gateway: Option<IpAddr>,
    /// What cannot be read: the member, and why.
    pub wrong: Vec<(String, String)>,
}

/// Addresses from the first to the last, both of them in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first.
    pub first: IpAddr,
    /// The last.
    pub last: IpAddr,
}

impl Span {
    /// Parses `10.1.1.1-10.1.1.9`, or one address.
    pub fn parse(text: &str) -> Option<Span> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last): (IpAddr, IpAddr) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        (first.is_ipv4() == last.is_ipv4() && first <= last).then_some(Span { first, last })
    }

    /// Whether `address` is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        // IPv4 sorts before IPv6, so a span of one never holds an address of the other.
        self.first <= address && address <= self.last
    }
}

/// A node's boot plan and boot script.
pub struct Plan<'a> {
    /// The node.
    pub node: &'a Node,
    /// Its image, a key of `[images]` that is there.
    pub image: &'a str,
    /// The document, which may hold secrets.
    pub document: Value,
    /// What each of its values comes from, by JSON pointer.
    pub origins: BTreeMap<String, String>,
    /// Why the agent would refuse it.
    pub refused: Option<diskless::error::Error>,
    /// What the node's iPXE gets.
    pub script: Answer,
}

impl Plan<'_> {
    /// The string at a JSON pointer.
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.document.pointer(pointer)?.as_str()
    }

    /// Whether there is a true at a JSON pointer.
    pub fn flag(&self, pointer: &str) -> bool {
        self.document.pointer(pointer).and_then(serde_json::Value::as_bool).unwrap_or_default()
    }

    /// The strings of all members of this name, wherever they are.
    pub fn strings(&self, name: &str) -> Vec<&str> {
        let mut found = Vec::new();
        collect(&self.document, name, &mut found);
        found
    }

    /// The portals, as far as they are some.
    pub fn portals(&self) -> impl Iterator<Item = TargetPortal> {
        let listed = self.document.pointer("/iscsi/portals").and_then(Value::as_array);
        listed.into_iter().flatten().filter_map(|portal| TargetPortal::deserialize(portal).ok())
    }
}

fn collect<'a>(value: &'a Value, name: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                match value {
                    Value::String(text) if key == name => found.push(text),
                    other => collect(other, name, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, name, found)),
        _ => (),
    }
}

impl<'a> View<'a> {
    /// Prepares it.
    pub fn of(site: &'a Site) -> View<'a> {
        let networks = site.file.networks.iter().map(|(name, network)| (name.as_str(), parse(network)));
        View {
            site,
            networks: networks.collect(),
            plans: site.nodes.values().filter_map(|node| plan(site, node)).collect(),
        }
    }

    /// The addresses that are given to interfaces of nodes: node, interface, name of the network, address.
    pub fn addresses(&self) -> impl Iterator<Item = (&'a str, &'a str, &'a str, IpAddr)> {
        let site = self.site;
        site.nodes.values().flat_map(|node| {
            node.interfaces.iter().flat_map(move |(interface, at)| {
                at.networks.iter().filter_map(move |(network, address)| {
                    Some((node.name.as_str(), interface.as_str(), network.as_str(), (*address)?))
                })
            })
        })
    }

    /// The addresses of portals in `[servers]`, with the name of the server.
    pub fn portals(&self) -> impl Iterator<Item = (&'a str, IpAddr)> {
        self.site.file.servers.iter().flat_map(|(name, server)| {
            let portals = server.portals.iter().filter_map(|portal| Portal::parse(portal));
            portals.filter_map(move |portal| Some((name.as_str(), portal.host.parse().ok()?)))
        })
    }
}

fn parse(file: &file::Network) -> Network<'_> {
    let mut wrong = Vec::new();
    let net = match file.address.parse::<IpNet>() {
        Ok(net) if net.trunc() == net => Some(net),
        Ok(net) => {
            let why = format!("{net} is an address in the network {}", net.trunc());
            wrong.push(("address".to_owned(), why));
            Some(net.trunc())
        }
        Err(_) => {
            let why = format!("{:?} is not a network like 10.1.0.0/16", file.address);
            wrong.push(("address".to_owned(), why));
            None
        }
    };
    let mut span = |place: &str, text: &str| {
        let span = Span::parse(text);
        if span.is_none() {
            let why = format!("{text:?} is not a range like 10.1.1.1-10.1.1.250");
            wrong.push((place.to_owned(), why));
        }
        span
    };
    let ranges = file.ranges.iter().filter_map(|text| span("ranges", text)).collect();
    let pool = file.pool.as_deref().and_then(|text| span("pool", text));
    let mut address = |place: &str, text: &str| {
        let address = text.parse().ok();
        if address.is_none() {
            wrong.push((place.to_owned(), format!("{text:?} is not an IP address")));
        }
        address
    };
    let gateway = file.gateway.as_deref().and_then(|text| address("gateway", text));
    for server in &file.dns {
        address("dns", server);
    }
    Network { file, net, ranges, pool, gateway, wrong }
}

fn plan<'a>(site: &'a Site, node: &'a Node) -> Option<Plan<'a>> {
    let (image, _) = site.file.images.get_key_value(node.image.as_deref()?)?;
    let newest = VERSIONS.first()?;
    let Rendered { document, origins } = render(site, node, newest).ok()?;
    let refused = Document::parse(document.to_string().as_bytes()).err();
    let script = answer(site, &Asked::default(), &Who::Node(node.name.clone()), None);
    Some(Plan { node, image, document, origins, refused, script })
}
