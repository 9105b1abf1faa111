//! The boot plan: fetch it from its file, or from the first of its URLs that has it, once, and check it.

mod apply;
mod observe;
mod plan;
mod turns;

pub use plan::shown;

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use crate::engine::converge::{Converge, Next};
use crate::engine::host::Host;
use crate::error::Result;
use crate::input::config::Source;
use crate::input::document::Document;
use turns::Turns;

/// Where the fetched plan is put, for whoever drives the steps.
pub type Slot = Rc<OnceCell<Document>>;

/// Fetches the boot plan.
pub struct Step {
    source: Source,
    multipath: bool,
    slot: Slot,
    turns: RefCell<Turns>,
}

impl Step {
    /// Fetches the plan from `source` into `slot`; without `multipath`, as one that makes no map.
    pub fn new(source: Source, multipath: bool, slot: Slot) -> Step {
        let turns = match &source {
            Source::Urls(urls) => Turns::of(urls),
            Source::File(_) | Source::Parameters => Turns::default(),
        };
        Step { source, multipath, slot, turns: RefCell::new(turns) }
    }
}

impl Converge for Step {
    type Seen = observe::Seen;
    type Action = apply::Fetch;

    fn observe(&self, host: &Host) -> Result<observe::Seen> {
        Ok(observe::observe(&self.slot, &self.turns.borrow(), host.now()))
    }

    fn plan(&self, seen: &observe::Seen) -> Result<Next<apply::Fetch>> {
        plan::plan(&self.source, seen)
    }

    fn apply(&self, host: &Host, action: apply::Fetch) -> Result<()> {
        let document = apply::apply(host, action, &mut self.turns.borrow_mut())?;
        let document = if self.multipath { document } else { document.without_map() };
        // It was empty, or the step would be done.
        let _ = self.slot.set(document);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
