//! Host names to addresses: literals, /etc/hosts, then DNS over UDP.
//!
//! Not glibc's getaddrinfo: in a static program it loads whatever modules nsswitch.conf names, and modules of
//! another glibc end the process. A server is asked twice, one after the other, within the caller's time.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, TYPE};

use crate::error::{Code, Error, Result};

/// How long one server gets for one answer.
const PATIENCE: Duration = Duration::from_secs(2);

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

/// The addresses that the text of /etc/hosts gives `name`.
fn in_hosts(hosts: &str, name: &str) -> Vec<IpAddr> {
    let lines = hosts.lines().map(|line| line.split('#').next().unwrap_or_default());
    lines
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let address = words.next()?.parse().ok()?;
            words.any(|word| word.eq_ignore_ascii_case(name)).then_some(address)
        })
        .collect()
}

/// `DNS=` of systemd-networkd's state file, in the form of resolv.conf.
fn networkd_servers(state: &str) -> String {
    let servers = state.lines().filter_map(|line| line.strip_prefix("DNS=")).flat_map(str::split_whitespace);
    servers.map(|server| format!("\nnameserver {server}")).collect()
}

/// Whom to ask, and below which domains.
#[derive(Debug, Default, PartialEq, Eq)]
struct Servers {
    servers: Vec<IpAddr>,
    search: Vec<String>,
}

impl Servers {
    /// From the text of resolv.conf; three servers and six domains at most, as the C library takes them.
    fn parse(resolv: &str) -> Servers {
        let mut found = Servers::default();
        for line in resolv.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    found.servers.extend(words.next().and_then(|word| word.parse::<IpAddr>().ok()))
                }
                Some("search" | "domain") => found.search = words.take(6).map(str::to_owned).collect(),
                _ => (),
            }
        }
        found.servers.truncate(3);
        found
    }

    /// The full names to ask for, one after the other: a name with a dot is tried as it stands first.
    fn candidates(&self, name: &str) -> Vec<String> {
        let below = self.search.iter().map(|domain| format!("{name}.{domain}"));
        if name.contains('.') {
            std::iter::once(name.to_owned()).chain(below).collect()
        } else {
            below.chain(std::iter::once(name.to_owned())).collect()
        }
    }
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
fn ask_one(name: &str, server: SocketAddr, deadline: Instant) -> std::io::Result<Vec<IpAddr>> {
    let any: IpAddr = if server.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    let socket = UdpSocket::bind((any, 0))?;
    // A connected socket takes answers of this server alone.
    socket.connect(server)?;
    let mut addresses = Vec::new();
    for kind in [TYPE::A, TYPE::AAAA] {
        let id = query_id();
        socket.send(&query(id, name, kind).map_err(std::io::Error::other)?)?;
        let until = deadline.min(Instant::now() + PATIENCE);
        let mut message = [0u8; 1500];
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(std::io::ErrorKind::TimedOut.into());
            }
            socket.set_read_timeout(Some(left))?;
            let length = socket.recv(&mut message)?;
            let answer = message.get(..length).unwrap_or_default();
            if let Some(found) = addresses_in(answer, id).map_err(std::io::Error::other)? {
                addresses.extend(found);
                break;
            }
        }
    }
    Ok(addresses)
}

/// Not to be guessed by someone who cannot see the query: the kernel's random bytes, or the clock without them.
fn query_id() -> u16 {
    let mut id = [0u8; 2];
    match rustix::rand::getrandom(&mut id, rustix::rand::GetRandomFlags::NONBLOCK) {
        Ok(_) => u16::from_ne_bytes(id),
        Err(_) => crate::sys::clock::since_boot().subsec_nanos() as u16,
    }
}

fn query(id: u16, name: &str, kind: TYPE) -> Result<Vec<u8>, simple_dns::SimpleDnsError> {
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    packet.questions.push(Question::new(
        Name::new(name)?,
        QTYPE::TYPE(kind),
        QCLASS::CLASS(CLASS::IN),
        false,
    ));
    packet.build_bytes_vec()
}

/// The addresses in an answer; none if it answers another query.
fn addresses_in(message: &[u8], id: u16) -> Result<Option<Vec<IpAddr>>, String> {
    let packet = Packet::parse(message).map_err(|error| error.to_string())?;
    if packet.id() != id || !packet.has_flags(PacketFlag::RESPONSE) {
        return Ok(None);
    }
    match packet.rcode() {
        RCODE::NoError | RCODE::NameError => (),
        code => return Err(format!("answers {code:?}")),
    }
    // The server has followed CNAMEs: the addresses at their end stand in the same answer.
    let addresses = packet.answers.iter().filter_map(|record| match &record.rdata {
        RData::A(a) => Some(IpAddr::from(a.address.to_be_bytes())),
        RData::AAAA(a) => Some(IpAddr::from(a.address.to_be_bytes())),
        _ => None,
    });
    Ok(Some(addresses.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use simple_dns::ResourceRecord;

    fn v4(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn hosts_file() {
        let hosts = "127.0.0.1 localhost\n# 1.1.1.1 a\n10.0.0.1 boot.example boot # b\n10.0.0.2\tBOOT\nx y\n";
        assert_eq!(in_hosts(hosts, "boot"), [v4("10.0.0.1"), v4("10.0.0.2")]);
        assert!(in_hosts(hosts, "b").is_empty());
        assert!(in_hosts(hosts, "a").is_empty());
    }

    #[test]
    fn servers_of_resolv_conf_and_networkd() {
        let text = format!(
            "search a b\nnameserver 10.0.0.1\n#nameserver 1.1.1.1{}",
            networkd_servers("X=1\nDNS=10.0.0.2 ::1\n")
        );
        let servers = Servers::parse(&text);
        assert_eq!(servers.servers, [v4("10.0.0.1"), v4("10.0.0.2"), v4("::1")]);
        assert_eq!(servers.candidates("boot"), ["boot.a", "boot.b", "boot"]);
        assert_eq!(servers.candidates("boot.x"), ["boot.x", "boot.x.a", "boot.x.b"]);
    }

    /// A name server on a port of its own that knows `boot.example` as 10.1.2.3.
    fn name_server(rcode: RCODE) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut message = [0u8; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut message) {
                let query = Packet::parse(&message[..length]).unwrap();
                let question = &query.questions[0];
                let mut reply = Packet::new_reply(query.id());
                *reply.rcode_mut() = rcode;
                if question.qname.to_string() == "boot.example" && question.qtype == QTYPE::TYPE(TYPE::A) {
                    let rdata = RData::A(simple_dns::rdata::A { address: 0x0a01_0203 });
                    reply.answers.push(ResourceRecord::new(question.qname.clone(), CLASS::IN, 60, rdata));
                }
                // First one that answers somebody else's query: it must not be taken.
                let other = Packet::new_reply(query.id() ^ 1).build_bytes_vec().unwrap();
                socket.send_to(&other, from).unwrap();
                socket.send_to(&reply.build_bytes_vec().unwrap(), from).unwrap();
            }
        });
        address
    }

    #[test]
    fn asks_a_server() {
        let deadline = Instant::now() + Duration::from_secs(5);
        let server = name_server(RCODE::NoError);
        assert_eq!(ask_one("boot.example", server, deadline).unwrap(), [v4("10.1.2.3")]);
        assert!(ask_one("other.example", server, deadline).unwrap().is_empty());
        assert!(ask_one("boot.example", name_server(RCODE::ServerFailure), deadline).is_err());
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

    proptest::proptest! {
        #[test]
        fn any_answer_is_taken_or_refused(message: Vec<u8>, id: u16) {
            let _ = addresses_in(&message, id);
        }
    }
}
