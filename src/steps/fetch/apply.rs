//! Fetches the plan.

use std::fmt;
use std::time::SystemTime;

use super::judge::{Judged, judge};
use super::place::{Found, find};
use super::plan::shown;
use super::trust::Rules;
use super::turns::{Turns, Why};
use crate::engine::host::Host;
use crate::error::Result;
use crate::input::config::{Signing, Source};
use crate::input::facts::Facts;
use crate::input::time::Clock;
use crate::sys::{clock, random};

/// Fetch the plan from there.
#[derive(Debug, PartialEq, Eq)]
pub struct Fetch(pub Source);

impl fmt::Display for Fetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fetch the boot plan from {}", shown(&self.0))
    }
}

/// Asks each place whose turn it is, until one has a plan that may be used. None: there is hope for another round.
///
/// # Errors
/// Why no place has one.
pub fn apply(host: &Host, signing: Signing, turns: &mut Turns) -> Result<Option<Judged>> {
    let rules = Rules::read(&host.path("/"), signing)?;
    for (number, place) in turns.due(host.now()) {
        match usable(host, &place, &rules) {
            Ok((_, judged)) => return Ok(Some(judged)),
            Err(why) => turns.failed(number, why, host.now(), random::around),
        }
    }
    if turns.hope() { Ok(None) } else { Err(turns.error()) }
}

/// The plan at `place`, if it may be used.
pub fn usable(host: &Host, place: &str, rules: &Rules) -> Result<(Found, Judged), Why> {
    let found = find(host, place, rules.required)?;
    let judged = judge(&found, rules, Some(&Facts::read(&host.path("/"))), clock_of(host))?;
    Ok((found, judged))
}

/// The clock of this node.
pub fn clock_of(host: &Host) -> Clock {
    let made = clock::initramfs_made(&host.path("/")).unwrap_or(SystemTime::UNIX_EPOCH);
    Clock { says: SystemTime::now().into(), made: made.into() }
}
