//! The disk image: partitions with the image root and the unit that reports facts.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use nix::sched::CloneFlags;

use crate::cache::Cache;
use crate::chroot::Root;
use crate::command;
use crate::error::{At, Result};
use crate::scenario::Layout;
use crate::{namespace, tree};

/// Run inside the builder with the layout, the root folder, the kernel's version, the image to make, and modules.
const DISK: &str = include_str!("../../assets/disk.sh");
const FACTS_UNIT: &str = include_str!("../../assets/image/diskless-facts.service");
/// A service of the site's, for plans that enable one.
const SITE_UNIT: &str = "[Service]\nType=oneshot\nExecStart=/bin/true\nRemainAfterExit=yes\n\n\
                         [Install]\nWantedBy=multi-user.target\n";
const FACTS_SCRIPT: &str = include_str!("../../assets/image/diskless-facts");
const IO_UNIT: &str = include_str!("../../assets/image/diskless-io.service");
const IO_SCRIPT: &str = include_str!("../../assets/image/diskless-io");
/// The image was a virtual machine before: what it had then, and does not have any more.
const FSTAB: &str = include_str!("../../../tests/data/fstab/debian-vm");
const CRYPTTAB: &str = include_str!("../../../tests/data/fstab/debian-vm-crypttab");
/// Where there is another volume: what is on the root's own disk, and not in the plan.
const FSTAB_LVM: &str = "LABEL=root /srv/image ext4 defaults 0 2\n";
/// The same as a unit, which is required at each boot.
const OLD_MOUNT: &str = "[Mount]\nWhat=/dev/disk/by-uuid/3c2f0f6e-51a0-4a8e-8a9b-3b1f9c0ffee3\nWhere=/srv/old\n\n\
                         [Install]\nRequiredBy=local-fs.target\n";
/// What cloud-init has left in a golden image: by these it knows what it need not do again for the instance.
const GOLDEN: [&str; 5] = [
    "instances/iid-golden/sem/config_runcmd",
    "instances/iid-golden/sem/config_scripts_user",
    "instances/iid-golden/boot-finished",
    "sem/config_scripts_per_once.once",
    "data/instance-id",
];
/// What the image's own initramfs does at shutdown, where dracut-shutdown unpacks it over the agent's.
const SHUTDOWN: &str = include_str!("../../assets/image/shutdown");
/// Where it is, for the script that makes the disk; an image without dracut has none.
const INITRAMFS: &str = "run/initramfs";

/// Files of an image's own, below the folders that they are to be in.
const OWN: &str = "usr/share/harness/root";

/// What udev and services of the booted image load. What the initramfs loaded stays.
const MODULES: &[&str] = &[
    "8021q",
    "autofs4",
    "binfmt_misc",
    "bonding",
    "dm-crypt",
    "dm-mod",
    "dm-historical-service-time",
    "dm-multipath",
    "dm-queue-length",
    "dm-round-robin",
    "dm-service-time",
    "ext4",
    "iscsi_tcp",
    "overlay",
    "scsi_dh_alua",
    "sd_mod",
    "sg",
    "virtio_balloon",
    "virtio_console",
    "virtio_net",
    "virtio_pci",
    "virtio_rng",
    "xfs",
    "zram",
];

/// Nobody logs in, and nothing runs on its own clock.
const MASKED: [&str; 6] = [
    "serial-getty@ttyS0.service",
    "getty@tty1.service",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "e2scrub_all.timer",
    "fstrim.timer",
];

/// Not enabled: whoever has paths to manage enables it. At real-time priority, and with nothing to do, it starves
/// the rest of a small machine for a minute while iscsid logs in anew and the only path is blocked.
const DISABLED: [&str; 2] =
    ["sysinit.target.wants/multipathd.service", "sockets.target.wants/multipathd.socket"];

/// Unpacks an initramfs of /boot at shutdown.
const DRACUT_SHUTDOWN: &str = "usr/lib/systemd/system/dracut-shutdown.service";

/// How the script calls a layout.
fn word(layout: Layout) -> &'static str {
    match layout {
        Layout::Gpt => "gpt",
        Layout::Lvm => "lvm",
        Layout::Mbr => "mbr",
        Layout::Bare => "bare",
        Layout::Unclean => "unclean",
        Layout::Many => "many",
    }
}

/// All that decides what the image is, given the image root and the builder.
pub fn recipe(layout: Layout) -> String {
    format!(
        "{} {DISK} {FACTS_UNIT} {SITE_UNIT} {FACTS_SCRIPT} {IO_UNIT} {IO_SCRIPT} {SHUTDOWN} {FSTAB} {FSTAB_LVM} {CRYPTTAB} {OLD_MOUNT} {GOLDEN:?} {MASKED:?} {DISABLED:?} {}",
        word(layout),
        MODULES.join(" ")
    )
}

/// Makes the image at `at` from the root folder `image`, which stays as it is.
pub fn make(
    cache: &Cache,
    builder: &Path,
    image: &Path,
    version: &str,
    layout: Layout,
    at: &Path,
) -> Result<()> {
    let log = cache.log("disk");
    let work = cache.folder().join("work");
    tree::remove(&work)?;
    fs::create_dir_all(&work).at("create", &work)?;
    namespace::apart(CloneFlags::CLONE_NEWNS, || {
        namespace::tmpfs(&work)?;
        let root = work.join("root");
        namespace::overlay(image, &work, &root)?;
        add_files(&root, layout)?;
        let tools = Root::enter(builder, cache.folder())?;
        let mut script = tools.command("sh");
        script
            .args(["-c", DISK, "disk", word(layout)])
            .arg(tools.inside(&root)?)
            .arg(version)
            .arg(tools.inside(at)?);
        command::run(script.args(MODULES), &log)
    })
}

fn add_files(root: &Path, layout: Layout) -> Result<()> {
    let units = root.join("etc/systemd/system");
    write(&root.join("usr/local/lib/diskless-facts"), FACTS_SCRIPT, 0o755)?;
    write(&units.join("diskless-facts.service"), FACTS_UNIT, 0o644)?;
    write(&root.join("usr/local/lib/diskless-io"), IO_SCRIPT, 0o755)?;
    write(&units.join("diskless-io.service"), IO_UNIT, 0o644)?;
    link("../diskless-io.service", &units.join("sysinit.target.wants/diskless-io.service"))?;
    if root.join(DRACUT_SHUTDOWN).exists() {
        write(&root.join(INITRAMFS).join("shutdown"), SHUTDOWN, 0o755)?;
    }
    write(&units.join("site.service"), SITE_UNIT, 0o644)?;
    link("../diskless-facts.service", &units.join("multi-user.target.wants/diskless-facts.service"))?;
    for unit in MASKED {
        link("/dev/null", &units.join(unit))?;
    }
    for unit in DISABLED {
        tree::remove(&units.join(unit))?;
    }
    // The node's names come from the agent: these are seen only when it failed to set them.
    write(&root.join("etc/hostname"), "image\n", 0o644)?;
    write(&root.join("etc/machine-id"), "", 0o444)?;
    if root.join("etc/cloud").exists() {
        let state = root.join("var/lib/cloud");
        for file in GOLDEN {
            write(&state.join(file), "iid-golden\n", 0o644)?;
        }
        link("/var/lib/cloud/instances/iid-golden", &state.join("instance"))?;
    }
    let (fstab, crypttab) = match layout {
        // Booted without diskless, too, which would wait for all of it: see the benchmarks.
        Layout::Bare => (String::new(), ""),
        Layout::Lvm => (format!("{FSTAB}{FSTAB_LVM}"), CRYPTTAB),
        Layout::Gpt | Layout::Mbr | Layout::Unclean | Layout::Many => (FSTAB.to_owned(), CRYPTTAB),
    };
    write(&root.join("etc/fstab"), &fstab, 0o644)?;
    write(&root.join("etc/crypttab"), crypttab, 0o644)?;
    if layout != Layout::Bare {
        write(&units.join("srv-old.mount"), OLD_MOUNT, 0o644)?;
        link("../srv-old.mount", &units.join("local-fs.target.requires/srv-old.mount"))?;
    }
    write(&root.join("etc/resolv.conf"), "", 0o644)?;
    add_own_files(root)
}

/// What the image itself wants to have at last, in the place of all else.
fn add_own_files(root: &Path) -> Result<()> {
    let from = root.join(OWN);
    for file in tree::files(&from)? {
        let to = root.join(file.strip_prefix(&from).unwrap_or(&file));
        // Not the file that a link leads to, which is the host's.
        tree::remove(&to)?;
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).at("create", folder)?;
        }
        fs::copy(&file, &to).at("write", &to)?;
    }
    Ok(())
}

fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    tree::remove(path)?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).at("create", folder)?;
    }
    fs::write(path, text).at("write", path)?;
    fs::set_permissions(path, Permissions::from_mode(mode)).at("set the mode of", path)
}

fn link(target: &str, path: &Path) -> Result<()> {
    tree::remove(path)?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).at("create", folder)?;
    }
    symlink(target, path).at("link", path)
}
