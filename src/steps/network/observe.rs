//! Looks at the links, and whether the server answers.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::engine::host::Host;
use crate::error::Result;
use crate::sys::address;
use crate::sys::resolve::socket_addresses;

/// A name or a connection that takes longer than this is tried again.
const PATIENCE: Duration = Duration::from_secs(3);

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// The kernel's word for its state: `up`, `down`, `dormant`, ... (Documentation/ABI/testing/sysfs-class-net).
    pub state: String,
    /// Its addresses, without link-local ones.
    pub addresses: Vec<IpAddr>,
}

/// The network as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// All interfaces but loopback, by name.
    pub links: Vec<Link>,
    /// The server's address that took a connection, and ours on it; or why there is none.
    pub answer: Result<(SocketAddr, IpAddr), String>,
}

pub fn observe(host: &Host, server: &str, port: u16) -> Result<Seen> {
    Ok(Seen { links: links(host, &address::by_interface()), answer: connect(host, server, port) })
}

fn links(host: &Host, addresses: &BTreeMap<String, Vec<IpAddr>>) -> Vec<Link> {
    let folder = host.path("/sys/class/net");
    let names = std::fs::read_dir(&folder).into_iter().flatten().flatten();
    let mut links: Vec<Link> = names
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name != "lo")
        .map(|name| Link {
            state: std::fs::read_to_string(folder.join(&name).join("operstate"))
                .map_or_else(|_| "unknown".into(), |state| state.trim().to_owned()),
            addresses: addresses.get(&name).cloned().unwrap_or_default(),
            name,
        })
        .collect();
    links.sort_by(|a, b| a.name.cmp(&b.name));
    links
}

/// A connection that is closed at once: it proves route, server and port, whatever the protocol is.
fn connect(host: &Host, server: &str, port: u16) -> Result<(SocketAddr, IpAddr), String> {
    let addresses =
        socket_addresses(&host.path("/"), server, port, PATIENCE).map_err(|error| error.to_string())?;
    let mut why = String::from("it has no address");
    for address in addresses {
        match TcpStream::connect_timeout(&address, PATIENCE).and_then(|stream| stream.local_addr()) {
            Ok(ours) => return Ok((address, ours.ip())),
            Err(error) => why = format!("{address}: {error}"),
        }
    }
    Err(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_their_state() {
        let root = tempfile::tempdir().unwrap();
        for (name, state) in [("lo", "unknown\n"), ("eth1", "down\n"), ("eth0", "up\n")] {
            let folder = root.path().join("sys/class/net").join(name);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("operstate"), state).unwrap();
        }
        let address: IpAddr = "10.0.0.9".parse().unwrap();
        let links = links(&Host::fake(root.path()), &BTreeMap::from([("eth0".into(), vec![address])]));
        let expected = [
            Link { name: "eth0".into(), state: "up".into(), addresses: vec![address] },
            Link { name: "eth1".into(), state: "down".into(), addresses: vec![] },
        ];
        assert_eq!(links, expected);
    }

    #[test]
    fn a_server_answers_or_not() {
        let host = Host::fake("/nonexistent");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(connect(&host, "127.0.0.1", address.port()), Ok((address, address.ip())));
        drop(listener);
        assert!(connect(&host, "127.0.0.1", address.port()).unwrap_err().contains("refused"));
    }
}
