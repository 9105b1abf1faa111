//! The network: wait until one of the servers that are needed next really answers.
//!
//! Addresses and routes are made by the initramfs's own network back end. This step does not care which, nor
//! whether all interfaces are "online": it connects, and while that fails it says what the links look like.

mod apply;
mod observe;
mod plan;

pub use observe::{Link, Seen};

use std::fmt;
use std::net::IpAddr;

use crate::engine::converge::{Converge, Next};
use crate::engine::host::Host;
use crate::error::Result;
use crate::input::document::TargetPortal;

/// A server, and the way to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its name or address.
    pub host: String,
    /// Its TCP port.
    pub port: u16,
    /// The interface that connections to it go out of; none: by the routes.
    pub interface: Option<String>,
    /// The address that they come from; none: by the routes.
    pub source: Option<IpAddr>,
}

impl Server {
    /// A server that the routes lead to.
    pub fn new(host: impl Into<String>, port: u16) -> Server {
        Server { host: host.into(), port, interface: None, source: None }
    }
}

impl From<&TargetPortal> for Server {
    fn from(target_portal: &TargetPortal) -> Server {
        let TargetPortal { portal, interface, source, .. } = target_portal;
        Server { interface: interface.clone(), source: *source, ..Server::new(&portal.host, portal.port) }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} port {}", self.host, self.port)
    }
}

/// Waits for a server, any of those given.
#[derive(Debug)]
pub struct Step {
    /// What the servers are: "plan server", "portal".
    role: &'static str,
    servers: Vec<Server>,
}

impl Step {
    /// Waits until any of `servers` takes connections on its port; `role` is what they are, for people.
    pub fn new(role: &'static str, servers: Vec<Server>) -> Step {
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
