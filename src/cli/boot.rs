//! `diskless boot`.

use std::cell::OnceCell;
use std::rc::Rc;

use lexopt::Parser;

use super::{Failed, cmdline, no_more, print};
use crate::engine::host::Host;
use crate::engine::lock;
use crate::engine::run::Run;
use crate::error::Error;
use crate::input::config::{Config, Source};
use crate::input::document::Report;
use crate::input::facts::Facts;
use crate::input::identity::{self, Identity};
use crate::input::parameters;
use crate::plan;
use crate::steps::fetch;
use crate::sys::module;

/// Where the lock of a run is.
const LOCK: &str = "/run/diskless/lock";

/// Fetches the boot plan and puts the new root together.
pub fn main(args: &mut Parser, host: &Host) -> Result<(), Failed> {
    no_more(args)?;
    if host.is_crash_kernel() {
        return print(
            "this kernel saves the memory of one that crashed (/proc/vmcore): there is nothing to boot\n",
        );
    }
    let _lock = lock::take(&host.path(LOCK))?;
    let mut run = Run::start(host);
    let told = |_| Failed::Told;
    let cmdline = cmdline(host).map_err(|error| refused(&mut run, &error))?;
    let config =
        Config::with_plan(&cmdline, fetch::tried(host)).map_err(|error| refused(&mut run, &error))?;
    module::load_ahead(host, plan::MODULES);
    let slot = Rc::new(OnceCell::new());
    if config.plan == Source::Parameters {
        fetch::may_be_parameters(host, config.signing).map_err(|error| refused(&mut run, &error))?;
        // It was empty.
        let _ = slot.set(parameters::document(&cmdline).map_err(|error| refused(&mut run, &error))?);
    }
    if let Some(warning) = parameters::warning(&cmdline) {
        run.warn(warning);
    }
    run.steps(&plan::until_document(&config, &slot)).map_err(told)?;
    if let Some(document) = slot.get() {
        let report = document
            .report
            .clone()
            .or_else(|| config.report.clone().map(|url| Report { url, phone_home: None }));
        if let Some(report) = report {
            run.report_to(&report, document.hostname.as_deref());
        }
        let root = host.path("/");
        let baked = identity::baked(&root);
        let identity = Identity::of(document, &config, &Facts::read(&root), baked.as_deref());
        let identity = identity.map_err(|error| refused(&mut run, &error))?;
        for warning in identity.warnings() {
            run.warn(&warning);
        }
        run.watch_for(&document.overlay.watermarks);
        let steps = plan::from_document(&config, document, &identity);
        let steps = steps.map_err(|error| refused(&mut run, &error))?;
        run.steps(&steps).map_err(told)?;
    }
    run.finish();
    Ok(())
}

/// What the node was told cannot be used: the run tells so, and ends.
fn refused(run: &mut Run<'_>, error: &Error) -> Failed {
    run.failed("input", error);
    Failed::Told
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// What the console shows of a boot with this command line, and this file of open-iscsi in the initramfs.
    fn console(cmdline: &str, baked: &str) -> String {
        let root = tempfile::tempdir().unwrap();
        for (file, text) in
            [("proc/cmdline", cmdline), ("etc/iscsi/initiatorname.iscsi", baked), ("dev/kmsg", "")]
        {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let result = main(&mut Parser::from_args([] as [&str; 0]), &Host::fake(root.path()));
        assert!(matches!(result, Err(Failed::Told)), "{cmdline}");
        fs::read_to_string(root.path().join("dev/kmsg")).unwrap()
    }

    #[test]
    fn a_boot_from_parameters_stops_at_a_shared_name_and_warns_of_secrets() {
        let disk = "netroot=iscsi:u:hunter2@198.18.0.1::::iqn.a:b rd.luks.key=/k root=/dev/mapper/luks_root1";
        let shown = console(disk, "InitiatorName=iqn.a:shared\n");
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines[0].starts_with("<30>diskless: WARNING: there is a secret"), "{shown}");
        assert!(lines[1].starts_with("<30>diskless: input failed [initiator-shared] /etc/iscsi/"), "{shown}");
        assert_eq!(lines.len(), 2, "{shown}");
        let shown = console(&disk.replace("rd.luks.key", "rd.luks.kye"), "");
        assert!(shown.starts_with("<30>diskless: input failed [parameter] rd.luks.kye="), "{shown}");
    }
}
