//! `[network]`: the cables of the node, where they lead, and who is there.

use serde::Deserialize;

use super::{Document, Target};

/// How many subnets there can be; more would not be told from each other by their numbers.
const SUBNETS: u8 = 16;
/// What an Ethernet frame carries, and the most that QEMU passes on.
const MTU: std::ops::RangeInclusive<u16> = 1280..=9000;
/// What a VLAN may be called (IEEE 802.1Q).
const VLAN: std::ops::RangeInclusive<u16> = 1..=4094;
/// dnsmasq makes any lease that is shorter as long as this.
const SHORTEST_LEASE: u32 = 120;
/// The longest delay.
const DELAY: u64 = 2000;

/// `[network]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// Whether there is a DHCP server, on every subnet.
    pub dhcp: bool,
    /// For how many seconds it gives an address.
    pub lease: u32,
    /// Whether the subnets have IPv6 too, with router advertisements.
    pub ipv6: bool,
    /// Whether the targets are there from the start.
    pub iscsi: bool,
    /// Whether there is an HTTPS server too, and what the node knows of it.
    pub tls: Option<Tls>,
    /// The cables, one for each network card of the node.
    pub links: Vec<Link>,
    /// Servers on the targets' side that behave badly.
    pub traps: Vec<Trap>,
}

impl Default for Network {
    fn default() -> Network {
        Network {
            dhcp: true,
            lease: 12 * 60 * 60,
            ipv6: false,
            iscsi: true,
            tls: None,
            links: vec![Link::default()],
            traps: Vec::new(),
        }
    }
}

/// The authority whose certificates the node trusts, as /etc/diskless/ca.pem in the initramfs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tls {
    /// The server's.
    Trusted,
    /// Another one.
    Untrusted,
}

/// `[[network.links]]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Link {
    /// The subnet that it leads to: 198.18.N.0/24, where the lab has .1; cables to the same one meet in a bridge.
    pub subnet: u8,
    /// Milliseconds that a frame takes to the node.
    pub delay_ms: u64,
    /// What a frame may carry, by both ends of the cable; none: 1500 octets.
    pub mtu: Option<u16>,
    /// What a frame may carry on the way, without either end's knowing; none: as much as by the ends.
    pub path_mtu: Option<u16>,
    /// The VLAN in which frames are on the cable; none: they have no tag.
    pub vlan: Option<u16>,
}

impl Link {
    /// Whether the cable does something to the frames: no interface of the kernel's does it then.
    pub fn acts(&self) -> bool {
        self.delay_ms > 0 || self.path_mtu.is_some() || self.vlan.is_some()
    }
}

/// `[[network.traps]]`: listens where a target could be.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trap {
    /// The subnet.
    #[serde(default)]
    pub subnet: u8,
    /// The TCP port.
    #[serde(default = "super::target::default_port")]
    pub port: u16,
    /// What it does.
    pub does: Behaviour,
}

/// What a trap does to who connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Behaviour {
    /// It passes the first request and its answer on to and from the first portal, and closes on the second request.
    ClosesInLogin,
    /// It accepts, reads, and never answers.
    NeverAnswers,
}

/// A portal: a server of its own for the targets at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The subnet.
    pub subnet: u8,
    /// The TCP port.
    pub port: u16,
    /// Whether it runs from the start.
    pub start: bool,
}

impl Place {
    /// Whether the target is here.
    pub fn has(&self, target: &Target) -> bool {
        (self.subnet, self.port) == (target.subnet, target.port)
    }
}

impl Document {
    /// The portals, in the order in which the targets name them; without any target there is still one.
    pub fn places(&self) -> Vec<Place> {
        let mut places: Vec<Place> = Vec::new();
        for target in &self.targets {
            match places.iter_mut().find(|place| place.has(target)) {
                Some(place) => place.start &= target.start,
                None => {
                    places.push(Place { subnet: target.subnet, port: target.port, start: target.start });
                }
            }
        }
        if places.is_empty() {
            places.push(Place { subnet: 0, port: super::target::default_port(), start: true });
        }
        places
    }
}

/// Whether all that a scenario says about its network fits together.
pub(super) fn check(document: &Document) -> Result<(), String> {
    document.lio.as_ref().map_or(Ok(()), super::lio::check)?;
    let network = &document.network;
    let links = &network.links;
    if !links.iter().any(|link| link.subnet == 0) {
        return Err("no link leads to subnet 0, where all servers are".to_owned());
    }
    if network.lease < SHORTEST_LEASE {
        return Err(format!("a lease is for at least {SHORTEST_LEASE} seconds"));
    }
    for (number, link) in links.iter().enumerate() {
        let mtu = [link.mtu, link.path_mtu].into_iter().flatten().all(|mtu| MTU.contains(&mtu));
        if link.subnet >= SUBNETS
            || link.delay_ms > DELAY
            || !mtu
            || link.vlan.is_some_and(|id| !VLAN.contains(&id))
        {
            return Err(format!(
                "link {number}: subnets are below {SUBNETS}, delays at most {DELAY} ms, MTUs {MTU:?}, VLANs {VLAN:?}"
            ));
        }
    }
    let used = document
        .places()
        .into_iter()
        .map(|place| place.subnet)
        .chain(network.traps.iter().map(|trap| trap.subnet))
        .chain(document.lio.iter().flat_map(|lio| lio.portals.iter().map(|portal| portal.subnet)));
    for subnet in used {
        if !links.iter().any(|link| link.subnet == subnet) {
            return Err(format!("no link leads to subnet {subnet}"));
        }
    }
    for fault in &document.faults {
        if fault.portal.is_some_and(|number| number >= document.places().len()) {
            return Err(format!("a fault of portal {:?}, which is not there", fault.portal));
        }
        if fault.link.is_some_and(|number| number >= links.len()) {
            return Err(format!("a fault of link {:?}, which is not there", fault.link));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::scenario::parse;

    const UP: &str = "summary = 's'\n[expect]\nend = 'up'\n";
    const TWO: &str = "[[network.links]]\n[[network.links]]\nsubnet = 1\n[[targets]]\niqn = 'a'\n[[targets]]\niqn = 'b'\nsubnet = 1\nstart = false\n[[targets]]\niqn = 'c'\n";

    #[test]
    fn a_portal_is_a_subnet_and_a_port() {
        let document = parse(&format!("{UP}{TWO}")).unwrap();
        let places: Vec<_> =
            document.places().iter().map(|place| (place.subnet, place.port, place.start)).collect();
        assert_eq!(places, [(0, 3260, true), (1, 3260, false)]);
        let document = parse(UP).unwrap();
        assert_eq!((document.places().len(), document.network.links.len()), (1, 1));
        assert!(!document.network.links.iter().any(super::Link::acts));
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let cases = [
            ("[[network.links]]\nsubnet = 1", "subnet 0"),
            ("[[targets]]\niqn = 'a'\nsubnet = 1", "subnet 1"),
            ("[[network.traps]]\nsubnet = 2\ndoes = 'never-answers'", "subnet 2"),
            ("[network]\nlease = 60", "120"),
            ("[[network.links]]\nmtu = 100", "MTUs"),
            ("[[network.links]]\nvlan = 0", "VLANs"),
            ("[[network.links]]\ndelay_ms = 5000", "delays"),
            ("[[faults]]\naction = 'target-kill'\nportal = 1", "portal"),
            ("[[faults]]\naction = 'link-down'\nlink = 1", "link"),
        ];
        for (text, part) in cases {
            let message = parse(&format!("{UP}{text}")).unwrap_err();
            assert!(message.contains(part), "{text}: {message}");
        }
    }
}
