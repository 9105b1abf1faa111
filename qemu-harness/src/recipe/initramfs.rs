//! The initramfs: made by dracut in the builder, with the agent, the dracut module and the units in it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::sched::CloneFlags;

use super::Sources;
use crate::cache::Cache;
use crate::chroot::Root;
use crate::error::{At, Result};
use crate::scenario::{Backend, Initramfs, Modules};
use crate::{command, namespace, tree};

/// Where the builder's dracut looks for modules, and where the module's files come from.
const MODULES: &str = "usr/lib/dracut/modules.d";
const UNITS: &str = "usr/lib/systemd/system";
const AGENT: &str = "usr/bin/diskless";
/// As a site would call it, but for the compression: without KVM the kernel takes seconds to undo any.
const DRACUT: [&str; 4] = ["--force", "--no-early-microcode", "--no-compress", "--kver"];
/// What is in it beside diskless and its network, if it is to be little.
const FEW: &str = "base udev-rules fs-lib";
/// With systemd-networkd dracut's iscsi never logs in, and its unit refers to a script that it does not install.
const STOCK: &[&str] = &[
    "--add",
    "iscsi crypt network-legacy",
    "--omit",
    "systemd-networkd network-manager multipath",
    "--install",
    "/lib/open-iscsi/startup-checks.sh",
];
/// The same with diskless, and with all that dracut takes beside it by itself.
const BOTH: &[&str] = &[
    "--add",
    "diskless iscsi crypt network-legacy",
    "--omit",
    "systemd-networkd network-manager",
    "--install",
    "/lib/open-iscsi/startup-checks.sh",
];
/// The script's tools; multipath loads some of its parts, and what threads need at their end, by name.
const CHAIN: &[&str] = &[
    // Nobody's daemons: they would begin with the paths by themselves.
    "--modules",
    "diskless systemd-networkd base udev-rules fs-lib",
    "--install",
    "/usr/bin/harness-chain /etc/multipath.conf iscsistart multipath cryptsetup dmsetup mkfs.ext4 udevadm modprobe ip sed \
     cat tr cut wc sleep mkdir mount /lib/multipath/libchecktur.so /lib/multipath/libprioconst.so \
     /lib/multipath/libpriosysfs.so /lib/x86_64-linux-gnu/libgcc_s.so.1 \
     /usr/lib/systemd/system/harness-chain.service \
     /etc/systemd/system/initrd-root-fs.target.requires/harness-chain.service",
];
/// What of it is no package's.
const CHAIN_FILES: [(&str, &str, u32); 3] = [
    ("usr/bin/harness-chain", include_str!("../../assets/chain/harness-chain"), 0o755),
    (
        "usr/lib/systemd/system/harness-chain.service",
        include_str!("../../assets/chain/harness-chain.service"),
        0o644,
    ),
    ("etc/multipath.conf", include_str!("../../assets/chain/multipath.conf"), 0o644),
];
/// Makes the boot wait for the script's unit.
const CHAIN_LINK: (&str, &str) = (
    "/usr/lib/systemd/system/harness-chain.service",
    "etc/systemd/system/initrd-root-fs.target.requires/harness-chain.service",
);
/// Without a name of its own the machine that builds gets no iscsi module; nodes bring their own.
const BUILDER_NAME: (&str, &str) =
    ("etc/iscsi/initiatorname.iscsi", "InitiatorName=iqn.2026-01.org.example:builder\n");
/// For any machine, not for the one that builds it.
const ANY: [&str; 2] = ["--no-hostonly", "--no-hostonly-cmdline"];
const HOSTONLY: [&str; 1] = ["--hostonly"];
/// As the documentation of the package says it.
const PACKAGED: [&str; 5] = ["--force", "--add", "diskless", "--no-compress", "--kver"];
/// Looks whether all is in it that should be; where there is no machine to boot it, nothing else does.
const LOOK: &str = include_str!("../../../packages/initramfs");
/// Where a site writes what it wants in it.
const CONFIGURATION: &str = "etc/dracut.conf.d/diskless.conf";

/// What it writes there.
fn configuration(options: Initramfs) -> String {
    let lines = [
        (options.mkfs_xfs, "diskless_mkfs_xfs=yes\n"),
        (options.sshd, "diskless_sshd=yes\n"),
        (options.tools, "diskless_tools=yes\n"),
    ];
    lines.iter().filter(|(wanted, _)| *wanted).map(|(_, line)| *line).collect()
}

fn hostonly(options: Initramfs) -> &'static [&'static str] {
    if options.hostonly { &HOSTONLY } else { &ANY }
}

fn modules(options: Initramfs) -> Vec<String> {
    let words = |words: &[&str]| -> Vec<String> { words.iter().map(|word| (*word).to_owned()).collect() };
    let network = backend(options.network);
    match options.modules {
        Modules::All => {
            let mut all = words(&["--add", &format!("diskless {network}")]);
            if options.network != Backend::default() || options.for_operators() {
                // dracut would take the first that it finds.
                let others = BACKENDS.into_iter().map(backend).filter(|other| *other != network);
                all.extend(["--omit".to_owned(), others.collect::<Vec<_>>().join(" ")]);
            }
            if options.for_operators() {
                all.extend(words(&WITHOUT_DAEMONS));
            }
            all
        }
        Modules::Few => words(&["--modules", &format!("diskless {network} {FEW}")]),
        Modules::Stock => words(STOCK),
        Modules::Both => words(BOTH),
        Modules::Chain => words(CHAIN),
    }
}

/// dracut takes these where their programs are, and with them daemons that begin by themselves. Operators' programs are
/// installed for who types.
const WITHOUT_DAEMONS: [&str; 2] = ["--omit", "iscsi multipath"];

const BACKENDS: [Backend; 3] = [Backend::SystemdNetworkd, Backend::NetworkManager, Backend::NetworkLegacy];

/// The module of dracut's.
fn backend(network: Backend) -> &'static str {
    match network {
        Backend::SystemdNetworkd => "systemd-networkd",
        Backend::NetworkManager => "network-manager",
        Backend::NetworkLegacy => "network-legacy",
    }
}

/// All that decides what the initramfs is, given the builder and the sources.
pub fn recipe(options: Initramfs) -> String {
    if options.package {
        return format!("{} {LOOK}", PACKAGED.join(" "));
    }
    let configuration = configuration(options);
    let words = [hostonly(options).join(" "), modules(options).join(" "), DRACUT.join(" ")].join(" ");
    let script = if options.modules == Modules::Chain { format!("{CHAIN_FILES:?}") } else { String::new() };
    format!("{words} {configuration}{script}")
}

/// Makes the initramfs at `at`; the builder stays as it is.
pub fn make(
    cache: &Cache,
    builder: &Path,
    sources: &Sources,
    version: &str,
    options: Initramfs,
    at: &Path,
) -> Result<()> {
    let work = cache.folder().join("work");
    tree::remove(&work)?;
    namespace::apart(CloneFlags::CLONE_NEWNS, || {
        namespace::tmpfs(&work)?;
        let path = work.join("root");
        namespace::overlay(builder, &work, &path)?;
        if let Some(package) = sources.package.as_deref().filter(|_| options.package) {
            return make_packaged(cache, &path, package, version, at);
        }
        tree::copy(&sources.modules, &path.join(MODULES))?;
        tree::copy(&sources.units, &path.join(UNITS))?;
        let agent = path.join(AGENT);
        fs::copy(&sources.agent, &agent).at("write", &agent)?;
        fs::set_permissions(&agent, Permissions::from_mode(0o755)).at("set the mode of", &agent)?;
        let configuration = configuration(options);
        if !configuration.is_empty() {
            fs::write(path.join(CONFIGURATION), configuration).at("write", CONFIGURATION)?;
        }
        if options.modules == Modules::Chain {
            add_chain(&path)?;
        }
        if matches!(options.modules, Modules::Stock | Modules::Both) {
            let (name, text) = BUILDER_NAME;
            fs::write(path.join(name), text).at("write", name)?;
        }
        let root = Root::enter(&path, cache.folder())?;
        let mut dracut = root.command("dracut");
        dracut.args(hostonly(options)).args(modules(options)).args(DRACUT).arg(version).arg(root.inside(at)?);
        command::run(&mut dracut, &cache.log("initramfs"))
    })
}

/// Installs the package in `root`, and has dracut make the initramfs, by its own defaults but for the compression.
fn make_packaged(cache: &Cache, root: &Path, package: &Path, version: &str, at: &Path) -> Result<()> {
    // Not in /tmp: a file system of its own is mounted there.
    const FILE: &str = "opt/diskless.deb";
    fs::copy(package, root.join(FILE)).at("copy", package)?;
    let root = Root::enter(root, cache.folder())?;
    let log = cache.log("initramfs");
    // Not apt: it would get what is missing, and so hide that the package does not say what it needs.
    command::run(root.command("dpkg").arg("--install").arg(Path::new("/").join(FILE)), &log)?;
    let image = root.inside(at)?;
    command::run(root.command("dracut").args(PACKAGED).arg(version).arg(&image), &log)?;
    command::run(root.command("sh").args(["-c", LOOK, "look"]).arg(&image).arg("systemd-networkd"), &log)
}

fn add_chain(root: &Path) -> Result<()> {
    for (name, text, mode) in CHAIN_FILES {
        let file = root.join(name);
        fs::write(&file, text).at("write", &file)?;
        fs::set_permissions(&file, Permissions::from_mode(mode)).at("set the mode of", &file)?;
    }
    let (unit, link) = (CHAIN_LINK.0, root.join(CHAIN_LINK.1));
    if let Some(folder) = link.parent() {
        fs::create_dir_all(folder).at("create", folder)?;
    }
    std::os::unix::fs::symlink(unit, &link).at("link", &link)
}
