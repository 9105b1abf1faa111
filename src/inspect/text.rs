//! An inspection for people.

use std::fmt::Write as _;

use super::inventory::{Case, Disk, Inspection, Interface, MemoryDevice, PciDevice, SecureBoot};

/// The flags of a processor that decide what a program may be built for, or how fast a disk is opened.
const FLAGS: &[&str] = &[
    "aes",
    "vaes",
    "avx",
    "avx2",
    "avx512f",
    "avx512_bf16",
    "avx512_fp16",
    "amx_tile",
    "sha_ni",
    "vmx",
    "svm",
    "hypervisor",
    "sve",
    "sve2",
    "asimd",
    "rdrand",
];

/// A line for each thing.
pub fn describe(found: &Inspection) -> String {
    let mut text = String::new();
    let mut line = |name: &str, what: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", plain(format!("{name:<10} {what}").trim_end()));
    };
    let (inventory, more) = (&found.inventory, &found.diskless);
    line("node", known([Some(&inventory.hostname), more.uuid.as_ref()]));
    let vendor = &inventory.system_vendor;
    let serial = vendor.serial_number.as_ref().map(|serial| format!("serial {serial}"));
    line("system", known([vendor.manufacturer.as_ref(), vendor.product_name.as_ref(), serial.as_ref()]));
    for (name, case) in [("board", &more.board), ("chassis", &more.chassis)] {
        if *case != Case::default() {
            line(name, self::case(case));
        }
    }
    let firmware = &vendor.firmware;
    let mode = inventory.boot.current_boot_mode.to_owned();
    let secure = format!("secure boot {}", secure(more.secure_boot));
    let tpm = more.tpm.as_ref().map(|tpm| format!("TPM {}", tpm.version.unwrap_or("of an unknown version")));
    let no_tpm = "no TPM".to_owned();
    line(
        "firmware",
        known([
            Some(&mode),
            firmware.vendor.as_ref(),
            firmware.version.as_ref(),
            firmware.build_date.as_ref(),
            Some(&secure),
            Some(tpm.as_ref().unwrap_or(&no_tpm)),
        ]),
    );
    let bmc = [&inventory.bmc_address, &inventory.bmc_v6address, &inventory.bmc_mac];
    let redfish =
        more.redfish.as_ref().map(|service| format!("Redfish at {}, port {}", service.address, service.port));
    if bmc.iter().any(|known| known.is_some()) || redfish.is_some() {
        line("BMC", known(bmc.into_iter().map(Option::as_ref).chain([redfish.as_ref()])));
    }
    let cpu = &inventory.cpu;
    let count = format!("{} threads in {} sockets", cpu.count, cpu.socket_count);
    let flags: Vec<&str> =
        FLAGS.iter().copied().filter(|flag| cpu.flags.iter().any(|has| has == flag)).collect();
    line(
        "CPU",
        known([cpu.model_name.as_ref(), Some(&count), Some(&cpu.architecture), Some(&flags.join(" "))]),
    );
    let physical = inventory.memory.physical_mb.map(|mib| format!("{mib} MiB plugged in"));
    let usable = format!("{} MiB usable", inventory.memory.total >> 20);
    line("memory", known([physical.as_ref(), Some(&usable)]));
    more.memory_devices.iter().for_each(|module| line("module", self::module(module)));
    inventory.disks.iter().for_each(|disk| line("disk", self::disk(disk)));
    for interface in &inventory.interfaces {
        line("interface", self::interface(interface, found.boot_interface.as_deref()));
        if let Some(neighbour) = &interface.neighbour {
            let port = neighbour.port_id.as_ref().map(|port| format!("port {port}"));
            let vlan = neighbour.vlan.map(|vlan| format!("VLAN {vlan}"));
            let switch = neighbour.system_name.as_ref().or(neighbour.chassis_id.as_ref());
            let what = known([switch, port.as_ref(), neighbour.port_description.as_ref(), vlan.as_ref()]);
            line("", format!("{}: at {what}", interface.name));
        }
    }
    more.gpus.iter().for_each(|device| line("GPU", pci(device)));
    line("kernel", more.kernel.clone());
    line("cmdline", more.command_line.clone());
    text
}

/// What is known of something, with commas.
fn known<'a>(parts: impl IntoIterator<Item = Option<&'a String>>) -> String {
    let parts: Vec<&str> =
        parts.into_iter().flatten().map(String::as_str).filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { "unknown".to_owned() } else { parts.join(", ") }
}

fn secure(state: SecureBoot) -> &'static str {
    match state {
        SecureBoot::Enabled => "on",
        SecureBoot::Disabled => "off",
        SecureBoot::Setup => "off: no platform key",
        SecureBoot::None => "not there",
        SecureBoot::Unknown => "unknown: efivarfs cannot be read",
    }
}

fn case(case: &Case) -> String {
    let serial = case.serial.as_ref().map(|serial| format!("serial {serial}"));
    let tag = case.asset_tag.as_ref().map(|tag| format!("asset {tag}"));
    known([case.manufacturer.as_ref(), case.product.as_ref(), serial.as_ref(), tag.as_ref()])
}

fn module(module: &MemoryDevice) -> String {
    let size = format!("{} MiB", module.size_mb);
    let speed = module.speed_mts.map(|speed| format!("{speed} MT/s"));
    let parts = [module.locator.as_ref(), Some(&size), speed.as_ref(), module.manufacturer.as_ref()];
    known(parts.into_iter().chain([module.part.as_ref()]))
}

fn disk(disk: &Disk) -> String {
    let size = format!("{} MiB", disk.size >> 20);
    let transport = disk.transport.map(str::to_owned);
    let kind = if disk.rotational { "rotational" } else { "not rotational" }.to_owned();
    let serial = disk.serial.as_ref().map(|serial| format!("serial {serial}"));
    let wwn = disk.wwn_with_extension.as_ref().map(|wwn| format!("WWN {wwn}"));
    let hctl = disk.hctl.as_ref().map(|hctl| format!("[{hctl}]"));
    let name = [Some(&disk.name), Some(&size), transport.as_ref(), Some(&kind), disk.vendor.as_ref()];
    let more = [disk.model.as_ref(), serial.as_ref(), wwn.as_ref(), hctl.as_ref()];
    known(name.into_iter().chain(more))
}

fn interface(interface: &Interface, booted: Option<&str>) -> String {
    let speed = interface.speed_mbps.map(|speed| format!("{speed} Mbit/s"));
    let link = if interface.has_carrier { "link" } else { "NO LINK" }.to_owned();
    let mtu = interface.mtu.map(|mtu| format!("MTU {mtu}"));
    let device = interface.vendor.as_ref().zip(interface.product.as_ref());
    let device = device.map(|(vendor, product)| format!("{vendor}:{product}"));
    let own = interface.permanent_mac_address.as_ref().filter(|own| **own != interface.mac_address);
    let own = own.map(|own| format!("of its own {own}"));
    let booted = (booted == Some(&interface.mac_address)).then(|| "booted from".to_owned());
    let addresses = interface.addresses.join(" ");
    let name =
        [Some(&interface.name), Some(&interface.mac_address), own.as_ref(), Some(&link), speed.as_ref()];
    let more = [mtu.as_ref(), interface.driver.as_ref(), device.as_ref(), Some(&addresses), booted.as_ref()];
    known(name.into_iter().chain(more))
}

fn pci(device: &PciDevice) -> String {
    format!("{} {}:{} (class {})", device.bus, device.vendor_id, device.product_id, device.class)
}

/// Names in hardware are anybody's: nothing in them may move the cursor.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}
