//! The Debian roots, of each release: `base`, its copies `builder` (tools, a kernel) and `image` (what nodes boot), and of
//! these again copies with more in them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use nix::sched::CloneFlags;

use super::mirror::Mirror;
use crate::cache::Cache;
use crate::chroot::Root;
use crate::command;
use crate::error::{At, Result};
use crate::namespace;
use crate::scenario::{Release, Software};

/// Run inside a root with the packages to install.
const INSTALL: &str = include_str!("../../assets/install.sh");
/// Run inside the builder: unpacks the kernel.
const KERNEL: &str = include_str!("../../assets/kernel.sh");
/// No documentation, no syncing: a root that is half made is thrown away anyway.
const DPKG: &str = "force-unsafe-io\n\
    path-exclude=/usr/share/doc/*\npath-exclude=/usr/share/info/*\npath-exclude=/usr/share/man/*\n\
    path-exclude=/usr/share/locale/*\n";
/// What a virtual machine leaves in its image.
const VM_TRACES: &str = include_str!("../../assets/image/vm-traces.sh");
/// SELinux is switched on.
const SELINUX: &str = include_str!("../../assets/image/selinux.sh");
/// Nodes install nothing.
const TIDY: &str = "rm -r /var/lib/apt/lists/* /usr/sbin/policy-rc.d";
/// Package scripts ask this before they start a daemon; 101 is "no".
const POLICY: &str = "#!/bin/sh\nexit 101\n";

/// The lab is of one release, whatever the node is of.
const LAB_PACKAGES: &[&str] = &[
    // The machine.
    "qemu-system-x86",
    "ipxe-qemu",
    "seabios",
    "ipxe",
    "ovmf",
    // Its network and its target.
    "dnsmasq-base",
    "iproute2",
    "tgt",
    // Of a target that is a machine.
    "busybox-static",
];

const BUILDER_PACKAGES: &[&str] = &[
    // The initramfs, and what its modules take from the system.
    "dracut",
    "dracut-network",
    "cpio",
    "dbus",
    "dmsetup",
    "kmod",
    "procps",
    "systemd",
    "systemd-sysv",
    "udev",
    "zstd",
    // The image.
    "btrfs-progs",
    "cryptsetup-bin",
    "e2fsprogs",
    "erofs-utils",
    "gdisk",
    "lvm2",
    "squashfs-tools",
    "xfsprogs",
];

/// What dracut's own modules for iSCSI and the network want: its network-legacy takes ISC's client and arping. And what a
/// script wants that does the same.
const STOCK_PACKAGES: &[&str] = &["isc-dhcp-client", "iputils-arping", "open-iscsi", "multipath-tools"];

/// What dracut's other network back ends want.
const NETWORK_PACKAGES: &[&str] = &["isc-dhcp-client", "iputils-arping", "network-manager"];

/// Operators' programs: what gets into an initramfs for them, and the other end.
const OPERATOR_PACKAGES: &[&str] = &[
    "openssh-server",
    "openssh-client",
    "open-iscsi",
    "multipath-tools",
    "parted",
    "kexec-tools",
    "iputils-ping",
    "hostname",
];

/// Any network back end can be beside them.
fn operator_packages() -> Vec<&'static str> {
    [NETWORK_PACKAGES, OPERATOR_PACKAGES].concat()
}

/// What disklessd is compared with, and what makes the load.
const PEER_PACKAGES: &[&str] = &["iproute2", "nginx-light", "python3-flask", "wrk"];

const IMAGE_PACKAGES: &[&str] = &[
    "systemd",
    "systemd-sysv",
    "dbus",
    "udev",
    "kmod",
    "iproute2",
    "cryptsetup-bin",
    "dmsetup",
    "lvm2",
    // For the facts.
    "jq",
    // One file that needs nothing of the root: what must go on while the root is not to be read.
    "busybox-static",
];

/// What takes sessions and maps over, and what would put an initramfs of /boot in the place of the agent's last word.
const STORAGE_PACKAGES: &[&str] = &["open-iscsi", "multipath-tools", "dracut-core"];

/// Who sets interfaces up beside systemd-networkd, which comes with systemd.
const MANAGER_PACKAGES: &[&str] = &["ifupdown", "network-manager"];

/// It brings python with it.
const CLOUD_INIT_PACKAGES: &[&str] = &["cloud-init"];

/// A package of its own there; on Debian 12 it comes with systemd.
const TRIXIE_PACKAGES: &[&str] = &["systemd-repart"];

/// With the host keys that its installation makes.
const SSHD_PACKAGES: &[&str] = &["openssh-server"];

/// Debian's own policy, and what labels files by it.
const SELINUX_PACKAGES: &[&str] = &["selinux-policy-default", "policycoreutils"];

/// What is in an image beside what any Debian has.
fn image_packages(software: Software) -> Vec<&'static str> {
    let more: &[&[&str]] = match software {
        Software::Debian => &[STORAGE_PACKAGES],
        Software::Trixie => &[STORAGE_PACKAGES, TRIXIE_PACKAGES],
        Software::CloudInit => &[STORAGE_PACKAGES, CLOUD_INIT_PACKAGES],
        Software::Networks => &[MANAGER_PACKAGES],
        Software::Sshd => &[STORAGE_PACKAGES, SSHD_PACKAGES],
        Software::Selinux => &[STORAGE_PACKAGES, SSHD_PACKAGES, SELINUX_PACKAGES],
        Software::Neither => &[],
    };
    [IMAGE_PACKAGES, &more.concat()].concat()
}

/// What is done in an image when its packages are there.
fn image_script(software: Software) -> String {
    let more: &[&str] = match software {
        Software::Sshd => &[VM_TRACES],
        Software::Selinux => &[VM_TRACES, SELINUX],
        Software::Debian
        | Software::CloudInit
        | Software::Networks
        | Software::Neither
        | Software::Trixie => &[],
    };
    [&[TIDY], more].concat().join("\n")
}

/// The tools of a release: of the first with those of the lab.
fn builder_packages(release: Release) -> Vec<&'static str> {
    match release {
        Release::Bookworm => [LAB_PACKAGES, BUILDER_PACKAGES].concat(),
        // What the initramfs needs that the lab of the first has anyway.
        Release::Trixie => [&["iproute2"], BUILDER_PACKAGES].concat(),
    }
}

/// All that decides what `base` is.
pub fn base_recipe(release: Release) -> String {
    format!("{} {DPKG} {POLICY}", release.codename())
}

/// All that decides what `builder` is, given `base`.
pub fn builder_recipe(release: Release) -> String {
    format!("{INSTALL} {KERNEL} {}", builder_packages(release).join(" "))
}

/// All that decides what `stock` is, given `builder`.
pub fn stock_recipe() -> String {
    format!("{INSTALL} {}", STOCK_PACKAGES.join(" "))
}

/// All that decides what `network` is, given `builder`.
pub fn network_recipe() -> String {
    format!("{INSTALL} {}", NETWORK_PACKAGES.join(" "))
}

/// All that decides what `operator` is, given `builder`.
pub fn operator_recipe() -> String {
    format!("{INSTALL} {}", operator_packages().join(" "))
}

/// All that decides what `peers` is, given `base`.
pub fn peers_recipe() -> String {
    format!("{INSTALL} {}", PEER_PACKAGES.join(" "))
}

/// All that decides what an image is, given `base`.
pub fn image_recipe(software: Software) -> String {
    format!("{INSTALL} {} {}", image_packages(software).join(" "), image_script(software))
}

/// The smallest Debian that has apt.
pub fn make_base(cache: &Cache, release: Release, at: &Path) -> Result<()> {
    let log = cache.log("base");
    let mirror = Mirror::of_host(release, &log)?;
    let packages = cache.packages();
    fs::create_dir_all(&packages).at("create", &packages)?;
    namespace::apart(CloneFlags::CLONE_NEWNS, || {
        let mut debootstrap = Command::new("debootstrap");
        debootstrap.arg("--variant=minbase").arg(format!("--cache-dir={}", packages.display()));
        debootstrap.arg(release.codename()).arg(at).arg(mirror.address());
        command::run(&mut debootstrap, &log)
    })?;
    write(at, "etc/apt/sources.list", &mirror.sources())?;
    write(at, "etc/dpkg/dpkg.cfg.d/harness", DPKG)?;
    write(at, "usr/sbin/policy-rc.d", POLICY)?;
    let policy = at.join("usr/sbin/policy-rc.d");
    fs::set_permissions(&policy, Permissions::from_mode(0o755)).at("set the mode of", &policy)
}

/// The root with the tools.
pub fn make_builder(cache: &Cache, release: Release, base: &Path, at: &Path) -> Result<()> {
    derive(cache, base, at, "builder", &builder_packages(release), KERNEL)
}

/// The root with the tools, and with what dracut's own modules need.
pub fn make_stock(cache: &Cache, builder: &Path, at: &Path) -> Result<()> {
    derive(cache, builder, at, "stock", STOCK_PACKAGES, "true")
}

/// The root with the tools, and with dracut's other network back ends.
pub fn make_network(cache: &Cache, builder: &Path, at: &Path) -> Result<()> {
    derive(cache, builder, at, "network", NETWORK_PACKAGES, "true")
}

/// The root with the tools, and with operators' programs.
pub fn make_operator(cache: &Cache, builder: &Path, at: &Path) -> Result<()> {
    derive(cache, builder, at, "operator", &operator_packages(), "true")
}

/// The root with the servers that disklessd is compared with.
pub fn make_peers(cache: &Cache, base: &Path, at: &Path) -> Result<()> {
    derive(cache, base, at, "peers", PEER_PACKAGES, "true")
}

/// The root that nodes boot, as packages make it.
pub fn make_image(cache: &Cache, software: Software, base: &Path, at: &Path) -> Result<()> {
    derive(cache, base, at, "image", &image_packages(software), &image_script(software))
}

/// Copies `base`, installs packages, runs one more script.
fn derive(cache: &Cache, base: &Path, at: &Path, name: &str, packages: &[&str], then: &str) -> Result<()> {
    let log = cache.log(name);
    command::run(Command::new("cp").arg("-a").arg(base).arg(at), &log)?;
    // Names are resolved inside as they are on the host.
    let resolver = fs::read_to_string("/etc/resolv.conf").at("read", "/etc/resolv.conf")?;
    write(at, "etc/resolv.conf", &resolver)?;
    namespace::apart(CloneFlags::CLONE_NEWNS, || {
        let root = Root::enter(at, cache.folder())?;
        // Debian's packages would have dracut make an initramfs of the root itself, over and over.
        let mut install = root.command("sh");
        install.env("INITRD", "No").args(["-c", INSTALL, "install"]).args(packages);
        command::run(&mut install, &log)?;
        command::run(root.command("sh").args(["-c", then]), &log)
    })
}

fn write(root: &Path, name: &str, text: &str) -> Result<()> {
    let path = root.join(name);
    // A link would be followed out of the root.
    crate::tree::remove(&path)?;
    fs::write(&path, text).at("write", &path)
}
