//! `diskless report up`.

use lexopt::Parser;

use super::{Failed, no_more, print};
use crate::engine::host::Host;
use crate::report::up;

/// Reports from the booted system that the node is up, and what the boot left unsent.
pub fn main(args: &mut Parser, host: &Host) -> Result<(), Failed> {
    let what = args.value()?;
    if what != "up" {
        return Err(lexopt::Error::from(format!("unknown report {}", what.display())).into());
    }
    no_more(args)?;
    let sent = up::report(host, up::LIMIT)?;
    let form = if sent.form { ", and cloud-init's form" } else { "" };
    print(&format!("{} events reported{form}\n", sent.events))
}
