//! SendTargets: a portal is asked where the plan's target is (RFC 7143, appendix C).
//!
//! The session for it is of no use to the kernel, so it is one on a socket of this process.

use std::time::{Duration, Instant};

use super::chap::Account;
use super::listing;
use super::login::{Parameters, SessionType};
use super::negotiation::Offer;
use super::pdu::{MOST_DATA, Pdu};
use super::route::{Attempt, Place};
use super::session::{CONNECT_LIMIT, LOGIN_TIMEOUT, Negotiated, lost, negotiate};
use super::socket::Socket;
use super::status::Failure;
use super::text_pdu::{Answer, Request, logout};
use super::transport::Transport;
use crate::error::{Code, Context, Error, Result};
use crate::input::document::{Discovery, Iscsi};
use crate::input::portal::Portal;
use crate::sys::flag::Flag;
use crate::sys::random;
use crate::sys::tcp;

/// The longest list; one with ten thousand targets has less.
const LONGEST_LIST: usize = 1 << 20;
/// So many PDUs, and the list is not over: it has no end.
const MOST_PDUS: u32 = 4096;
/// The answer to the logout is waited for so long; without it nothing is lost.
const LOGOUT_LIMIT: Duration = Duration::from_secs(2);

/// Asks at `place` for the portals of `target`, over a connection `from` there; the first one is the one to try first.
///
/// # Errors
/// [`Code::IscsiNoTarget`]: the target is not listed. [`Code::IscsiDiscoveryAuth`]: the account for discovery is
/// refused. Else what a login may end with.
pub fn ask(
    iscsi: &Iscsi,
    discovery: &Discovery,
    initiator: &str,
    target: &str,
    from: tcp::From<'_>,
    cancel: &Flag,
    place: Place<'_>,
) -> Result<Attempt<Vec<Portal>>> {
    let object = || format!("discovery at {}", place.name());
    let stream = tcp::connect(place.address, from, CONNECT_LIMIT, cancel)
        .context(Code::IscsiConnect, format!("portal {}", place.name()))?;
    let limit = Duration::from_secs(iscsi.settings.number(LOGIN_TIMEOUT).into());
    let mut socket = Socket { stream, deadline: Instant::now() + limit, max_recv: MOST_DATA, cancel };
    let offer = Offer::for_discovery(&iscsi.settings);
    // Of the random kind (RFC 7143, section 11.12.5): none that a session with a disk has.
    let [a, b, c] = random::bytes().context(Code::NoRandom, object())?;
    let account = discovery.auth.as_ref().map(Account::of).transpose().context(Code::NoRandom, object())?;
    let parameters = Parameters {
        initiator,
        session: SessionType::Discovery,
        isid: [0x80, a, b, c, 0, 0],
        account,
        offer: &offer,
    };
    let session = match negotiate(&mut socket, parameters, &object)? {
        Negotiated::Session(session) => session,
        Negotiated::Moved(to) => return Ok(Attempt::Moved(to)),
    };
    socket.max_recv = usize::try_from(session.values.max_recv).unwrap_or(usize::MAX);
    let list = list(&mut socket, session.expected_stat_sn, &object)?;
    let failed = |failure: Failure| Error::new(failure.code(), object()).because(failure);
    let targets = listing::targets(&list).map_err(|fault| failed(Failure::Text(fault)))?;
    match listing::portals(&targets, target, place.address, place.portal) {
        Some(portals) if portals.is_empty() => {
            let cause = format!("{target} is listed without an address that can be used");
            Err(Error::new(Code::IscsiNoTarget, object()).because(cause))
        }
        Some(portals) => Ok(Attempt::Done(portals)),
        None => {
            let cause = format!("{target} is not listed; {}", listing::names(&targets));
            Err(Error::new(Code::IscsiNoTarget, object()).because(cause))
        }
    }
}

/// The text of the list, after which the session is logged out.
pub(super) fn list(
    socket: &mut Socket<'_>,
    expected_stat_sn: u32,
    object: &dyn Fn() -> String,
) -> Result<Vec<u8>> {
    let (mut inquiry, mut request) = Inquiry::start(expected_stat_sn);
    let mut response = socket.exchange(&request).map_err(|error| lost(error, object()))?;
    loop {
        match inquiry.next(&response) {
            Ok(Next::Send(next)) => {
                request = next;
                response = socket.exchange(&request).map_err(|error| lost(error, object()))?;
            }
            Ok(Next::Receive) => response = socket.receive().map_err(|error| lost(error, object()))?,
            Ok(Next::Done) => break,
            Err(failure) => return Err(Error::new(failure.code(), object()).because(failure)),
        }
    }
    socket.deadline = socket.deadline.min(Instant::now() + LOGOUT_LIMIT);
    // A target that does not answer to it sees the connection end.
    let _ = socket.exchange(&logout(inquiry.expected_stat_sn));
    Ok(inquiry.text)
}

/// What comes after a PDU of the target.
enum Next {
    /// Send this, and pass the response in.
    Send(Pdu),
    /// Pass the next PDU in.
    Receive,
    /// The text is complete.
    Done,
}

/// The question and its answer in parts, without input and output.
struct Inquiry {
    text: Vec<u8>,
    pdus: u32,
    expected_stat_sn: u32,
}

impl Inquiry {
    /// An inquiry, and its first request.
    fn start(expected_stat_sn: u32) -> (Inquiry, Pdu) {
        let inquiry = Inquiry { text: Vec::new(), pdus: 0, expected_stat_sn };
        let data = b"SendTargets=All\0".to_vec();
        (inquiry, Request { continued: None, expected_stat_sn, data }.encode())
    }

    fn next(&mut self, pdu: &Pdu) -> Result<Next, Failure> {
        self.pdus += 1;
        if self.pdus > MOST_PDUS || self.text.len() + pdu.data.len() > LONGEST_LIST {
            return Err(Failure::Endless);
        }
        match Answer::decode(pdu).map_err(Failure::Pdu)? {
            Answer::Aside => Ok(Next::Receive),
            Answer::Rejected(reason) => Err(Failure::Rejected(reason)),
            Answer::Text { continued, stat_sn } => {
                self.text.extend_from_slice(&pdu.data);
                self.expected_stat_sn = stat_sn.wrapping_add(1);
                let expected_stat_sn = self.expected_stat_sn;
                Ok(match continued {
                    Some(_) => Next::Send(Request { continued, expected_stat_sn, data: Vec::new() }.encode()),
                    None => Next::Done,
                })
            }
        }
    }
}

#[cfg(test)]
#[path = "discovery_tests.rs"]
mod tests;
