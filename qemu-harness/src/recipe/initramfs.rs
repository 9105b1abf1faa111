//! The initramfs: made by dracut in the builder, with the agent, the dracut module and the units in it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::sched::CloneFlags;

use super::Sources;
use crate::cache::Cache;
use crate::chroot::Root;
use crate::error::{At, Result};
use crate::scenario::Initramfs;
use crate::{command, namespace, tree};

/// Where the builder's dracut looks for modules, and where the module's files come from.
const MODULES: &str = "usr/lib/dracut/modules.d";
const UNITS: &str = "usr/lib/systemd/system";
const AGENT: &str = "usr/bin/diskless";
/// As a site would call it, but for the compression: without KVM the kernel takes seconds to undo any.
const DRACUT: [&str; 6] =
    ["--force", "--no-early-microcode", "--add", "diskless systemd-networkd", "--no-compress", "--kver"];
/// For any machine, not for the one that builds it.
const ANY: [&str; 2] = ["--no-hostonly", "--no-hostonly-cmdline"];
const HOSTONLY: [&str; 1] = ["--hostonly"];
/// What a site writes to have mkfs.xfs in it.
const CONFIGURATION: (&str, &str) = ("etc/dracut.conf.d/diskless.conf", "diskless_mkfs_xfs=yes\n");

fn hostonly(options: Initramfs) -> &'static [&'static str] {
    if options.hostonly { &HOSTONLY } else { &ANY }
}

/// All that decides what the initramfs is, given the builder and the sources.
pub fn recipe(options: Initramfs) -> String {
    let configuration = if options.mkfs_xfs { CONFIGURATION.1 } else { "" };
    format!("{} {} {configuration}", hostonly(options).join(" "), DRACUT.join(" "))
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
        tree::copy(&sources.modules, &path.join(MODULES))?;
        tree::copy(&sources.units, &path.join(UNITS))?;
        let agent = path.join(AGENT);
        fs::copy(&sources.agent, &agent).at("write", &agent)?;
        fs::set_permissions(&agent, Permissions::from_mode(0o755)).at("set the mode of", &agent)?;
        if options.mkfs_xfs {
            let (name, text) = CONFIGURATION;
            fs::write(path.join(name), text).at("write", name)?;
        }
        let root = Root::enter(&path, cache.folder())?;
        let mut dracut = root.command("dracut");
        dracut.args(hostonly(options)).args(DRACUT).arg(version).arg(root.inside(at)?);
        command::run(&mut dracut, &cache.log("initramfs"))
    })
}
