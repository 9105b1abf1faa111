//! The network: wait until the server that is needed next really answers.
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

/// Waits for a server.
#[derive(Debug)]
pub struct Step {
    /// What the server is: "plan server", "portal".
    role: &'static str,
    /// Its name or address.
    server: String,
    /// Its TCP port.
    port: u16,
}

impl Step {
    /// Waits until `server` takes connections on `port`; `role` is what it is, for people.
    pub fn new(role: &'static str, server: impl Into<String>, port: u16) -> Step {
        Step { role, server: server.into(), port }
    }
}

impl Converge for Step {
    type Seen = Seen;
    type Action = apply::Nothing;

    fn observe(&self, host: &Host) -> Result<Seen> {
        observe::observe(host, &self.server, self.port)
    }

    fn plan(&self, seen: &Seen) -> Result<Next<apply::Nothing>> {
        plan::plan(self.role, &self.server, self.port, seen)
    }

    fn apply(&self, _: &Host, action: apply::Nothing) -> Result<()> {
        apply::apply(action)
    }
}
