//! The parsers of foreign input, each as something that takes bytes, for the fuzzer in the folder `fuzz`. Compiled for
//! it alone, with `--cfg fuzzing`; the targets stand in a file of this name beside the parsers that they call.
//!
//! None may panic, take long, or take memory without bound. Where what comes out has to hold more than that (a
//! partition is on its disk, a number is read as it was written), the target asserts it.
//!
//! Where a check sum keeps random bytes out, there are two targets: one as it is, and one (`...-signed`) that makes the
//! sum right first, so that what is behind it is reached.

use crate::{diagnose, input, steps, sys};

/// Gives bytes to some parsers.
pub type Target = fn(&[u8]);

/// All of them, by name.
pub const TARGETS: &[(&str, Target)] = &[
    ("plan", input::fuzz::plan),
    ("cmdline", input::fuzz::cmdline),
    ("conf", input::fuzz::conf),
    ("words", input::fuzz::words),
    ("facts", input::fuzz::facts),
    ("multipath-conf", input::fuzz::multipath_conf),
    ("signature", input::fuzz::signature),
    ("ssh-key", input::fuzz::ssh_key),
    ("authorized-key", input::fuzz::authorized_key),
    ("dns", sys::resolve::fuzz::answer),
    ("resolv-conf", sys::resolve::fuzz::files),
    ("http", sys::http::fuzz::answer),
    ("netlink", sys::iscsi_netlink::fuzz::message),
    ("pdu-text", steps::iscsi::fuzz::text),
    ("login", steps::iscsi::fuzz::login),
    ("discovery", steps::iscsi::fuzz::discovery),
    ("inquiry", steps::iscsi::fuzz::inquiry),
    ("vpd", steps::multipath::fuzz::pages),
    ("multipath-table", steps::multipath::fuzz::table),
    ("luks", steps::luks::fuzz::header),
    ("luks-signed", steps::luks::fuzz::signed),
    ("gpt", steps::volumes::fuzz::table),
    ("gpt-signed", steps::volumes::fuzz::gpt_signed),
    ("mbr", steps::volumes::fuzz::mbr),
    ("lvm", steps::volumes::lvm::fuzz::device),
    ("lvm-signed", steps::volumes::lvm::fuzz::signed),
    ("lvm-text", steps::volumes::lvm::fuzz::text),
    ("superblock", steps::overlay::fuzz::superblock),
    ("zram", steps::zram::fuzz::sysfs),
    ("xfs-log", steps::overlay::fuzz::xfs_log),
    ("mountinfo", steps::overlay::fuzz::mountinfo),
    ("utab", steps::overlay::fuzz::utab),
    ("install", steps::handover::fuzz::install),
    ("iscsid-conf", steps::handover::fuzz::iscsid_conf),
    ("hosts", steps::handover::fuzz::hosts),
    ("fstab", steps::handover::fuzz::fstab),
    ("crypttab", steps::handover::fuzz::crypttab),
    ("mount-unit", steps::handover::fuzz::mount_unit),
    ("evidence", diagnose::fuzz::evidence),
    ("journal", crate::report::fuzz::journal),
    ("smbios", crate::inspect::fuzz::smbios),
    ("lldp", crate::inspect::fuzz::lldp),
    ("redact", crate::bundle::fuzz::redact),
];
