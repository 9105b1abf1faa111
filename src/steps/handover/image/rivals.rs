//! What else in an image lays hands on the root's devices, and what is done about it: one table.

use crate::steps::handover::files::{Content, File};

/// Something in an image that would act on the disk of the root, its sessions, its maps or its writable layer.
#[derive(Debug)]
pub struct Rival {
    /// A unit, or what else it is called.
    pub name: &'static str,
    /// What it would do.
    pub would: &'static str,
    /// What is done about it, or why it is left alone.
    pub done: &'static str,
    /// The same, as far as it is done here.
    pub deed: Deed,
    /// A file that tells that the image has it; none: that of the unit.
    known_by: Option<&'static str>,
}

/// What is done with a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Nothing here: another file that is written sees to it, or it does no harm.
    None,
    /// It is never started.
    Mask,
    /// Its start stays; what it does at its stop is taken away. Not for a unit that has nothing else: systemd would not
    /// load it.
    NoStop,
}

const fn rival(name: &'static str, deed: Deed, would: &'static str, done: &'static str) -> Rival {
    Rival { name, would, done, deed, known_by: None }
}

const NO_STOP: &str = "its stop is taken away";
const MASKED: &str = "masked";
/// zram-generator(8) makes its units at each boot: they are nowhere before.
const ZRAM_GENERATOR: Option<&str> = Some("/usr/lib/systemd/system-generators/zram-generator");

/// All of them that are known.
pub const RIVALS: &[Rival] = &[
    rival(
        "open-iscsi.service",
        Deed::NoStop,
        "Debian's: logs out, at its stop, of all sessions whose disks it does not see mounted, and does not see through an \
         overlay",
        NO_STOP,
    ),
    rival(
        "iscsi.service",
        Deed::NoStop,
        "logs out of all sessions that have a node record at its stop",
        NO_STOP,
    ),
    rival(
        "iscsi-shutdown.service",
        Deed::Mask,
        "logs out of all sessions that have a node record at its stop, and does nothing else",
        MASKED,
    ),
    rival(
        "blk-availability.service",
        Deed::Mask,
        "at its stop (blkdeactivate) unmounts all block devices, removes their maps, and has multipath maps fail instead of \
         wait; it does nothing else",
        MASKED,
    ),
    rival(
        "multipathd.service",
        Deed::None,
        "reloads the map of the paths by its own configuration, and would rename it",
        "`multipath.conf` and `multipath/wwids` are written, see [The map](#the-map). Without a map in the plan it finds the \
         disk in use, and makes none",
    ),
    rival(
        "kpartx (udev's rules)",
        Deed::None,
        "maps partitions of a multipath map for writing",
        "`skip_kpartx` in `multipath.conf`. What the paths show is encrypted anyway",
    ),
    rival(
        "lvm2-pvscan@.service, lvm-activate-GROUP.service, lvm2-activation.service",
        Deed::None,
        "lvm2's autoactivation: activates all volumes of a group once its disks are there, for writing",
        "the root's volumes are active, with lvm2's own names and UUIDs: it leaves them as they are. `read_only_volume_list` \
         in `lvmlocal.conf` holds for the rest of the group",
    ),
    rival(
        "/etc/lvm/devices/system.devices",
        Deed::None,
        "lvm2's list of the disks that it may use: those of the machine that the image comes from. The group of the root is \
         hidden from lvm2 by it",
        "left: the root's volumes need nothing of lvm2",
    ),
    rival(
        "e2scrub_all.timer",
        Deed::Mask,
        "checks file systems on logical volumes in snapshots, which it makes in the group of the root",
        MASKED,
    ),
    rival(
        "systemd-cryptsetup@NAME.service",
        Deed::None,
        "asks for a passphrase for the disk of the root by its line in crypttab, and detaches it at shutdown",
        "the line is taken out of `/etc/crypttab`",
    ),
    rival(
        "systemd-remount-fs.service",
        Deed::None,
        "mounts the root anew with the options in fstab, which an overlay does not have (`errors=remount-ro`), and fails",
        "the line is taken out of `/etc/fstab`: then there is nothing to do for it",
    ),
    rival(
        "systemd-fsck@DEVICE.service",
        Deed::None,
        "checks file systems in fstab before they are mounted: those on the disk of the root cannot be repaired, and it \
         fails",
        "such lines of `/etc/fstab` are not checked any more",
    ),
    rival(
        "systemd-growfs@MOUNT.service, systemd-makefs@DEVICE.service",
        Deed::None,
        "grow or make file systems whose line in fstab says so (`x-systemd.growfs`, `x-systemd.makefs`)",
        "both options are taken from lines of `/etc/fstab` with devices on the disk of the root",
    ),
    rival(
        "systemd-repart.service",
        Deed::Mask,
        "adds partitions to the disk that it finds the root on, and lets them grow",
        MASKED,
    ),
    rival(
        "systemd-gpt-auto-generator",
        Deed::None,
        "mounts /home, /srv, swap and the like from the disk of the root by their partition types",
        "left: an overlay is on no disk, by which it knows that there is nothing for it",
    ),
    rival(
        "systemd-hibernate-resume-generator, RESUME of initramfs-tools",
        Deed::None,
        "wait for the swap that the machine was suspended to",
        "both act in an initramfs alone, and in that of diskless the generator is not run, see \
         [dracut-module.md](dracut-module.md)",
    ),
    rival(
        "cloud-init (growpart, resizefs, network)",
        Deed::None,
        "lets the partition and the file system of / grow, and sets interfaces up anew",
        "all three are off in `/etc/cloud/cloud.cfg.d/zz-diskless.cfg`",
    ),
    Rival {
        known_by: ZRAM_GENERATOR,
        ..rival(
            "dev-zram0.swap",
            Deed::Mask,
            "zram-generator's: swap on the disk of the writable layer",
            MASKED,
        )
    },
    Rival {
        known_by: ZRAM_GENERATOR,
        ..rival(
            "systemd-zram-setup@zram0.service",
            Deed::Mask,
            "zram-generator's: sets the disk of the writable layer up anew, and fails",
            MASKED,
        )
    },
    rival(
        "dracut-shutdown.service",
        Deed::None,
        "unpacks an initramfs of the image's own over the one that ends the node, or removes that",
        "masked in `/run`, see [exit.md](exit.md)",
    ),
    rival(
        "systemd-shutdown",
        Deed::None,
        "unmounts and detaches all that it can, in any order, and waits for what is in use",
        "goes over to `/run/initramfs/shutdown`, which is diskless, see [exit.md](exit.md)",
    ),
    rival(
        "fstrim.timer",
        Deed::None,
        "tells file systems' disks what they do not use",
        "left: read-only ones are passed over, and memory of the writable layer comes free",
    ),
];

/// Without its stop a unit ends as it is: what it started, and the sessions, stay.
const WITHOUT_STOP: &str = "\
# Written by diskless: the root is on the network, and is not to be taken apart before the end.
[Service]
ExecStop=
ExecStopPost=
";

/// The files that take units' stops away, and the units that are masked, of those that the image has, as `is_there` says
/// of a path.
///
/// # Errors
/// That of `is_there`.
pub fn measures<E>(
    mut is_there: impl FnMut(&str) -> Result<bool, E>,
) -> Result<(Vec<File>, Vec<&'static str>), E> {
    let (mut files, mut masks) = (Vec::new(), Vec::new());
    for Rival { name, deed, known_by, .. } in RIVALS {
        if *deed == Deed::None {
            continue;
        }
        let of_unit = crate::steps::handover::units::FOLDERS.map(|folder| format!("{folder}/{name}"));
        let signs = known_by.map_or(of_unit.to_vec(), |sign| vec![sign.to_owned()]);
        let mut known = false;
        for sign in signs {
            known = known || is_there(&sign)?;
        }
        match deed {
            Deed::Mask if known => masks.push(*name),
            Deed::NoStop if known => files.push(File {
                path: format!("/etc/systemd/system/{name}.d/50-diskless.conf"),
                mode: 0o644,
                content: Content::text(WITHOUT_STOP),
            }),
            _ => (),
        }
    }
    Ok((files, masks))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measures_with(there: &[&str]) -> (Vec<String>, Vec<&'static str>) {
        let is_there = |path: &str| Ok::<_, std::convert::Infallible>(there.contains(&path));
        let (files, masks) = measures(is_there).unwrap();
        (files.into_iter().map(|file| file.path).collect(), masks)
    }

    #[test]
    fn only_what_the_image_has_is_dealt_with() {
        assert_eq!(measures_with(&[]), (Vec::new(), Vec::new()));
        let (files, masks) = measures_with(&[
            "/usr/lib/systemd/system/blk-availability.service",
            "/lib/systemd/system/open-iscsi.service",
            "/etc/systemd/system/systemd-repart.service",
            "/usr/lib/systemd/system-generators/zram-generator",
            "/usr/lib/systemd/system/multipathd.service",
        ]);
        assert_eq!(files, ["/etc/systemd/system/open-iscsi.service.d/50-diskless.conf"]);
        assert_eq!(
            masks,
            [
                "blk-availability.service",
                "systemd-repart.service",
                "dev-zram0.swap",
                "systemd-zram-setup@zram0.service"
            ]
        );
    }

    /// A unit whose stop is all that it does is not loaded without it: such a one has to be masked.
    #[test]
    fn systemd_loads_a_unit_without_its_stop_if_it_has_a_start() {
        let folder = tempfile::tempdir().unwrap();
        let verify = |name: &str, service: &str| {
            let unit = folder.path().join(name);
            let text =
                format!("[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStop=/bin/false\n{service}");
            std::fs::write(&unit, text).unwrap();
            let drop_ins = folder.path().join(format!("{name}.d"));
            std::fs::create_dir(&drop_ins).unwrap();
            std::fs::write(drop_ins.join("50-diskless.conf"), WITHOUT_STOP).unwrap();
            std::process::Command::new("systemd-analyze").arg("verify").arg(&unit).output()
        };
        match verify("start.service", "ExecStart=/bin/true\n") {
            Ok(output) => assert!(output.status.success(), "{output:?}"),
            Err(_) => {
                eprintln!("SKIPPED: no systemd-analyze to verify units with; .ci/deps installs it");
                return;
            }
        }
        let refused = verify("stop.service", "").unwrap();
        assert!(String::from_utf8_lossy(&refused.stderr).contains("Refusing"), "{refused:?}");
    }

    /// Each unit that is known to fight, and what is done about it; what is done elsewhere is held by the tests of the
    /// files named here.
    #[test]
    fn each_rival_by_name() {
        let deeds: Vec<(&str, Deed)> = RIVALS.iter().map(|rival| (rival.name, rival.deed)).collect();
        for (name, deed) in [
            ("open-iscsi.service", Deed::NoStop),
            ("iscsi.service", Deed::NoStop),
            ("iscsi-shutdown.service", Deed::Mask),
            ("blk-availability.service", Deed::Mask),
            ("e2scrub_all.timer", Deed::Mask),
            ("systemd-repart.service", Deed::Mask),
            ("dev-zram0.swap", Deed::Mask),
            ("systemd-zram-setup@zram0.service", Deed::Mask),
        ] {
            assert!(deeds.contains(&(name, deed)), "{name}");
        }
        for (name, by) in [
            ("multipathd.service", "multipath.conf"),
            ("kpartx (udev's rules)", "skip_kpartx"),
            ("lvm2-pvscan@.service, lvm-activate-GROUP.service, lvm2-activation.service", "lvmlocal.conf"),
            ("systemd-cryptsetup@NAME.service", "/etc/crypttab"),
            ("systemd-remount-fs.service", "/etc/fstab"),
            ("systemd-fsck@DEVICE.service", "/etc/fstab"),
            ("systemd-growfs@MOUNT.service, systemd-makefs@DEVICE.service", "/etc/fstab"),
            ("cloud-init (growpart, resizefs, network)", "zz-diskless.cfg"),
            ("dracut-shutdown.service", "exit.md"),
            ("systemd-shutdown", "exit.md"),
            ("/etc/lvm/devices/system.devices", "left"),
            ("systemd-gpt-auto-generator", "left"),
            ("systemd-hibernate-resume-generator, RESUME of initramfs-tools", "dracut-module.md"),
            ("fstrim.timer", "left"),
        ] {
            let rival = RIVALS.iter().find(|rival| rival.name == name).unwrap();
            assert_eq!(rival.deed, Deed::None, "{name}");
            assert!(rival.done.contains(by), "{name}: {}", rival.done);
        }
        assert_eq!(RIVALS.len(), 8 + 14);
    }
}
