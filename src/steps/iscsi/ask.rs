//! What a portal and its target say to somebody who only asks: a login over a socket of this process, one question for the
//! LUN, and the logout. The kernel has no part in it, and no session that it has is touched: the session here is another
//! one, by its ISID. A target that allows one session an initiator must not be asked while there is one.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::chap::Account;
use super::discovery;
use super::login::{Parameters, Session, SessionType};
use super::negotiation::Offer;
use super::pdu::{BHS, MOST_DATA, Pdu};
use super::probe::{USUAL_SEGMENT, enlarged, is_answered, request};
use super::route::{Attempt, Place};
use super::session::{Negotiated, lost, negotiate};
use super::socket::Socket;
use super::text_pdu::logout;
use super::transport::Transport;
use crate::engine::host::Host;
use crate::error::{Code, Context, Error, Result};
use crate::input::document::{Discovery, Iscsi, TargetPortal};
use crate::sys::flag::Flag;
use crate::sys::{address, random, tcp};

/// Whom to ask, and as whom.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// The plan's part.
    pub iscsi: &'a Iscsi,
    /// The node's name.
    pub initiator: &'a str,
    /// The portal.
    pub portal: &'a TargetPortal,
    /// Its address.
    pub address: SocketAddr,
    /// How long all of it may take.
    pub limit: Duration,
}

/// What came of a login.
#[derive(Debug)]
pub enum Asked {
    /// The target is elsewhere.
    Moved(String),
    /// The target let the node in; and what it says of the LUN.
    Answered(Result<String>),
}

impl Question<'_> {
    fn place(&self) -> Place<'_> {
        Place { portal: &self.portal.portal, own: self.address, address: self.address }
    }

    fn target(&self) -> &str {
        self.iscsi.target_at(self.portal)
    }

    fn connect<'c>(&self, until: Instant, cancel: &'c Flag) -> Result<Socket<'c>> {
        let from = tcp::From { interface: self.portal.interface.as_deref(), source: self.portal.source };
        let left = until.saturating_duration_since(Instant::now());
        let stream = tcp::connect(self.address, from, left, cancel)
            .context(Code::IscsiConnect, format!("portal {}", self.place().name()))?;
        Ok(Socket { stream, deadline: until, max_recv: MOST_DATA, cancel })
    }
}

/// Logs in to the target, asks for its LUN, and logs out.
///
/// # Errors
/// The target refuses the login, or does not answer to it.
pub fn asks(question: &Question<'_>, cancel: &Flag) -> Result<Asked> {
    let until = Instant::now() + question.limit;
    let object = || format!("{} at {}", question.target(), question.place().name());
    let mut socket = question.connect(until, cancel)?;
    let [a, b, c] = random::bytes().context(Code::NoRandom, object())?;
    let account =
        question.iscsi.auth.as_ref().map(Account::of).transpose().context(Code::NoRandom, object())?;
    let offer = Offer::for_disk(&question.iscsi.settings);
    let parameters = Parameters {
        initiator: question.initiator,
        session: SessionType::Normal(question.target()),
        // Of the random kind (RFC 7143, section 11.12.5): none that a session of the kernel has.
        isid: [0x80, a, b, c, 0, 0],
        account,
        offer: &offer,
    };
    let session = match negotiate(&mut socket, parameters, &object)? {
        Negotiated::Session(session) => session,
        Negotiated::Moved(to) => return Ok(Asked::Moved(to)),
    };
    socket.max_recv = usize::try_from(session.values.max_recv).unwrap_or(usize::MAX);
    let answer = lun(question, &session, &mut socket);
    let goodbye = logout(session.expected_stat_sn.wrapping_add(1));
    // A target that does not answer to it sees the connection end.
    let _ = socket.exchange(&numbered(goodbye, 1));
    Ok(Asked::Answered(answer))
}

/// Asks at the portal where the target is.
///
/// # Errors
/// Those of a discovery, or that nothing came in time.
pub fn discovers(question: &Question<'_>, discovery: &Discovery, cancel: &Flag) -> Result<String> {
    let from = tcp::From { interface: question.portal.interface.as_deref(), source: question.portal.source };
    let Question { iscsi, initiator, .. } = question;
    let over = Flag::default();
    let asked = std::thread::scope(|scope| {
        scope.spawn(|| {
            over.sleep(question.limit);
            cancel.raise();
        });
        let asked =
            discovery::ask(iscsi, discovery, initiator, question.target(), from, cancel, question.place());
        over.raise();
        asked
    });
    cancel.lower();
    Ok(match asked? {
        Attempt::Done(portals) => {
            let portals: Vec<String> = portals.iter().map(ToString::to_string).collect();
            format!("the target is at {}", portals.join(", "))
        }
        Attempt::Moved(to) => format!("it redirects to {to}"),
    })
}

/// Whether frames as large as both ends take get through to the portal.
///
/// # Errors
/// [`Code::Mtu`]: they do not, and small ones do. [`Code::IscsiConnect`]: no frame gets an answer.
pub fn frames(host: &Host, question: &Question<'_>, cancel: &Flag) -> Result<String> {
    let until = Instant::now() + question.limit;
    let mut text = String::new();
    for is_large in [false, true] {
        let small = request(question.iscsi, question.initiator);
        let pdu = if is_large { enlarged(small) } else { small };
        let socket = question.connect(until, cancel)?;
        let object = || format!("portal {}", question.place().name());
        let segment = tcp::segment(&socket.stream).context(Code::IscsiConnect, object())?;
        if segment <= USUAL_SEGMENT {
            return Ok(format!(
                "the two ends agree on {segment} bytes a segment, which everything passes on"
            ));
        }
        let over = socket.stream.local_addr().ok().and_then(|local| address::interface_of(local.ip()));
        // Half of the time for each.
        let left = until.saturating_duration_since(Instant::now());
        let limit = if is_large { left } else { left / 2 };
        match is_answered(socket.stream, &pdu, limit, cancel) {
            true => text = format!("segments of {segment} bytes get through"),
            false if is_large => {
                let over = over.map_or_else(String::new, |name| {
                    let mtu = std::fs::read_to_string(host.path("/sys/class/net").join(&name).join("mtu"));
                    format!(" over {name} with MTU {}", mtu.unwrap_or_default().trim())
                });
                return Err(Error::new(Code::Mtu, format!("{}{over}", object())));
            }
            false => {
                return Err(Error::new(Code::IscsiConnect, object()).because("no answer to a small message"));
            }
        }
    }
    Ok(text)
}

/// Opcodes (RFC 7143, sections 11.3, 11.4 and 11.7).
const SCSI_COMMAND: u8 = 0x01;
const SCSI_RESPONSE: u8 = 0x21;
const DATA_IN: u8 = 0x25;
/// Final, read, simple task.
const READ: u8 = 0x80 | 0x40 | 0x01;
/// A Data-In that holds the status, too.
const WITH_STATUS: u8 = 0x01;
/// SPC-4, section 6.6: this many bytes are always there.
const INQUIRY: u8 = 0x12;
const STANDARD: u8 = 36;
/// A target may tell other things first.
const MOST_PDUS: usize = 16;

/// What the target says of the plan's LUN to an INQUIRY, which every logical unit answers in every state, and which says
/// so where there is none.
fn lun(question: &Question<'_>, session: &Session, socket: &mut Socket<'_>) -> Result<String> {
    let number = question.iscsi.lun;
    let object = || format!("LUN {number} of {}", question.target());
    let mut pdu =
        socket.exchange(&inquiry(number, session.expected_stat_sn)).map_err(|error| lost(error, object()))?;
    let mut data = Vec::new();
    for _ in 0..MOST_PDUS {
        let [opcode, flags, response, status] = [pdu.bhs[0], pdu.bhs[1], pdu.bhs[2], pdu.bhs[3]];
        match opcode & 0x3f {
            DATA_IN => {
                data.extend_from_slice(
                    pdu.data.get(..pdu.data.len().min(STANDARD.into())).unwrap_or_default(),
                );
                if flags & WITH_STATUS != 0 {
                    return told(object(), status, &data);
                }
            }
            SCSI_RESPONSE if response == 0 => return told(object(), status, &data),
            SCSI_RESPONSE => {
                let cause = format!("the target could not ask it: response {response:#04x}");
                return Err(Error::new(Code::IscsiNoDisk, object()).because(cause));
            }
            _ => (),
        }
        pdu = socket.receive().map_err(|error| lost(error, object()))?;
    }
    Err(Error::new(Code::IscsiProtocol, object()).because("it answers without an end"))
}

/// What an answer to the INQUIRY means: its SCSI status, and its first bytes.
pub(super) fn told(object: String, status: u8, data: &[u8]) -> Result<String> {
    let missing = |cause: String| Err(Error::new(Code::IscsiNoDisk, object).because(cause));
    // SPC-4, section 6.6.2: peripheral qualifier and device type.
    match (status, data.first().map(|byte| (byte >> 5, byte & 0x1f))) {
        (0, Some((0, 0))) => {
            let text = |at: std::ops::Range<usize>| {
                let bytes = data.get(at).unwrap_or_default();
                let plain = bytes.iter().filter(|byte| (b' '..=b'~').contains(byte));
                plain.map(|byte| char::from(*byte)).collect::<String>().trim().to_owned()
            };
            Ok(format!("a disk, {} {}", text(8..16), text(16..32)))
        }
        (0, Some((0, kind))) => missing(format!("it is no disk, but a SCSI device of type {kind}")),
        (0, Some(_)) => missing("the target says that nothing is there".into()),
        (status, _) => missing(format!("the target answers with SCSI status {status:#04x}")),
    }
}

/// The command as it travels: the first of its session.
fn inquiry(lun: u64, expected_stat_sn: u32) -> Pdu {
    let mut bhs = [0; BHS];
    bhs[0] = SCSI_COMMAND;
    bhs[1] = READ;
    bhs[8..16].copy_from_slice(&wire_lun(lun));
    // A task tag that no other request of this session has.
    bhs[16..20].copy_from_slice(&7u32.to_be_bytes());
    bhs[20..24].copy_from_slice(&u32::from(STANDARD).to_be_bytes());
    bhs[28..32].copy_from_slice(&expected_stat_sn.to_be_bytes());
    bhs[32] = INQUIRY;
    bhs[36] = STANDARD;
    Pdu { bhs, data: zeroize::Zeroizing::default() }
}

/// `pdu` with the CmdSN of a session that has had `commands` commands.
fn numbered(mut pdu: Pdu, commands: u32) -> Pdu {
    pdu.bhs[24..28].copy_from_slice(&commands.to_be_bytes());
    pdu
}

/// A LUN as the kernel writes it (int_to_scsilun): two bytes a level, the lowest level first.
fn wire_lun(lun: u64) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h] = lun.to_be_bytes();
    [g, h, e, f, c, d, a, b]
}

#[cfg(test)]
#[path = "ask_tests.rs"]
mod tests;
