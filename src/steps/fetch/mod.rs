//! The boot plan: fetch it from its file or URL, once, and check it.

mod apply;
mod observe;
mod plan;

use std::cell::OnceCell;
use std::rc::Rc;

use crate::engine::converge::{Converge, Next};
use crate::engine::host::Host;
use crate::error::Result;
use crate::input::config::Source;
use crate::input::document::Document;

/// Where the fetched plan is put, for whoever drives the steps.
pub type Slot = Rc<OnceCell<Document>>;

/// Fetches the boot plan.
pub struct Step {
    source: Source,
    slot: Slot,
}

impl Step {
    /// Fetches the plan from `source` into `slot`.
    pub fn new(source: Source, slot: Slot) -> Step {
        Step { source, slot }
    }
}

impl Converge for Step {
    type Seen = observe::Seen;
    type Action = apply::Fetch;

    fn observe(&self, _: &Host) -> Result<observe::Seen> {
        Ok(observe::observe(&self.slot))
    }

    fn plan(&self, seen: &observe::Seen) -> Result<Next<apply::Fetch>> {
        Ok(plan::plan(&self.source, seen))
    }

    fn apply(&self, host: &Host, action: apply::Fetch) -> Result<()> {
        apply::apply(host, action, &self.slot)
    }
}
