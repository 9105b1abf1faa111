//! What the step writes, as docs/handover.md lists it.

/// A file that the step may write into the new root.
#[derive(Debug)]
pub struct Written {
    /// Its path; `NIC` stands for the name of an interface, `UNIT` for that of a unit.
    pub path: &'static str,
    /// When it is written.
    pub when: &'static str,
    /// Why, and for what.
    pub why: &'static str,
}

const fn file(path: &'static str, when: &'static str, why: &'static str) -> Written {
    Written { path, when, why }
}

const ALWAYS: &str = "always";
const IFUPDOWN: &str = "it has ifupdown (`networking.service`)";
const CLOUD: &str = "it has cloud-init";
const SEED: &str = "it has cloud-init, and the plan `cloud_init`";
const MAP: &str = "the plan has a map";

/// All of them but the files of the plan's own.
pub const WRITTEN: &[Written] = &[
    file(
        "/etc/hostname",
        "the node has a name",
        "the plan's `hostname`, else what DHCP or the kernel called the node",
    ),
    file(
        "/etc/iscsi/initiatorname.iscsi",
        ALWAYS,
        "for logins of the image's own: iscsid takes the name of the root's sessions from the kernel. open-iscsi's \
         start fails without the file. Mode 0600",
    ),
    file(
        "/etc/iscsi/iscsid.conf",
        ALWAYS,
        "the lines of the plan's settings (timers by the number of paths) and accounts in place of the image's: iscsid \
         goes by the timers here for sessions without a node record. Mode 0600",
    ),
    file(
        "/etc/fstab",
        "it has lines for devices that the node does not have, for what diskless has mounted, for the disk of the root, or \
         for swap",
        "systemd would wait 90 s for each, and fail; see [fstab and crypttab](#fstab-and-crypttab)",
    ),
    file("/etc/crypttab", "the same", "the same"),
    file(
        "/etc/systemd/system/UNIT.d/50-diskless.conf",
        "it has UNIT, and what that does at its stop is taken away below",
        "see the next table",
    ),
    file(
        "/etc/cloud/cloud.cfg.d/zz-diskless.cfg",
        CLOUD,
        "cloud-init leaves network, partitions, file systems and host keys alone; with `cloud_init` in the plan the only \
         source of data is the seed",
    ),
    file(
        "/var/lib/cloud/seed/nocloud/meta-data",
        SEED,
        "`instance_id`, the host name, `meta_data`. Mode 0600",
    ),
    file("/var/lib/cloud/seed/nocloud/user-data", SEED, "`user_data`, or nothing. Mode 0600"),
    file("/var/lib/cloud/seed/nocloud/vendor-data", SEED, "`vendor_data`, if there is any. Mode 0600"),
    file(
        "/etc/lvm/lvmlocal.conf",
        "the plan mounts logical volumes",
        "lvm2 would make the volumes writable (`read_only_volume_list`)",
    ),
    file(
        "/etc/systemd/system-preset/00-diskless.preset",
        "units are enabled",
        "a first boot applies the presets of the image, which may disable these units; see [Units](#units)",
    ),
    file(
        "/etc/multipath.conf",
        MAP,
        "the plan's lines; in `devices`, for the vendor and product of the paths alone, those that multipathd's own table of \
         vendors would go before, and with `identify` `luks-uuid` the `uid_attribute`; in `multipaths` the map's own name, \
         so that neither `user_friendly_names` nor the image's bindings rename it, and `skip_kpartx`",
    ),
    file(
        "/etc/multipath/wwids",
        "there is a map",
        "the map's WWID, as a line `/WWID/` after those of the image: `multipath -u` and every `find_multipaths` but `off` go \
         by it, also when only one path is there",
    ),
    file(
        "/etc/udev/rules.d/50-diskless-paths.rules",
        "there is a map, and `identify` is `luks-uuid`",
        "the property `ID_DISKLESS_UUID` on disks of this vendor and product with this LUKS UUID",
    ),
    file(
        "/etc/systemd/network/00-diskless-NIC.link",
        "it has systemd-udevd",
        "the interface keeps its name, MTU and MAC; since Linux 6.2 udev could rename one that is up",
    ),
    file(
        "/etc/systemd/network/00-diskless-NIC.network",
        "it has systemd-networkd",
        "goes before every file of the image, netplan's and the initramfs's: `KeepConfiguration=yes`, and where \
         there is a lease, DHCP with the client identifier of the lease; what is below a VLAN or bond is `Unmanaged`",
    ),
    file(
        "/etc/systemd/system/systemd-network-generator.service.d/50-diskless.conf",
        "it has systemd-networkd",
        "`ip=` was for the initramfs, whose files in /run are still there: made once more, it would fail",
    ),
    file(
        "/etc/NetworkManager/conf.d/90-diskless.conf",
        "it has NetworkManager, which is not started or had no part in the initramfs",
        "NetworkManager leaves the interface alone. One that had it in the initramfs goes on with what it left in /run",
    ),
    file(
        "/etc/systemd/system/networking.service.d/50-diskless.conf",
        IFUPDOWN,
        "`ifdown -a` at its stop leaves the interface out",
    ),
    file("/etc/systemd/system/ifup@NIC.service.d/50-diskless.conf", IFUPDOWN, "the same for `allow-hotplug`"),
    file(
        "/run/network/ifstate.NIC",
        IFUPDOWN,
        "the interface counts as up: `ifup` leaves it alone, and ifupdown-wait-online does not wait for it",
    ),
    file("/run/network/ifstate", IFUPDOWN, "the same for older versions, and for `ifquery --state`"),
];

/// Whether a file at `path` is among those that the document lists.
#[cfg(test)]
pub fn is_listed(path: &str, nics: &[&str]) -> bool {
    WRITTEN.iter().any(|file| {
        file.path == path
            || nics.iter().any(|nic| file.path.contains("NIC") && file.path.replace("NIC", nic) == path)
    })
}
