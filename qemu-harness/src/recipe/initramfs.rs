//! The initramfs: made by dracut in the builder, with the agent, the dracut module and the units in it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::sched::CloneFlags;

use super::Sources;
use crate::cache::Cache;
use crate::chroot::Root;
use crate::error::{At, Result};
use crate::{command, namespace, tree};

/// Where the builder's dracut looks for modules, and where the module's files come from.
const MODULES: &str = "usr/lib/dracut/modules.d";
const UNITS: &str = "usr/lib/systemd/system";
const AGENT: &str = "usr/bin/diskless";
/// As a site would call it, but for the compression: without KVM the kernel takes seconds to undo any.
const DRACUT: [&str; 8] = [
    "--force",
    "--no-hostonly",
    "--no-hostonly-cmdline",
    "--no-early-microcode",
    "--add",
    "diskless systemd-networkd",
    "--no-compress",
    "--kver",
];

/// All that decides what the initramfs is, given the builder and the sources.
pub fn recipe() -> String {
    DRACUT.join(" ")
}

/// Makes the initramfs at `at`; the builder stays as it is.
pub fn make(cache: &Cache, builder: &Path, sources: &Sources, version: &str, at: &Path) -> Result<()> {
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
        let root = Root::enter(&path, cache.folder())?;
        let mut dracut = root.command("dracut");
        dracut.args(DRACUT).arg(version).arg(root.inside(at)?);
        command::run(&mut dracut, &cache.log("initramfs"))
    })
}
