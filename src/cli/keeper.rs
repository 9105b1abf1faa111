//! `diskless keeper`.

use lexopt::Parser;

use super::{Failed, no_more};
use crate::engine::host::Host;
use crate::keeper;

/// Keeps the sessions of the root, until it is told to end.
pub fn main(args: &mut Parser, host: &Host) -> Result<(), Failed> {
    no_more(args)?;
    Ok(keeper::main(host)?)
}
