//! What the new root must know to carry on: who it is, how the image's iscsid and multipathd are to keep the sessions
//! and maps they inherit, which network interfaces are not its own to change, and what else the plan has for it.
//! docs/handover.md lists the files.

mod apply;
mod files;
#[cfg(fuzzing)]
pub mod fuzz;
pub mod host_keys;
mod image;
mod install;
mod kept;
mod lease;
mod managers;
mod nic;
mod observe;
mod own;
mod paths;
mod pins;
mod plan;
mod stale;
mod units;
mod written;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod systemctl_tests;

use crate::engine::converge::{Converge, Next};
use crate::engine::host::Host;
use crate::error::{Code, Error, Result};
use crate::input::document::Document;
use crate::input::identity::Identity;
use files::File;
use host_keys::HostKeys;
pub use image::{RIVALS, Rival};
pub use kept::keep_again;
pub use own::{OWN, Own};
use units::Wanted;
pub use written::{WRITTEN, Written};

/// Asks systemd to label the whole file system at the next boot, on which it then restarts: a node would never be up.
const AUTORELABEL: &str = "/.autorelabel";

/// Writes files into the new root and enables the units that take over.
pub struct Step<'a> {
    document: &'a Document,
    identity: &'a Identity,
    host_keys: HostKeys<'a>,
    files: Vec<File>,
    units: Vec<Wanted>,
}

impl<'a> Step<'a> {
    /// The step for the node that is `identity`.
    ///
    /// # Errors
    /// [`Code::PlanInvalid`]: the plan has a line for multipath.conf that cannot be written.
    pub fn new(document: &'a Document, identity: &'a Identity) -> Result<Step<'a>> {
        // What cannot be written is to be told before anything is done.
        if let Some(map) = document.map() {
            paths::files(map, None)?;
        }
        Ok(Step {
            document,
            identity,
            host_keys: HostKeys::of(&document.handover),
            files: files::files(document, &identity.initiator.name),
            units: units::wanted(document),
        })
    }
}

impl Converge for Step<'_> {
    type Seen = observe::Seen;
    type Action = apply::Action;

    fn observe(&self, host: &Host) -> Result<observe::Seen> {
        observe::observe(host, self)
    }

    fn plan(&self, seen: &observe::Seen) -> Result<Next<apply::Action>> {
        plan::plan(&self.files, seen)
    }

    fn apply(&self, host: &Host, action: apply::Action) -> Result<()> {
        apply::apply(host, action)
    }
}

/// The error of something that was to be done at `path` of the new root.
fn failed(path: &str) -> impl Fn(std::io::Error) -> Error {
    move |cause| {
        let code = match cause.kind() {
            std::io::ErrorKind::InvalidInput => Code::HandoverPath,
            _ => Code::Handover,
        };
        Error::new(code, path).because(cause)
    }
}
