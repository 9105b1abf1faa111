//! The first read of a path's disk, and why it does not come back.
//!
//! A login is made of small messages. Where the node and the target both have large frames and something between them has
//! not, it works, and the first read hangs for ever: TCP sends the lost frame again and again. So the first sectors of
//! each path are read before it counts as up, and when they do not come, the portal is asked twice over new connections:
//! with a small message, and with one that fills a large frame. A target that is only slow answers to both.

use std::fs::File;
use std::io::{self, Read};
use std::net::TcpStream;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::login::{Login, Parameters, SessionType};
use super::negotiation::Offer;
use super::observe;
use super::pdu::{MOST_DATA, Pdu};
use super::session::{self, CONNECT_LIMIT};
use super::socket::Socket;
use super::transport::Transport;
use crate::engine::host::Host;
use crate::error::{Code, Context, Error, Result};
use crate::input::document::{Iscsi, TargetPortal};
use crate::sys::flag::Flag;
use crate::sys::{address, random, tcp};

/// What is read: more than any frame holds.
const LENGTH: u64 = 64 * 1024;
/// When a read takes so long, it is asked why.
const PATIENCE: Duration = Duration::from_secs(5);
/// Each question is answered within this time, or not at all.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);
/// So often it is looked whether the session is still there.
const SLICE: Duration = Duration::from_millis(100);
/// The kernel shows a disk so much before it can be opened, at most.
const OPEN_LIMIT: Duration = Duration::from_secs(5);
/// What fits into an Ethernet frame without jumbo frames: TCP over IPv4.
pub(super) const USUAL_SEGMENT: u32 = 1460;

/// Reads the first sectors of the disk of session `sid`, however long it takes, unless the session is lost or `cancel` is
/// raised.
///
/// # Errors
/// [`Code::Mtu`]: large frames do not get through; the session is taken away then. [`Code::IscsiConnect`]: the read
/// failed, or the connection was lost.
pub fn read(
    host: &Host,
    iscsi: &Iscsi,
    initiator: &str,
    portals: &[TargetPortal],
    sid: u32,
    cancel: &Flag,
) -> Result<()> {
    let (found, _) = observe::sessions(host, iscsi, initiator, |_| true)?;
    let found = found.into_iter().find(|found| found.session.sid == sid);
    let disk = found.and_then(|found| found.session.device).and_then(|device| device.disk);
    let gone = || Error::new(Code::IscsiConnect, format!("iSCSI session {sid}"));
    let Some(disk) = disk else {
        return Err(gone().because("its disk is gone"));
    };
    let object = || format!("disk {} of iSCSI session {sid}", disk.name);
    let (tell, told) = channel();
    let node = host.path("/dev").join(&disk.name);
    // The kernel may not come back from a read before it gives the session up.
    let work = move || drop(tell.send(first_sectors(&node)));
    std::thread::Builder::new().name("first read".into()).spawn(work).context(Code::Io, object())?;
    let started = Instant::now();
    let mut is_asked = false;
    loop {
        match told.recv_timeout(SLICE) {
            Ok(read) => return read.context(Code::IscsiConnect, object()),
            Err(RecvTimeoutError::Disconnected) => return Err(gone().because("the read came to nothing")),
            Err(RecvTimeoutError::Timeout) => cancel.check().context(Code::IscsiConnect, object())?,
        }
        let state = host.path(format!("/sys/class/iscsi_session/session{sid}/state"));
        if std::fs::read_to_string(state).unwrap_or_default().trim() != "LOGGED_IN" {
            return Err(gone().because(format!("it was lost while disk {} was read", disk.name)));
        }
        if !is_asked && started.elapsed() >= PATIENCE {
            is_asked = true;
            if let Some(error) = why(host, iscsi, initiator, portals, sid, cancel) {
                // Its reads hang as long as it is there, and whoever looks at the disk with them.
                session::discard(host, sid)?;
                return Err(error);
            }
        }
    }
}

fn first_sectors(node: &Path) -> io::Result<()> {
    let until = Instant::now() + OPEN_LIMIT;
    let file = loop {
        match File::open(node) {
            Err(error)
                if matches!(Errno::from_io_error(&error), Some(Errno::NOENT | Errno::NXIO))
                    && Instant::now() < until =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            other => break other?,
        }
    };
    io::copy(&mut file.take(LENGTH), &mut io::sink()).map(|_| ())
}

/// The error for frames that are too large; none: it is something else, or it cannot be told.
fn why(
    host: &Host,
    iscsi: &Iscsi,
    initiator: &str,
    portals: &[TargetPortal],
    sid: u32,
    cancel: &Flag,
) -> Option<Error> {
    let to = session::persistent(host, sid)?;
    let portal = portals.iter().find(|portal| portal.portal.host == to.ip().to_string());
    let portal = portal.or_else(|| portals.first())?;
    let from = tcp::From { interface: portal.interface.as_deref(), source: portal.source };
    let mut interface = None;
    for is_large in [false, true] {
        let small = request(iscsi, initiator);
        let pdu = if is_large { enlarged(small) } else { small };
        let stream = tcp::connect(to, from, CONNECT_LIMIT, cancel).ok()?;
        if tcp::segment(&stream).ok()? <= USUAL_SEGMENT {
            return None;
        }
        interface = stream.local_addr().ok().and_then(|local| address::interface_of(local.ip()));
        if is_answered(stream, &pdu, ANSWER_LIMIT, cancel) == is_large {
            return None;
        }
    }
    cancel.check().ok()?;
    let interface = interface.or_else(|| portal.interface.clone());
    let over = interface.map_or_else(String::new, |name| {
        let mtu = std::fs::read_to_string(host.path("/sys/class/net").join(&name).join("mtu"));
        format!(" over {name} with MTU {}", mtu.unwrap_or_default().trim())
    });
    Some(Error::new(Code::Mtu, format!("portal {to}{over}")))
}

/// Whether the other side takes notice of `pdu` within `limit`. To end the connection is an answer, too.
pub(super) fn is_answered(stream: TcpStream, pdu: &Pdu, limit: Duration, cancel: &Flag) -> bool {
    let deadline = Instant::now() + limit;
    let answer = Socket { stream, deadline, max_recv: MOST_DATA, cancel }.exchange(pdu);
    !matches!(answer, Err(error) if error.kind() == io::ErrorKind::TimedOut)
}

/// The first PDU of a login that nothing comes of: for a discovery, which every target lets begin.
pub(super) fn request(iscsi: &Iscsi, initiator: &str) -> Pdu {
    let [a, b, c] = random::bytes_now();
    let parameters = Parameters {
        initiator,
        session: SessionType::Discovery,
        isid: [0x80, a, b, c, 0, 0],
        account: None,
        offer: &Offer::for_discovery(&iscsi.settings),
    };
    Login::start(parameters).1
}

/// The same with keys that mean nothing (RFC 7143, section 6.1: X-), up to what a login may hold.
pub(super) fn enlarged(mut pdu: Pdu) -> Pdu {
    for number in 0.. {
        let key = format!("X-diskless.fill.{number}={}\0", "x".repeat(200));
        if pdu.data.len() + key.len() > MOST_DATA {
            break;
        }
        pdu.data.extend_from_slice(key.as_bytes());
    }
    let [_, high, middle, low] = u32::try_from(pdu.data.len()).unwrap_or_default().to_be_bytes();
    pdu.bhs[5..8].copy_from_slice(&[high, middle, low]);
    pdu
}

#[cfg(test)]
#[path = "probe_tests.rs"]
mod tests;
