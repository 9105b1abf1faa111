//! How nodes are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use diskless::input::document::VERSIONS;
use serde::Deserialize;
use tokio::time::{Instant, sleep, timeout_at};

use super::answer::{Boot, Boots, Node, Nodes, Plan, Wanted};
use super::asked::{Asked, Named, nodes_of};
use super::problem::{Code, Problem};
use crate::error::Result;
use crate::serve::App;
use crate::site::Site;
use crate::site::plan::render;

use crate::state::{self, Timeline};
use crate::store;
use crate::time::Time;

/// No call waits longer for a change.
pub const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// After a change, before the nodes are read: while many of them boot, changes come by the hundred.
const GATHER: Duration = Duration::from_millis(50);
/// The boots of a node that are shown; more than the store keeps.
const MOST_BOOTS: usize = 1000;

/// The parameters of [`list`].
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Which {
    nodes: Option<String>,
    changed_after: Option<u64>,
    wait: Option<u64>,
}

/// `GET /v1/nodes`. Every node of the site, heard of or not; a node that the site does not have any more is left out,
/// whatever the store knows of it.
pub async fn list(State(app): State<Arc<App>>, Asked(which): Asked<Which>) -> Result<Json<Nodes>, Problem> {
    let wait = Duration::from_secs(which.wait.unwrap_or(0)).min(LONGEST_WAIT);
    let until = Instant::now() + wait;
    let mut last = app.store.last();
    loop {
        // Before the nodes are read: what comes in between is in the answer, and after `last` too.
        let through = *last.borrow_and_update();
        let site = app.site();
        let (names, unknown) = match &which.nodes {
            Some(set) => nodes_of(&site, set)?,
            None => (site.nodes.keys().cloned().collect(), Vec::new()),
        };
        let mut nodes = read(&app, &site, names).await?;
        if let Some(after) = which.changed_after {
            nodes.retain(|node| node.changed > after);
            if nodes.is_empty() && Instant::now() < until {
                let changed = async {
                    let open = timeout_at(until, last.changed()).await.is_ok_and(|open| open.is_ok());
                    match open {
                        true => sleep(GATHER).await,
                        false => tokio::time::sleep_until(until).await,
                    }
                };
                tokio::select! {
                    () = changed => continue,
                    () = app.stopping() => {}
                }
            }
        }
        return Ok(Json(Nodes { last: through, now: Time::now(), nodes, unknown }));
    }
}

/// `GET /v1/nodes/{node}`
pub async fn one(State(app): State<Arc<App>>, Named(name): Named) -> Result<Json<Node>, Problem> {
    let nodes = read(&app, &app.site(), BTreeSet::from([name])).await?;
    nodes.into_iter().next().map(Json).ok_or_else(Problem::not_found)
}

/// The nodes of these names, which the site has.
async fn read(app: &App, site: &Site, names: BTreeSet<String>) -> Result<Vec<Node>> {
    // All of them are read at once, without a list of thousands of names for the database.
    let some = (names.len() < site.nodes.len()).then(|| names.iter().cloned().collect());
    let known = app.store.nodes(some).await?;
    let mut known: BTreeMap<String, store::Node> =
        known.into_iter().map(|node| (node.name.clone(), node)).collect();
    let now = Time::now();
    let answer = |name: String| match known.remove(&name) {
        Some(node) => shown(node, now, site.silent_after()),
        None => never(name),
    };
    Ok(names.into_iter().map(answer).collect())
}

/// A node that nothing was heard of, and nothing is wanted of.
fn never(name: String) -> Node {
    Node {
        name,
        state: state::State::Never,
        since: None,
        stage: None,
        step: None,
        waiting: None,
        failure: None,
        heard: None,
        boot: None,
        wanted: None,
        changed: 0,
    }
}

fn shown(node: store::Node, now: Time, silent_after: Duration) -> Node {
    let state = state::state(&node, now, silent_after);
    let wanted = node.wanted.as_ref().map(|wanted| Wanted {
        action: wanted.action.word().to_owned(),
        once: wanted.once,
        at: wanted.at,
    });
    let Some(boot) = node.boot else {
        return Node { wanted, state, changed: node.changed, ..never(node.name) };
    };
    // A node that failed or fell silent did so after it was last heard of.
    let reached = boot.reached.get(&boot.stage).copied().filter(|_| state == boot.stage.into());
    Node {
        name: node.name,
        state,
        since: reached.or(Some(boot.heard)),
        stage: Some(boot.stage),
        step: boot.step.clone(),
        waiting: boot.waiting.clone(),
        failure: boot.failure.clone(),
        heard: Some(boot.heard),
        boot: Some(Boot::from(boot)),
        wanted,
        changed: node.changed,
    }
}

impl From<state::Boot> for Boot {
    fn from(boot: state::Boot) -> Boot {
        Boot {
            number: boot.number,
            boot_id: boot.boot_id,
            began: boot.began,
            heard: boot.heard,
            stage: boot.stage,
            reached: boot.reached,
            step: boot.step,
            failure: boot.failure,
            given: boot.given,
            form: boot.form,
        }
    }
}

/// `GET /v1/nodes/{node}/boots`
pub async fn boots(State(app): State<Arc<App>>, Named(node): Named) -> Result<Json<Boots>, Problem> {
    let boots = app.store.boots(&node, MOST_BOOTS).await?;
    Ok(Json(Boots { node, boots: boots.into_iter().map(Boot::from).collect() }))
}

/// The parameters of [`timeline`].
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Of {
    boot: Option<String>,
}

/// `GET /v1/nodes/{node}/timeline`
pub async fn timeline(
    State(app): State<Arc<App>>,
    Named(node): Named,
    Asked(of): Asked<Of>,
) -> Result<Json<Timeline>, Problem> {
    let number = match of.boot.as_deref() {
        None | Some("latest") => None,
        Some(number) => Some(number.parse::<u64>().map_err(|_| {
            Problem::new(Code::BadQuery, format!("boot={number:?} is neither a number nor `latest`"))
        })?),
    };
    let boots = app.store.boots(&node, number.map_or(1, |_| MOST_BOOTS)).await?;
    let wanted = |boot: &state::Boot| number.is_none_or(|number| boot.number == number);
    let boot = boots.into_iter().find(wanted).ok_or_else(Problem::not_found)?;
    let events = app.store.boot_events(boot.number).await?;
    Ok(Json(state::timeline(&events)))
}

/// `GET /v1/nodes/{node}/plan`, in the newest version of plans.
pub async fn plan(State(app): State<Arc<App>>, Named(name): Named) -> Result<Json<Plan>, Problem> {
    let site = app.site();
    let node = site.nodes.get(&name).ok_or_else(Problem::not_found)?;
    let newest = VERSIONS.iter().copied().max().unwrap_or_default();
    let plan =
        render(&site, node, newest).map_err(|unknown| Problem::new(Code::NoPlan, unknown.to_string()))?;
    Ok(Json(Plan { node: name, document: plan.shown(), origins: plan.origins }))
}
