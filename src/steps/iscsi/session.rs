//! A session of the kernel's initiator: made as one, or not at all.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::login::{Account, Login, Next, Parameters, Session};
use super::transport::{Kernel, Transport};
use crate::engine::host::Host;
use crate::error::{Code, Context, Error, Result};
use crate::input::document::Iscsi;
use crate::sys::iscsi_netlink::{Connection, Initiator, Param};
use crate::sys::module;

/// A portal answers a connection attempt within this time, or counts as unreachable.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// A whole login takes no longer, from the first PDU to the last.
const LOGIN_LIMIT: Duration = Duration::from_secs(15);
/// So many redirections in a row lead nowhere.
const MOST_REDIRECTIONS: u32 = 4;
/// The port of a redirection that names none (RFC 7143, section 13.8).
const DEFAULT_PORT: u16 = 3260;

/// Commands in flight in a session.
const COMMANDS: u16 = 128;
/// Commands in flight on one disk.
const QUEUE_DEPTH: u16 = 32;
/// Seconds that I/O waits for a lost connection before it fails. Between this agent and the image's iscsid, which
/// sets its own, nobody reconnects: long enough for iscsid to start and do it, and an end to every read without it.
const RECOVERY_SECONDS: &str = "120";
/// What the kernel's error handler waits for, in seconds, as iscsid has them by default.
const ABORT_SECONDS: &str = "15";
const RESET_SECONDS: &str = "30";

/// Logs in to the target at `portal`; gives the id of the kernel's session. Follows redirections.
///
/// # Errors
/// The portal cannot be reached, the target refuses, or the kernel does. Then no session is left behind.
pub fn log_in(host: &Host, iscsi: &Iscsi, initiator: &str, portal: SocketAddr) -> Result<u32> {
    let mut address = portal;
    for _ in 0..MOST_REDIRECTIONS {
        match attempt(host, iscsi, initiator, portal, address)? {
            Attempt::LoggedIn(sid) => return Ok(sid),
            Attempt::Moved(to) => {
                address = redirection(&to)
                    .ok_or_else(|| Error::new(Code::IscsiMoved, object(iscsi, portal)).because(to))?;
            }
        }
    }
    let cause = format!("redirected {MOST_REDIRECTIONS} times, at last to {address}");
    Err(Error::new(Code::IscsiMoved, object(iscsi, portal)).because(cause))
}

/// Takes a session away that is of no use any more.
///
/// # Errors
/// The kernel refuses.
pub fn discard(host: &Host, sid: u32) -> Result<()> {
    let object = || format!("iSCSI session {sid}");
    let mut initiator = open(host)?;
    let connection = Connection { sid, cid: 0 };
    // One that died early has no connection, or one that never ran.
    let _ = initiator.stop_conn(connection);
    let _ = initiator.destroy_conn(connection);
    initiator.destroy_session(sid).context(Code::Kernel, object())
}

enum Attempt {
    LoggedIn(u32),
    Moved(String),
}

fn attempt(
    host: &Host,
    iscsi: &Iscsi,
    name: &str,
    portal: SocketAddr,
    address: SocketAddr,
) -> Result<Attempt> {
    let object = || object(iscsi, portal);
    let stream = TcpStream::connect_timeout(&address, CONNECT_LIMIT)
        .context(Code::IscsiConnect, format!("portal {address}"))?;
    // The kernel's initiator takes the socket as it is: small commands are not to wait for the answers to others.
    stream.set_nodelay(true).context(Code::Kernel, object())?;
    load_modules(host)?;
    let mut initiator = open(host)?;
    let mut draft = Draft::create(&mut initiator, &stream).context(Code::Kernel, object())?;
    let connection = draft.connection;
    set_identity(draft.initiator, connection, iscsi, name, portal).context(Code::Kernel, object())?;
    let [_, high, middle, low] = connection.sid.to_be_bytes();
    let parameters = Parameters {
        initiator: name,
        target: &iscsi.target,
        // The rule of open-iscsi, by which the image's iscsid logs in again to this very session: its own
        // number, and the kernel's.
        isid: [0x00, 0x02, 0x3d, high, middle, low],
        account: iscsi.auth.as_ref().map(|auth| Account { name: &auth.username, secret: &auth.secret }),
    };
    let mut transport =
        Kernel { initiator: draft.initiator, connection, deadline: Instant::now() + LOGIN_LIMIT };
    let session = match negotiate(&mut transport, parameters, &object)? {
        Negotiated::Session(session) => session,
        Negotiated::Moved(to) => return Ok(Attempt::Moved(to)),
    };
    set_negotiated(draft.initiator, connection, &session).context(Code::Kernel, object())?;
    draft.initiator.start_conn(connection).context(Code::Kernel, object())?;
    draft.keep = true;
    Ok(Attempt::LoggedIn(connection.sid))
}

/// What a login over some transport comes to.
pub enum Negotiated {
    /// The session.
    Session(Session),
    /// The target is elsewhere.
    Moved(String),
}

/// Runs a login over `transport`. `object` names target and portal in errors.
///
/// # Errors
/// The target refuses, breaks the protocol, or the connection fails on the way.
pub fn negotiate(
    transport: &mut dyn Transport,
    parameters: Parameters<'_>,
    object: &dyn Fn() -> String,
) -> Result<Negotiated> {
    let (mut login, mut request) = Login::start(parameters);
    loop {
        let response = transport.exchange(&request).map_err(|error| {
            let code = match error.kind() {
                io::ErrorKind::InvalidData => Code::IscsiProtocol,
                _ => Code::IscsiConnect,
            };
            Error::new(code, object()).because(error)
        })?;
        match login.next(&response) {
            Ok(Next::Send(next)) => request = next,
            Ok(Next::Done(session)) => return Ok(Negotiated::Session(session)),
            Ok(Next::Moved(to)) => return Ok(Negotiated::Moved(to)),
            Err(failure) => return Err(Error::new(failure.code(), object()).because(failure)),
        }
    }
}

/// A session of the kernel that is taken away again unless it is to be kept.
struct Draft<'a> {
    initiator: &'a mut Initiator,
    connection: Connection,
    /// The connection exists.
    connected: bool,
    keep: bool,
}

impl<'a> Draft<'a> {
    fn create(initiator: &'a mut Initiator, stream: &TcpStream) -> io::Result<Draft<'a>> {
        let sid = initiator.create_session(COMMANDS, QUEUE_DEPTH)?;
        let connection = Connection { sid, cid: 0 };
        let mut draft = Draft { initiator, connection, connected: false, keep: false };
        draft.initiator.create_conn(connection)?;
        draft.connected = true;
        draft.initiator.bind_conn(connection, stream.as_fd())?;
        Ok(draft)
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        // The error that led here counts; these could only add that the kernel has lost it already.
        if self.connected {
            let _ = self.initiator.stop_conn(self.connection);
            let _ = self.initiator.destroy_conn(self.connection);
        }
        let _ = self.initiator.destroy_session(self.connection.sid);
    }
}

/// Sets what makes the session known: the image's iscsid takes all of it over from sysfs.
fn set_identity(
    initiator: &mut Initiator,
    connection: Connection,
    iscsi: &Iscsi,
    name: &str,
    portal: SocketAddr,
) -> io::Result<()> {
    let address = portal.ip().to_string();
    let port = portal.port().to_string();
    let mut set = |param, value: &[u8]| initiator.set_param(connection, param, value);
    set(Param::TargetName, iscsi.target.as_bytes())?;
    set(Param::InitiatorName, name.as_bytes())?;
    // The configured portal, not where it redirects to: that may be another one next time.
    set(Param::PersistentAddress, address.as_bytes())?;
    set(Param::PersistentPort, port.as_bytes())?;
    set(Param::IfaceName, b"default")?;
    if let Some(auth) = &iscsi.auth {
        set(Param::Username, auth.username.as_bytes())?;
        set(Param::Password, auth.secret.expose())?;
    }
    set(Param::SessRecoveryTmo, RECOVERY_SECONDS.as_bytes())?;
    set(Param::FastAbort, b"1")?;
    set(Param::AbortTmo, ABORT_SECONDS.as_bytes())?;
    set(Param::LuResetTmo, RESET_SECONDS.as_bytes())?;
    set(Param::TgtResetTmo, RESET_SECONDS.as_bytes())?;
    // No pings of the kernel's own: to find a lost connection early is of use only to who can reconnect it.
    set(Param::PingTmo, b"0")?;
    set(Param::RecvTmo, b"0")?;
    set(Param::DiscoverySess, b"0")
}

fn set_negotiated(initiator: &mut Initiator, connection: Connection, session: &Session) -> io::Result<()> {
    let values = &session.values;
    let number = |value: u32| value.to_string();
    let flag = |value: bool| u8::from(value).to_string();
    let mut params = vec![
        (Param::MaxRecvDlength, number(values.max_recv)),
        (Param::MaxXmitDlength, number(values.max_xmit)),
        (Param::HdrDgstEn, flag(false)),
        (Param::DataDgstEn, flag(false)),
        (Param::InitialR2tEn, flag(values.initial_r2t)),
        (Param::MaxR2t, number(values.max_r2t)),
        (Param::ImmDataEn, flag(values.immediate_data)),
        (Param::FirstBurst, number(values.first_burst)),
        (Param::MaxBurst, number(values.max_burst)),
        (Param::PduInorderEn, flag(values.pdu_in_order)),
        (Param::DataSeqInorderEn, flag(values.sequence_in_order)),
        (Param::Erl, flag(false)),
        (Param::ExpStatSn, number(session.expected_stat_sn)),
    ];
    if let Some(group) = values.portal_group {
        params.push((Param::Tpgt, group.to_string()));
    }
    for (param, value) in params {
        initiator.set_param(connection, param, value.as_bytes())?;
    }
    Ok(())
}

fn load_modules(host: &Host) -> Result<()> {
    module::load(host, &["iscsi_tcp"])?;
    // Before 6.15 iscsi_tcp makes no connection without this algorithm, digests or not. Kernels that have it
    // in a library know no such module: if it is really missing, the connection's own error tells.
    let _ = module::load(host, &["crypto-crc32c"]);
    Ok(())
}

fn open(host: &Host) -> Result<Initiator> {
    let path = host.path("/sys/class/iscsi_transport/tcp/handle");
    let handle = fs::read_to_string(&path).context(Code::Kernel, path.display().to_string())?;
    let handle = handle.trim().parse().context(Code::Kernel, path.display().to_string())?;
    Initiator::open(handle).context(Code::Kernel, "netlink to the kernel's iSCSI initiator")
}

fn object(iscsi: &Iscsi, portal: SocketAddr) -> String {
    format!("{} at {portal}", iscsi.target)
}

/// The address of a redirection: `address[:port][,group]`. Names are not resolved.
fn redirection(to: &str) -> Option<SocketAddr> {
    let address = to.split_once(',').map_or(to, |(address, _)| address);
    let bare = address.trim_start_matches('[').trim_end_matches(']');
    address.parse().ok().or_else(|| Some(SocketAddr::new(bare.parse().ok()?, DEFAULT_PORT)))
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
