//! `disklessd dhcp`: what the site's DHCP server has to know.

use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt as _};

use super::{CONFIG, Failed, print};
use crate::dhcp::{Dhcp, Loaders, dnsmasq, isc, kea};
use crate::error::Error;
use crate::site;

const HELP: &str = "\
usage: disklessd dhcp --format dnsmasq|kea|isc [--config FILE] [--tftp ADDRESS] [--bios FILE] [--uefi FILE]

Prints what the site's DHCP server has to know: networks, the nodes' addresses and names, iPXE for firmware, the boot
script for iPXE. Networks without pool and nodes, and IPv6, are left out.

  --format FORMAT  dnsmasq: a file for its conf-dir; kea: a configuration of kea-dhcp4; isc: a file to include in
                   dhcpd.conf
  --config FILE    the site's file (/etc/disklessd/site.toml)
  --tftp ADDRESS   the TFTP server that has iPXE; else the address in server.url, or the DHCP server itself
  --bios FILE      what iPXE for BIOS is called there (undionly.kpxe)
  --uefi FILE      what iPXE for UEFI is called there (ipxe.efi)
";

/// Prints it.
pub fn main(args: &mut Parser) -> Result<(), Failed> {
    let (mut write, mut config, mut loaders) = (None, PathBuf::from(CONFIG), Loaders::default());
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("format") => write = Some(args.value()?.parse_with(format)?),
            Arg::Long("config") => config = args.value()?.into(),
            Arg::Long("tftp") => loaders.tftp = Some(args.value()?.parse()?),
            Arg::Long("bios") => loaders.bios = args.value()?.string()?,
            Arg::Long("uefi") => loaders.uefi = args.value()?.string()?,
            Arg::Short('h') | Arg::Long("help") => return print(HELP),
            other => return Err(other.unexpected().into()),
        }
    }
    let write = write.ok_or_else(|| lexopt::Error::from("--format is missing"))?;
    let site = site::read(&config)?;
    for remark in &site.remarks {
        eprintln!("disklessd: warning: {}: {}", remark.object, remark.message);
    }
    let dhcp = Dhcp::of(&site, loaders).map_err(|message| Error::Site { path: config, message })?;
    print(&write(&dhcp))
}

fn format(name: &str) -> Result<fn(&Dhcp) -> String, &'static str> {
    match name {
        "dnsmasq" => Ok(dnsmasq::write),
        "kea" => Ok(kea::write),
        "isc" => Ok(isc::write),
        _ => Err("it is none of dnsmasq, kea and isc"),
    }
}
