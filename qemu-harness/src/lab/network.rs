//! The cables to the node, and the subnets that they lead to.
//!
//! ```text
//! node: card 0 ── tap node0 ─┬─ bridge subnet0   198.18.0.1, all servers
//!       card 1 ── tap node1 ─┘
//!       card 2 ── tap node2 ─── bridge subnet1   198.18.1.1, portals
//! ```

use std::collections::BTreeSet;
use std::path::Path;

use super::{server, server6};
use crate::chroot::Root;
use crate::command;
use crate::error::Result;
use crate::scenario::Network;

/// What an end of a cable takes unless it is told otherwise.
const MTU: u16 = 1500;

/// The host's end of cable `number` of a node; nodes have numbers from 0.
pub fn tap(node: usize, number: usize) -> String {
    match node {
        0 => format!("node{number}"),
        other => format!("node{number}of{}", other + 1),
    }
}

/// The interface that has the lab's address in a subnet.
pub fn bridge(subnet: u8) -> String {
    format!("subnet{subnet}")
}

/// All cables.
pub struct Cables<'a> {
    tools: &'a Root,
    log: &'a Path,
    count: usize,
    nodes: usize,
}

impl<'a> Cables<'a> {
    /// Lays them to so many nodes, in the network namespace of the calling thread.
    pub fn lay(tools: &'a Root, log: &'a Path, network: &Network, nodes: usize) -> Result<Cables<'a>> {
        let cables = Cables { tools, log, count: network.links.len(), nodes };
        cables.ip(&["link", "set", "lo", "up"])?;
        for subnet in subnets(network) {
            let bridge = &bridge(subnet);
            cables.ip(&["link", "add", bridge, "type", "bridge"])?;
            cables.ip(&["address", "add", &format!("{}/24", server(subnet)), "dev", bridge])?;
            if network.ipv6 {
                // Without a carrier, before the machine is on, the address would never be found to be free.
                cables.ip(&["address", "add", &format!("{}/64", server6(subnet)), "dev", bridge, "nodad"])?;
            }
            let links = network.links.iter().enumerate().filter(|(_, link)| link.subnet == subnet);
            for (number, link) in links.clone() {
                let mtu = link.mtu.unwrap_or(MTU);
                for tap in (0..nodes).map(|node| tap(node, number)) {
                    cables.ip(&["tuntap", "add", "dev", &tap, "mode", "tap"])?;
                    cables.ip(&["link", "set", &tap, "mtu", &mtu.to_string(), "master", bridge, "up"])?;
                }
            }
            let mtu = links.filter_map(|(_, link)| link.mtu).max().unwrap_or(MTU);
            cables.ip(&["link", "set", bridge, "mtu", &mtu.to_string(), "up"])?;
        }
        Ok(cables)
    }

    /// Has nothing pass a cable of each node, or lets it pass again: the one of this number, or all.
    pub fn set(&self, link: Option<usize>, up: bool) -> Result<()> {
        let all = (0..self.count).filter(|number| link.is_none_or(|link| link == *number));
        let word = if up { "up" } else { "down" };
        for (number, node) in all.flat_map(|number| (0..self.nodes).map(move |node| (number, node))) {
            self.ip(&["link", "set", &tap(node, number), word])?;
        }
        Ok(())
    }

    fn ip(&self, words: &[&str]) -> Result<()> {
        command::run(self.tools.command("ip").args(words), self.log)
    }
}

/// The subnets that a cable leads to.
pub fn subnets(network: &Network) -> BTreeSet<u8> {
    network.links.iter().map(|link| link.subnet).collect()
}
