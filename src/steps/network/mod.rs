//! The network: wait until one of the servers that are needed next really answers.
//!
//! Addresses and routes are made by the initramfs's own network back end. This step does not care which, nor
//! whether all interfaces are "online": it connects, and while that fails it says what the links look like.

mod apply;
mod observe;
mod plan;

pub use observe::{Link, Seen};

use crate::engine::converge::{Converge, Next};
use crate::engine::host::Host;
use crate::error::Result;

/// Waits for a server, any of those given.
#[derive(Debug)]
pub struct Step {
    /// What the servers are: "plan server", "portal".
    role: &'static str,
    /// Their names or addresses, and TCP ports.
    servers: Vec<(String, u16)>,
}

impl Step {
    /// Waits until any of `servers` takes connections on its port; `role` is what they are, for people.
    pub fn new(role: &'static str, servers: Vec<(String, u16)>) -> Step {
        Step { role, servers }
    }
}

impl Converge for Step {
    type Seen = Seen;
    type Action = apply::Nothing;

    fn observe(&self, host: &Host) -> Result<Seen> {
        Ok(observe::observe(host, &self.servers))
    }

    fn plan(&self, seen: &Seen) -> Result<Next<apply::Nothing>> {
        plan::plan(self.role, &self.servers, seen)
    }

    fn apply(&self, _: &Host, action: apply::Nothing) -> Result<()> {
        apply::apply(action)
    }
}
