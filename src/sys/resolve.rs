//! Host names to addresses: literals, /etc/hosts, then DNS over UDP, or TCP where an answer does not fit.
//!
//! Not glibc's getaddrinfo: in a static program it loads whatever modules nsswitch.conf names, and modules of
//! another glibc end the process. All servers are asked in turn, twice, within the caller's time.

mod files;
#[cfg(fuzzing)]
pub mod fuzz;
mod message;

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpStream, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use simple_dns::TYPE;

use super::random;
use crate::error::{Code, Error, Result};
use files::{Servers, in_hosts, networkd_servers};
use message::Answer;

/// How long one server gets for one answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// So many times a name may turn out to be another name for one that must be asked for on its own.
const MOST_ALIASES: usize = 4;

/// The addresses of `name`, IPv4 first, within `limit`, by the files in the `etc` and `run` of `root`.
///
/// # Errors
/// [`Code::Resolve`]: no server is configured, none answers, or the name does not exist.
pub fn resolve(root: &Path, name: &str, limit: Duration) -> Result<Vec<IpAddr>> {
    if let Ok(address) = name.trim_start_matches('[').trim_end_matches(']').parse() {
        return Ok(vec![address]);
    }
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_default();
    let addresses = in_hosts(&read("etc/hosts"), name);
    if !addresses.is_empty() {
        return Ok(addresses);
    }
    let mut resolv = read("etc/resolv.conf");
    // Without systemd-resolved nobody writes resolv.conf from what systemd-networkd learned.
    resolv.push_str(&networkd_servers(&read("run/systemd/netif/state")));
    ask_all(name, &Servers::parse(&resolv), Instant::now() + limit)
}

/// The addresses of `host`, to connect to on `port`: as [`resolve`] gives them, and link-local ones with their
/// interface (`fe80::1%eth0`), which is looked up in the `sys` of `root`.
///
/// # Errors
/// As of [`resolve`]; [`Code::Resolve`] too if there is no such interface.
pub fn socket_addresses(root: &Path, host: &str, port: u16, limit: Duration) -> Result<Vec<SocketAddr>> {
    if let Some((address, interface)) = host.split_once('%')
        && let Ok(address) = address.parse::<Ipv6Addr>()
    {
        let index = root.join("sys/class/net").join(interface).join("ifindex");
        let index = std::fs::read_to_string(index).ok().and_then(|index| index.trim().parse().ok());
        let index = index.ok_or_else(|| failed(host, format!("there is no interface {interface}")))?;
        return Ok(vec![SocketAddrV6::new(address, port, 0, index).into()]);
    }
    Ok(resolve(root, host, limit)?.into_iter().map(|address| SocketAddr::new(address, port)).collect())
}

fn failed(name: &str, why: impl Into<String>) -> Error {
    Error::new(Code::Resolve, format!("host name {name}")).because(why.into())
}

fn ask_all(name: &str, servers: &Servers, deadline: Instant) -> Result<Vec<IpAddr>> {
    if servers.servers.is_empty() {
        return Err(failed(name, "not in /etc/hosts, and no name server is known"));
    }
    let mut why = String::from("the name does not exist");
    for full in servers.candidates(name) {
        for server in servers.servers.iter().chain(&servers.servers) {
            match ask_one(&full, SocketAddr::new(*server, 53), deadline) {
                Ok(addresses) if addresses.is_empty() => break,
                Ok(addresses) => return Ok(addresses),
                Err(error) => why = format!("name server {server}: {error}"),
            }
            if Instant::now() >= deadline {
                return Err(failed(name, why));
            }
        }
    }
    Err(failed(name, why))
}

/// The addresses `server` knows of `name`; none if it says that there is no such name, or no address of it.
fn ask_one(name: &str, server: SocketAddr, deadline: Instant) -> io::Result<Vec<IpAddr>> {
    let mut addresses = Vec::new();
    for kind in [TYPE::A, TYPE::AAAA] {
        match ask_kind(name, server, kind, deadline) {
            Ok(found) => addresses.extend(found),
            // Some servers are silent on what they do not know.
            Err(_) if !addresses.is_empty() => (),
            Err(error) => return Err(error),
        }
    }
    Ok(addresses)
}

fn ask_kind(name: &str, server: SocketAddr, kind: TYPE, deadline: Instant) -> io::Result<Vec<IpAddr>> {
    let mut name = name.to_owned();
    for _ in 0..=MOST_ALIASES {
        let until = deadline.min(Instant::now() + PATIENCE);
        let answer = match over_udp(&name, server, kind, until)? {
            Answer::Cut => over_tcp(&name, server, kind, until)?,
            whole => whole,
        };
        match answer {
            Answer::Addresses(addresses) => return Ok(addresses),
            Answer::Alias(other) => name = other,
            Answer::Cut => return Err(io::Error::other("its answer is cut, even over TCP")),
        }
    }
    Err(io::Error::other(format!("it answers with more than {MOST_ALIASES} names for the name")))
}

fn over_udp(name: &str, server: SocketAddr, kind: TYPE, until: Instant) -> io::Result<Answer> {
    let any: IpAddr = if server.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    let socket = UdpSocket::bind((any, 0))?;
    // A connected socket takes answers of this server alone.
    socket.connect(server)?;
    // Not to be guessed by someone who cannot see the query.
    let id = u16::from_ne_bytes(random::bytes_now());
    socket.send(&message::query(id, name, kind).map_err(io::Error::other)?)?;
    let mut answer = [0u8; 1500];
    loop {
        socket.set_read_timeout(Some(left(until)?))?;
        let length = socket.recv(&mut answer).map_err(late)?;
        let answer = answer.get(..length).unwrap_or_default();
        // What is no answer to this query may be from somebody else: it is not to end the wait.
        if let Some(answer) = message::read(answer, id, name).map_err(io::Error::other)? {
            return Ok(answer);
        }
    }
}

/// The same over TCP: each message has its length in front, in two bytes (RFC 1035, section 4.2.2).
fn over_tcp(name: &str, server: SocketAddr, kind: TYPE, until: Instant) -> io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&server, left(until)?)?;
    let id = u16::from_ne_bytes(random::bytes_now());
    let query = message::query(id, name, kind).map_err(io::Error::other)?;
    let length = u16::try_from(query.len()).map_err(io::Error::other)?;
    stream.set_write_timeout(Some(left(until)?))?;
    stream.write_all(&[&length.to_be_bytes()[..], &query].concat())?;
    let mut length = [0u8; 2];
    read_until(&mut stream, &mut length, until)?;
    let mut answer = vec![0u8; usize::from(u16::from_be_bytes(length))];
    read_until(&mut stream, &mut answer, until)?;
    let answer = message::read(&answer, id, name).map_err(io::Error::other)?;
    answer.ok_or_else(|| io::Error::other("it answers another question"))
}

/// Fills `buffer`, however slowly the bytes come, by `until`.
fn read_until(stream: &mut TcpStream, mut buffer: &mut [u8], until: Instant) -> io::Result<()> {
    while !buffer.is_empty() {
        stream.set_read_timeout(Some(left(until)?))?;
        match stream.read(buffer).map_err(late)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => buffer = buffer.get_mut(read..).unwrap_or_default(),
        }
    }
    Ok(())
}

fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// The kernel's word for a wait that is over says nothing to people.
fn late(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::WouldBlock { io::Error::other("it does not answer") } else { error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use simple_dns::rdata::{A, CNAME, RData};
    use simple_dns::{CLASS, Name, Packet, PacketFlag, QTYPE, RCODE, ResourceRecord};

    fn v4(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// A server's answer: it knows `boot.example` and, over TCP alone, `large.example`, and is silent on AAAA of
    /// `shy.example`.
    fn reply(query: &[u8], tcp: bool, rcode: RCODE) -> Option<Vec<u8>> {
        let query = Packet::parse(query).unwrap();
        let question = &query.questions[0];
        let name = question.qname.to_string();
        let mut reply = Packet::new_reply(query.id());
        *reply.rcode_mut() = rcode;
        reply.questions.push(question.clone());
        let is_a = question.qtype == QTYPE::TYPE(TYPE::A);
        let rdata = match name.as_str() {
            "large.example" if !tcp => {
                reply.set_flags(PacketFlag::TRUNCATION);
                None
            }
            "shy.example" if !is_a => return None,
            "alias.example" => Some(RData::CNAME(CNAME(Name::new("boot.example").unwrap()))),
            "loop.example" => Some(RData::CNAME(CNAME(Name::new("loop.example.example").unwrap()))),
            "loop.example.example" => Some(RData::CNAME(CNAME(Name::new("loop.example").unwrap()))),
            "boot.example" | "large.example" | "shy.example" if is_a => {
                Some(RData::A(A { address: 0x0a01_0203 }))
            }
            _ => None,
        };
        reply
            .answers
            .extend(rdata.map(|rdata| ResourceRecord::new(question.qname.clone(), CLASS::IN, 60, rdata)));
        Some(reply.build_bytes_vec().unwrap())
    }

    /// A name server on a port of its own.
    fn name_server(rcode: RCODE) -> SocketAddr {
        // A port that is free for the one may be taken for the other.
        let (socket, listener) = std::iter::repeat_with(|| UdpSocket::bind("127.0.0.1:0").unwrap())
            .take(100)
            .find_map(|udp| {
                let tcp = std::net::TcpListener::bind(udp.local_addr().unwrap()).ok()?;
                Some((udp, tcp))
            })
            .unwrap();
        let address = socket.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut message = [0u8; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut message) {
                // First one that answers somebody else's query: it must not be taken.
                let mut other = message;
                other[0] ^= 1;
                for query in [&other[..length], &message[..length]] {
                    if let Some(reply) = reply(query, false, rcode) {
                        socket.send_to(&reply, from).unwrap();
                    }
                }
            }
        });
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut length = [0u8; 2];
                stream.read_exact(&mut length).unwrap();
                let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
                stream.read_exact(&mut query).unwrap();
                let reply = reply(&query, true, rcode).unwrap();
                stream.write_all(&(reply.len() as u16).to_be_bytes()).unwrap();
                stream.write_all(&reply).unwrap();
            }
        });
        address
    }

    #[test]
    fn asks_a_server() {
        let deadline = Instant::now() + Duration::from_secs(20);
        let server = name_server(RCODE::NoError);
        for name in ["boot.example", "alias.example", "large.example", "shy.example"] {
            assert_eq!(ask_one(name, server, deadline).unwrap(), [v4("10.1.2.3")], "{name}");
        }
        assert!(ask_one("other.example", server, deadline).unwrap().is_empty());
        assert!(ask_one("loop.example", server, deadline).is_err());
        assert!(ask_one("boot.example", name_server(RCODE::ServerFailure), deadline).is_err());
    }

    #[test]
    fn a_silent_server_takes_its_time_and_no_more() {
        let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
        let started = Instant::now();
        let error = ask_one("boot", silent.local_addr().unwrap(), started + Duration::from_millis(200));
        assert!(error.is_err() && started.elapsed() < Duration::from_millis(900), "{:?}", started.elapsed());
    }

    #[test]
    fn link_local_addresses_have_an_interface() {
        let root = tempfile::tempdir().unwrap();
        let eth0 = root.path().join("sys/class/net/eth0");
        std::fs::create_dir_all(&eth0).unwrap();
        std::fs::write(eth0.join("ifindex"), "7\n").unwrap();
        let addresses = |host| socket_addresses(root.path(), host, 3260, Duration::ZERO);
        let expected = SocketAddrV6::new("fe80::1".parse().unwrap(), 3260, 0, 7);
        assert_eq!(addresses("fe80::1%eth0").unwrap(), [SocketAddr::from(expected)]);
        assert_eq!(addresses("10.0.0.1").unwrap(), ["10.0.0.1:3260".parse().unwrap()]);
        let error = addresses("fe80::1%eth1").unwrap_err();
        assert_eq!(error.code(), Code::Resolve);
        assert!(error.to_string().contains("eth1"), "{error}");
    }

    #[test]
    fn without_a_server_it_says_so() {
        let root = tempfile::tempdir().unwrap();
        let error = resolve(root.path(), "boot", Duration::from_secs(1)).unwrap_err();
        assert_eq!(error.code(), Code::Resolve);
        assert!(error.to_string().contains("no name server"), "{error}");
        assert_eq!(resolve(root.path(), "[::1]", Duration::ZERO).unwrap(), [v4("::1")]);
    }
}
