//! What several paths cost, what the stock programs take for the same, and how soon a lost path is back.

use serde_json::Value;

use super::row::{Measure, Row};
use crate::cache::Cache;
use crate::error::{Error, Result};
use crate::recipe::Ready;
use crate::run;
use crate::scenario::Scenario;
use crate::verdict::Verdict;

/// From the start of the agent until the map has all of so many portals' paths; the ratio is to one portal.
const MAPS: [(usize, Measure); 3] =
    [(2, map("paths.map_2", None)), (4, map("paths.map_4", None)), (8, map("paths.map_8", Some(1.15)))];
const CHAIN: Measure = Measure {
    id: "paths.chain",
    unit: "s",
    peer: "iscsistart, multipath, cryptsetup, zram and overlay, by a script",
    goal: Some(0.25),
    higher_is_better: false,
};
const RECOVERY: Measure = Measure {
    id: "paths.recovery",
    unit: "s",
    peer: "the image's iscsid and multipathd",
    goal: None,
    higher_is_better: false,
};
/// Seconds that the portal is away in the scenarios of [`RECOVERY`].
const AWAY: f64 = 20.0;

const fn map(id: &'static str, goal: Option<f64>) -> Measure {
    Measure { id, unit: "s", peer: "diskless with one portal", goal, higher_is_better: false }
}

/// The map of 1, 2, 4 and 8 portals, `rounds` times each, in turn. All are the same machine with the same cables: only the
/// plan has fewer portals.
pub fn maps(scenarios: &[Scenario], ready: &Ready, cache: &Cache, rounds: u32) -> Result<Vec<Row>> {
    let [scenario] = scenarios else { return Err(Error::Host("one scenario is measured".into())) };
    let mut one = Vec::new();
    let mut more = MAPS.map(|(portals, measure)| (portals, measure, Vec::new()));
    for round in 1..=rounds {
        let several = more.iter_mut().map(|(portals, _, times)| (*portals, times));
        for (portals, times) in std::iter::once((1, &mut one)).chain(several) {
            let scenario = with_portals(scenario, portals)?;
            times.push(measured(&scenario, ready, cache, round, |facts| {
                let start = facts.pointer("/state/steps/0/started_ms")?.as_f64()?;
                Some((step(facts, "multipath")?.get("ended_ms")?.as_f64()? - start) / 1000.0)
            })?);
        }
    }
    Ok(more.into_iter().filter_map(|(_, measure, times)| measure.row(&times, &one)).collect())
}

/// Two portals, from when both networks are there (ours: the first login begins) until the root can be mounted upon: map,
/// LUKS, writable layer, overlay.
pub fn chain(scenarios: &[Scenario], ready: &Ready, cache: &Cache, rounds: u32) -> Result<Vec<Row>> {
    let ours = |facts: &Value| {
        let start = step(facts, "iscsi")?.get("started_ms")?.as_f64()?;
        Some((step(facts, "overlay")?.get("ended_ms")?.as_f64()? - start) / 1000.0)
    };
    let script = |facts: &Value| {
        Some(facts.pointer("/chain/root")?.as_f64()? - facts.pointer("/chain/network")?.as_f64()?)
    };
    pair(CHAIN, scenarios, ready, cache, rounds, &ours, &script)
}

/// From the portal's being back until reads go on, with the root's one path.
pub fn recovery(scenarios: &[Scenario], ready: &Ready, cache: &Cache, rounds: u32) -> Result<Vec<Row>> {
    let back = |facts: &Value| Some(facts.pointer("/io/longest_stall")?.as_f64()? - AWAY);
    pair(RECOVERY, scenarios, ready, cache, rounds, &back, &back)
}

/// What a boot's facts tell of its time, in seconds.
type Tell<'a> = &'a dyn Fn(&Value) -> Option<f64>;

/// Ours and the peer, in turn.
fn pair(
    measure: Measure,
    scenarios: &[Scenario],
    ready: &Ready,
    cache: &Cache,
    rounds: u32,
    of_ours: Tell,
    of_peer: Tell,
) -> Result<Vec<Row>> {
    let [ours, peer] = scenarios else { return Err(Error::Host("two scenarios are compared".into())) };
    let (mut times, mut peers) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        times.push(measured(ours, ready, cache, round, of_ours)?);
        peers.push(measured(peer, ready, cache, round, of_peer)?);
    }
    Ok(measure.row(&times, &peers).into_iter().collect())
}

/// Boots once.
fn measured(
    scenario: &Scenario,
    ready: &Ready,
    cache: &Cache,
    round: u32,
    tell: impl Fn(&Value) -> Option<f64>,
) -> Result<f64> {
    let outcome = run::run(scenario, ready, cache, &mut |_, _| {});
    let name = &scenario.name;
    if let Verdict::Fail(why) = &outcome.verdict {
        return Err(Error::Host(format!("{name}: {why}")));
    }
    let seconds = outcome.facts.as_ref().and_then(tell);
    let seconds = seconds.ok_or_else(|| Error::Host(format!("{name}: it did not tell how long it took")))?;
    println!("  {name}, round {round}: {seconds:.2} s");
    Ok(seconds)
}

/// A step of the agent's journal.
fn step<'a>(facts: &'a Value, name: &str) -> Option<&'a Value> {
    let steps = facts.pointer("/state/steps")?.as_array()?;
    steps.iter().find(|step| step.get("name").and_then(Value::as_str) == Some(name))
}

/// The scenario with the first `portals` of its plan's, all of which are to be there.
fn with_portals(scenario: &Scenario, portals: usize) -> Result<Scenario> {
    let unusable = || Error::Host(format!("{}: its plan has not {portals} portals", scenario.name));
    let mut plan: Value =
        scenario.plan.as_deref().and_then(|plan| serde_json::from_str(plan).ok()).ok_or_else(unusable)?;
    let listed = plan.pointer_mut("/iscsi/portals").and_then(Value::as_array_mut).ok_or_else(unusable)?;
    if listed.len() < portals {
        return Err(unusable());
    }
    listed.truncate(portals);
    *plan.pointer_mut("/iscsi/min_paths").ok_or_else(unusable)? = portals.into();
    let name = format!("{}-{portals}", scenario.name);
    Ok(Scenario { name, plan: Some(plan.to_string()), ..scenario.clone() })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn fewer_portals_are_the_first_of_them() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/paths");
        let scenario = Scenario::load(&folder).unwrap();
        let two = with_portals(&scenario, 2).unwrap();
        let plan: Value = serde_json::from_str(two.plan.as_deref().unwrap()).unwrap();
        assert_eq!(plan["iscsi"]["portals"], serde_json::json!(["198.18.0.1:3260", "198.18.1.1:3260"]));
        assert_eq!((plan["iscsi"]["min_paths"].as_u64(), two.name.as_str()), (Some(2), "paths-2"));
        with_portals(&scenario, 8).unwrap();
        assert!(with_portals(&scenario, 9).is_err());
    }
}
