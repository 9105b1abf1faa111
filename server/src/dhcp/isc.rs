//! In the words of dhcpd.conf(5).

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use super::{BIOS, Dhcp, UEFI, list};

/// A file for an `include` in `dhcpd.conf`.
pub fn write(dhcp: &Dhcp) -> String {
    let mut text = dhcp.head("#");
    text.push_str("\noption client-architecture code 93 = unsigned integer 16;\n");
    if let Some(tftp) = dhcp.loaders.tftp {
        let _ = writeln!(text, "next-server {tftp};");
    }
    let is = |number: &u16| format!("option client-architecture = 00:{number:02x}");
    let _ = writeln!(
        text,
        "if exists user-class and option user-class = \"iPXE\" {{\n    filename \"{}\";\n\
         }} elsif {} {{\n    filename \"{}\";\n}} elsif {} {{\n    filename \"{}\";\n}}",
        dhcp.script,
        is(&BIOS),
        dhcp.loaders.bios,
        UEFI.iter().map(is).collect::<Vec<_>>().join(" or "),
        dhcp.loaders.uefi,
    );

    for (name, subnet) in &dhcp.subnets {
        let (network, mask) = (subnet.address.network(), subnet.address.netmask());
        let _ = writeln!(text, "\n# {}\nsubnet {network} netmask {mask} {{", name.escape_debug());
        let mut line = |what: &str, value: String| {
            let _ = writeln!(text, "    {what} {value};");
        };
        if let Some((first, last)) = subnet.pool {
            line("range", format!("{first} {last}"));
        }
        if let Some(router) = subnet.router {
            line("option routers", router.to_string());
        }
        if !subnet.dns.is_empty() {
            line("option domain-name-servers", list(&subnet.dns, ", "));
        }
        if let Some(mtu) = subnet.mtu {
            line("option interface-mtu", mtu.to_string());
        }
        text.push_str("}\n");
    }

    text.push('\n');
    for (number, host) in (1..).zip(&dhcp.hosts) {
        let addresses: Vec<Ipv4Addr> = host.addresses.values().flatten().copied().collect();
        let fixed = match addresses.is_empty() {
            true => String::new(),
            // dhcpd takes the one that fits the network.
            false => format!(" fixed-address {};", list(&addresses, ", ")),
        };
        // A declaration's name is to be its own; a node has as many as interfaces.
        let _ = writeln!(
            text,
            "host {}-{number} {{ hardware ethernet {};{fixed} option host-name \"{}\"; }}",
            host.name, host.mac, host.name
        );
    }
    text
}
