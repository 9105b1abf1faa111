//! Who the node is to its targets: names that are its own alone.

use super::config::Config;
use super::document::Document;
use super::facts::Facts;
use crate::error::{Code, Error, Result};

/// The node's initiator name: the plan's, or the command line's.
///
/// # Errors
/// [`Code::Initiator`]: there is none.
pub fn initiator(document: &Document, config: &Config, facts: &Facts) -> Result<String> {
    let _ = facts;
    document
        .iscsi
        .initiator
        .clone()
        .or_else(|| config.initiator.clone())
        .ok_or_else(|| Error::new(Code::Initiator, "iscsi.initiator"))
}
