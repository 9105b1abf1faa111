//! The boot plan of a node, put together of what all its layers say.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Node, Site};

/// A boot plan, and what came from where.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rendered {
    /// The document, as the agent gets it. It may hold secrets.
    pub document: Value,
    /// For each value that is no object, by its JSON pointer: `profile compute`, `nodes ocean[1-1000]`, …
    pub origins: BTreeMap<String, String>,
}

/// The boot plan of `node` in the schema version `version`, one of [`diskless::input::document::VERSIONS`].
///
/// It is not checked here: [`crate::check`] and the agent do that, with the same code.
pub fn render(_site: &Site, _node: &Node, _version: &str) -> Rendered {
    Rendered::default()
}
