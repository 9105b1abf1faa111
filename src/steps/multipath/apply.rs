//! Makes the map, and changes it.

use std::time::Duration;

use super::Step;
use super::plan::Action;
use crate::engine::host::Host;
use crate::error::{Code, Context, Result};
use crate::sys::{dm, module};

/// How long the kernel may take with reads that are on their way.
const MAP_LIMIT: Duration = Duration::from_secs(30);

pub fn apply(step: &Step<'_>, host: &Host, action: Action) -> Result<()> {
    match action {
        Action::Create(map) => {
            module::load(host, &["dm_multipath"])?;
            let object = format!("map {}", map.name);
            dm::create_ahead_of_udev(&map, MAP_LIMIT).context(Code::PathMap, object)
        }
        Action::Reload { map, read_only } => {
            let object = format!("map {}", map.name);
            dm::reload(&map, read_only, MAP_LIMIT).context(Code::PathMap, object)
        }
        Action::Reinstate { map, key, .. } => {
            let (_, device) = key;
            step.reinstated.borrow_mut().insert(key, host.now());
            // It has answered: what comes next is to be asked again.
            step.checks.retain(|other| other != key);
            dm::message(&map, &format!("reinstate_path {}", dm::number(device)))
        }
        Action::Queue { map, wait } => {
            dm::message(&map, if wait { "queue_if_no_path" } else { "fail_if_no_path" })
        }
    }
}
