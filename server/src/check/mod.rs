//! DECIDE: what is wrong with a site, all of it at once.

use crate::site::Site;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// It works, and somebody should look at it.
    Warning,
    /// The site is not to be used like that: a running server keeps the one it has.
    Error,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Finding {
    /// A stable code, `ip-twice`; `docs/checks.md` lists them.
    pub code: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What it is about, `ocean7 eth0`.
    pub object: String,
    /// What is wrong with it.
    pub message: String,
    /// What to do.
    pub advice: &'static str,
}

/// Runs all rules. Nothing outside `site` is looked at.
pub fn check(_site: &Site) -> Vec<Finding> {
    Vec::new()
}
