//! The boot plan: fetch it from its file, or from the first of its URLs that has it, once, and check it.

mod apply;
mod judge;
mod observe;
mod place;
mod plan;
mod tried;
mod trust;
mod turns;

pub use apply::clock_of;
pub use judge::{Judged, judge};
pub use place::{Found, LONGEST_PLAN, beside, find};
pub use plan::shown;
pub use tried::{FILE as TRIED, put as put_to_try, source as tried, take_away as no_more_to_try};
pub use trust::{Rules, TRUSTED, Trusted, key as trusted_key, keys as trusted_keys};
pub use turns::Why;

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use crate::engine::converge::{Converge, Next};
use crate::engine::host::Host;
use crate::error::{Code, Error, Result};
use crate::input::config::{Signing, Source};
use crate::input::document::Document;
use turns::Turns;

/// Where the fetched plan is put, for whoever drives the steps.
pub type Slot = Rc<OnceCell<Document>>;

/// Fetches the boot plan.
pub struct Step {
    source: Source,
    multipath: bool,
    signing: Signing,
    slot: Slot,
    signer: RefCell<Option<String>>,
    turns: RefCell<Turns>,
}

impl Step {
    /// Fetches the plan from `source` into `slot` if it is as `signing` wants it; without `multipath`, as one that makes
    /// no map.
    pub fn new(source: Source, multipath: bool, signing: Signing, slot: Slot) -> Step {
        let turns = RefCell::new(Turns::of(&places(&source)));
        Step { source, multipath, signing, slot, signer: RefCell::default(), turns }
    }
}

impl Converge for Step {
    type Seen = observe::Seen;
    type Action = apply::Fetch;

    fn observe(&self, host: &Host) -> Result<observe::Seen> {
        let signer = self.signer.borrow();
        Ok(observe::observe(&self.slot, signer.as_deref(), &self.turns.borrow(), host.now()))
    }

    fn plan(&self, seen: &observe::Seen) -> Result<Next<apply::Fetch>> {
        plan::plan(&self.source, seen)
    }

    fn apply(&self, host: &Host, _: apply::Fetch) -> Result<()> {
        let Some(judged) = apply::apply(host, self.signing, &mut self.turns.borrow_mut())? else {
            return Ok(());
        };
        judged.warnings.into_iter().for_each(|warning| host.warn(warning));
        *self.signer.borrow_mut() = judged.signer;
        let document = if self.multipath { judged.document } else { judged.document.without_map() };
        // It was empty, or the step would be done.
        let _ = self.slot.set(document);
        Ok(())
    }
}

/// Where to look for a plan, in turn.
fn places(source: &Source) -> Vec<String> {
    match source {
        Source::Urls(urls) => urls.clone(),
        Source::File(path) => vec![path.clone()],
        Source::Parameters => Vec::new(),
    }
}

/// Whether the node may boot from kernel parameters alone.
///
/// # Errors
/// [`Code::PlanSignatureMissing`]: only from a signed plan; [`Code::SigningKey`].
pub fn may_be_parameters(host: &Host, signing: Signing) -> Result<()> {
    if Rules::read(&host.path("/"), signing)?.required {
        let cause = "kernel parameters cannot be signed: name a signed plan, rd.diskless.plan=";
        return Err(Error::new(Code::PlanSignatureMissing, "kernel command line").because(cause));
    }
    Ok(())
}

/// The plan that a boot would take now from `source`, and the place that has it: each is asked once.
///
/// # Errors
/// Why no place has one that may be used.
pub fn now(host: &Host, source: &Source, signing: Signing) -> Result<(String, Found, Judged)> {
    let rules = Rules::read(&host.path("/"), signing)?;
    let mut turns = Turns::of(&places(source));
    for (number, place) in turns.due(host.now()) {
        match apply::usable(host, &place, &rules) {
            Ok((found, judged)) => return Ok((place, found, judged)),
            Err(why) => turns.failed(number, why, host.now(), |wait| wait),
        }
    }
    Err(turns.error())
}

#[cfg(test)]
mod tests;
