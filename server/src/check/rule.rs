//! What a rule is, and the table of all of them.

use super::found::Found;
use super::view::View;
use super::{Finding, Level};
use super::{address, identity, image, link, name, network, online, plan, secret, server, sign, storage};
use crate::error::Error;

/// One thing that a site is held to.
pub struct Rule {
    /// Stable.
    pub code: &'static str,
    /// How bad it is to break it.
    pub level: Level,
    /// What must hold, for docs/checks.md.
    pub doc: &'static str,
    /// What to do when it does not.
    pub advice: &'static str,
    /// How that is seen.
    pub run: Run,
}

/// How a rule sees that it is broken, and what it needs for that.
pub enum Run {
    /// The file cannot be read: nothing else is looked at then.
    Reader,
    /// From the site alone.
    Site(fn(&View<'_>, &mut Found)),
    /// From files that the site names, too.
    Files(fn(&View<'_>, &mut Found)),
    /// From what servers answer.
    Network(fn(&View<'_>, &mut Found)),
}

/// The file itself.
const FILE: &[Rule] = &[Rule {
    code: "site-file",
    level: Level::Error,
    doc: "The site's file can be read, is TOML, and has no member that nobody knows.",
    advice: "correct the place that is named; docs/site.md has all members",
    run: Run::Reader,
}];

/// All rules, in the order in which they are looked at.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    [
        FILE,
        server::RULES,
        name::RULES,
        network::RULES,
        link::RULES,
        address::RULES,
        identity::RULES,
        image::RULES,
        plan::RULES,
        storage::RULES,
        secret::RULES,
        sign::RULES,
        online::RULES,
    ]
    .into_iter()
    .flatten()
}

/// The finding for a site's file that could not be read.
pub fn unreadable(object: &str, error: &Error) -> Option<Finding> {
    let rule = FILE.first()?;
    let message = match error {
        Error::Site { message, .. } => message.clone(),
        Error::File { source, .. } => source.to_string(),
        other => other.to_string(),
    };
    let object = object.to_owned();
    Some(Finding { code: rule.code, level: rule.level, object, message, advice: rule.advice })
}
