//! Rules of the paths to the disk: portals, how many of them are waited for, and the map.

use std::net::{IpAddr, Ipv6Addr};

use super::super::{Document, Identify, Iscsi, Map, TargetPortal};
use super::{broken, is_iscsi_name};
use crate::error::{Code, Result};
use crate::input::multipath_settings;

/// Each is a session, a disk and a thread of the agent's.
pub const MOST_PORTALS: usize = 32;
/// Seconds: a boot that is to wait longer for a path that it can do without is held up by mistake.
const LONGEST_GRACE: u32 = 3600;
/// IFNAMSIZ without the NUL (linux/if.h).
const LONGEST_INTERFACE: usize = 15;
/// Words of multipath.conf that say what tells a path.
const IDENTITY: &[&str] = &["uid_attribute", "uid_attrs", "getuid_callout"];

pub fn portals(iscsi: &Iscsi) -> Result<()> {
    if !(1..=MOST_PORTALS).contains(&iscsi.portals.len()) {
        return broken(Code::PlanPortals, "iscsi.portals", format!("not 1 to {MOST_PORTALS} of them"));
    }
    for (i, path) in iscsi.portals.iter().enumerate() {
        let place = format!("iscsi.portals[{i}]");
        if path.target.as_deref().is_some_and(|target| !is_iscsi_name(target)) {
            return broken(Code::PlanIscsiName, format!("{place}.target"), super::ISCSI_NAME);
        }
        interface(&place, path)?;
        source(&place, path)?;
        if iscsi.portals.iter().take(i).any(|other| same_way(iscsi, other, path)) {
            return broken(Code::PlanPortals, place, format!("{path} stands twice"));
        }
    }
    Ok(())
}

/// Whether both lead to one target over one way: a second session there is no second path. Where only the addresses
/// that they come from differ, the kernel routes both the same.
fn same_way(iscsi: &Iscsi, one: &TargetPortal, other: &TargetPortal) -> bool {
    let host = |path: &TargetPortal| match literal(path) {
        Some(address) => address.to_string(),
        None => path.portal.host.to_ascii_lowercase(),
    };
    host(one) == host(other)
        && one.portal.port == other.portal.port
        && iscsi.target_at(one) == iscsi.target_at(other)
        && one.leaves_by() == other.leaves_by()
}

/// The portal's address, if it is one and no name.
fn literal(path: &TargetPortal) -> Option<IpAddr> {
    let host = path.portal.host.as_str();
    host.split_once('%').map_or(host, |(address, _)| address).parse().ok()
}

fn interface(place: &str, path: &TargetPortal) -> Result<()> {
    let refused = |cause| broken(Code::PlanInterface, format!("{place}.interface"), cause);
    if path.leaves_by().is_some_and(|name| !is_interface(name)) {
        return refused("not the name of a network interface: 15 bytes at most, without blanks, `/` and `:`");
    }
    if let (Some((_, zone)), Some(member)) = (path.portal.host.split_once('%'), &path.interface)
        && zone != member
    {
        return refused("not the interface that the address names");
    }
    let link_local = |address: IpAddr| matches!(address, IpAddr::V6(address) if is_link_local(address));
    if path.leaves_by().is_none()
        && (literal(path).is_some_and(link_local) || path.source.is_some_and(link_local))
    {
        return refused("missing: every interface has link-local addresses");
    }
    Ok(())
}

/// RFC 4291, section 2.5.6
fn is_link_local(address: Ipv6Addr) -> bool {
    address.segments().first().is_some_and(|first| first & 0xffc0 == 0xfe80)
}

/// As the kernel has it (dev_valid_name in net/core/dev.c).
pub fn is_interface(name: &str) -> bool {
    (1..=LONGEST_INTERFACE).contains(&name.len())
        && !matches!(name, "." | "..")
        && !name.chars().any(|c| c.is_whitespace() || c.is_control() || matches!(c, '/' | ':'))
}

fn source(place: &str, path: &TargetPortal) -> Result<()> {
    let Some(source) = path.source else { return Ok(()) };
    let refused = |cause| broken(Code::PlanSource, format!("{place}.source"), cause);
    if source.is_unspecified() || source.is_multicast() {
        return refused("not an address that a node can have");
    }
    match literal(path) {
        Some(portal) if portal.is_ipv4() != source.is_ipv4() => {
            refused("one of the two is an IPv4 address, the other an IPv6 one")
        }
        _ => Ok(()),
    }
}

/// How many paths are waited for, and for how long.
pub fn quorum(document: &Document) -> Result<()> {
    let iscsi = &document.iscsi;
    // A portal that is asked may name more of them.
    let most = if iscsi.discovery.is_some() { MOST_PORTALS } else { iscsi.portals.len() };
    let wanted = usize::try_from(iscsi.min_paths).unwrap_or(usize::MAX);
    if !(1..=most).contains(&wanted) {
        return broken(Code::PlanPaths, "iscsi.min_paths", format!("not a number from 1 to {most}"));
    }
    if document.map().is_none() && wanted > 1 {
        let cause = "without a map one path is used, the other portals stand in for it";
        return broken(Code::PlanPaths, "iscsi.min_paths", cause);
    }
    if iscsi.grace > LONGEST_GRACE {
        return broken(Code::PlanPaths, "iscsi.grace", format!("more than {LONGEST_GRACE} seconds"));
    }
    Ok(())
}

/// What the agent itself goes by in the section `defaults`; all else there is multipathd's.
pub fn map(document: &Document) -> Result<()> {
    let Some(map) = document.map() else { return Ok(()) };
    if map.identify == Identify::LuksUuid && document.luks.header.is_some() {
        let cause = "`luks-uuid` is read from the disk, and luks.header says that the header is not there";
        return broken(Code::PlanIdentify, "multipath.identify", cause);
    }
    let refused = |key: &str, cause: &'static str| {
        broken(Code::PlanMultipath, format!("multipath.defaults.{key}"), cause)
    };
    if let Some(key) = IDENTITY.iter().find(|key| map.defaults.contains_key(**key)) {
        return refused(key, "what tells a path is multipath.identify, for the disk of the root alone");
    }
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok();
    let retry = multipath_settings::value(map, "no_path_retry");
    if !(matches!(retry, "fail" | "queue") || number(retry)) {
        return refused("no_path_retry", "neither fail, queue nor a number from 0 to 65535");
    }
    let interval = multipath_settings::value(map, "polling_interval");
    if !number(interval) || interval.bytes().all(|b| b == b'0') {
        return refused("polling_interval", "not a number of seconds from 1 to 65535");
    }
    if !is_selector(map) {
        let cause = "not a selector of the kernel with its arguments: round-robin 0, queue-length 0, service-time 0 or \
                     historical-service-time 0";
        return refused("path_selector", cause);
    }
    Ok(())
}

/// A selector of the kernel (drivers/md/dm-ps-*.c), the number of its arguments, and so many of them. Only
/// historical-service-time has any: the weight of what was, from 0 to 1023, and from which factor on a path is slower.
fn is_selector(map: &Map) -> bool {
    let words: Vec<&str> = map.path_selector().split(' ').collect();
    let [name, count, arguments @ ..] = words.as_slice() else { return false };
    let most = match *name {
        "round-robin" | "queue-length" | "service-time" => 0,
        "historical-service-time" => 2,
        _ => return false,
    };
    let number = |text: &&str| text.parse::<u32>().ok().filter(|number| number.to_string() == **text);
    arguments.len() <= most
        && *count == arguments.len().to_string()
        && arguments.iter().all(|argument| number(argument).is_some())
        && arguments.first().and_then(number).is_none_or(|weight| weight < 1024)
}
