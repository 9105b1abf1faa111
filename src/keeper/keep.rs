//! One pass over what is the keeper's: look, decide and act, as the boot's steps do, until nothing is left to do.

use super::look::Look;
use super::wire::Plan;
use crate::engine::converge::{Converge, Next};
use crate::engine::host::Host;
use crate::error::{Class, Error};
use crate::input::document::Iscsi;

/// So many actions in one pass; what is left is done in the next one.
const MOST_ACTIONS: u32 = 50;

/// What a pass came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All is well; says what there is.
    Well(String),
    /// Not yet, or not at all: says what is waited for, or wrong.
    Ailing(String),
}

impl Outcome {
    /// Its text.
    pub fn text(&self) -> &str {
        match self {
            Outcome::Well(text) | Outcome::Ailing(text) => text,
        }
    }
}

/// Does what there is to do of `step`, and does not wait. `may_act` is asked before each action.
pub fn pass<C: Converge>(
    step: &C,
    host: &Host,
    may_act: &mut dyn FnMut() -> bool,
    acted: &mut dyn FnMut(String),
) -> Outcome {
    let ailing = |error: Error| {
        // Of a boot this would be the end. Here there is nobody else: it is tried again, at the longest pace.
        let advice = if error.class() == Class::Retry { "" } else { error.advice() };
        Outcome::Ailing([error.to_string().as_str(), advice].join("; ").trim_end_matches("; ").to_owned())
    };
    for _ in 0..MOST_ACTIONS {
        match step.observe(host).and_then(|seen| step.plan(&seen)) {
            Ok(Next::Done(what)) => return Outcome::Well(what),
            Ok(Next::Wait(what)) => return Outcome::Ailing(what),
            Ok(Next::Do(_)) if !may_act() => return Outcome::Ailing("another owner".to_owned()),
            Ok(Next::Do(action)) => {
                let name = action.to_string();
                match step.apply(host, action) {
                    Ok(()) => acted(name),
                    Err(error) => return ailing(error),
                }
            }
            Err(error) => return ailing(error),
        }
    }
    Outcome::Ailing(format!("{MOST_ACTIONS} actions in a row"))
}

/// What of the plan's iSCSI part is the keeper's; none: nothing.
pub fn ours(plan: &Plan, look: &Look) -> Option<Iscsi> {
    let mut ours = plan.iscsi.clone();
    // Where portals are alternatives there is one session for all of them, and where they were discovered, which of
    // them there is one for may change: all is the keeper's or nothing.
    if plan.map.is_none() || ours.discovery.is_some() {
        let with_session = || look.portals.iter().filter(|portal| portal.session.is_some());
        let all = look.portals.iter().all(|portal| portal.owner.is_keeper());
        let those = with_session().all(|portal| portal.owner.is_keeper());
        return (all || with_session().next().is_some() && those).then_some(ours);
    }
    // Each is wanted, however few the boot would have been content with.
    ours.min_paths = 1;
    let mut owners = look.portals.iter().map(|portal| portal.owner.is_keeper());
    ours.portals.retain(|_| owners.next().unwrap_or(false));
    (!ours.portals.is_empty()).then_some(ours)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Code, Result};
    use std::cell::Cell;

    /// Needs so many pushes, of which the last one fails.
    struct Lamp(Cell<u32>, Option<Code>);

    impl Converge for Lamp {
        type Seen = u32;
        type Action = &'static str;

        fn observe(&self, _: &Host) -> Result<u32> {
            Ok(self.0.get())
        }

        fn plan(&self, left: &u32) -> Result<Next<&'static str>> {
            Ok(if *left == 0 { Next::Done("light".into()) } else { Next::Do("push") })
        }

        fn apply(&self, _: &Host, _: &'static str) -> Result<()> {
            match self.1 {
                Some(code) if self.0.get() == 1 => Err(Error::new(code, "lamp")),
                _ => {
                    self.0.set(self.0.get() - 1);
                    Ok(())
                }
            }
        }
    }

    fn run(pushes: u32, failure: Option<Code>, most: u32) -> (Outcome, usize) {
        let mut acted = Vec::new();
        let mut left = most;
        let mut may_act = || {
            left = left.saturating_sub(1);
            left > 0
        };
        let lamp = Lamp(Cell::new(pushes), failure);
        let outcome = pass(&lamp, &Host::fake("/"), &mut may_act, &mut |what| acted.push(what));
        (outcome, acted.len())
    }

    #[test]
    fn a_pass_ends_where_nothing_is_left_or_nothing_can_be_done() {
        assert_eq!(run(3, None, 100), (Outcome::Well("light".into()), 3));
        assert!(matches!(run(3, Some(Code::Network), 100), (Outcome::Ailing(_), 2)));
        let (outcome, _) = run(3, Some(Code::IscsiAuth), 100);
        assert!(outcome.text().contains("compare iscsi.auth"), "{outcome:?}");
        assert!(matches!(run(1000, None, 1000), (Outcome::Ailing(_), 50)));
    }

    #[test]
    fn only_what_is_the_keepers_is_left_of_the_plan() {
        use crate::keeper::look::Portal;
        use crate::keeper::owner::Owner;
        let portal = |session: bool, owner| Portal {
            name: String::new(),
            session: session.then(|| (1, "LOGGED_IN".to_owned())),
            disk: None,
            owner,
        };
        let watched = Owner::Watched(None);
        for (map, portals, expected) in [
            (true, [portal(true, Owner::Keeper), portal(true, Owner::Keeper)], 2),
            (true, [portal(true, Owner::Daemon), portal(true, Owner::TakenBack)], 1),
            (true, [portal(true, Owner::Daemon), portal(false, watched)], 0),
            // One session for both.
            (false, [portal(true, Owner::Daemon), portal(false, Owner::TakenBack)], 0),
            (false, [portal(true, Owner::TakenBack), portal(false, watched)], 2),
            (false, [portal(false, Owner::TakenBack), portal(false, watched)], 0),
            (false, [portal(false, Owner::Keeper), portal(false, Owner::Keeper)], 2),
        ] {
            let map = if map { "{}" } else { "null" };
            let plan = format!(
                r#"{{"keep":{{"iscsi":{{"target":"iqn.a:b","portals":["10.0.0.1","10.0.0.2"]}},"map":{map},"initiator":"iqn.a:n"}}}}"#
            );
            let Ok(crate::keeper::wire::Request::Keep(plan)) = crate::keeper::wire::request(plan.as_bytes())
            else {
                panic!("{plan}");
            };
            let look = Look { portals: portals.into(), map: Owner::Keeper, iscsid: None, multipathd: None };
            assert_eq!(ours(&plan, &look).map_or(0, |ours| ours.portals.len()), expected, "{look:?}");
        }
    }

    #[test]
    fn nothing_is_done_of_what_has_got_another_owner_meanwhile() {
        assert_eq!(run(3, None, 2), (Outcome::Ailing("another owner".into()), 1));
    }
}
