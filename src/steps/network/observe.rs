//! Looks at the links, and whether a server answers.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use super::Server;
use crate::engine::host::Host;
use crate::sys::address;
use crate::sys::flag::Flag;
use crate::sys::resolve::socket_addresses;
use crate::sys::tcp;

/// One look: names and connections that take longer are tried again.
const PATIENCE: Duration = Duration::from_secs(3);
/// Each try tells why it came to nothing a little later.
const GRACE: Duration = Duration::from_millis(200);
/// No more addresses of one server are tried.
const MOST_ADDRESSES: usize = 8;

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
    /// The first server's address that took a connection, and ours on it; or why there is none.
    pub answer: Result<(SocketAddr, IpAddr), String>,
}

pub fn observe(host: &Host, servers: &[Server]) -> Seen {
    let answer = first_answer(host.path("/"), servers);
    Seen { links: links(host, &address::by_interface()), answer }
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

/// What became of one try: the address that took a connection and ours on it, or why there is none.
type Try = Result<(SocketAddr, IpAddr), String>;

/// All servers at once, and the first that answers: one that is dead costs nothing. Who comes later is not waited for;
/// those threads end by themselves within [`PATIENCE`].
fn first_answer(root: PathBuf, servers: &[Server]) -> Try {
    let (tell, told) = channel();
    let until = Instant::now() + PATIENCE;
    for server in servers {
        let (root, server, tell) = (root.clone(), server.clone(), tell.clone());
        spawn(tell, move |tell| try_server(&root, &server, until, tell));
    }
    drop(tell);
    first(&told, until + GRACE)
}

/// The first success told, or all reasons.
fn first(told: &Receiver<Try>, until: Instant) -> Try {
    let mut why = Vec::new();
    loop {
        match told.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(reason)) => why.push(reason),
            Err(end) => {
                if end == RecvTimeoutError::Timeout {
                    why.push("no answer within 3 s".into());
                }
                why.sort();
                return Err(why.join(", "));
            }
        }
    }
}

/// Starts a thread; that there can be none is told like any other failure.
fn spawn(tell: Sender<Try>, work: impl FnOnce(&Sender<Try>) + Send + 'static) {
    let of_thread = tell.clone();
    if let Err(error) = std::thread::Builder::new().spawn(move || work(&of_thread)) {
        let _ = tell.send(Err(format!("no thread: {error}")));
    }
}

/// Tells of each address of `server`.
fn try_server(root: &Path, server: &Server, until: Instant, tell: &Sender<Try>) {
    // Nobody may listen any more: there is an answer.
    match socket_addresses(root, &server.host, server.port, until.saturating_duration_since(Instant::now())) {
        Ok(addresses) => {
            for address in addresses.into_iter().take(MOST_ADDRESSES) {
                let server = server.clone();
                spawn(tell.clone(), move |tell| {
                    let _ = tell.send(connect(&server, address, until));
                });
            }
        }
        Err(error) => {
            let _ = tell.send(Err(error.to_string()));
        }
    }
}

/// A connection that is closed at once: it proves route, server and port, whatever the protocol is.
fn connect(server: &Server, address: SocketAddr, until: Instant) -> Try {
    let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    let from = tcp::From { interface: server.interface.as_deref(), source: server.source };
    let ours = tcp::connect(address, from, left, &Flag::default()).and_then(|stream| stream.local_addr());
    ours.map(|ours| (address, ours.ip())).map_err(|error| format!("{address}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::http::fixture::full_listener;

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

    fn answer(servers: &[(&str, u16)]) -> Try {
        let servers: Vec<_> = servers.iter().map(|(server, port)| Server::new(*server, *port)).collect();
        observe(&Host::fake("/nonexistent"), &servers).answer
    }

    #[test]
    fn any_server_that_answers_will_do() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let there = listener.local_addr().unwrap();
        let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert_eq!(answer(&[("127.0.0.1", there.port())]), Ok((there, there.ip())));
        let servers = [("127.0.0.1", gone.port()), ("no-such-name", 1), ("127.0.0.1", there.port())];
        assert_eq!(answer(&servers), Ok((there, there.ip())));
        let why = answer(&servers[..2]).unwrap_err();
        assert!(why.contains(&format!("{gone}: ")) && why.contains("no-such-name"), "{why}");
    }

    #[test]
    fn a_server_that_is_silent_delays_none_that_answers() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let there = listener.local_addr().unwrap();
        let silent = full_listener();
        let port = silent.0.port();
        let started = Instant::now();
        assert_eq!(answer(&[("127.0.0.1", port), ("127.0.0.1", there.port())]), Ok((there, there.ip())));
        assert!(started.elapsed() < PATIENCE / 2, "{:?}", started.elapsed());
        let why = answer(&[("127.0.0.1", port)]).unwrap_err();
        assert!(started.elapsed() >= PATIENCE && started.elapsed() < PATIENCE * 2, "{why}");
    }
}
