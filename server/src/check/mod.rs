//! DECIDE: what is wrong with a site, all of it at once.
//!
//! Every rule is a line of a table: a stable code, a level, what it holds a site to, and what to do when it is broken.
//! The tables are in the file of their subject, [`rules`] is all of them, docs/checks.md is made of it. What a boot plan
//! may say is not here: the rule `plan-refused` asks the agent's own code.
//!
//! The same mistake of a thousand nodes is one finding, with a folded node set.

mod address;
mod found;
mod identity;
mod image;
mod link;
mod name;
mod network;
mod online;
mod plan;
mod rule;
mod secret;
mod server;
mod sign;
mod storage;
mod view;

#[cfg(test)]
mod tests;

pub use rule::{Rule, Run, rules, unreadable};

use crate::site::Site;
use found::Found;
use view::View;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// It works, and somebody should look at it.
    Warning,
    /// The site is not to be used like that: a running server keeps the one it has.
    Error,
}

impl Level {
    /// `warning` or `error`.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Warning => "warning",
            Level::Error => "error",
        }
    }
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

impl std::fmt::Display for Finding {
    /// `error ip-twice ocean7 eth0: what is wrong; what to do`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Finding { code, level, object, message, advice } = self;
        write!(f, "{} {code} {object}: {message}; {advice}", level.as_str())
    }
}

/// How far the rules look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// At the site alone.
    Site,
    /// At the files that it names, too.
    Files,
    /// And at the servers: bounded, but it may take seconds.
    Network,
}

/// Runs all rules that need nothing but `site`.
pub fn check(site: &Site) -> Vec<Finding> {
    check_up_to(site, Reach::Site)
}

/// Runs all rules that look no further than `reach`; errors come first.
pub fn check_up_to(site: &Site, reach: Reach) -> Vec<Finding> {
    let view = View::of(site);
    let mut findings = Vec::new();
    for rule in rules() {
        let run = match rule.run {
            Run::Site(run) => run,
            Run::Files(run) if reach >= Reach::Files => run,
            Run::Network(run) if reach >= Reach::Network => run,
            Run::Reader | Run::Files(_) | Run::Network(_) => continue,
        };
        let mut found = Found::default();
        run(&view, &mut found);
        findings.extend(found.findings(rule));
    }
    // Stable: within a level they stay in the order of the rules.
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
    findings
}
