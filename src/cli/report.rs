//! `diskless report up|usage`.

use lexopt::Parser;

use super::{Failed, no_more, print};
use crate::engine::host::Host;
use crate::report::{up, watch};

/// Reports from the booted system: that the node is up, and what the boot left unsent; or that its writable layer has
/// passed a watermark.
pub fn main(args: &mut Parser, host: &Host) -> Result<(), Failed> {
    let what = args.value()?;
    let report = match what.to_str() {
        Some("up") => report_up,
        Some("usage") => report_usage,
        _ => return Err(lexopt::Error::from(format!("unknown report {}", what.display())).into()),
    };
    no_more(args)?;
    report(host)
}

fn report_up(host: &Host) -> Result<(), Failed> {
    let sent = up::report(host, up::LIMIT)?;
    let form = if sent.form { ", and cloud-init's form" } else { "" };
    print(&format!("{} events reported{form}\n", sent.events))
}

fn report_usage(host: &Host) -> Result<(), Failed> {
    let changes = watch::watch(host)?;
    print(&changes.iter().map(|change| format!("{}\n", change.text)).collect::<String>())
}
