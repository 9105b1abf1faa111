//! A session of the kernel's initiator: made as one, or not at all.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::chap::Account;
use super::discovery;
use super::login::{Login, Next, Parameters, Session, SessionType};
use super::negotiation::Offer;
use super::route::{Attempt, Place, Route};
use super::transport::{Kernel, Transport};
use crate::engine::host::Host;
use crate::error::{Code, Context, Error, Result};
use crate::input::document::Iscsi;
use crate::input::portal::Portal;
use crate::input::settings::Settings;
use crate::sys::iscsi_netlink::{Connection, Initiator, Param};
use crate::sys::module;
use crate::sys::resolve;

/// A portal answers a connection attempt within this time, or counts as unreachable.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// A portal's name is resolved within this time.
const RESOLVE_LIMIT: Duration = Duration::from_secs(5);
/// The setting of how long a login may take, in seconds, from the first PDU to the last.
pub const LOGIN_TIMEOUT: &str = "node.conn[0].timeo.login_timeout";

/// Seconds that I/O waits at most for a lost connection before it fails. Between this agent and the image's iscsid,
/// which sets the plan's own, nobody reconnects: long enough for iscsid to start and do it, and an end to every read
/// without it.
const MOST_RECOVERY_SECONDS: u32 = 120;

/// Logs in to the target at the first of `portals` that does; gives the id of the kernel's session. A discovery, if
/// the plan has one, asks them where the target is first. Follows redirections.
///
/// # Errors
/// No portal can be reached, the target refuses, or the kernel does. Then no session is left behind.
pub fn log_in(host: &Host, iscsi: &Iscsi, initiator: &str, portals: &[Portal]) -> Result<u32> {
    let resolve = |portal: &Portal| -> Result<Vec<SocketAddr>> {
        resolve::socket_addresses(&host.path("/"), &portal.host, portal.port, RESOLVE_LIMIT)
    };
    let login = Route { resolve: &resolve, attempt: &|place| attempt(host, iscsi, initiator, place) };
    let Some(discovery) = &iscsi.discovery else {
        return login.take(&iscsi.target, portals);
    };
    let ask = |place: Place<'_>| discovery::ask(iscsi, discovery, initiator, place);
    let discovered = Route { resolve: &resolve, attempt: &ask }.take("discovery", portals)?;
    login.take(&iscsi.target, &discovered)
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

fn attempt(host: &Host, iscsi: &Iscsi, name: &str, place: Place<'_>) -> Result<Attempt<u32>> {
    let object = || format!("{} at {}", iscsi.target, place.name());
    let settings = &iscsi.settings;
    let stream = TcpStream::connect_timeout(&place.address, CONNECT_LIMIT)
        .context(Code::IscsiConnect, format!("portal {}", place.name()))?;
    // The kernel's initiator takes the socket as it is: small commands are not to wait for the answers to others.
    stream.set_nodelay(true).context(Code::Kernel, object())?;
    let account = iscsi.auth.as_ref().map(Account::of).transpose().context(Code::NoRandom, object())?;
    load_modules(host)?;
    let mut initiator = open(host)?;
    let mut draft = Draft::create(&mut initiator, iscsi, &stream).context(Code::Kernel, object())?;
    let connection = draft.connection;
    for (param, value) in identity(iscsi, name, place).iter().chain(&timers(settings)) {
        draft.initiator.set_param(connection, *param, value).context(Code::Kernel, object())?;
    }
    let [_, high, middle, low] = connection.sid.to_be_bytes();
    let offer = Offer::for_disk(settings);
    let parameters = Parameters {
        initiator: name,
        session: SessionType::Normal(&iscsi.target),
        // The rule of open-iscsi, by which the image's iscsid logs in again to this very session: its own
        // number, and the kernel's.
        isid: [0x00, 0x02, 0x3d, high, middle, low],
        account,
        offer: &offer,
    };
    let limit = Duration::from_secs(settings.number(LOGIN_TIMEOUT).into());
    let mut transport = Kernel { initiator: draft.initiator, connection, deadline: Instant::now() + limit };
    let session = match negotiate(&mut transport, parameters, &object)? {
        Negotiated::Session(session) => session,
        Negotiated::Moved(to) => return Ok(Attempt::Moved(to)),
    };
    for (param, value) in negotiated(&session) {
        draft.initiator.set_param(connection, param, value.as_bytes()).context(Code::Kernel, object())?;
    }
    draft.initiator.start_conn(connection).context(Code::Kernel, object())?;
    draft.keep = true;
    Ok(Attempt::Done(connection.sid))
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
        let response = transport.exchange(&request).map_err(|error| lost(error, object()))?;
        match login.next(&response) {
            Ok(Next::Send(next)) => request = next,
            Ok(Next::Done(session)) => return Ok(Negotiated::Session(session)),
            Ok(Next::Moved(to)) => return Ok(Negotiated::Moved(to)),
            Err(failure) => {
                let code = match (failure.code(), parameters.session) {
                    // The account for discovery is another one, and so is the advice.
                    (Code::IscsiAuth, SessionType::Discovery) => Code::IscsiDiscoveryAuth,
                    (code, _) => code,
                };
                return Err(Error::new(code, object()).because(failure));
            }
        }
    }
}

/// The error for a connection that failed on the way.
pub fn lost(error: io::Error, object: String) -> Error {
    let code = match error.kind() {
        io::ErrorKind::InvalidData => Code::IscsiProtocol,
        _ => Code::IscsiConnect,
    };
    Error::new(code, object).because(error)
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
    fn create(initiator: &'a mut Initiator, iscsi: &Iscsi, stream: &TcpStream) -> io::Result<Draft<'a>> {
        // The table of settings keeps both within 16 bits.
        let number = |key| u16::try_from(iscsi.settings.number(key)).unwrap_or(u16::MAX);
        let commands = number("node.session.cmds_max");
        let sid = initiator.create_session(commands, number("node.session.queue_depth"))?;
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

/// What makes the session known: the image's iscsid takes all of it over from sysfs.
fn identity(iscsi: &Iscsi, name: &str, place: Place<'_>) -> Vec<(Param, Zeroizing<Vec<u8>>)> {
    let bytes = |value: &[u8]| Zeroizing::new(value.to_vec());
    let mut params = vec![
        (Param::TargetName, bytes(iscsi.target.as_bytes())),
        (Param::InitiatorName, bytes(name.as_bytes())),
        // The configured portal, not where it redirects to: that may be another one next time.
        (Param::PersistentAddress, bytes(place.persistent_address().as_bytes())),
        (Param::PersistentPort, bytes(place.own.port().to_string().as_bytes())),
        (Param::IfaceName, bytes(b"default")),
        (Param::DiscoverySess, bytes(b"0")),
    ];
    if let Some(auth) = &iscsi.auth {
        params.push((Param::Username, bytes(auth.username.as_bytes())));
        params.push((Param::Password, bytes(auth.secret.expose())));
        if let Some(mutual) = &auth.mutual {
            params.push((Param::UsernameIn, bytes(mutual.username.as_bytes())));
            params.push((Param::PasswordIn, bytes(mutual.secret.expose())));
        }
    }
    params
}

/// How long the kernel waits for what, by the plan's settings.
fn timers(settings: &Settings) -> Vec<(Param, Zeroizing<Vec<u8>>)> {
    let recovery = settings.number("node.session.timeo.replacement_timeout").min(MOST_RECOVERY_SECONDS);
    [
        (Param::SessRecoveryTmo, recovery),
        (Param::FastAbort, settings.flag("node.session.iscsi.FastAbort").into()),
        (Param::AbortTmo, settings.number("node.session.err_timeo.abort_timeout")),
        (Param::LuResetTmo, settings.number("node.session.err_timeo.lu_reset_timeout")),
        (Param::TgtResetTmo, settings.number("node.session.err_timeo.tgt_reset_timeout")),
        // The kernel's own pings: after so many silent seconds, and how long their answer may take.
        (Param::RecvTmo, settings.number("node.conn[0].timeo.noop_out_interval")),
        (Param::PingTmo, settings.number("node.conn[0].timeo.noop_out_timeout")),
    ]
    .map(|(param, value)| (param, Zeroizing::new(value.to_string().into_bytes())))
    .into()
}

/// What the login came to.
fn negotiated(session: &Session) -> Vec<(Param, String)> {
    let values = &session.values;
    let flag = u32::from;
    let mut params = vec![
        (Param::MaxRecvDlength, values.max_recv),
        (Param::MaxXmitDlength, values.max_xmit),
        (Param::HdrDgstEn, flag(values.header_digest)),
        (Param::DataDgstEn, flag(values.data_digest)),
        (Param::InitialR2tEn, flag(values.initial_r2t)),
        (Param::MaxR2t, values.max_r2t),
        (Param::ImmDataEn, flag(values.immediate_data)),
        (Param::FirstBurst, values.first_burst),
        (Param::MaxBurst, values.max_burst),
        (Param::PduInorderEn, flag(values.pdu_in_order)),
        (Param::DataSeqInorderEn, flag(values.sequence_in_order)),
        (Param::Erl, 0),
        (Param::ExpStatSn, session.expected_stat_sn),
    ];
    params.extend(values.portal_group.map(|group| (Param::Tpgt, group.into())));
    params.into_iter().map(|(param, value)| (param, value.to_string())).collect()
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

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
