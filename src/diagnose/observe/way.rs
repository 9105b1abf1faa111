//! The way to a server: its name, the route, the next hop, a TCP connection.

use std::io::{Error, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::{Look, routes};
use crate::diagnose::evidence::{Check, Of, Stage};
use crate::error::Code;
use crate::steps::network::Server;
use crate::sys::flag::Flag;
use crate::sys::resolve::socket_addresses;
use crate::sys::{address, tcp};

/// A name has an address within this time.
const RESOLVE_LIMIT: Duration = Duration::from_secs(2);
/// A connection is there within this time. The kernel gives up a neighbour that does not answer after three seconds
/// (mcast_solicit of a second each), and says so.
const CONNECT_LIMIT: Duration = Duration::from_millis(3300);
/// So many addresses of a name are tried, at the same time.
const MOST_ADDRESSES: usize = 4;

/// Goes the way to `server`, called `name`, by `until`: the first of its addresses that takes a connection.
pub fn look(look: Look<'_>, of: Of, name: &str, server: &Server, until: Duration) -> Option<SocketAddr> {
    let limit = look.left(until, RESOLVE_LIMIT);
    let addresses = match socket_addresses(&look.host.path("/"), &server.host, server.port, limit) {
        Ok(addresses) => addresses,
        Err(error) => {
            look.tell(Check::failed(Stage::Name, of, name, &error));
            return None;
        }
    };
    if server.host.trim_matches(['[', ']']).parse::<IpAddr>().is_err() {
        let list: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
        look.tell(Check::ok(Stage::Name, of, name, list.join(", ")));
    }
    let limit = look.left(until, CONNECT_LIMIT);
    let tried: Vec<Tried> = std::thread::scope(|scope| {
        let addresses = addresses.iter().take(MOST_ADDRESSES);
        let threads: Vec<_> =
            addresses.map(|address| scope.spawn(move || attempt(server, *address, limit))).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    // One that works is all that is needed; of those that do not, the first is as good as any.
    let tried = tried.iter().find(|tried| tried.result.is_ok()).or(tried.first())?;
    for check in checks(of, name, tried, &Tables::read(look)) {
        look.tell(check);
    }
    tried.result.as_ref().ok().map(|()| tried.address)
}

/// A connection to an address, and what came of it.
struct Tried {
    address: SocketAddr,
    /// The interface that it goes out of; none: there is no route.
    over: Option<String>,
    result: Result<(), Error>,
    limit: Duration,
}

fn attempt(server: &Server, address: SocketAddr, limit: Duration) -> Tried {
    let from = tcp::From { interface: server.interface.as_deref(), source: server.source };
    let of_address = server.host.split_once('%').map(|(_, interface)| interface.to_owned());
    let bound = server.interface.clone().or(of_address);
    let over = bound.or_else(|| address::interface_to(address.ip(), server.source));
    let result = tcp::connect(address, from, limit, &Flag::default()).map(drop);
    Tried { address, over, result, limit }
}

/// The kernel's tables, as text.
struct Tables {
    routes: String,
    arp: String,
}

impl Tables {
    fn read(look: Look<'_>) -> Tables {
        let read = |path: &str| std::fs::read_to_string(look.host.path(path)).unwrap_or_default();
        Tables { routes: read("/proc/net/route"), arp: read("/proc/net/arp") }
    }
}

/// What a connection says of the way.
fn checks(of: Of, name: &str, tried: &Tried, tables: &Tables) -> Vec<Check> {
    let address = tried.address;
    let Some(over) = &tried.over else {
        let why = format!("no route leads to {}", address.ip());
        return vec![Check::bad(Stage::Route, of, name, Code::NoRoute, why)];
    };
    let v4 = match address.ip() {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    };
    let gateway = v4.and_then(|to| routes::gateway(&tables.routes, over, to));
    let hop = gateway.or(v4).map_or_else(|| address.ip().to_string(), |hop| hop.to_string());
    let mac = gateway.or(v4).and_then(|hop| routes::neighbour(&tables.arp, hop, over));
    let via = gateway.map_or_else(|| "directly".to_owned(), |gateway| format!("by {gateway}"));
    let with = |check: Check| check.over(Some(over.clone()));
    let route = with(Check::ok(Stage::Route, of, name, format!("over {over}, {via}")));
    let answered = |text: String| with(Check::ok(Stage::Neighbour, of, name, text));
    let kind = tried.result.as_ref().err().map(Error::kind);
    let is_silent = matches!(kind, Some(ErrorKind::HostUnreachable | ErrorKind::TimedOut));
    let neighbour = match &mac {
        Some(mac) if mac.is_empty() && is_silent => {
            let why = format!("{hop} does not answer to ARP on {over}");
            with(Check::bad(Stage::Neighbour, of, name, Code::NoNeighbour, why))
        }
        Some(mac) if !mac.is_empty() => answered(format!("{hop} is {mac}")),
        _ if kind == Some(ErrorKind::HostUnreachable) => {
            let why = format!("{hop} cannot be reached on {over}: it does not answer, or a router says so");
            with(Check::bad(Stage::Neighbour, of, name, Code::NoNeighbour, why))
        }
        _ => with(Check::unseen(Stage::Neighbour, of, name, "the kernel did not have to ask")),
    };
    let tcp = match (&tried.result, kind) {
        (Ok(()), _) => Check::ok(Stage::Tcp, of, name, format!("{address} takes connections")),
        (_, Some(ErrorKind::ConnectionRefused)) => {
            let why = format!("{address} refuses connections: nothing listens there, or a firewall says so");
            Check::bad(Stage::Tcp, of, name, refused(of), why)
        }
        (_, Some(ErrorKind::TimedOut)) => {
            let why = format!("{address} does not answer within {:.1} s", tried.limit.as_secs_f64());
            Check::bad(Stage::Tcp, of, name, refused(of), why)
        }
        (Err(error), _) => Check::bad(Stage::Tcp, of, name, refused(of), format!("{address}: {error}")),
    };
    vec![route, neighbour, with(tcp)]
}

/// The code of a server that takes no connections.
fn refused(of: Of) -> Code {
    match of {
        Of::Portal => Code::IscsiConnect,
        Of::KeyServer => Code::SecretFetch,
        _ => Code::PlanFetch,
    }
}

#[cfg(test)]
#[path = "way_tests.rs"]
mod tests;
