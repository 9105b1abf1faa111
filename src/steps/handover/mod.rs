//! What the new root must know to carry on: its name, and how the image's iscsid is to keep the session it inherits.

mod apply;
pub mod files;
mod install;
mod observe;
mod plan;

use crate::engine::converge::{Converge, Next};
use crate::engine::host::Host;
use crate::error::Result;
use files::File;

/// The image's units that take over from the agent, enabled where the image has them.
const UNITS: [&str; 1] = ["iscsid.service"];

/// Writes files into the new root and enables the units that take over.
pub struct Step {
    files: Vec<File>,
}

impl Step {
    /// Writes `files`.
    pub fn new(files: Vec<File>) -> Step {
        Step { files }
    }
}

impl Converge for Step {
    type Seen = observe::Seen;
    type Action = apply::Action;

    fn observe(&self, host: &Host) -> Result<observe::Seen> {
        observe::observe(host, &self.files, &UNITS)
    }

    fn plan(&self, seen: &observe::Seen) -> Result<Next<apply::Action>> {
        Ok(plan::plan(&self.files, seen))
    }

    fn apply(&self, host: &Host, action: apply::Action) -> Result<()> {
        apply::apply(host, action)
    }
}
