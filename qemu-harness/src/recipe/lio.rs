//! The initramfs of a target machine: busybox, the kernel's modules of LIO, and a script.

use std::fs;
use std::path::Path;

use nix::sched::CloneFlags;

use crate::cache::Cache;
use crate::chroot::Root;
use crate::error::{At, Result};
use crate::{command, namespace, tree};

/// Run inside the builder with the initramfs to make, the kernel's version, and the first process.
const MAKE: &str = include_str!("../../assets/lio/make.sh");
const INIT: &str = include_str!("../../assets/lio/init");

/// All that decides what it is, given the builder.
pub fn recipe() -> String {
    format!("{MAKE} {INIT}")
}

/// Makes it at `at`.
pub fn make(cache: &Cache, builder: &Path, version: &str, at: &Path) -> Result<()> {
    namespace::apart(CloneFlags::CLONE_NEWNS, || {
        let work = cache.folder().join("work");
        tree::remove(&work)?;
        namespace::tmpfs(&work)?;
        let init = work.join("init");
        fs::write(&init, INIT).at("write", &init)?;
        let tools = Root::enter(builder, cache.folder())?;
        let mut script = tools.command("sh");
        script.args(["-c", MAKE, "lio"]).arg(tools.inside(at)?).arg(version).arg(tools.inside(&init)?);
        command::run(&mut script, &cache.log("lio"))
    })
}
