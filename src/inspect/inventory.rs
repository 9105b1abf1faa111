//! What an inspection says: the members and shapes that Ironic's agent posts to `/v1/continue` of ironic-inspector and to
//! `/v1/continue_inspection` of Ironic (the agent's "How it works" in its documentation, "Inspection data" in Ironic's), so
//! that it can be posted there as it is. Ironic takes `inventory` and keeps all else as `plugin_data`. What there is not is
//! `null`, as the agent has it.

use serde::Serialize;

use super::lldp::{Neighbour, Tlv};

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// The hardware.
    pub inventory: Inventory,
    /// The MAC of the interface that the node booted from, for old inspectors; [`Boot::pxe_interface`].
    pub boot_interface: Option<String>,
    /// All PCI devices, as the agent's collector `pci-devices` says them.
    pub pci_devices: Vec<PciDevice>,
    /// What switches said by interface, as the agent's collector `lldp` says it.
    pub lldp_raw: std::collections::BTreeMap<String, Vec<Tlv>>,
    /// What Ironic has no member for.
    pub diskless: More,
}

/// The hardware.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inventory {
    /// The physical network interfaces, by name.
    pub interfaces: Vec<Interface>,
    /// The processors.
    pub cpu: Cpu,
    /// The disks, by name.
    pub disks: Vec<Disk>,
    /// The memory.
    pub memory: Memory,
    /// The BMC's IPv4 address.
    pub bmc_address: Option<String>,
    /// Its IPv6 address.
    pub bmc_v6address: Option<String>,
    /// Its MAC address.
    pub bmc_mac: Option<String>,
    /// The machine, by SMBIOS.
    pub system_vendor: SystemVendor,
    /// How it was booted.
    pub boot: Boot,
    /// Its name now.
    pub hostname: String,
}

/// A network interface. The members from `permanent_mac_address` on are ours.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Interface {
    /// `eth0`
    pub name: String,
    /// Lower case with colons. Of InfiniBand the six octets that Ironic makes of the port's GUID.
    pub mac_address: String,
    /// The first that is not link-local.
    pub ipv4_address: Option<String>,
    /// The same.
    pub ipv6_address: Option<String>,
    /// Whether there is a link.
    pub has_carrier: bool,
    /// What the switch says, type and hexadecimal value; none: it was not heard.
    pub lldp: Option<Vec<Tlv>>,
    /// The maker, `0x8086`.
    pub vendor: Option<String>,
    /// The device, `0x1572`.
    pub product: Option<String>,
    /// The DHCP client identifier of InfiniBand (RFC 4390).
    pub client_id: Option<String>,
    /// Always none: no program asks the firmware for names any more.
    pub biosdevname: Option<String>,
    /// Megabits a second.
    pub speed_mbps: Option<u32>,
    /// The address in the card, whatever it was told to use since; as the kernel writes it.
    pub permanent_mac_address: Option<String>,
    /// Bytes.
    pub mtu: Option<u32>,
    /// `i40e`
    pub driver: Option<String>,
    /// Where it is plugged in, `0000:3b:00.0`.
    pub pci_address: Option<String>,
    /// All addresses but the link-local ones.
    pub addresses: Vec<String>,
    /// What the switch says, read.
    pub neighbour: Option<Neighbour>,
}

/// The processors.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Cpu {
    /// `AMD EPYC 7543 32-Core Processor`
    pub model_name: Option<String>,
    /// The highest, in MHz, as text: `2800.0000`.
    pub frequency: Option<String>,
    /// Hardware threads that run.
    pub count: usize,
    /// As `uname -m` says it.
    pub architecture: String,
    /// In the kernel's words.
    pub flags: Vec<String>,
    /// Sockets.
    pub socket_count: usize,
}

/// A disk. `transport` is ours.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Disk {
    /// `/dev/sda`
    pub name: String,
    /// What it calls itself.
    pub model: Option<String>,
    /// Bytes.
    pub size: u64,
    /// It has a spindle.
    pub rotational: bool,
    /// `0x5000c500...`, without an extension.
    pub wwn: Option<String>,
    /// Its serial number.
    pub serial: Option<String>,
    /// Its maker.
    pub vendor: Option<String>,
    /// The same and more, where the disk says it (NAA 6).
    pub wwn_with_extension: Option<String>,
    /// That more.
    pub wwn_vendor_extension: Option<String>,
    /// Host, channel, target and LUN of SCSI, `0:0:1:0`.
    pub hctl: Option<String>,
    /// `/dev/disk/by-path/...`
    pub by_path: Option<String>,
    /// Always none: it would be a partition's.
    pub uuid: Option<String>,
    /// `iscsi`, `nvme`, `usb`, `virtio`, `sata`, `scsi`: a disk of another machine is told from the node's own.
    pub transport: Option<&'static str>,
}

/// The memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// What the kernel has to use, in bytes.
    pub total: u64,
    /// What is plugged in, in MiB.
    pub physical_mb: Option<u64>,
}

/// The machine, by SMBIOS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SystemVendor {
    /// `PowerEdge R6525`
    pub product_name: Option<String>,
    /// Its serial number.
    pub serial_number: Option<String>,
    /// `Dell Inc.`
    pub manufacturer: Option<String>,
    /// Its firmware.
    pub firmware: Firmware,
}

/// The firmware.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Firmware {
    /// Who made it.
    pub vendor: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// When it was made, `12/07/2022`.
    pub build_date: Option<String>,
}

/// How the node was booted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Boot {
    /// `bios` or `uefi`.
    pub current_boot_mode: &'static str,
    /// The MAC address in `BOOTIF=`.
    pub pxe_interface: Option<String>,
}

/// A PCI device; numbers in hexadecimal digits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PciDevice {
    /// `10de`
    pub vendor_id: String,
    /// `20b0`
    pub product_id: String,
    /// Class, subclass and interface: `030200`.
    pub class: String,
    /// `a1`
    pub revision: Option<String>,
    /// `0000:3b:00.0`
    pub bus: String,
    /// The kernel's number of the memory it is next to, `-1`: none.
    pub numa_node_id: Option<String>,
}

impl PciDevice {
    /// Whether it is a display controller, which is what GPUs are (PCI Code and ID Assignment, class 03).
    pub fn is_display(&self) -> bool {
        self.class.starts_with("03")
    }
}

/// What Ironic has no member for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct More {
    /// Of the agent.
    pub version: &'static str,
    /// The kernel's random id of this boot.
    pub boot_id: String,
    /// The system UUID of SMBIOS.
    pub uuid: Option<String>,
    /// Its release.
    pub kernel: String,
    /// Without what could be a secret.
    pub command_line: String,
    /// The main board.
    pub board: Case,
    /// What it is in.
    pub chassis: Case,
    /// Of UEFI.
    pub secure_boot: SecureBoot,
    /// The trusted platform module.
    pub tpm: Option<Tpm>,
    /// Display controllers, those of BMCs among them.
    pub gpus: Vec<PciDevice>,
    /// Memory modules.
    pub memory_devices: Vec<MemoryDevice>,
    /// Where Redfish is to be had from inside (SMBIOS type 42).
    pub redfish: Option<Redfish>,
}

/// A board or chassis.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Case {
    /// Who made it.
    pub manufacturer: Option<String>,
    /// What it is.
    pub product: Option<String>,
    /// Its serial number.
    pub serial: Option<String>,
    /// What its owner calls it.
    pub asset_tag: Option<String>,
}

/// Whether firmware checks what it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SecureBoot {
    /// It does.
    Enabled,
    /// It does not.
    Disabled,
    /// It has no platform key yet, and does not.
    Setup,
    /// There is none: the node was not booted by UEFI.
    None,
    /// UEFI's variables cannot be read.
    Unknown,
}

/// A trusted platform module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tpm {
    /// `2.0`, `1.2`; none: the kernel does not tell.
    pub version: Option<&'static str>,
}

/// A memory module.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct MemoryDevice {
    /// Where it is plugged in.
    pub locator: Option<String>,
    /// MiB.
    pub size_mb: u64,
    /// Megatransfers a second, at its best.
    pub speed_mts: Option<u16>,
    /// Who made it.
    pub manufacturer: Option<String>,
    /// What it is.
    pub part: Option<String>,
}

/// Where Redfish is to be had from inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Redfish {
    /// The service's address.
    pub address: String,
    /// Its port.
    pub port: u16,
}
