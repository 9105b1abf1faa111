//! What the new root must know to carry on: its name, and how the image's iscsid is to keep the session it inherits.

mod apply;
pub mod files;
mod observe;
mod plan;

use crate::engine::converge::{Converge, Next};
use crate::engine::host::Host;
use crate::error::Result;
use files::File;

/// Writes files into the new root.
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
    type Action = apply::Write;

    fn observe(&self, host: &Host) -> Result<observe::Seen> {
        observe::observe(host, &self.files)
    }

    fn plan(&self, seen: &observe::Seen) -> Result<Next<apply::Write>> {
        Ok(plan::plan(&self.files, seen))
    }

    fn apply(&self, host: &Host, action: apply::Write) -> Result<()> {
        apply::apply(host, action)
    }
}
