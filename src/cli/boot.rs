//! `diskless boot`.

use std::cell::OnceCell;
use std::rc::Rc;

use lexopt::Parser;

use super::{Failed, cmdline, no_more};
use crate::engine::host::Host;
use crate::engine::lock;
use crate::engine::run::Run;
use crate::input::config::Config;
use crate::input::facts::Facts;
use crate::input::identity;
use crate::plan;

/// Where the lock of a run is.
const LOCK: &str = "/run/diskless/lock";

/// Fetches the boot plan and puts the new root together.
pub fn main(args: &mut Parser, host: &Host) -> Result<(), Failed> {
    no_more(args)?;
    let _lock = lock::take(&host.path(LOCK))?;
    let mut run = Run::start(host);
    let told = |_| Failed::Told;
    let config = cmdline(host).and_then(|cmdline| Config::from_cmdline(&cmdline));
    let config = config.map_err(|error| run.failed("input", &error)).map_err(|()| Failed::Told)?;
    let slot = Rc::new(OnceCell::new());
    run.steps(&plan::until_document(&config, &slot)).map_err(told)?;
    if let Some(document) = slot.get() {
        if let Some(report) = &document.report {
            run.report_to(report, document.hostname.as_deref());
        }
        let initiator = identity::initiator(document, &config, &Facts::read(&host.path("/")));
        let initiator = initiator.map_err(|error| run.failed("input", &error)).map_err(|()| Failed::Told)?;
        let steps = plan::from_document(&config, document, &initiator);
        let steps = steps.map_err(|error| run.failed("input", &error)).map_err(|()| Failed::Told)?;
        run.steps(&steps).map_err(told)?;
    }
    run.finish();
    Ok(())
}
