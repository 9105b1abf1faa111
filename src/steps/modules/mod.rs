//! The kernel comes over the network, its modules with the image: that both are of one version is nobody's promise. Where
//! they are not, the booted system comes up, and lacks file systems, drivers and firewalls as it goes on.

mod observe;
mod plan;

use std::fmt;

use crate::engine::converge::{Converge, Next};
use crate::engine::host::Host;
use crate::error::{Error, Result};

/// It only looks: there is no action.
#[derive(Debug)]
pub enum Nothing {}

impl fmt::Display for Nothing {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

/// Looks whether the new root has the modules of the running kernel.
#[derive(Debug)]
pub struct Step {
    /// The boot is not to go on without them; else there is a warning.
    pub required: bool,
}

impl Converge for Step {
    type Seen = observe::Seen;
    type Action = Nothing;

    fn observe(&self, host: &Host) -> Result<observe::Seen> {
        observe::observe(host)
    }

    fn plan(&self, seen: &observe::Seen) -> Result<Next<Nothing>> {
        plan::plan(self, seen)
    }

    fn warnings(&self, seen: &observe::Seen) -> Vec<Error> {
        plan::missing(seen).filter(|_| !self.required).into_iter().collect()
    }

    fn apply(&self, _: &Host, nothing: Nothing) -> Result<()> {
        match nothing {}
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::engine::converge::converge;
    use crate::error::Code;

    #[test]
    fn missing_modules_are_warned_of_once_or_end_the_boot() {
        let folder = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("proc/sys/kernel/osrelease", "6.1\n");
        write("proc/modules", "overlay 1 0 - Live 0x0\n");
        write("sysroot/lib/modules/5.10/modules.dep", "");
        let host = Host::fake(folder.path());
        let drive = |required| converge(&Step { required }, &host, Duration::ZERO, &mut |_| ());
        assert_eq!(drive(false).unwrap(), "no modules of 6.1");
        let warnings: Vec<String> = host.take_warnings().iter().map(Error::to_string).collect();
        let text =
            "/lib/modules/6.1: the new root has no modules of the running kernel: it has those of 5.10";
        assert_eq!(warnings, [text]);
        let error = drive(true).unwrap_err();
        assert_eq!((error.code(), error.to_string().as_str()), (Code::KernelModules, text));
        assert!(host.take_warnings().is_empty(), "an error is no warning as well");
        write("sysroot/lib/modules/6.1/modules.dep", "");
        for required in [false, true] {
            assert_eq!(drive(required).unwrap(), "modules of 6.1 are there");
        }
        assert!(host.take_warnings().is_empty());
    }
}
