//! From evidence to causes. Pure.
//!
//! What is bad is a cause unless it follows from something else that is. Along the way to a server only the first thing
//! that is bad counts, and that is the interface's fault where its way cannot work without it. What the journal says
//! counts last, and only where nothing that was seen now explains or refutes it.

use serde::{Deserialize, Serialize};

use super::evidence::{Check, Of, Outcome, Stage};
use crate::error::Code;

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cause {
    /// The stable error code.
    pub code: String,
    /// What it happened to; several of the same kind behind commas.
    pub object: String,
    /// What was found.
    pub found: String,
    /// What to do about it.
    pub hint: String,
    /// The boot cannot go on with it; else it only weakens the node: a path of several, a server of several.
    pub stops: bool,
    /// Where in the chain it is.
    pub stage: Stage,
}

impl Cause {
    fn of(check: &Check, stops: bool) -> Cause {
        let code = check.code.clone().unwrap_or_else(|| Code::Kernel.as_str().to_owned());
        let known = Code::ALL.iter().find(|known| known.as_str() == code);
        let hint = known.map_or_else(String::new, |code| code.advice().to_owned());
        let (object, found) = (check.object.clone(), check.found.clone());
        Cause { code, object, found, hint, stops, stage: check.stage }
    }
}

/// The causes: those that stop the boot first, each in the order of the chain. None: all that was looked at is well.
pub fn judge(evidence: &[Check]) -> Vec<Cause> {
    let mut causes = Vec::new();
    let mut is_a_server_known = false;
    for server in servers(evidence) {
        is_a_server_known = true;
        let Some(first) = first_bad(evidence, server) else { continue };
        let stops = stops(evidence, server.of);
        match blamed(evidence, first) {
            blamed if blamed.is_empty() => causes.push(Cause::of(first, stops)),
            blamed => causes.extend(blamed.into_iter().map(|check| Cause::of(check, stops))),
        }
    }
    if !is_a_server_known && !evidence.iter().any(|check| is_live(evidence, check)) {
        causes.extend(interfaces_at_fault(evidence).into_iter().map(|check| Cause::of(check, true)));
    }
    let node = evidence.iter().filter(|check| check.of == Of::Node && check.is_bad());
    // Without a link the servers' causes are this one already.
    let own = node.filter(|check| check.stage != Stage::Journal);
    causes.extend(own.map(|check| Cause::of(check, check.stage != Stage::Keeper)));
    causes
        .extend(evidence.iter().filter_map(|check| by_journal(evidence, &causes, check)).collect::<Vec<_>>());
    causes.sort_by_key(|cause| (!cause.stops, cause.stage));
    merged(causes)
}

/// The first check of each server, in the order of the evidence.
fn servers(evidence: &[Check]) -> Vec<&Check> {
    let mut found: Vec<&Check> = Vec::new();
    for check in evidence.iter().filter(|check| !matches!(check.of, Of::Node | Of::Interface)) {
        if !found.iter().any(|known| (known.of, &known.object) == (check.of, &check.object)) {
            found.push(check);
        }
    }
    found
}

fn first_bad<'a>(evidence: &'a [Check], server: &Check) -> Option<&'a Check> {
    let of_server = |check: &&Check| (check.of, &check.object) == (server.of, &server.object);
    evidence.iter().filter(of_server).filter(|check| check.is_bad()).min_by_key(|check| check.stage)
}

/// Whether the boot cannot go on when one of these is bad: fewer are well than are needed.
fn stops(evidence: &[Check], of: Of) -> bool {
    let all = servers(evidence).into_iter().filter(|server| server.of == of);
    let well = all.filter(|server| first_bad(evidence, server).is_none()).count();
    let wanted = match of {
        Of::Portal => evidence.iter().find_map(|check| check.wanted).unwrap_or(1),
        _ => 1,
    };
    well < usize::try_from(wanted).unwrap_or(usize::MAX)
}

/// The interfaces whose fault it is that there is no way to a server; none: it is not theirs.
fn blamed<'a>(evidence: &'a [Check], bad: &Check) -> Vec<&'a Check> {
    if let Some(over) = &bad.over {
        let interface = interfaces(evidence).into_iter().filter(|check| check.object == *over);
        return interface.filter(|check| check.is_bad() && bad.stage <= Stage::Tcp).collect();
    }
    match bad.stage {
        Stage::Route => interfaces_at_fault(evidence),
        // The name server is somewhere in the network, too.
        Stage::Name if !evidence.iter().any(|check| is_live(evidence, check)) => {
            interfaces_at_fault(evidence)
        }
        _ => Vec::new(),
    }
}

fn interfaces(evidence: &[Check]) -> Vec<&Check> {
    evidence.iter().filter(|check| check.of == Of::Interface).collect()
}

/// An interface with carrier and address, by its check of the latter.
fn is_live(evidence: &[Check], check: &Check) -> bool {
    let has_carrier = || {
        let carrier = |other: &&Check| other.stage == Stage::Carrier && other.object == check.object;
        evidence.iter().filter(carrier).all(|carrier| carrier.outcome == Outcome::Ok)
    };
    check.of == Of::Interface
        && check.stage == Stage::Address
        && check.outcome == Outcome::Ok
        && has_carrier()
}

/// Of the interfaces those that may be why there is no route: with a cable and without an address rather than without a
/// cable. Where others work, one of many without a cable is nobody's fault: that is how nodes are.
fn interfaces_at_fault(evidence: &[Check]) -> Vec<&Check> {
    let bad = |stage| {
        let bad =
            interfaces(evidence).into_iter().filter(move |check| check.stage == stage && check.is_bad());
        bad.collect::<Vec<_>>()
    };
    let (without_address, without_carrier) = (bad(Stage::Address), bad(Stage::Carrier));
    let is_one_live = evidence.iter().any(|check| is_live(evidence, check));
    match (without_address.len(), without_carrier.len()) {
        (0, 0) => {
            let none =
                |check: &&Check| check.of == Of::Node && check.stage == Stage::Carrier && check.is_bad();
            evidence.iter().filter(none).collect()
        }
        (1.., _) if !is_one_live => without_address,
        (0, _) if !is_one_live => without_carrier,
        (1, _) => without_address,
        (0, 1) => without_carrier,
        _ => Vec::new(),
    }
}

/// The cause that the journal has and nothing else.
fn by_journal(evidence: &[Check], causes: &[Cause], check: &Check) -> Option<Cause> {
    if check.stage != Stage::Journal || !check.is_bad() {
        return None;
    }
    let (proof, until) = of_step(&check.object);
    let of_now = |other: &&Check| proof.contains(&other.stage);
    let is_cured = evidence.iter().any(|other| of_now(&other) && other.outcome == Outcome::Ok)
        && !evidence.iter().any(|other| of_now(&other) && other.is_bad());
    let is_explained = causes.iter().any(|cause| {
        cause.stops && (cause.stage <= until || cause.stage == Stage::Modules)
            || Some(&cause.code) == check.code.as_ref()
    });
    if is_cured || is_explained {
        return None;
    }
    let object = format!("step {}", check.object);
    Some(Cause { object, stage: until, ..Cause::of(check, true) })
}

/// What shows that a step of the boot would do now, and the last link of the chain that it makes.
fn of_step(step: &str) -> (&'static [Stage], Stage) {
    match step {
        "input" => (&[Stage::Initiator], Stage::Initiator),
        "network" => (&[Stage::Tcp], Stage::Tcp),
        "plan" => (&[Stage::Plan], Stage::Plan),
        "iscsi" => (&[Stage::Lun], Stage::Lun),
        "multipath" => (&[Stage::Map], Stage::Map),
        "keeper" => (&[Stage::Keeper], Stage::Keeper),
        "luks" => (&[Stage::Key, Stage::Open], Stage::Open),
        "volumes" => (&[Stage::Volumes], Stage::Volumes),
        "zram" => (&[Stage::Zram], Stage::Zram),
        "overlay" => (&[Stage::Root], Stage::Root),
        "modules" => (&[Stage::NewRootModules], Stage::NewRootModules),
        "handover" => (&[Stage::Handover], Stage::Handover),
        _ => (&[], Stage::Journal),
    }
}

/// Causes of one kind are one.
fn merged(causes: Vec<Cause>) -> Vec<Cause> {
    let mut merged: Vec<Cause> = Vec::new();
    for cause in causes {
        let known = merged.iter_mut().find(|known| known.code == cause.code && known.stops == cause.stops);
        let Some(known) = known else {
            merged.push(cause);
            continue;
        };
        if known.object.split(", ").all(|object| object != cause.object) {
            known.object = format!("{}, {}", known.object, cause.object);
            if known.found != cause.found {
                known.found = format!("{}; {}", known.found, cause.found);
            }
        }
    }
    merged
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
