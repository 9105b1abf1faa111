//! Machines as their files say them: `== PATH` and its text, `-> LINK TARGET`.

use std::net::IpAddr;
use std::path::Path;

use super::lan::Bmc;
use super::live::Live;
use super::lldp::{Frame, Tlv};
use super::*;

/// What QEMU 7.2 with SeaBIOS makes of `-smbios type=1,… -smbios type=17,…`, read out of a guest.
const QEMU_TABLE: &[u8] = include_bytes!("../../tests/data/inspect/qemu.dmi");

/// Makes the files of a listing below `root`.
fn lay_out(root: &Path, listing: &str) {
    let place = |path: &str| {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    };
    let mut file = None;
    for line in listing.lines() {
        if let Some(path) = line.strip_prefix("== ") {
            file = Some(place(path));
            std::fs::write(file.as_ref().unwrap(), "").unwrap();
        } else if let Some((link, target)) = line.strip_prefix("-> ").and_then(|line| line.split_once(' ')) {
            std::os::unix::fs::symlink(target, place(link)).unwrap();
        } else {
            let mut text = std::fs::read_to_string(file.as_ref().unwrap()).unwrap();
            text.push_str(&format!("{line}\n"));
            std::fs::write(file.as_ref().unwrap(), text).unwrap();
        }
    }
}

fn machine(listing: &str) -> (tempfile::TempDir, Host, Facts) {
    let root = tempfile::tempdir().unwrap();
    lay_out(root.path(), listing);
    let (host, facts) = (Host::fake(root.path()), Facts::read(root.path()));
    (root, host, facts)
}

fn qemu() -> (tempfile::TempDir, Host, Facts) {
    let (root, host, facts) = machine(include_str!("../../tests/data/inspect/qemu.txt"));
    let table = root.path().join("sys/firmware/dmi/tables/DMI");
    std::fs::create_dir_all(table.parent().unwrap()).unwrap();
    std::fs::write(table, QEMU_TABLE).unwrap();
    (root, host, facts)
}

#[test]
fn a_guest_of_qemu() {
    let (_root, host, facts) = qemu();
    let frame = Frame {
        tlvs: vec![Tlv(1, vec![4, 1, 2, 3, 4, 5, 6]), Tlv(2, b"\x05ge-0/0/7".to_vec()), Tlv(3, vec![0, 120])],
    };
    let addresses = ["198.18.0.7", "fd00::7", "198.18.1.7"].map(|text| text.parse::<IpAddr>().unwrap());
    let live = Live {
        addresses: [("eth1".to_owned(), addresses.to_vec())].into(),
        permanent: [("eth1".to_owned(), "52:54:00:00:00:22".to_owned())].into(),
        heard: [("eth1".to_owned(), frame)].into(),
        bmc: Bmc { address: Some([10, 0, 0, 9].into()), ..Bmc::default() },
    };
    let found = read(&host, &facts, &live);
    let inventory = &found.inventory;
    assert_eq!((inventory.cpu.count, inventory.cpu.socket_count), (2, 2));
    assert_eq!(inventory.cpu.flags, ["fpu", "de", "pse", "aes", "avx2", "hypervisor"]);
    assert_eq!((inventory.memory.total, inventory.memory.physical_mb), (2_015_232 << 10, Some(2048)));
    let vendor = &inventory.system_vendor;
    assert_eq!(vendor.product_name.as_deref(), Some("Example"));
    assert_eq!(vendor.serial_number.as_deref(), Some("DL0001"));
    assert_eq!(vendor.firmware.build_date.as_deref(), Some("04/01/2014"));
    assert_eq!(found.diskless.board.asset_tag.as_deref(), Some("rack 7"));
    assert_eq!(found.diskless.memory_devices[0].speed_mts, Some(3200));
    assert_eq!(inventory.boot.current_boot_mode, "bios");
    assert_eq!(found.boot_interface.as_deref(), Some("52:54:00:00:00:02"));
    assert_eq!(found.diskless.tpm, Some(inventory::Tpm { version: Some("2.0") }));
    assert_eq!(found.diskless.gpus.iter().map(|gpu| gpu.bus.as_str()).collect::<Vec<_>>(), ["0000:00:01.0"]);

    let disks: Vec<_> =
        inventory.disks.iter().map(|disk| (disk.name.as_str(), disk.transport, disk.size)).collect();
    assert_eq!(disks, [("/dev/nvme0n1", Some("nvme"), 1 << 30), ("/dev/sda", Some("iscsi"), 4 << 30)]);
    let image = &inventory.disks[1];
    assert_eq!((image.wwn.as_deref(), image.hctl.as_deref()), (Some("0x6000000000000000"), Some("2:0:0:1")));
    assert_eq!(image.wwn_with_extension.as_deref(), Some("0x60000000000000000e00000000010001"));
    assert_eq!(image.wwn_vendor_extension.as_deref(), Some("0x0e00000000010001"));
    let by_path = "/dev/disk/by-path/ip-198.18.0.1:3260-iscsi-iqn.2026-01.org.example:image-lun-1";
    assert_eq!(image.by_path.as_deref(), Some(by_path));
    assert_eq!(inventory.disks[0].serial.as_deref(), Some("N0001"));

    let [down, up] = inventory.interfaces.as_slice() else { panic!("two interfaces") };
    assert_eq!(
        (down.has_carrier, down.speed_mbps, down.pci_address.as_deref()),
        (false, None, Some("0000:00:02.0"))
    );
    assert_eq!((up.has_carrier, up.speed_mbps, up.mtu), (true, Some(1000), Some(9000)));
    assert_eq!(
        (up.ipv4_address.as_deref(), up.ipv6_address.as_deref()),
        (Some("198.18.0.7"), Some("fd00::7"))
    );
    assert_eq!((up.vendor.as_deref(), up.driver.as_deref()), (Some("0x8086"), Some("e1000e")));
    assert_eq!(up.neighbour.as_ref().unwrap().port_id.as_deref(), Some("ge-0/0/7"));

    let text = describe(&found);
    for part in [
        "QEMU, Example, serial DL0001",
        "bios, SeaBIOS, 1.16.2-debian-1.16.2-1, 04/01/2014, secure boot not there, TPM 2.0",
        "10.0.0.9",
        "2 threads in 2 sockets, x86_64, aes avx2 hypervisor",
        "2048 MiB plugged in, 1968 MiB usable",
        "of its own 52:54:00:00:00:22, link, 1000 Mbit/s, MTU 9000, e1000e, 0x8086:0x10d3, 198.18.0.7 fd00::7 198.18.1.7, booted from",
        "eth1: at 01:02:03:04:05:06, port ge-0/0/7",
        "eth0, 52:54:00:00:00:01, NO LINK",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(
        !text.contains("hunter2") && !serde_json::to_string(&found).unwrap().contains("hunter2"),
        "{text}"
    );
}

/// The members, by name, are those of Ironic's agent: its "Hardware Inventory", and "Inspection data" of Ironic 2024.2.
#[test]
fn the_shapes_are_ironics() {
    let (_root, host, facts) = qemu();
    let json = serde_json::to_value(read(&host, &facts, &Live::default())).unwrap();
    let inventory = &json["inventory"];
    let has = |value: &serde_json::Value, names: &[&str]| {
        for name in names {
            assert!(value.get(name).is_some(), "{name} in {value}");
        }
    };
    has(
        inventory,
        &[
            "interfaces",
            "cpu",
            "disks",
            "memory",
            "bmc_address",
            "bmc_v6address",
            "system_vendor",
            "boot",
            "hostname",
        ],
    );
    let interface = [
        "name",
        "mac_address",
        "ipv4_address",
        "ipv6_address",
        "has_carrier",
        "lldp",
        "vendor",
        "product",
        "client_id",
        "biosdevname",
        "speed_mbps",
    ];
    has(&inventory["interfaces"][0], &interface);
    let disk = [
        "name",
        "model",
        "size",
        "rotational",
        "wwn",
        "serial",
        "vendor",
        "wwn_with_extension",
        "wwn_vendor_extension",
        "hctl",
        "by_path",
        "uuid",
    ];
    has(&inventory["disks"][0], &disk);
    has(&inventory["cpu"], &["model_name", "frequency", "count", "architecture", "flags"]);
    has(&inventory["memory"], &["total", "physical_mb"]);
    has(&inventory["system_vendor"], &["product_name", "serial_number", "manufacturer", "firmware"]);
    has(&inventory["system_vendor"]["firmware"], &["vendor", "version", "build_date"]);
    has(&inventory["boot"], &["current_boot_mode", "pxe_interface"]);
    has(&json["pci_devices"][0], &["vendor_id", "product_id", "class", "revision", "bus", "numa_node_id"]);
    assert!(inventory["bmc_address"].is_null() && inventory["interfaces"][0]["lldp"].is_null());
}

#[test]
fn a_machine_without_smbios() {
    let (_root, host, facts) = machine(include_str!("../../tests/data/inspect/firecracker.txt"));
    let found = read(&host, &facts, &Live::default());
    let inventory = &found.inventory;
    assert_eq!(inventory.cpu.model_name.as_deref(), Some("AMD EPYC"));
    assert_eq!((inventory.cpu.count, inventory.cpu.socket_count), (2, 1));
    assert_eq!(inventory.system_vendor, inventory::SystemVendor::default());
    let [disk] = inventory.disks.as_slice() else { panic!("one disk") };
    assert_eq!((disk.name.as_str(), disk.transport, disk.size), ("/dev/vda", Some("virtio"), 256 << 30));
    let names: Vec<_> = inventory.interfaces.iter().map(|interface| interface.name.as_str()).collect();
    assert_eq!((names.as_slice(), inventory.interfaces[0].speed_mbps), (["eth0"].as_slice(), None));
    assert!(describe(&found).contains("system     unknown"));
    let nothing = tempfile::tempdir().unwrap();
    let found = read(&Host::fake(nothing.path()), &Facts::default(), &Live::default());
    assert!(found.inventory.disks.is_empty() && describe(&found).contains("0 MiB usable"));
}

#[test]
fn what_firmware_vouches_for() {
    let global = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
    for (secure, setup, expected) in [
        (Some(1), Some(0), inventory::SecureBoot::Enabled),
        (Some(0), Some(0), inventory::SecureBoot::Disabled),
        (Some(0), Some(1), inventory::SecureBoot::Setup),
        (None, None, inventory::SecureBoot::Unknown),
    ] {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("sys/firmware/efi/efivars");
        std::fs::create_dir_all(&folder).unwrap();
        for (name, value) in [("SecureBoot", secure), ("SetupMode", setup)] {
            if let Some(value) = value {
                std::fs::write(folder.join(format!("{name}-{global}")), [6, 0, 0, 0, value]).unwrap();
            }
        }
        assert_eq!(boot::secure_boot(root.path()), expected);
        assert_eq!(boot::read(root.path(), &Cmdline::default()).current_boot_mode, "uefi");
    }
    for (value, expected) in [
        ("01-52-54-00-00-00-02", Some("52:54:00:00:00:02")),
        ("52:54:00:AB:00:02", Some("52:54:00:ab:00:02")),
        ("eth0", None),
    ] {
        assert_eq!(boot::bootif(value).as_deref(), expected, "{value}");
    }
}

#[test]
fn memory_without_modules_is_what_the_firmware_maps() {
    let root = tempfile::tempdir().unwrap();
    let listing = "== sys/firmware/memmap/0/start\n0x0\n== sys/firmware/memmap/0/end\n0x3fffffff\n== sys/firmware/memmap/0/type\nSystem RAM\n\
                   == sys/firmware/memmap/1/start\n0x40000000\n== sys/firmware/memmap/1/end\n0x4fffffff\n== sys/firmware/memmap/1/type\nReserved\n";
    lay_out(root.path(), listing);
    let memory = memory::read(root.path(), &Facts::default(), &smbios::Smbios::default());
    assert_eq!(memory.physical_mb, Some(1024));
}

#[test]
fn a_port_of_infiniband_is_known_by_its_guid() {
    let root = tempfile::tempdir().unwrap();
    let facts = Facts {
        interfaces: vec![crate::input::facts::Interface {
            name: "ib0".into(),
            mac: "80:00:00:48:fe:80:00:00:00:00:00:00:00:02:c9:03:00:00:10:3b".into(),
        }],
        ..Facts::default()
    };
    let found = interface::read(root.path(), &facts, &Live::default());
    assert_eq!(found[0].mac_address, "00:02:c9:00:10:3b");
    assert_eq!(
        found[0].client_id.as_deref(),
        Some("ff:00:00:00:00:00:02:00:00:02:c9:00:00:02:c9:03:00:00:10:3b")
    );
}
