//! A session of the kernel's initiator: made as one, or not at all; logged in again over a new connection; logged out.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use super::chap::Account;
use super::discovery;
use super::login::{Login, Next, Parameters, Session, SessionType};
use super::negotiation::Offer;
use super::params::{identity, negotiated, timers};
use super::route::{self, Attempt, Place, Route};
use super::text_pdu;
use super::transport::{Kernel, Transport};
use crate::engine::host::Host;
use crate::error::{Class, Code, Context, Error, Result};
use crate::input::document::{Discovery, Iscsi, TargetPortal};
use crate::input::portal::Portal;
use crate::sys::flag::Flag;
use crate::sys::iscsi_netlink::{Connection, Initiator, Stop};
use crate::sys::module;
use crate::sys::resolve;
use crate::sys::tcp;

/// A portal answers a connection attempt within this time, or counts as unreachable.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// A portal's name is resolved within this time.
const RESOLVE_LIMIT: Duration = Duration::from_secs(5);
/// The setting of how long a login may take, in seconds, from the first PDU to the last.
pub const LOGIN_TIMEOUT: &str = "node.conn[0].timeo.login_timeout";
/// The kernel takes a session away within this time of the logout; it may have to wait for other requests to it.
const DESTROY_LIMIT: Duration = Duration::from_secs(3);

/// Logs in to the target at `portal`, until `cancel` is raised; gives the id of the kernel's session. Follows
/// redirections.
///
/// # Errors
/// The portal cannot be reached, the target refuses, or the kernel does. Then no session is left behind.
pub fn log_in(
    host: &Host,
    iscsi: &Iscsi,
    initiator: &str,
    portal: &TargetPortal,
    cancel: &Flag,
) -> Result<u32> {
    let resolve = |portal: &Portal| resolved(host, portal, cancel);
    let attempt = |place: Place<'_>| attempt(host, iscsi, initiator, portal, None, cancel, place);
    let portals = std::slice::from_ref(&portal.portal);
    Route { resolve: &resolve, attempt: &attempt }.take(iscsi.target_at(portal), portals)
}

/// Logs in at the first of `portals` that lets it: they are alternatives. A discovery, if the plan has one, asks them
/// where the target is first.
///
/// # Errors
/// As of [`log_in`].
pub fn log_in_any(
    host: &Host,
    iscsi: &Iscsi,
    initiator: &str,
    portals: &[TargetPortal],
    cancel: &Flag,
) -> Result<u32> {
    let found;
    let portals = match &iscsi.discovery {
        None => portals,
        Some(discovery) => {
            found = discover(host, iscsi, discovery, initiator, portals, cancel)?;
            &found
        }
    };
    let mut failures = Vec::new();
    for portal in portals {
        match log_in(host, iscsi, initiator, portal, cancel) {
            Err(error) if error.class() == Class::Retry => failures.push(error),
            other => return other,
        }
    }
    Err(route::all(&iscsi.target, failures))
}

/// Asks the first of `portals` that answers where the plan's target is: at these portals, by the way that the one asked
/// has. Those with a target of their own are asked for that one.
///
/// # Errors
/// None can be reached, or knows the target.
pub fn discover(
    host: &Host,
    iscsi: &Iscsi,
    discovery: &Discovery,
    initiator: &str,
    portals: &[TargetPortal],
    cancel: &Flag,
) -> Result<Vec<TargetPortal>> {
    let resolve = |portal: &Portal| resolved(host, portal, cancel);
    let mut found: Vec<TargetPortal> = Vec::new();
    let mut failures = Vec::new();
    let mut known: Vec<&str> = Vec::new();
    for asked in portals {
        let target = iscsi.target_at(asked);
        if known.contains(&target) {
            continue;
        }
        let ask = |place: Place<'_>| {
            let from = tcp::From { interface: asked.interface.as_deref(), source: asked.source };
            discovery::ask(iscsi, discovery, initiator, target, from, cancel, place)
        };
        let here = std::slice::from_ref(&asked.portal);
        match (Route { resolve: &resolve, attempt: &ask }.take("discovery", here)) {
            Ok(list) => {
                known.push(target);
                found.extend(list.into_iter().map(|portal| TargetPortal { portal, ..asked.clone() }));
            }
            Err(error) if error.class() == Class::Retry => failures.push(error),
            Err(error) => return Err(error),
        }
    }
    if found.is_empty() { Err(route::all("discovery", failures)) } else { Ok(found) }
}

/// Logs session `sid` in again, over a new connection to `portal`, after it has lost its own: it keeps its disks, and the
/// commands that wait for it go on. The address that the session has in sysfs is tried before the portal's name is looked
/// up.
///
/// # Errors
/// As of [`log_in`]; the session is still there then, without a connection.
pub fn log_in_again(
    host: &Host,
    iscsi: &Iscsi,
    initiator: &str,
    sid: u32,
    portal: &TargetPortal,
    cancel: &Flag,
) -> Result<()> {
    let resolve = |asked: &Portal| match persistent(host, sid).filter(|_| *asked == portal.portal) {
        Some(address) => Ok(vec![address]),
        None => resolved(host, asked, cancel),
    };
    let attempt = |place: Place<'_>| attempt(host, iscsi, initiator, portal, Some(sid), cancel, place);
    let portals = std::slice::from_ref(&portal.portal);
    Route { resolve: &resolve, attempt: &attempt }.take(iscsi.target_at(portal), portals).map(|_| ())
}

/// Logs session `sid` in again at its portal, which is one of `portals`: they are alternatives.
///
/// # Errors
/// As of [`log_in_again`].
pub fn log_in_again_any(
    host: &Host,
    iscsi: &Iscsi,
    initiator: &str,
    sid: u32,
    portals: &[TargetPortal],
    cancel: &Flag,
) -> Result<()> {
    // By a discovery it may be at none of them; any of them will do, then, to name it by.
    let at = persistent(host, sid).map(|address| (address.ip().to_string(), address.port()));
    let is_at = |portal: &&TargetPortal| Some((portal.portal.host.clone(), portal.portal.port)) == at;
    match portals.iter().find(is_at).or_else(|| portals.first()) {
        Some(portal) => log_in_again(host, iscsi, initiator, sid, portal, cancel),
        None => Err(Error::new(Code::IscsiConnect, &iscsi.target).because("it has no portal")),
    }
}

fn resolved(host: &Host, portal: &Portal, cancel: &Flag) -> Result<Vec<SocketAddr>> {
    cancel.check().context(Code::Resolve, format!("host name {}", portal.host))?;
    resolve::socket_addresses(&host.path("/"), &portal.host, portal.port, RESOLVE_LIMIT)
}

/// The session's address as it was configured; none for a link-local one, whose interface has to be looked up.
pub fn persistent(host: &Host, sid: u32) -> Option<SocketAddr> {
    let folder = host.path("/sys/class/iscsi_connection").join(format!("connection{sid}:0"));
    let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
    let address = read("persistent_address")?.trim().parse().ok()?;
    Some(SocketAddr::new(address, read("persistent_port")?.trim().parse().ok()?))
}

/// Takes a session away that is of no use any more, without a word to the target.
///
/// # Errors
/// The kernel refuses.
pub fn discard(host: &Host, sid: u32) -> Result<()> {
    let mut initiator = open(host)?;
    destroy(&mut initiator, Connection { sid, cid: 0 }).context(Code::Kernel, format!("iSCSI session {sid}"))
}

fn destroy(initiator: &mut Initiator, connection: Connection) -> io::Result<()> {
    // One that died early has no connection, or one that never ran. From here on its commands fail at once: no target,
    // dead or alive, is waited for while the kernel takes the disks away.
    let _ = initiator.stop_conn(connection, Stop::Terminate);
    let _ = initiator.destroy_conn(connection);
    initiator.destroy_session(connection.sid)
}

/// Logs session `sid` out, with its disks: what is on them must be gone. The target's answer is waited for for at most
/// `limit`; a target that does not answer, or a session without a connection, is no error.
///
/// # Errors
/// The kernel refuses to take the session away, or does not do it within `limit` and three seconds.
pub fn log_out(host: &Host, sid: u32, limit: Duration) -> Result<()> {
    let (tell, told) = channel();
    let object = move || format!("iSCSI session {sid}");
    let host = host.alike();
    // A thread: a request to the kernel waits for those before it, and cannot be called off.
    let work = move || {
        // The caller may have given up.
        let _ = tell.send(say_goodbye(&host, sid, limit));
    };
    std::thread::Builder::new().name("logout".into()).spawn(work).context(Code::Kernel, object())?;
    told.recv_timeout(limit + DESTROY_LIMIT).unwrap_or_else(|_| {
        Err(Error::new(Code::Kernel, object()).because("the kernel does not take it away in time"))
    })
}

fn say_goodbye(host: &Host, sid: u32, limit: Duration) -> Result<()> {
    let connection = Connection { sid, cid: 0 };
    let deadline = Instant::now() + limit;
    let mut initiator = open(host)?;
    // RFC 7143, section 11.14. The kernel fills in the numbers; it refuses where there is no connection.
    let request = text_pdu::logout(0);
    if initiator.send_pdu(connection, &request.bhs, &request.data).is_ok() {
        // What else comes is of no use any more. An error: there is nobody to wait for.
        while let Ok((bhs, _)) = initiator.recv_pdu(connection, deadline, &Flag::default()) {
            if text_pdu::is_logout_response(&bhs) {
                break;
            }
        }
    }
    destroy(&mut initiator, connection).context(Code::Kernel, format!("iSCSI session {sid}"))
}

/// Connects to a portal: to `place`, from where `portal` says.
///
/// # Errors
/// [`Code::IscsiConnect`]
fn connect(host: &Host, portal: &TargetPortal, cancel: &Flag, place: Place<'_>) -> Result<TcpStream> {
    let object = || format!("portal {}", place.name());
    let from = tcp::From { interface: portal.interface.as_deref(), source: portal.source };
    tcp::connect(place.address, from, CONNECT_LIMIT, cancel).map_err(|error| {
        let cause = tentative(host, &error, place.address).unwrap_or_else(|| error.to_string());
        Error::new(Code::IscsiConnect, object()).because(cause)
    })
}

fn tentative(_host: &Host, _error: &io::Error, _address: SocketAddr) -> Option<String> {
    None
}

fn attempt(
    host: &Host,
    iscsi: &Iscsi,
    name: &str,
    portal: &TargetPortal,
    again: Option<u32>,
    cancel: &Flag,
    place: Place<'_>,
) -> Result<Attempt<u32>> {
    let target = iscsi.target_at(portal);
    let object = || format!("{target} at {}", place.name());
    let settings = &iscsi.settings;
    let stream = connect(host, portal, cancel, place)?;
    // The kernel's initiator takes the socket as it is: small commands are not to wait for the answers to others.
    stream.set_nodelay(true).context(Code::Kernel, object())?;
    let account = iscsi.auth.as_ref().map(Account::of).transpose().context(Code::NoRandom, object())?;
    load_modules(host)?;
    let mut initiator = open(host)?;
    let mut draft = match again {
        None => Draft::create(&mut initiator, iscsi, portal, &stream),
        Some(sid) => Draft::recover(&mut initiator, sid, &stream),
    }
    .context(Code::Kernel, object())?;
    let connection = draft.connection;
    let mut params = identity(iscsi, target, name, place);
    if again.is_none() {
        // Of a session that was there before, multipathd or iscsid may have set them since.
        params.extend(timers(settings));
    }
    for (param, value) in &params {
        draft.initiator.set_param(connection, *param, value).context(Code::Kernel, object())?;
    }
    let [_, high, middle, low] = connection.sid.to_be_bytes();
    let offer = Offer::for_disk(settings);
    let parameters = Parameters {
        initiator: name,
        session: SessionType::Normal(target),
        // The rule of open-iscsi, by which the image's iscsid logs in again to this very session: its own
        // number, and the kernel's.
        isid: [0x00, 0x02, 0x3d, high, middle, low],
        account,
        offer: &offer,
    };
    let limit = Duration::from_secs(settings.number(LOGIN_TIMEOUT).into());
    let mut transport =
        Kernel { initiator: draft.initiator, connection, deadline: Instant::now() + limit, cancel };
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

/// A session of the kernel that is as it was again unless it is to be kept: one made for this is taken away.
struct Draft<'a> {
    initiator: &'a mut Initiator,
    connection: Connection,
    /// The connection exists.
    connected: bool,
    /// The session was there before.
    again: bool,
    keep: bool,
}

impl<'a> Draft<'a> {
    fn create(
        initiator: &'a mut Initiator,
        iscsi: &Iscsi,
        portal: &TargetPortal,
        stream: &TcpStream,
    ) -> io::Result<Draft<'a>> {
        // The table of settings keeps both within 16 bits.
        let number = |key| u16::try_from(iscsi.settings.number(key)).unwrap_or(u16::MAX);
        let commands = number("node.session.cmds_max");
        let (sid, host) = initiator.create_session(commands, number("node.session.queue_depth"))?;
        let connection = Connection { sid, cid: 0 };
        let mut draft = Draft { initiator, connection, connected: false, again: false, keep: false };
        if let Some(interface) = &portal.interface {
            draft.initiator.set_netdev(host, interface)?;
        }
        draft.initiator.create_conn(connection)?;
        draft.connected = true;
        draft.initiator.bind_conn(connection, stream.as_fd())?;
        Ok(draft)
    }

    fn recover(initiator: &'a mut Initiator, sid: u32, stream: &TcpStream) -> io::Result<Draft<'a>> {
        let connection = Connection { sid, cid: 0 };
        let draft = Draft { initiator, connection, connected: true, again: true, keep: false };
        draft.initiator.stop_conn(connection, Stop::Recover)?;
        draft.initiator.bind_conn(connection, stream.as_fd())?;
        // They were about the connection before.
        draft.initiator.forget(connection);
        Ok(draft)
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        // The error that led here counts; these could only add that the kernel has lost it already.
        if self.keep {
        } else if self.again {
            let _ = self.initiator.stop_conn(self.connection, Stop::Recover);
        } else {
            if self.connected {
                let _ = self.initiator.stop_conn(self.connection, Stop::Terminate);
                let _ = self.initiator.destroy_conn(self.connection);
            }
            let _ = self.initiator.destroy_session(self.connection.sid);
        }
    }
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
