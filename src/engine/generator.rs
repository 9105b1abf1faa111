//! Brings the agent into the boot, as a systemd generator (systemd.generator(7)): only on a node whose configuration says
//! where its boot plan is, describes the boot itself, or wants it to hold. Any other initramfs with the agent in it boots as
//! if it were not there.

use std::path::Path;

use super::emergency;
use crate::error::{Code, Context, Result};
use crate::input::cmdline::Cmdline;
use crate::input::config::Acts;
use crate::input::words::ROOT;
use crate::sys::whole_file;

/// The units as the dracut module installs them, and whose they are: the boot needs the agent to go on to the new root,
/// and the agent wants the keeper to be there when it has something for it.
const LINKS: &[(&str, &str)] = &[
    ("/usr/lib/systemd/system/diskless.service", "initrd-root-fs.target.requires/diskless.service"),
    ("/usr/lib/systemd/system/diskless-keeper.service", "diskless.service.wants/diskless-keeper.service"),
];

/// What the boot is not to wait for, by whichever network back end: that every interface is "online", which one without a
/// cable or a DHCP server never is. dracut's initqueue is ordered after these, and the pivot after it.
const WAITS: &[&str] = &[
    "nm-wait-online-initrd.service",
    "NetworkManager-wait-online-initrd.service",
    "systemd-networkd-wait-online.service",
];
/// Who would make maps of the agent's disks: dracut's own module for multipath comes along where the site's machine has
/// multipath-tools, and its multipathd starts by itself. An operator's, typed by hand, does not ask for the unit.
const DAEMONS: &[&str] = &["multipathd.service", "multipathd.socket", "multipathd-configure.service"];
/// What systemd-fstab-generator makes of a `root=` that is a device: initrd.target would wait for one that never comes.
const ROOT_DEVICE: &str = "initrd-root-device.target.d/50-root-device.conf";
const NOTHING: &str = "/dev/null";

/// Of any `root=` that is not a device, systemd-fstab-generator makes a unit that cannot work. This one takes its place:
/// when its turn comes, the agent has mounted the root, and there is nothing left to do for it. It does not require the
/// agent's unit, which ends at the pivot: it would go with it, and take the mounts below /sysroot along.
const SYSROOT: &str = "\
# Made by diskless, for root= on the kernel command line.
[Unit]
DefaultDependencies=no
After=diskless.service
Before=initrd-root-fs.target
ConditionPathIsMountPoint=/sysroot

[Mount]
Where=/sysroot
What=overlay
Type=overlay
";

/// Where the agent only holds the boot, `root=` stays systemd's: what would change or mount its disk waits for the agent's
/// unit. Not the waiting for the disk itself, which changes nothing.
const WAITING: &[&str] = &["sysroot.mount", "systemd-fsck-root.service", "systemd-fsck@.service"];
const AFTER_AGENT: &str = "\
# Made by diskless: rd.diskless=trap holds the boot before its first change.
[Unit]
After=diskless.service
";

/// Writes what the agent needs to act as `acts` says into the generator folders `normal` and `early`.
///
/// # Errors
/// A folder or file cannot be made.
pub fn generate(acts: Acts, cmdline: &Cmdline, normal: &Path, early: &Path) -> Result<()> {
    if acts == Acts::Not {
        return Ok(());
    }
    for (unit, at) in LINKS {
        whole_file::link(unit, &normal.join(at))?;
    }
    emergency::generate(cmdline, early)?;
    if acts == Acts::Holds {
        for unit in WAITING {
            let folder = normal.join(format!("{unit}.d"));
            let file = folder.join("50-diskless.conf");
            std::fs::create_dir_all(&folder)
                .and_then(|()| std::fs::write(&file, AFTER_AGENT))
                .context(Code::Io, file.display().to_string())?;
        }
        return Ok(());
    }
    for unit in WAITS.iter().chain(DAEMONS) {
        whole_file::link(NOTHING, &early.join(unit))?;
    }
    // That of the kernel alone is known to others.
    if cmdline.of_kernel().last(ROOT).is_some() {
        let unit = early.join("sysroot.mount");
        std::fs::write(&unit, SYSROOT).context(Code::Io, unit.display().to_string())?;
        whole_file::link(NOTHING, &early.join(ROOT_DEVICE))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::config::acts;

    fn generated(cmdline: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let (normal, early) = (folder.path().join("normal"), folder.path().join("early"));
        for folder in [&normal, &early] {
            std::fs::create_dir(folder).unwrap();
        }
        let cmdline = Cmdline::parse(cmdline);
        for _ in 0..2 {
            generate(acts(&cmdline), &cmdline, &normal, &early).unwrap();
        }
        let files = [
            "normal/initrd-root-fs.target.requires/diskless.service",
            "normal/diskless.service.wants/diskless-keeper.service",
            "early/systemd-networkd-wait-online.service",
            "early/multipathd.service",
            "early/sysroot.mount",
            "early/initrd-root-device.target.d/50-root-device.conf",
            "normal/sysroot.mount.d/50-diskless.conf",
            "normal/systemd-fsck@.service.d/50-diskless.conf",
        ];
        let there = files.iter().filter(|file| folder.path().join(file).symlink_metadata().is_ok());
        there.map(|file| (*file).to_owned()).collect()
    }

    #[test]
    fn only_what_the_command_line_asks_for() {
        let unit = "normal/initrd-root-fs.target.requires/diskless.service";
        let keeper = "normal/diskless.service.wants/diskless-keeper.service";
        assert!(generated("root=/dev/vda1").is_empty());
        assert!(generated("root=/dev/vda1 netroot=nfs:server:/export").is_empty());
        let wait = "early/systemd-networkd-wait-online.service";
        let multipathd = "early/multipathd.service";
        let root = [
            unit,
            keeper,
            wait,
            multipathd,
            "early/sysroot.mount",
            "early/initrd-root-device.target.d/50-root-device.conf",
        ];
        assert_eq!(generated("rd.diskless.plan=/p"), [unit, keeper, wait, multipathd]);
        assert_eq!(generated("netroot=iscsi rd.iscsi.target.name=iqn.a:b"), [unit, keeper, wait, multipathd]);
        assert_eq!(generated("netroot=iscsi:10.0.0.1::::iqn.a:b root=/dev/mapper/luks_root1"), root);
        assert_eq!(generated("rd.diskless.plan=/p root=diskless"), root);
        assert!(generated("rd.diskless=off rd.diskless.plan=/p root=/dev/vda1").is_empty());
        let waits =
            ["normal/sysroot.mount.d/50-diskless.conf", "normal/systemd-fsck@.service.d/50-diskless.conf"];
        assert_eq!(generated("rd.diskless=trap root=/dev/vda1"), [[unit, keeper], waits].concat());
    }
}
