//! The network interfaces that the root hangs on: those that packets to its portals leave by, and those below them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;

use super::lease::{self, Client};
use crate::engine::host::Host;
use crate::input::document::{Iscsi, TargetPortal};
use crate::sys::address::{self, Timed};

/// So many interfaces on top of each other are no network that somebody meant.
const MOST_LEVELS: usize = 8;

/// An interface that the root hangs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nic {
    /// Its name.
    pub name: String,
    /// Its number.
    pub index: u32,
    /// Packets leave by it; else it is below one by which they do: a part of a bond, what a VLAN is on.
    pub carries: bool,
    /// The initramfs has a lease for it; what it calls itself to the server.
    pub lease: Option<Client>,
    /// Its addresses that the kernel will remove when their time is over.
    pub timed: Vec<Timed>,
}

/// Those of the sessions that there are, and of the portals to which sessions may come.
pub fn nics(host: &Host, iscsi: &Iscsi) -> Vec<Nic> {
    let planned = iscsi.portals.iter().filter_map(|portal| match way_of(portal) {
        Way::Interface(name) => Some(name),
        Way::Route(to, from) => address::interface_to(to, from),
        Way::From(from) => address::interface_of(from),
        Way::Unknown => None,
    });
    let connected = connected_to(&host.path("/sys/class/iscsi_connection"));
    let connected = connected.into_iter().filter_map(|to| address::interface_to(to, None));
    let carriers: BTreeSet<String> = planned.chain(connected).collect();
    let timed = address::timed().unwrap_or_default();
    let mut nics = with_lower(&host.path("/sys/class/net"), &carriers, &timed);
    for nic in &mut nics {
        nic.lease = lease_of(host, &nic.name, nic.index);
    }
    nics
}

/// That of systemd-networkd, or of those that call themselves by the MAC: NetworkManager, and dracut's network-legacy with
/// dhclient.
fn lease_of(host: &Host, name: &str, index: u32) -> Option<Client> {
    let read = |path: String| std::fs::read_to_string(host.path(path)).ok();
    if let Some(text) = read(format!("/run/systemd/netif/leases/{index}")) {
        return Some(lease::client(&text));
    }
    let manager = read(format!("/run/NetworkManager/devices/{index}"));
    let by_mac = manager.is_some_and(|text| text.lines().any(|line| line == "[dhcp4]"))
        || host.path(format!("/tmp/dhclient.{name}.lease")).exists();
    by_mac.then_some(Client::Mac)
}

/// How the interface of a portal is told.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    /// By the plan.
    Interface(String),
    /// It is the one that has this address.
    From(IpAddr),
    /// By the routes to this address, from that.
    Route(IpAddr, Option<IpAddr>),
    /// Only the session tells, for the portal has a name.
    Unknown,
}

fn way_of(portal: &TargetPortal) -> Way {
    let host = &portal.portal.host;
    let link_local = host.split_once('%').map(|(_, interface)| interface);
    match (portal.interface.as_deref().or(link_local), portal.source, host.parse()) {
        (Some(interface), ..) => Way::Interface(interface.to_owned()),
        (None, Some(from), Err(_)) => Way::From(from),
        (None, from, Ok(to)) => Way::Route(to, from),
        (None, None, Err(_)) => Way::Unknown,
    }
}

/// The addresses that there are connections to.
fn connected_to(connections: &Path) -> BTreeSet<IpAddr> {
    let entries = std::fs::read_dir(connections).into_iter().flatten().flatten();
    let addresses = entries.filter_map(|entry| {
        let text = std::fs::read_to_string(entry.path().join("address")).ok()?;
        text.trim().trim_matches(['[', ']']).parse().ok()
    });
    addresses.collect()
}

/// The `carriers` in the folder `net` of sysfs, and the interfaces below them; those that are not there are left out.
fn with_lower(net: &Path, carriers: &BTreeSet<String>, timed: &[Timed]) -> Vec<Nic> {
    let mut found: BTreeMap<String, Nic> = BTreeMap::new();
    let mut level: Vec<(String, bool)> = carriers.iter().map(|name| (name.clone(), true)).collect();
    for _ in 0..MOST_LEVELS {
        let mut next = Vec::new();
        for (name, carries) in level {
            if found.contains_key(&name) {
                continue;
            }
            let Some(index) = number(&net.join(&name)) else { continue };
            next.extend(lower(&net.join(&name)).into_iter().map(|name| (name, false)));
            let timed = timed.iter().filter(|timed| timed.interface == index).cloned().collect();
            found.insert(name.clone(), Nic { name, index, carries, lease: None, timed });
        }
        level = next;
    }
    found.into_values().collect()
}

fn number(interface: &Path) -> Option<u32> {
    std::fs::read_to_string(interface.join("ifindex")).ok()?.trim().parse().ok()
}

/// The interfaces that this one is made of: its links `lower_NAME`.
fn lower(interface: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(interface).into_iter().flatten().flatten();
    let name =
        |entry: std::fs::DirEntry| Some(entry.file_name().to_str()?.strip_prefix("lower_")?.to_owned());
    entries.filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_portal_tells_its_interface_or_the_routes_do() {
        let to = |text: &str| text.parse::<IpAddr>().unwrap();
        for (portal, way) in [
            (serde_json::json!("10.0.0.1"), Way::Route(to("10.0.0.1"), None)),
            (serde_json::json!("[2001:db8::1]:3260"), Way::Route(to("2001:db8::1"), None)),
            (serde_json::json!("[fe80::1%eth1]"), Way::Interface("eth1".into())),
            (serde_json::json!({"portal": "10.0.0.1", "interface": "eth2"}), Way::Interface("eth2".into())),
            (
                serde_json::json!({"portal": "10.0.0.1", "source": "10.0.0.9"}),
                Way::Route(to("10.0.0.1"), Some(to("10.0.0.9"))),
            ),
            (serde_json::json!({"portal": "store", "source": "10.0.0.9"}), Way::From(to("10.0.0.9"))),
            (serde_json::json!("store"), Way::Unknown),
        ] {
            let portal: TargetPortal = serde_json::from_value(portal).unwrap();
            assert_eq!(way_of(&portal), way);
        }
    }

    #[test]
    fn a_lease_is_networkds_or_of_a_client_that_goes_by_its_mac() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::fake(root.path());
        assert_eq!(lease_of(&host, "eth0", 2), None);
        let put = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        put("tmp/dhclient.eth0.lease", "lease { }\n");
        assert_eq!(lease_of(&host, "eth0", 2), Some(Client::Mac));
        put("run/systemd/netif/leases/2", "CLIENTID=ff01f5dd7f00020000ab118b81\n");
        assert!(matches!(lease_of(&host, "eth0", 2), Some(Client::Duid { .. })));
        put("run/NetworkManager/devices/3", "[device]\nmanaged=true\n");
        assert_eq!(lease_of(&host, "eth1", 3), None);
        put("run/NetworkManager/devices/3", "[device]\nmanaged=true\n\n[dhcp4]\ndhcp4.ip_address=10.0.0.9\n");
        assert_eq!(lease_of(&host, "eth1", 3), Some(Client::Mac));
    }

    #[test]
    fn what_is_below_a_carrier_is_found_and_what_is_not_there_left_out() {
        let net = tempfile::tempdir().unwrap();
        for (name, index, below) in [
            ("eth0", 2, vec![]),
            ("eth1", 3, vec![]),
            ("bond0", 4, vec!["eth0", "eth1"]),
            ("bond0.7", 5, vec!["bond0"]),
            ("eth2", 6, vec![]),
        ] {
            let folder = net.path().join(name);
            std::fs::create_dir(&folder).unwrap();
            std::fs::write(folder.join("ifindex"), format!("{index}\n")).unwrap();
            for below in below {
                std::os::unix::fs::symlink(format!("../{below}"), folder.join(format!("lower_{below}")))
                    .unwrap();
            }
        }
        let carriers = ["bond0.7".to_owned(), "gone".to_owned()].into();
        let found = with_lower(net.path(), &carriers, &[]);
        let found: Vec<_> = found.iter().map(|nic| (nic.name.as_str(), nic.index, nic.carries)).collect();
        assert_eq!(
            found,
            [("bond0", 4, false), ("bond0.7", 5, true), ("eth0", 2, false), ("eth1", 3, false)]
        );
    }

    #[test]
    fn connections_tell_where_they_go() {
        let folder = tempfile::tempdir().unwrap();
        for (name, address) in [
            ("connection1:0", "10.0.0.1\n"),
            ("connection2:0", "2001:db8::1\n"),
            ("connection3:0", "(null)\n"),
        ] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
            std::fs::write(folder.path().join(name).join("address"), address).unwrap();
        }
        let found: Vec<String> = connected_to(folder.path()).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["10.0.0.1", "2001:db8::1"]);
    }
}
