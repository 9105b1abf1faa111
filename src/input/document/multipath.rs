//! How the image's own multipathd is to be set up.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What goes into multipath.conf of the new root, in its words. An empty object is the original's file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Multipath {
    /// The section `defaults`: replaces or adds to the preset's lines.
    pub defaults: BTreeMap<String, String>,
    /// The `devnode` lines of the section `blacklist`; none: the preset's.
    pub blacklist: Option<Vec<String>>,
}
