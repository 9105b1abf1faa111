//! Fuzz targets of this folder; see [`crate::fuzz`].

use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::ask::told;
use super::chap::{Account, Mutual, decode_binary, encode_binary};
use super::discovery::list;
use super::listing::{names, portals, target_address, targets};
use super::login::{Login, Next, Parameters, SessionType};
use super::negotiation::Offer;
use super::pdu::{BHS, MOST_DATA, Pdu};
use super::session::{Negotiated, negotiate};
use super::socket::Socket;
use super::text;
use crate::input::document::Algorithm;
use crate::input::portal::Portal;
use crate::input::secret::Secret;
use crate::input::settings::Settings;
use crate::sys::flag::Flag;

const INITIATOR: &str = "iqn.2026-01.example:n1";
const TARGET: &str = "iqn.2026-01.example:image";

/// What a target says to an INQUIRY: the status, and the data behind it.
pub fn inquiry(data: &[u8]) {
    if let Some((status, data)) = data.split_first() {
        let told = told("LUN 1".to_owned(), *status, data);
        assert!(told.is_err() || *status == 0);
    }
}

/// The values in text keys, and lists of targets.
pub fn text(data: &[u8]) {
    let values = text::parse(data).unwrap_or_default();
    for (_, value) in values {
        let _ = (text::number(value), target_address(value));
        assert!(text::quote(value).chars().all(|c| c.is_ascii_graphic() || c == ' '));
        if let Ok(bytes) = decode_binary(value) {
            assert_eq!(decode_binary(&encode_binary(&bytes)), Ok(bytes));
        }
    }
    listing(data);
}

fn listing(data: &[u8]) {
    let Ok(targets) = targets(data) else { return };
    let _ = names(&targets);
    // Of the kind of addresses that can be written in many ways.
    let asked = SocketAddr::from((Ipv6Addr::LOCALHOST, 3260));
    let at = Portal { host: "fe80::1%eth0".into(), port: 3260 };
    let found = portals(&targets, TARGET, asked, &at).unwrap_or_default();
    // Two more than are tried: the one that was asked, by its name and its address.
    assert!(found.len() <= 18);
}

/// A login with a target that answers so: each line is a response, its flags, its status class, and its text keys. The
/// first byte chooses what is logged in with.
pub fn login(data: &[u8]) {
    let Some((how, script)) = data.split_first() else { return };
    let (ours, theirs) = (Secret::new(b"secret-of-node".to_vec()), Secret::new(b"secret-of-store".to_vec()));
    let mutual = Mutual { name: "store", secret: &theirs, identifier: 7, challenge: [0x5a; 16] };
    let algorithms = [Algorithm::Sha3_256, Algorithm::Sha256, Algorithm::Sha1, Algorithm::Md5];
    let account = Account {
        name: "node",
        secret: &ours,
        algorithms: &algorithms,
        mutual: (how & 2 != 0).then_some(mutual),
    };
    let mut settings = Settings::default();
    if how & 8 != 0 {
        let _ = settings.set("node.conn[0].iscsi.HeaderDigest", "CRC32C");
    }
    let discovers = how & 4 != 0;
    let offer = if discovers { Offer::for_discovery(&settings) } else { Offer::for_disk(&settings) };
    let (mut login, _) = Login::start(Parameters {
        initiator: INITIATOR,
        session: if discovers { SessionType::Discovery } else { SessionType::Normal(TARGET) },
        isid: [0; 6],
        account: (how & 1 != 0).then_some(account),
        offer: &offer,
    });
    for line in script.split(|byte| *byte == b'\n') {
        let [flags, status, keys @ ..] = line else { return };
        match login.next(&response(*flags, *status, keys)) {
            Ok(Next::Send(request)) => {
                assert!(
                    request.data.len() <= MOST_DATA && Pdu::data_length(&request.bhs) == request.data.len()
                );
            }
            Ok(Next::Done(session)) => {
                assert!(session.values.first_burst <= session.values.max_burst);
                return;
            }
            Ok(Next::Moved(to)) => {
                let _ = target_address(&to);
                return;
            }
            Err(failure) => {
                let _ = (failure.code(), failure.to_string());
                return;
            }
        }
    }
}

fn response(flags: u8, status: u8, keys: &[u8]) -> Pdu {
    let mut bhs = [0; BHS];
    bhs[0] = 0x23;
    bhs[1] = flags;
    let [_, high, middle, low] = u32::try_from(keys.len()).unwrap_or_default().to_be_bytes();
    bhs[5..8].copy_from_slice(&[high, middle, low]);
    // Written as a digit in scripts.
    bhs[36] = status & 0xf;
    Pdu { bhs, data: Zeroizing::new(keys.to_vec()) }
}

/// A discovery, where these are the bytes that a portal sends.
pub fn discovery(data: &[u8]) {
    let Some((stream, _peer)) = portal(data) else { return };
    let mut socket = Socket {
        stream,
        deadline: Instant::now() + Duration::from_secs(5),
        max_recv: MOST_DATA,
        cancel: &Flag::default(),
    };
    let offer = Offer::for_discovery(&Settings::default());
    let parameters = Parameters {
        initiator: INITIATOR,
        session: SessionType::Discovery,
        isid: [0x80, 0, 0, 0, 0, 0],
        account: None,
        offer: &offer,
    };
    let object = || String::from("discovery");
    if let Ok(Negotiated::Session(session)) = negotiate(&mut socket, parameters, &object)
        && let Ok(text) = list(&mut socket, session.expected_stat_sn, &object)
    {
        listing(&text);
    }
}

/// A connection to a portal that sends `bytes` and then nothing more, and the portal's end of it.
fn portal(bytes: &[u8]) -> Option<(TcpStream, TcpStream)> {
    static LISTENER: OnceLock<Option<TcpListener>> = OnceLock::new();
    let listener = LISTENER.get_or_init(|| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok()).as_ref()?;
    let stream = TcpStream::connect(listener.local_addr().ok()?).ok()?;
    let (mut peer, _) = listener.accept().ok()?;
    // What does not fit into its buffers at once is cut: nobody reads yet.
    peer.set_nonblocking(true).ok()?;
    let _ = peer.write(bytes);
    let _ = peer.shutdown(Shutdown::Write);
    Some((stream, peer))
}
