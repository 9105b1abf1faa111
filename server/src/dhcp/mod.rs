//! DECIDE: what a DHCP server has to know, in its own words.
//!
//! [`Dhcp`] is what any of them has to know; [`dnsmasq`], [`kea`] and [`isc`] write it down. A node asks twice: first
//! its firmware, which gets iPXE, then iPXE, which gets the address of its script.

pub mod dnsmasq;
pub mod isc;
pub mod kea;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use diskless::input::url::is_url;
use ipnet::{IpNet, Ipv4Net};

use crate::site::Site;
use crate::site::file::Network;

/// The field for it has 128 bytes, one of which ends it (RFC 2131, section 2).
const LONGEST_FILE: usize = 127;
/// Client architectures (option 93) by their numbers at IANA ("Processor Architecture Types"): BIOS.
const BIOS: u16 = 0;
/// UEFI on x86-64: 7 by RFC 4578 and what all firmware sends, 9 by its registry.
const UEFI: [u16; 2] = [7, 9];

/// What iPXE is called on the TFTP server.
#[derive(Debug, Clone)]
pub struct Loaders {
    /// For BIOS.
    pub bios: String,
    /// For UEFI on x86-64.
    pub uefi: String,
    /// Where the TFTP server is; none: the address in `server.url`, or else the DHCP server itself.
    pub tftp: Option<Ipv4Addr>,
}

impl Default for Loaders {
    fn default() -> Loaders {
        Loaders { bios: "undionly.kpxe".to_owned(), uefi: "ipxe.efi".to_owned(), tftp: None }
    }
}

/// What a DHCP server has to know.
#[derive(Debug, Clone)]
pub struct Dhcp {
    /// What iPXE gets.
    pub script: String,
    /// What firmware gets.
    pub loaders: Loaders,
    /// Where addresses are given out, by the name of the network.
    pub subnets: BTreeMap<String, Subnet>,
    /// Interfaces with a MAC, in the order of the nodes' names.
    pub hosts: Vec<Host>,
    /// What of the site is not in it, and why.
    pub left_out: Vec<String>,
}

/// A network with addresses to give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subnet {
    /// Its address and mask.
    pub address: Ipv4Net,
    /// Addresses for whoever asks.
    pub pool: Option<(Ipv4Addr, Ipv4Addr)>,
    /// The router.
    pub router: Option<Ipv4Addr>,
    /// Name servers.
    pub dns: Vec<Ipv4Addr>,
    /// Bytes.
    pub mtu: Option<u32>,
}

/// An interface of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// The node's name.
    pub name: String,
    /// The interface's name.
    pub interface: String,
    /// Lower case with colons.
    pub mac: String,
    /// Its address in each network, by the network's name; none: from the pool.
    pub addresses: BTreeMap<String, Option<Ipv4Addr>>,
}

impl Dhcp {
    /// What a DHCP server for `site` has to know: of all IPv4 networks that have a pool, or nodes with known MACs.
    ///
    /// # Errors
    /// What is missing in the site, or unfit for DHCP.
    pub fn of(site: &Site, loaders: Loaders) -> Result<Dhcp, String> {
        let server = site.file.server.url.trim_end_matches('/');
        if !is_url(server) {
            return Err("server.url: DHCP has to name the server, and there is no URL".to_owned());
        }
        let script = format!("{server}/boot.ipxe");
        for (what, file) in [("server.url", &script), ("--bios", &loaders.bios), ("--uefi", &loaders.uefi)] {
            if file.len() > LONGEST_FILE {
                return Err(format!(
                    "{what}: {file} is longer than the {LONGEST_FILE} bytes that DHCP has room for"
                ));
            }
            if !file.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\,".contains(&byte)) {
                return Err(format!("{what}: {file:?} has characters that not all DHCP servers can give"));
            }
        }
        let tftp = loaders.tftp.or_else(|| host(server)?.parse().ok());
        let mut dhcp = Dhcp {
            script,
            loaders: Loaders { tftp, ..loaders },
            subnets: BTreeMap::new(),
            hosts: Vec::new(),
            left_out: Vec::new(),
        };
        for (name, network) in &site.file.networks {
            match subnet(network) {
                Ok(subnet) => drop(dhcp.subnets.insert(name.clone(), subnet)),
                Err(why) => dhcp.left_out.push(format!("network {name}: {why}")),
            }
        }
        dhcp.add_hosts(site);
        let used = |name: &String| dhcp.hosts.iter().any(|host| host.addresses.contains_key(name));
        dhcp.subnets.retain(|name, subnet| subnet.pool.is_some() || used(name));
        Ok(dhcp)
    }

    fn add_hosts(&mut self, site: &Site) {
        for node in site.nodes.values() {
            for (name, interface) in &node.interfaces {
                let Some(mac) = &interface.mac else { continue };
                let place = format!("{} {name}", node.name);
                if mac.len() != "52:54:00:00:00:01".len() {
                    // Over InfiniBand (RFC 4390) a client is known by the identifier that it chooses.
                    self.left_out.push(format!("{place}: {mac} is no Ethernet address"));
                    continue;
                }
                if !node.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte)) {
                    self.left_out.push(format!("{place}: the node's name is no host name"));
                    continue;
                }
                let addresses =
                    interface.networks.iter().filter(|(network, _)| self.subnets.contains_key(*network));
                let addresses = addresses.filter_map(|(network, address)| match address {
                    Some(IpAddr::V4(address)) => Some((network.clone(), Some(*address))),
                    Some(IpAddr::V6(_)) => None,
                    None => Some((network.clone(), None)),
                });
                let addresses: BTreeMap<_, _> = addresses.collect();
                if !addresses.is_empty() {
                    let (name, interface) = (node.name.clone(), name.clone());
                    self.hosts.push(Host { name, interface, mac: mac.clone(), addresses });
                }
            }
        }
    }

    /// What a reader has to know of the text, a line each that begins with `comment`.
    fn head(&self, comment: &str) -> String {
        let mut text =
            format!("{comment} Written by disklessd dhcp, from the site's file: change it there.\n");
        for what in &self.left_out {
            let _ = writeln!(text, "{comment} Not here: {}", what.escape_debug());
        }
        text
    }
}

/// The host in a URL, if it is no IPv6 address.
fn host(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    rest.split(['/', ':']).next()
}

fn subnet(network: &Network) -> Result<Subnet, String> {
    let address: IpNet =
        network.address.parse().map_err(|_| format!("{:?} is no network", network.address))?;
    let IpNet::V4(address) = address else { return Err("it is not IPv4".to_owned()) };
    // A mistake in them is told by `disklessd check`; here it must not become a line that a DHCP server stumbles over.
    let v4 =
        |text: &String| text.trim().parse::<Ipv4Addr>().map_err(|_| format!("{text:?} is no IPv4 address"));
    let pool = match &network.pool {
        None => None,
        Some(pool) => {
            let ends = pool
                .split_once('-')
                .and_then(|(first, last)| Some((first.trim().parse().ok()?, last.trim().parse().ok()?)));
            Some(ends.ok_or_else(|| format!("its pool {pool:?} is not ADDRESS-ADDRESS"))?)
        }
    };
    Ok(Subnet {
        address: address.trunc(),
        pool,
        router: network.gateway.as_ref().map(v4).transpose()?,
        dns: network.dns.iter().map(v4).collect::<Result<_, _>>()?,
        mtu: network.mtu,
    })
}

/// Several values in one option.
fn list(addresses: &[Ipv4Addr], separator: &str) -> String {
    addresses.iter().map(Ipv4Addr::to_string).collect::<Vec<_>>().join(separator)
}

#[cfg(test)]
mod tests;
