//! The cable to the node, and DHCP on it.

use std::fs;
use std::path::Path;

use super::SERVER;
use super::service::Service;
use crate::chroot::Root;
use crate::command;
use crate::error::{At, Result};

/// The host's end of the cable.
const TAP: &str = "node0";

/// Where the builder has iPXE for UEFI.
const IPXE: &str = "/usr/lib/ipxe";

/// What dnsmasq is told where no site says it: addresses, and `http/boot.ipxe` of the scenario for those who ask.
pub const PLAIN: &str = "\
dhcp-range=198.18.0.100,198.18.0.150,12h
dhcp-match=set:ipxe,175
dhcp-match=set:uefi,option:client-arch,7
dhcp-boot=tag:ipxe,http://198.18.0.1:8080/boot.ipxe
dhcp-boot=tag:uefi,tag:!ipxe,snponly.efi
";
/// What iPXE for UEFI is called in that folder.
pub const UEFI_LOADER: &str = "snponly.efi";

/// The cable.
pub struct Link<'a> {
    tools: &'a Root,
    log: &'a Path,
}

impl<'a> Link<'a> {
    /// Lays it, in the network namespace of the calling thread.
    pub fn lay(tools: &'a Root, log: &'a Path) -> Result<Link<'a>> {
        let link = Link { tools, log };
        link.ip(&["link", "set", "lo", "up"])?;
        link.ip(&["tuntap", "add", "dev", TAP, "mode", "tap"])?;
        link.ip(&["address", "add", &format!("{SERVER}/24"), "dev", TAP])?;
        link.set(true)?;
        Ok(link)
    }

    /// The interface's name.
    pub fn name(&self) -> &'static str {
        TAP
    }

    /// Pulls the cable, or puts it back.
    pub fn set(&self, up: bool) -> Result<()> {
        self.ip(&["link", "set", TAP, if up { "up" } else { "down" }])
    }

    fn ip(&self, words: &[&str]) -> Result<()> {
        command::run(self.tools.command("ip").args(words), self.log)
    }
}

/// A DHCP server for the node.
pub struct Dhcp(Service);

impl Dhcp {
    /// Starts it with `lines`, the part of its configuration that says who gets what; a node that asks too early asks
    /// again. It has iPXE for UEFI by TFTP.
    pub fn start(tools: &Root, folder: &Path, lines: &str) -> Result<Dhcp> {
        let leases = tools.inside(&folder.join("leases"))?;
        let configuration = folder.join("dnsmasq.conf");
        fs::write(&configuration, lines).at("write", &configuration)?;
        let mut dnsmasq = tools.command("dnsmasq");
        dnsmasq.args(["--keep-in-foreground", "--log-facility=-", "--user=root"]);
        dnsmasq.arg(format!("--conf-file={}", tools.inside(&configuration)?.display()));
        // It would ping each address for three seconds before it offers it.
        dnsmasq.args(["--pid-file=", "--port=0", "--log-dhcp", "--no-ping"]);
        dnsmasq.arg(format!("--interface={TAP}")).args(["--enable-tftp", &format!("--tftp-root={IPXE}")]);
        dnsmasq.arg("--dhcp-authoritative").arg(format!("--dhcp-leasefile={}", leases.display()));
        Ok(Dhcp(Service::start("dnsmasq", &mut dnsmasq, &folder.join("dnsmasq.log"))?))
    }

    /// An error when it has ended.
    pub fn check(&mut self) -> Result<()> {
        self.0.check()
    }
}
