//! What only the running kernel can be asked: addresses, what a card's own address is, what switches say, and the BMC.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::lan::{self, Bmc};
use super::lldp::{self, Frame, Tlv};
use crate::engine::host::Host;
use crate::input::facts::{self, Facts};
use crate::sys::{address, ethtool, ipmi, packets};

/// A BMC is asked for no longer, all in all; one that is at work answers in milliseconds.
const BMC_LIMIT: Duration = Duration::from_secs(3);
/// The channels on which a BMC may have a network (IPMI 2.0, section 6.3).
const CHANNELS: std::ops::RangeInclusive<u8> = 1..=11;

/// The answers.
#[derive(Debug, Default)]
pub struct Live {
    /// The addresses of each interface.
    pub addresses: BTreeMap<String, Vec<IpAddr>>,
    /// The hardware address in each card.
    pub permanent: BTreeMap<String, String>,
    /// What was heard of a switch, by interface.
    pub heard: BTreeMap<String, Frame>,
    /// The BMC.
    pub bmc: Bmc,
}

impl Live {
    /// Asks the kernel of `host`, and listens to switches for `listening`.
    pub fn ask(host: &Host, facts: &Facts, listening: Duration) -> Live {
        let names = || facts.interfaces.iter().map(|interface| interface.name.clone());
        let permanent = |name: String| {
            let octets = ethtool::permanent_address(&name).ok()?;
            let text: Vec<String> = octets.iter().map(|octet| format!("{octet:02x}")).collect();
            Some((name, facts::mac(&text.join(":"))?))
        };
        let with_link: Vec<String> = names().filter(|name| has_carrier(host, name)).collect();
        Live {
            addresses: address::by_interface(),
            permanent: names().filter_map(permanent).collect(),
            heard: listen(&with_link, listening),
            bmc: bmc(host),
        }
    }

    /// What switches said, as Ironic's agent has it.
    pub fn raw_lldp(&self) -> BTreeMap<String, Vec<Tlv>> {
        self.heard.iter().map(|(name, frame)| (name.clone(), frame.tlvs.clone())).collect()
    }
}

fn has_carrier(host: &Host, name: &str) -> bool {
    super::line(&host.path("/"), &format!("sys/class/net/{name}/carrier")).as_deref() == Some("1")
}

/// The last frame of each interface's switch; over at once when all of them have spoken.
fn listen(interfaces: &[String], time: Duration) -> BTreeMap<String, Frame> {
    let mut heard = BTreeMap::new();
    if time.is_zero() || interfaces.is_empty() {
        return heard;
    }
    let told = packets::listen(interfaces, lldp::ETHERTYPE, lldp::GROUPS, time, |name, frame| {
        if let Some(frame) = Frame::of_payload(frame) {
            heard.insert(name.to_owned(), frame);
        }
        heard.len() == interfaces.len()
    });
    if let Err(error) = told {
        log::warn!("LLDP cannot be listened to: {error}");
    }
    heard
}

/// What the BMC says of its network, on the first channel that has one.
fn bmc(host: &Host) -> Bmc {
    let Some(mut bmc) = ipmi::Bmc::open(&host.path("/dev/ipmi0"), BMC_LIMIT) else { return Bmc::default() };
    let mut ask = |channel: u8, what: u8, set: u8| {
        let answer = bmc.request(ipmi::TRANSPORT, ipmi::GET_LAN, &[channel, what, set, 0])?;
        Some(lan::parameter(&answer)?.to_vec())
    };
    let found = CHANNELS.map(|channel| Bmc {
        address: ask(channel, lan::IPV4, 0).as_deref().and_then(lan::ipv4),
        mac: ask(channel, lan::MAC, 0).as_deref().and_then(lan::mac),
        v6_address: lan::IPV6.iter().find_map(|what| lan::ipv6(&ask(channel, *what, 0)?)),
    });
    let mut found: Vec<Bmc> = found.filter(|bmc| *bmc != Bmc::default()).collect();
    // One with a cable in it goes before one that only has an address of its card.
    found.sort_by_key(|bmc| bmc.address.is_none() && bmc.v6_address.is_none());
    found.into_iter().next().unwrap_or_default()
}
