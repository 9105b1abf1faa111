//! In the words of dnsmasq(8).

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use super::{BIOS, Dhcp, UEFI, list};

/// A file for its `conf-dir`.
pub fn write(dhcp: &Dhcp) -> String {
    let mut text = dhcp.head("#");
    for (name, subnet) in &dhcp.subnets {
        let tag = tag(name);
        let mask = subnet.address.netmask();
        let range = match subnet.pool {
            Some((first, last)) => format!("{first},{last},{mask}"),
            None => format!("{},static,{mask}", subnet.address.network()),
        };
        let _ = writeln!(text, "\ndhcp-range=set:{tag},{range},12h");
        let mut option = |option: &str, value: String| {
            let _ = writeln!(text, "dhcp-option=tag:{tag},option:{option}{value}");
        };
        // Without a value none is given: dnsmasq would give its own address.
        option("router", subnet.router.map(|router| format!(",{router}")).unwrap_or_default());
        if !subnet.dns.is_empty() {
            option("dns-server", format!(",{}", list(&subnet.dns, ",")));
        }
        if let Some(mtu) = subnet.mtu {
            option("mtu", format!(",{mtu}"));
        }
    }

    text.push_str(
        "\n# iPXE has a class of its own, firmware is told apart by its architecture (option 93).\n",
    );
    text.push_str("dhcp-userclass=set:ipxe,iPXE\ndhcp-match=set:ipxe,175\n");
    let _ = writeln!(text, "dhcp-match=set:bios,option:client-arch,{BIOS}");
    for architecture in UEFI {
        let _ = writeln!(text, "dhcp-match=set:uefi,option:client-arch,{architecture}");
    }
    let server = dhcp.loaders.tftp.map(|address| format!(",,{address}")).unwrap_or_default();
    let _ = writeln!(text, "dhcp-boot=tag:ipxe,{}", dhcp.script);
    let _ = writeln!(text, "dhcp-boot=tag:!ipxe,tag:bios,{}{server}", dhcp.loaders.bios);
    let _ = writeln!(text, "dhcp-boot=tag:!ipxe,tag:uefi,{}{server}", dhcp.loaders.uefi);

    text.push('\n');
    for host in &dhcp.hosts {
        let addresses: Vec<Ipv4Addr> = host.addresses.values().flatten().copied().collect();
        // A line for each: dnsmasq takes the one that fits the network.
        for address in &addresses {
            let _ = writeln!(text, "dhcp-host={},{address},{}", host.mac, host.name);
        }
        if addresses.is_empty() {
            let _ = writeln!(text, "dhcp-host={},{}", host.mac, host.name);
        }
    }
    text
}

/// A network's name as a tag.
fn tag(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect()
}
