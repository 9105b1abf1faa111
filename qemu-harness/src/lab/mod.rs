//! What a node meets when it boots: a network with DHCP, an HTTP server, iSCSI targets, and the virtual
//! machine itself. All of it lives in the network namespace of the thread that sets it up.

mod console;
mod http;
mod machine;
mod network;
mod service;
mod target;
mod tls;

pub use console::Seen;
pub use http::HttpServer;
pub use machine::Machine;
pub use network::{Dhcp, Link};
pub use service::Service;
pub use target::{TargetServer, sessions};
pub use tls::Authority;

/// The address that everything but the node has.
pub const SERVER: &str = "198.18.0.1";
/// Where the targets are.
pub const PORTAL: &str = "198.18.0.1:3260";
/// Where plans are.
pub const HTTP: &str = "http://198.18.0.1:8080";
/// Where plans are when they are secret.
pub const HTTPS: &str = "https://198.18.0.1:8443";
