//! The kernel parameters that the agent reads: one table. `docs/parameters.md` and the manual are held to it by tests.

use std::fmt;

/// A kernel parameter.
#[derive(Debug)]
pub struct Parameter {
    /// As written on the command line; `-` and `_` are the same.
    pub name: &'static str,
    /// Whose word it is.
    pub whose: Whose,
    /// What holds without it, as text for people.
    pub default: &'static str,
    /// What it is for, or what the agent makes of it.
    pub doc: &'static str,
}

/// Whose word a parameter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The agent's own, `rd.diskless.*`.
    Ours,
    /// dracut.cmdline(7)
    Dracut,
    /// systemd-cryptsetup-generator(8), systemd(1)
    Systemd,
    /// kernel-command-line(7)
    Kernel,
    /// The boot loader's: pxelinux, iPXE.
    Loader,
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Whose::Ours => "diskless",
            Whose::Dracut => "dracut",
            Whose::Systemd => "systemd",
            Whose::Kernel => "kernel",
            Whose::Loader => "boot loader",
        })
    }
}

macro_rules! words {
    ($($constant:ident $name:literal $whose:ident, $default:literal, $doc:literal;)*) => {
        $(#[doc = $doc] pub const $constant: &str = $name;)*

        /// All of them.
        pub const PARAMETERS: &[Parameter] = &[
            $(Parameter { name: $name, whose: Whose::$whose, default: $default, doc: $doc },)*
        ];
    };
}

words! {
    MODE "rd.diskless" Ours, "auto",
        "auto: the agent acts where it is told what to boot. trap: it holds before the first change, with a plan or without \
         one, until somebody lets the boot go on. off: nothing of diskless acts, and the initramfs boots as if it were not \
         there.";
    ON_FAILURE "rd.diskless.on_failure" Ours, "trap",
        "What follows a failure. trap: the boot holds for a person. `retry[:COUNT]`: again, after a pause that doubles from 10 \
         seconds to 10 minutes. `reboot[:COUNT]`: the machine starts anew, after a pause that doubles from 30 seconds to 15 \
         minutes. Both go on without end, or that often and then trap. poweroff: off.";
    CONSOLE_SHELL "rd.diskless.console_shell" Ours, "no",
        "What the consoles offer where the boot stands still. no: keys for status, diagnose, retry and release, and no shell. \
         password: a shell for who knows root's password in the initramfs; the keys where root has none. yes: dracut's shell.";
    ATTEMPT "rd.diskless.attempt" Ours, "none: nobody counts",
        "How often the node was booted since it was last up, this time included: from 1. disklessd's boot script says it; \
         `rd.diskless.on_failure=reboot` goes by it.";
    PLAN "rd.diskless.plan" Ours, "none: see `netroot=`",
        "Where the boot plan is: the absolute path of a file in the initramfs, or an http:// or https:// URL. Several \
         URLs, in several parameters or with commas between them, are tried in turn; a comma in a URL is %2C.";
    TIMEOUT "rd.diskless.timeout" Ours, "180",
        "How many seconds a step waits for what is outside of the node (network, server, target) before it fails, 1 to \
         86400.";
    REQUIRE_SIGNATURE "rd.diskless.require_signature" Ours, "1 where the initramfs has a key in /etc/diskless/trusted.d, \
         else 0",
        "1: only plans are taken that a trusted key has signed, and that say which node they are for and have a serial; not \
         a boot from kernel parameters. 0: no signature is looked at.";
    LEAST_SERIAL "rd.diskless.least_serial" Ours, "0: any, or none",
        "Plans whose `validity.serial` is lower are refused, and those that have none.";
    REPORT "rd.diskless.report" Ours, "none",
        "The http:// or https:// URL that events are posted to, unless the plan names one.";
    SHARED "rd.diskless.shared_initiator" Ours, "0",
        "1: an /etc/iscsi/initiatorname.iscsi in the initramfs is the node's name. It is one name for all nodes that \
         boot this initramfs, so only one of them may run at a time; without this parameter such a file is refused.";
    LUN "rd.diskless.lun" Ours, "0",
        "The LUN, for `netroot=iscsi` with `rd.iscsi.target.*`, which have no word for it.";
    MOUNT "rd.diskless.mount" Ours, "none",
        "A further overlay: `MOUNT_POINT:/dev/mapper/NAME[:FSTYPE]`. May be repeated.";
    MIN_PATHS "rd.diskless.min_paths" Ours, "1",
        "Without a plan: so many paths to the disk must be there before the boot goes on, from 1 to the number of portals.";
    GRACE "rd.diskless.grace" Ours, "10",
        "Without a plan: seconds that the other paths are waited for once those are there.";
    AUTHORIZED_KEY "rd.diskless.authorized_key" Ours, "none",
        "The public key of an operator, who may log in by ssh while the node is in its initramfs: a line as in a file `.pub`, \
         in double quotes. May be repeated. It needs an initramfs with `diskless_sshd=yes`.";
    NETROOT "netroot" Dracut, "none: without it and `rd.diskless.plan=` the agent does nothing, and the initramfs boots \
         as if it were not there",
        "Boots from kernel parameters alone: \
         `iscsi:[USER:SECRET[:USER_IN:SECRET_IN]@]SERVER:[PROTOCOL]:[PORT]:[IFACE:NETDEV:][LUN]:TARGET`. IPv6 in \
         brackets; the protocol can only be 6; NETDEV is the interface that the \
         connection goes out of (without it, the routing decides), IFACE is passed over. Repeated, it is another path to \
         the same LUN, at another portal or as another target, with the same account. `netroot=iscsi` alone: see `rd.iscsi.target.name=`. \
         Not looked at beside `rd.diskless.plan=`.";
    TARGET_NAME "rd.iscsi.target.name" Dracut, "none", "The target, for `netroot=iscsi`.";
    TARGET_IP "rd.iscsi.target.ip" Dracut, "none", "Its portal's address or name, for `netroot=iscsi`.";
    TARGET_PORT "rd.iscsi.target.port" Dracut, "3260", "Its portal's port, for `netroot=iscsi`.";
    USERNAME "rd.iscsi.username" Dracut, "none: no authentication",
        "The CHAP account at the target, unless `netroot=` has one.";
    PASSWORD "rd.iscsi.password" Dracut, "none",
        "Its secret. It works, with a warning: every process of the node can read the kernel command line.";
    USERNAME_IN "rd.iscsi.in.username" Dracut, "none: the target is taken at its word",
        "The target's own account (mutual CHAP).";
    PASSWORD_IN "rd.iscsi.in.password" Dracut, "none", "Its secret, with the same warning.";
    INITIATOR "rd.iscsi.initiator" Dracut, "derived from the node's UUID or MAC address",
        "The node's initiator name, where the plan has none.";
    ISCSI_PARAM "rd.iscsi.param" Dracut, "none",
        "`KEY=VALUE`, a setting in the words of iscsid.conf, as in `iscsi.settings` of the plan; \
         `node.session.auth.chap_algs=SHA256,MD5` names the hash functions of CHAP. May be repeated.";
    MULTIPATH "rd.multipath" Dracut, "1: a map where there are several portals, or the plan wants one",
        "0: no map is made, with or without a plan; the disk of the first portal that answers is taken as it is, and the \
         other portals stand in for it.";
    LUKS_UUID "rd.luks.uuid" Systemd, "none: any", "The UUID of the LUKS header, whole; `luks-` may stand before it.";
    LUKS_NAME "rd.luks.name" Systemd, "luks_root", "`UUID=NAME`: the same, and the name of the opened disk.";
    LUKS_KEY "rd.luks.key" Systemd, "none",
        "`[UUID=]PATH` or `[UUID=]URL`: where the key is, a file in the initramfs or an http:// or https:// URL. A key \
         on another device is refused.";
    LUKS_OPTIONS "rd.luks.options" Systemd, "none",
        "`[UUID=]OPTION,...`: `keyfile-offset=`, `keyfile-size=`, `key-slot=` and `header=` with an absolute path; \
         others are refused.";
    ROOT "root" Kernel, "none",
        "Without a plan: `/dev/mapper/NAME`, the volume under `/`. With one: passed over, the plan says what the root is.";
    ROOT_FS "rootfstype" Kernel, "found out", "Its file system, without a plan.";
    OVERLAY "rd.overlay" Dracut, "zram:size=50%",
        "Without a plan, the writable layer: `zram[:OPTION,...]` with `size=` and `mem_limit=` (bytes as `2G`, or a share \
         of the memory as `50%`), `overcommit`, `fs=ext4` or `fs=xfs`, `algorithm=` in the kernel's words; or \
         `tmpfs[:OPTION,...]` with `size=` and `nr_inodes=`. They mean what they mean in a plan.";
    HOSTNAME "systemd.hostname" Systemd, "the name that the node has by then", "The node's name, without a plan.";
    MACHINE_ID "systemd.machine_id" Systemd, "the plan's `machine_id`, else derived from the node's UUID or MAC address",
        "The node's machine-id. systemd goes by it whatever /etc/machine-id says, so it goes before the plan. What is no id \
         (`firmware`) is left to systemd.";
    BREAK "rd.break" Dracut, "none",
        "`diskless-STEP`: the boot holds before that step; `diskless`: before the first. May be repeated. Other values are \
         dracut's own.";
    SHELL "rd.shell" Dracut, "1",
        "0, without `rd.break=`: there is no shell and no trap. Where the boot would hold for a person, `rd.emergency=` says what \
         becomes of the machine.";
    EMERGENCY "rd.emergency" Dracut, "halt", "With `rd.shell=0`: `reboot`, `poweroff` or `halt`.";
    BOOTIF "BOOTIF" Loader, "none",
        "The MAC address of the interface that the node booted from: on a node without a UUID, the initiator name and \
         the machine-id are derived from it.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_and_only_ours_are_called_so_and_none_stands_twice() {
        let mut names = std::collections::BTreeSet::new();
        for Parameter { name, whose, .. } in PARAMETERS {
            let ours = *name == MODE || name.starts_with("rd.diskless.");
            assert_eq!(*whose == Whose::Ours, ours, "{name}");
            assert!(names.insert(name.replace('-', "_")), "{name}");
        }
    }
}
