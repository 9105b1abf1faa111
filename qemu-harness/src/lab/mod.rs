//! What a node meets when it boots: a network with DHCP, an HTTP server, iSCSI targets, and the virtual
//! machine itself. All of it lives in the network namespace of the thread that sets it up.

mod bundles;
mod cable;
mod console;
mod dhcp;
mod disklessd;
mod http;
mod lio;
mod machine;
mod network;
mod qmp;
mod service;
mod setup;
mod ssh;
mod target;
mod tls;
mod trap;

pub use console::{Consoles, Seen};
pub use lio::address as lio_address;
pub use machine::{Boot, Machine, node_folder};
pub use service::Service;
pub use setup::{Lab, Shown};
pub use ssh::{AUTHORIZED, OPERATOR, Operator};

/// The address that everything but the node has.
pub const SERVER: &str = "198.18.0.1";
/// Where targets listen, unless a scenario says otherwise.
pub const PORT: u16 = 3260;
/// Where the targets are.
pub const PORTAL: &str = "198.18.0.1:3260";
/// Where plans are.
pub const HTTP: &str = "http://198.18.0.1:8080";
/// Where the site's server is.
pub const DISKLESSD: &str = "http://198.18.0.1:32001";
/// Where plans are when they are secret.
pub const HTTPS: &str = "https://198.18.0.1:8443";

/// What node `number`, from 0, is called where somebody is asked for it.
pub fn node(number: usize) -> String {
    format!("node{}", number + 1)
}

/// The lab's address in a subnet.
pub fn server(subnet: u8) -> String {
    format!("198.18.{subnet}.1")
}

/// The same in IPv6.
pub fn server6(subnet: u8) -> String {
    format!("fd00:198:18:{subnet}::1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_are_in_subnet_0() {
        assert_eq!(server(0), SERVER);
        assert_eq!(format!("{}:{PORT}", server(0)), PORTAL);
    }
}
