//! Decides whether a plan that was found may be used: by its signature first, then by its own rules, then by whom it is for
//! and when. Pure.

use std::time::Duration;

use super::place::Found;
use super::trust::{Rules, TRUSTED};
use super::turns::Why;
use crate::error::{Code, Error};
use crate::input::document::{Document, Validity};
use crate::input::facts::Facts;
use crate::input::signature::Signature;
use crate::input::time::Clock;

/// How long a node's interfaces may take to appear.
const INTERFACES: Duration = Duration::from_secs(10);
/// A plan and its signature are two files: somebody may be replacing them, and has replaced one.
const REPLACING: Duration = Duration::from_secs(2);

/// A plan that may be used.
pub struct Judged {
    /// It.
    pub document: Document,
    /// Who signed it, `KEYFILE (key NAME)`; none: nobody had to.
    pub signer: Option<String>,
    /// What somebody must know all the same.
    pub warnings: Vec<Error>,
}

/// Holds what was found to `rules`, on the node of `facts` (none: it is not looked at which node it is for) and at the time
/// of `clock`.
///
/// # Errors
/// [`Code::PlanSignatureMissing`], [`Code::PlanSignatureWrong`], [`Code::PlanSignatureKey`]; those of
/// [`Document::parse`]; [`Code::PlanOtherNode`], [`Code::PlanSerial`], [`Code::PlanOutdated`], [`Code::PlanNotYet`].
pub fn judge(found: &Found, rules: &Rules, facts: Option<&Facts>, clock: Clock) -> Result<Judged, Why> {
    // Nothing reads a text that nobody vouches for.
    let signer = if rules.required { Some(signer(found, rules)?) } else { None };
    let document = Document::parse(&found.text).map_err(|error| Why::new(error.code(), error))?;
    let none = Validity::default();
    let validity = document.validity.as_ref().unwrap_or(&none);
    node(validity, rules, facts)?;
    serial(validity, rules)?;
    let warnings = window(validity, rules, clock)?.into_iter().collect();
    Ok(Judged { document, signer, warnings })
}

/// Who signed it, if that is somebody who is trusted.
fn signer(found: &Found, rules: &Rules) -> Result<String, Why> {
    if rules.trusted.is_empty() {
        return Err(Why::new(Code::PlanSignatureKey, format!("there is no key in {TRUSTED}")));
    }
    let Some((_, text)) = &found.signature else {
        let cause = "there is neither a .minisig nor a .sig beside it";
        return Err(Why::new(Code::PlanSignatureMissing, cause));
    };
    let wrong = |cause: &dyn std::fmt::Display| Why {
        patience: REPLACING,
        ..Why::new(Code::PlanSignatureWrong, cause)
    };
    let signature = Signature::parse(text).map_err(|why| wrong(&why))?;
    let mut why = None;
    for trusted in rules.trusted.iter().filter(|trusted| trusted.key.id == signature.id) {
        match signature.verify(&trusted.key, &found.text) {
            Ok(()) => return Ok(format!("{} (key {})", trusted.name, trusted.key.id)),
            Err(not) => why = Some(not),
        }
    }
    let trusted = rules.trusted.iter().map(|trusted| format!("{} of {}", trusted.key.id, trusted.name));
    let trusted: Vec<String> = trusted.collect();
    Err(match why {
        Some(why) => wrong(&why),
        None => Why::new(
            Code::PlanSignatureKey,
            format!("it is by the key {}; trusted: {}", signature.id, trusted.join(", ")),
        ),
    })
}

fn node(validity: &Validity, rules: &Rules, facts: Option<&Facts>) -> Result<(), Why> {
    match &validity.node {
        None if rules.required => Err(Why::new(
            Code::PlanOtherNode,
            "validity.node is missing: where plans must be signed, each says which node it is for",
        )),
        None => Ok(()),
        Some(node) => {
            let Some(facts) = facts else { return Ok(()) };
            node.has_uuid(facts).map_err(|cause| Why::new(Code::PlanOtherNode, cause))?;
            node.has_mac(facts)
                .map_err(|cause| Why { patience: INTERFACES, ..Why::new(Code::PlanOtherNode, cause) })
        }
    }
}

fn serial(validity: &Validity, rules: &Rules) -> Result<(), Why> {
    let least = rules.least_serial;
    let cause = match validity.serial {
        Some(serial) if serial >= least => return Ok(()),
        None if least == 0 && !rules.required => return Ok(()),
        Some(serial) => format!("it is {serial}, and the lowest that is accepted is {least}"),
        None => "validity.serial is missing".to_owned(),
    };
    Err(Why::new(Code::PlanSerial, cause))
}

/// Whether it is time. A clock that is plainly wrong can only tell that a plan is outdated for sure: that its time was over
/// before the initramfs was made. All else is a warning then.
fn window(validity: &Validity, rules: &Rules, clock: Clock) -> Result<Option<Error>, Why> {
    let said = match clock.is_wrong() {
        true => format!("the initramfs was made at {}", clock.made),
        false => format!("the clock says {}", clock.says),
    };
    if let Some(until) = validity.not_after
        && clock.now() > until
    {
        return Err(Why::new(Code::PlanOutdated, format!("it was valid until {until}, and {said}")));
    }
    if let Some(from) = validity.not_before
        && clock.now() < from
        && !clock.is_wrong()
    {
        return Err(Why::new(Code::PlanNotYet, format!("it is valid from {from}, and {said}")));
    }
    let windowed = validity.not_before.is_some() || validity.not_after.is_some();
    if !clock.is_wrong() || !(windowed || rules.required) {
        return Ok(None);
    }
    let bound = |word: &str, time: Option<_>| {
        time.map_or_else(String::new, |time: crate::input::time::Time| format!(" {word} {time}"))
    };
    let window = format!("{}{}", bound("from", validity.not_before), bound("until", validity.not_after));
    let cause = match windowed {
        true => format!("the plan, valid{window}, is taken although it may be outdated"),
        false => "the plan has no times that it would matter for".to_owned(),
    };
    let object = format!("clock: {} before {}", clock.says, clock.made);
    Ok(Some(Error::new(Code::ClockWrong, object).because(cause)))
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
