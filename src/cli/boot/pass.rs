//! One run of the boot, from what is configured to the new root.

use std::cell::OnceCell;
use std::rc::Rc;

use crate::access;
use crate::cli::acts;
use crate::engine::host::Host;
use crate::engine::orders::{FIRST, Orders};
use crate::engine::run::{Run, Step, Stop};
use crate::engine::skip;
use crate::error::{Code, Error, Result};
use crate::input::cmdline::Cmdline;
use crate::input::config::{self, Acts, Config, Source};
use crate::input::document::{Document, Report};
use crate::input::facts::Facts;
use crate::input::identity::{self, Identity};
use crate::input::parameters;
use crate::input::trap::Trap;
use crate::input::words::ROOT;
use crate::keeper::{self, Request};
use crate::plan;
use crate::steps::fetch;
use crate::steps::overlay::root_is_there;
use crate::sys::module;

/// Runs the boot that is `configured` as far as `run` goes.
///
/// # Errors
/// Why it does not go on; a failure has been told.
pub fn pass(run: &mut Run<'_>, host: &Host, configured: Result<(Cmdline, Vec<Error>)>) -> Result<(), Stop> {
    let (cmdline, wrong) = configured.map_err(|error| refused(run, error))?;
    let (trap, misspelt) = Trap::read(&cmdline);
    // What is wrong with the command line cannot be mended in this boot: who lets it go on has seen it.
    for error in wrong.into_iter().chain(misspelt) {
        if !Orders::read(host).released {
            return Err(refused(run, error));
        }
        run.warn(&format!("[{}] {error}; passed over, for the boot was released", error.code().as_str()));
    }
    run.hold(FIRST)?;
    let tried = fetch::tried(host);
    if let Some(tried) = &tried {
        run.warn(&format!("the plan of `diskless plan --try` goes before every other ({tried})"));
    } else if config::acts(&cmdline) == Acts::Holds {
        return without_plan(run, host, &cmdline);
    }
    let config = Config::with_plan(&cmdline, tried).map_err(|error| refused(run, error))?;
    module::load_ahead(host, plan::MODULES);
    let by_parameters = match config.plan {
        Source::Parameters => {
            Some(of_parameters(host, &cmdline, &config).map_err(|error| refused(run, error))?)
        }
        Source::File(_) | Source::Urls(_) => None,
    };
    if let Some(warning) = parameters::warning(&cmdline.of_kernel()) {
        run.warn(warning);
    }
    let document = match by_parameters {
        Some(document) => document,
        None => fetched(run, &config)?,
    };
    let_in(run, host, &document);
    let skip = Orders::read(host).skip;
    if !skip.is_empty() {
        run.warn(&format!("skipped, as ordered: {}", skip.join(", ")));
    }
    let document = skip::without(document, &skip);
    tell_whom(run, &config, &document, &skip);
    let root = host.path("/");
    let baked = identity::baked(&root);
    let identity = Identity::of(&document, &config, &Facts::read(&root), baked.as_deref());
    let identity = identity.map_err(|error| refused(run, error))?;
    for warning in identity.warnings() {
        run.warn(&warning);
    }
    run.watch_for(&document.overlay.watermarks);
    let steps = plan::from_document(&config, &document, &identity);
    let steps = steps.map_err(|error| refused(run, error))?;
    check_names(run, host, &trap, &steps)?;
    run.steps(&steps)?;
    acts::took_root(host, &cmdline);
    Ok(())
}

/// The operators that the plan names can log in from here on; says how to.
fn let_in(run: &mut Run<'_>, host: &Host, document: &Document) {
    if let Err(error) = access::admit(host, &document.access) {
        run.warn(&format!("[{}] {error}; {}", error.code().as_str(), error.advice()));
    }
    if let Some(how) = access::invitation(host) {
        run.say(&how);
    }
}

/// The boot plan that the parameters are, where they may be one.
fn of_parameters(host: &Host, cmdline: &Cmdline, config: &Config) -> Result<Document> {
    fetch::may_be_parameters(host, config.signing)?;
    parameters::document(cmdline)
}

/// The boot plan from where it is.
fn fetched(run: &mut Run<'_>, config: &Config) -> Result<Document, Stop> {
    let slot = Rc::new(OnceCell::new());
    run.steps(&plan::until_document(config, &slot))?;
    // The steps are gone, and what they fetched is ours.
    let document = Rc::into_inner(slot).and_then(OnceCell::into_inner);
    document.ok_or_else(|| refused(run, Error::new(Code::NoPlan, "the step plan")))
}

/// From here on the events of the boot have somewhere to go, and the node its name.
fn tell_whom(run: &mut Run<'_>, config: &Config, document: &Document, skip: &[String]) {
    run.name(document.hostname.as_deref());
    let of_config = || config.report.clone().map(|url| Report { url, phone_home: None });
    let report = document.report.clone().or_else(of_config);
    if let Some(report) = report.filter(|_| !skip::leaves_out(skip, "report")) {
        run.report_to(&report, document.hostname.as_deref());
    }
}

/// A hold before a step that this boot does not have would pass unseen; and a run up to one would be a whole boot.
fn check_names(run: &mut Run<'_>, host: &Host, trap: &Trap, steps: &[Step<'_>]) -> Result<(), Stop> {
    let has = |name: &str| steps.iter().any(|step| step.name == name) || run.has(name);
    if let Some(until) = run.until().filter(|until| !has(until)) {
        return Err(refused(run, Error::new(Code::NoStep, until)));
    }
    let orders = Orders::read(host);
    let asked = trap.holds.iter().copied().chain(orders.holds.iter().map(String::as_str));
    let missing: Vec<&str> = asked.filter(|name| plan::STEPS.contains(name) && !has(name)).collect();
    for name in missing {
        run.warn(&format!("there is no step {name} in this boot, so it does not hold there"));
    }
    Ok(())
}

/// The boot was let go, and there is no plan: it goes on from what somebody has mounted meanwhile, or as if we were not
/// there.
fn without_plan(run: &mut Run<'_>, host: &Host, cmdline: &Cmdline) -> Result<(), Stop> {
    if root_is_there(host) {
        run.warn("there is no boot plan: the boot goes on from what is mounted at /sysroot");
        acts::took_root(host, cmdline);
    } else if cmdline.of_kernel().last(ROOT).is_some() {
        run.warn("there is no boot plan, and nothing is mounted at /sysroot: root= is left to systemd");
    } else {
        let error = Error::new(Code::NoPlan, "kernel command line");
        return Err(refused(run, error.because("and no root is mounted at /sysroot")));
    }
    // A keeper that was given nothing has nothing to do in a system that boots as if we were not there. It may be gone already.
    if keeper::ask(host, &Request::Status).is_ok_and(|journal| journal.portals.is_empty()) {
        let _ = keeper::ask(host, &Request::End);
    }
    Ok(())
}

/// What the node was told cannot be used: the run tells so, and ends.
fn refused(run: &mut Run<'_>, error: Error) -> Stop {
    run.failed("input", &error);
    Stop::Failed("input", error)
}
