//! Network interfaces: sysfs, with what the kernel and the switches were asked.

use std::net::IpAddr;
use std::path::Path;

use super::inventory::Interface;
use super::live::Live;
use super::{line, link_name, number, resolved};
use crate::input::facts::{self, Facts};

/// A port's address of InfiniBand has 20 octets: the last 8 are its GUID.
const INFINIBAND: usize = 20;
/// What stands before the GUID in a DHCP client identifier, as Ironic's agent says it of ConnectX cards: type 255, an
/// identifier of none (RFC 4361), and the maker.
const CLIENT_ID: &str = "ff:00:00:00:00:00:02:00:00:02:c9:00:";

/// The interfaces of `facts`, below `root`.
pub fn read(root: &Path, facts: &Facts, live: &Live) -> Vec<Interface> {
    facts.interfaces.iter().map(|interface| one(root, interface, live)).collect()
}

fn one(root: &Path, facts::Interface { name, mac }: &facts::Interface, live: &Live) -> Interface {
    let folder = format!("sys/class/net/{name}");
    let word = |file: &str| line(root, &format!("{folder}/{file}"));
    let addresses = live.addresses.get(name).map(Vec::as_slice).unwrap_or_default();
    let first =
        |wanted: fn(&IpAddr) -> bool| addresses.iter().find(|one| wanted(one)).map(ToString::to_string);
    let frame = live.heard.get(name);
    let infiniband = guid(mac);
    Interface {
        name: name.clone(),
        mac_address: infiniband.as_deref().map_or_else(|| mac.clone(), ethernet_of),
        ipv4_address: first(IpAddr::is_ipv4),
        ipv6_address: first(IpAddr::is_ipv6),
        // EINVAL while the interface is down: then nobody knows.
        has_carrier: word("carrier").as_deref() == Some("1"),
        lldp: frame.map(|frame| frame.tlvs.clone()),
        vendor: word("device/vendor"),
        product: word("device/device"),
        client_id: infiniband.map(|guid| format!("{CLIENT_ID}{guid}")),
        biosdevname: None,
        // -1: without a link there is none.
        speed_mbps: number::<i64>(root, &format!("{folder}/speed"))
            .and_then(|speed| u32::try_from(speed).ok())
            .filter(|speed| (1..u32::MAX).contains(speed)),
        permanent_mac_address: live.permanent.get(name).cloned(),
        mtu: number(root, &format!("{folder}/mtu")),
        driver: link_name(root, &format!("{folder}/device/driver")),
        pci_address: pci_address(root, &format!("{folder}/device")),
        addresses: addresses.iter().map(ToString::to_string).collect(),
        neighbour: frame.map(|frame| frame.neighbour()),
    }
}

/// The PCI device on the way to `device`, `0000:3b:00.0`: the last one, for others are bridges.
fn pci_address(root: &Path, device: &str) -> Option<String> {
    let way = resolved(root, device)?;
    let is_address = |part: &&str| {
        let hex = part.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':' || byte == b'.');
        hex && part.matches(':').count() == 2 && part.contains('.')
    };
    way.iter().filter_map(|part| part.to_str()).rfind(is_address).map(str::to_owned)
}

/// The GUID in the address of an InfiniBand port.
fn guid(mac: &str) -> Option<String> {
    let octets: Vec<&str> = mac.split(':').collect();
    (octets.len() == INFINIBAND).then(|| octets.get(12..).unwrap_or_default().join(":"))
}

/// The six octets that Ironic knows a port by: its GUID without the two in the middle.
fn ethernet_of(guid: &str) -> String {
    let octets: Vec<&str> = guid.split(':').collect();
    let parts = [octets.get(..3), octets.get(5..)];
    parts.into_iter().flatten().flatten().copied().collect::<Vec<_>>().join(":")
}
