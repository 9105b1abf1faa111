//! `diskless boot`.

use std::cell::OnceCell;
use std::rc::Rc;

use lexopt::Parser;

use super::{Failed, cmdline, no_more};
use crate::engine::host::Host;
use crate::engine::lock;
use crate::engine::run::Run;
use crate::input::config::{Config, Source};
use crate::input::facts::Facts;
use crate::input::{identity, parameters};
use crate::plan;

/// Where the lock of a run is.
const LOCK: &str = "/run/diskless/lock";

/// Fetches the boot plan and puts the new root together.
pub fn main(args: &mut Parser, host: &Host) -> Result<(), Failed> {
    no_more(args)?;
    let _lock = lock::take(&host.path(LOCK))?;
    let mut run = Run::start(host);
    let told = |_| Failed::Told;
    let mut input = |error| {
        run.failed("input", &error);
        Failed::Told
    };
    let cmdline = cmdline(host).map_err(&mut input)?;
    let config = Config::from_cmdline(&cmdline).map_err(&mut input)?;
    let slot = Rc::new(OnceCell::new());
    if config.plan == Source::Parameters {
        // It was empty.
        let _ = slot.set(parameters::document(&cmdline).map_err(&mut input)?);
    }
    if let Some(warning) = parameters::warning(&cmdline) {
        run.warn(warning);
    }
    run.steps(&plan::until_document(&config, &slot)).map_err(told)?;
    if let Some(document) = slot.get() {
        let root = host.path("/");
        let baked = identity::baked(&root);
        let initiator = identity::initiator(document, &config, &Facts::read(&root), baked.as_deref());
        let initiator = initiator.map_err(|error| {
            run.failed("input", &error);
            Failed::Told
        })?;
        if let Some(warning) = initiator.warning() {
            run.warn(&warning);
        }
        run.steps(&plan::from_document(&config, document, &initiator.name)?).map_err(told)?;
    }
    run.finish();
    Ok(())
}
