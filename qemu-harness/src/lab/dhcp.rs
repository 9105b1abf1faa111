//! Addresses for the node: DHCP, and router advertisements where there is IPv6.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::network::{bridge, subnets};
use super::service::Service;
use crate::chroot::Root;
use crate::error::{At, Result};
use crate::scenario::Network;

/// Where the builder has iPXE for UEFI.
const IPXE: &str = "/usr/lib/ipxe";

/// What dnsmasq tells those who ask what to boot: `http/boot.ipxe` of the scenario.
const BOOT: &str = "\
dhcp-match=set:ipxe,175
dhcp-match=set:uefi,option:client-arch,7
dhcp-boot=tag:ipxe,http://198.18.0.1:8080/boot.ipxe
dhcp-boot=tag:uefi,tag:!ipxe,snponly.efi
";
/// What iPXE for UEFI is called in that folder.
pub const UEFI_LOADER: &str = "snponly.efi";

/// What dnsmasq is told of subnet 0 where no site says it.
pub fn plain(network: &Network) -> String {
    format!("dhcp-range=198.18.0.100,198.18.0.150,{}\n{BOOT}", network.lease)
}

/// A DHCP server for the node.
pub struct Dhcp(Service);

impl Dhcp {
    /// Starts it with `lines`, the part of its configuration that says who gets what in subnet 0; a node that asks too
    /// early asks again. It has iPXE for UEFI by TFTP.
    pub fn start(tools: &Root, folder: &Path, network: &Network, lines: &str) -> Result<Dhcp> {
        let leases = tools.inside(&folder.join("leases"))?;
        let configuration = folder.join("dnsmasq.conf");
        fs::write(&configuration, lines.to_owned() + &more(network)).at("write", &configuration)?;
        let mut dnsmasq = tools.command("dnsmasq");
        dnsmasq.args(["--keep-in-foreground", "--log-facility=-", "--user=root"]);
        dnsmasq.arg(format!("--conf-file={}", tools.inside(&configuration)?.display()));
        // It would ping each address for three seconds before it offers it.
        dnsmasq.args(["--pid-file=", "--port=0", "--log-dhcp", "--no-ping"]);
        for subnet in subnets(network) {
            dnsmasq.arg(format!("--interface={}", bridge(subnet)));
        }
        dnsmasq.args(["--enable-tftp", &format!("--tftp-root={IPXE}")]);
        dnsmasq.arg("--dhcp-authoritative").arg(format!("--dhcp-leasefile={}", leases.display()));
        Ok(Dhcp(Service::start("dnsmasq", &mut dnsmasq, &folder.join("dnsmasq.log"))?))
    }

    /// An error when it has ended.
    pub fn check(&mut self) -> Result<()> {
        self.0.check()
    }
}

/// The lines for the other subnets, and for IPv6 in all of them. Only subnet 0 has a router: two would compete.
fn more(network: &Network) -> String {
    let mut lines = String::new();
    for subnet in subnets(network) {
        if network.dhcp && subnet > 0 {
            let _ = writeln!(
                lines,
                "dhcp-range=set:subnet{subnet},198.18.{subnet}.100,198.18.{subnet}.150,{}\n\
                 dhcp-option=tag:subnet{subnet},option:router",
                network.lease
            );
        }
        if network.ipv6 {
            let _ = writeln!(lines, "dhcp-range=fd00:198:18:{subnet}::,ra-only");
        }
    }
    if network.ipv6 {
        lines += "enable-ra\n";
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Link;

    #[test]
    fn each_subnet_has_addresses_and_one_a_router() {
        let links = vec![Link::default(), Link { subnet: 3, ..Link::default() }];
        let network = Network { links, ..Network::default() };
        assert_eq!(more(&Network::default()), "");
        let lines = more(&network);
        assert!(lines.contains("198.18.3.100") && lines.contains("tag:subnet3,option:router\n"), "{lines}");
        let lines = more(&Network { dhcp: false, ipv6: true, ..network });
        assert!(!lines.contains("198.18.") && lines.contains("fd00:198:18:3::,ra-only\n"), "{lines}");
        assert!(lines.ends_with("enable-ra\n"), "{lines}");
    }
}
