//! Network interfaces: carrier, speed, MTU, addresses.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::Path;

use super::Look;
use crate::diagnose::evidence::{Check, Of, Stage};
use crate::error::Code;
use crate::sys::address;

/// IFF_UP (linux/if.h).
const UP: u32 = 1;

pub fn look(look: Look<'_>) {
    let leased: Vec<IpAddr> =
        address::timed().unwrap_or_default().into_iter().map(|timed| timed.address).collect();
    for check in checks(&look.host.path("/sys/class/net"), &address::by_interface(), &leased) {
        look.tell(check);
    }
}

/// What the interfaces below `folder` are like, with these addresses, of which those in `leased` have an end.
fn checks(folder: &Path, addresses: &BTreeMap<String, Vec<IpAddr>>, leased: &[IpAddr]) -> Vec<Check> {
    let names = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> =
        names.filter(|name| name != "lo" && folder.join(name).join("flags").exists()).collect();
    names.sort();
    if names.is_empty() {
        let why = "there is none but loopback";
        return vec![Check::bad(Stage::Carrier, Of::Node, "network interfaces", Code::LinkMissing, why)];
    }
    let none = Vec::new();
    names
        .iter()
        .flat_map(|name| {
            let addresses = addresses.get(name).unwrap_or(&none);
            [carrier(&folder.join(name), name), address(&folder.join(name), name, addresses, leased)]
        })
        .collect()
}

fn read(folder: &Path, name: &str) -> Option<String> {
    Some(fs::read_to_string(folder.join(name)).ok()?.trim().to_owned())
}

/// The kernel tells the carrier of an interface that is set up, and refuses for one that is not.
fn has_carrier(folder: &Path) -> Option<bool> {
    read(folder, "carrier").map(|carrier| carrier == "1")
}

fn carrier(folder: &Path, name: &str) -> Check {
    let flags =
        read(folder, "flags").and_then(|flags| u32::from_str_radix(flags.trim_start_matches("0x"), 16).ok());
    if flags.is_some_and(|flags| flags & UP == 0) {
        return Check::open(Stage::Carrier, Of::Interface, name, "nobody has set it up");
    }
    let mtu = read(folder, "mtu").map_or_else(String::new, |mtu| format!(", MTU {mtu}"));
    match has_carrier(folder) {
        Some(true) => {
            // -1, or an error: it does not know.
            let speed = read(folder, "speed").filter(|speed| !speed.starts_with('-'));
            let speed = speed.map_or_else(String::new, |speed| format!(", {speed} Mbit/s"));
            Check::ok(Stage::Carrier, Of::Interface, name, format!("carrier{speed}{mtu}"))
        }
        Some(false) => {
            Check::bad(Stage::Carrier, Of::Interface, name, Code::LinkDown, format!("no carrier{mtu}"))
        }
        None => Check::unseen(Stage::Carrier, Of::Interface, name, "the kernel does not tell"),
    }
}

fn address(folder: &Path, name: &str, addresses: &[IpAddr], leased: &[IpAddr]) -> Check {
    if !addresses.is_empty() {
        let addresses = addresses.iter().map(|address| {
            format!("{address} ({})", if leased.contains(address) { "leased" } else { "static" })
        });
        let addresses: Vec<String> = addresses.collect();
        return Check::ok(Stage::Address, Of::Interface, name, addresses.join(", "));
    }
    let above = fs::read_dir(folder).into_iter().flatten().flatten().find_map(|entry| {
        let entry = entry.file_name().into_string().ok()?;
        entry.strip_prefix("upper_").map(str::to_owned)
    });
    match (above, has_carrier(folder)) {
        (Some(above), _) => {
            Check::unseen(Stage::Address, Of::Interface, name, format!("it is a part of {above}"))
        }
        (None, Some(true)) => {
            let why = "none; it has a cable: nothing answered to DHCP, or nobody asked";
            Check::bad(Stage::Address, Of::Interface, name, Code::NoAddress, why)
        }
        (None, _) => Check::open(Stage::Address, Of::Interface, name, "none, nor a carrier"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::evidence::Outcome;

    fn interface(root: &Path, name: &str, files: &[(&str, &str)]) {
        let folder = root.join(name);
        fs::create_dir_all(&folder).unwrap();
        for (file, text) in files {
            fs::write(folder.join(file), text).unwrap();
        }
    }

    #[test]
    fn interfaces_are_told_with_what_they_lack() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path();
        assert_eq!(checks(folder, &BTreeMap::new(), &[])[0].code.as_deref(), Some("link-missing"));
        fs::write(folder.join("bonding_masters"), "bond0\n").unwrap();
        interface(folder, "lo", &[("flags", "0x9\n"), ("carrier", "1\n")]);
        interface(
            folder,
            "eth0",
            &[("flags", "0x1003\n"), ("carrier", "1\n"), ("mtu", "9000\n"), ("speed", "25000\n")],
        );
        interface(folder, "eth1", &[("flags", "0x1003\n"), ("carrier", "0\n"), ("speed", "-1\n")]);
        interface(folder, "eth2", &[("flags", "0x1002\n")]);
        interface(folder, "eth3", &[("flags", "0x1003\n"), ("carrier", "1\n"), ("speed", "-1\n")]);
        interface(folder, "eth4", &[("flags", "0x1803\n"), ("carrier", "1\n"), ("upper_bond0", "")]);
        let addresses: Vec<IpAddr> = ["10.0.0.9", "fd00::9"].map(|text| text.parse().unwrap()).into();
        let leased = vec![addresses[0]];
        let found = checks(folder, &BTreeMap::from([("eth0".into(), addresses)]), &leased);
        let told: Vec<_> = found
            .iter()
            .map(|check| (check.object.as_str(), check.outcome, check.code.as_deref(), check.found.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                ("eth0", Outcome::Ok, None, "carrier, 25000 Mbit/s, MTU 9000"),
                ("eth0", Outcome::Ok, None, "10.0.0.9 (leased), fd00::9 (static)"),
                ("eth1", Outcome::Bad, Some("link-down"), "no carrier"),
                ("eth1", Outcome::Open, None, "none, nor a carrier"),
                ("eth2", Outcome::Open, None, "nobody has set it up"),
                ("eth2", Outcome::Open, None, "none, nor a carrier"),
                ("eth3", Outcome::Ok, None, "carrier"),
                (
                    "eth3",
                    Outcome::Bad,
                    Some("no-address"),
                    "none; it has a cable: nothing answered to DHCP, or nobody asked"
                ),
                ("eth4", Outcome::Ok, None, "carrier"),
                ("eth4", Outcome::Unseen, None, "it is a part of bond0"),
            ]
        );
    }
}
