//! Why a login did not come about: what the target said (RFC 7143, section 11.13.5), or what it did wrong.

use std::fmt;

use super::{chap, negotiation, pdu, text};
use crate::error::Code;

/// Why there is no session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The target answered with this status class (high byte) and detail (low byte).
    Status(u16),
    /// The target wants the initiator to prove who it is, and no account is configured.
    AuthenticationWanted,
    /// An account is configured, and the target does not do CHAP with it: this is what it answered.
    ///
    /// To go on without would hide a target that anybody may read.
    AuthenticationNotDone(String),
    /// What came is not the response it should be.
    Pdu(pdu::Malformed),
    /// Its text cannot be read.
    Text(text::Malformed),
    /// A key has an impossible value.
    Key(negotiation::BadValue),
    /// It does not do a digest that the plan insists on.
    Digest(negotiation::NoDigest),
    /// It did not prove who it is.
    Unproved(chap::Unproved),
    /// It rejected a request of a discovery, for this reason (RFC 7143, section 11.17.1).
    Rejected(u8),
    /// The challenge cannot be read.
    Challenge(chap::NotBinary),
    /// A key is missing that has to be there.
    Missing(&'static str),
    /// The target went to another stage than it was asked to, or to one where it cannot go yet.
    Stage,
    /// The target keeps on without an end.
    Endless,
}

impl Failure {
    /// The code it is reported with.
    pub fn code(&self) -> Code {
        match self {
            Failure::Status(status) => described(*status).code,
            Failure::AuthenticationWanted | Failure::AuthenticationNotDone(_) => Code::IscsiAuth,
            Failure::Unproved(_) => Code::IscsiTargetAuth,
            Failure::Digest(_) => Code::IscsiRefused,
            _ => Code::IscsiProtocol,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Status(status) => {
                let Status { meaning, todo, .. } = described(*status);
                write!(f, "login status {status:04x}, {meaning}: {todo}")
            }
            Failure::AuthenticationWanted => {
                f.write_str("it wants authentication, and the plan has no account for that")
            }
            Failure::AuthenticationNotDone(answer) => {
                write!(
                    f,
                    "the plan has an account, but to CHAP as the plan offers it the target answers {answer}"
                )
            }
            Failure::Digest(cause) => cause.fmt(f),
            Failure::Unproved(cause) => cause.fmt(f),
            Failure::Rejected(reason) => write!(f, "it rejected the request, for reason {reason:#04x}"),
            Failure::Pdu(cause) => cause.fmt(f),
            Failure::Text(cause) => cause.fmt(f),
            Failure::Key(cause) => cause.fmt(f),
            Failure::Challenge(cause) => cause.fmt(f),
            Failure::Missing(key) => write!(f, "no {key}"),
            Failure::Stage => f.write_str("it went to another stage than it was asked to"),
            Failure::Endless => f.write_str("the login goes on without an end"),
        }
    }
}

impl std::error::Error for Failure {}

/// A status of a login response.
struct Status {
    number: u16,
    code: Code,
    meaning: &'static str,
    /// What to do about it, where it is more than the code's advice.
    todo: &'static str,
}

const fn status(number: u16, code: Code, meaning: &'static str, todo: &'static str) -> Status {
    Status { number, code, meaning, todo }
}

/// All that the RFC has. Those with detail 0 stand for unknown details of their class.
const STATUSES: &[Status] = &[
    status(0x0100, Code::IscsiMoved, "redirection", "it does not say where to"),
    status(0x0101, Code::IscsiMoved, "target moved temporarily", "it does not say where to"),
    status(0x0102, Code::IscsiMoved, "target moved permanently", "it does not say where to"),
    status(
        0x0200,
        Code::IscsiRefused,
        "initiator error",
        "its log may say which; it may not know the plan's CHAP algorithms",
    ),
    status(
        0x0201,
        Code::IscsiAuth,
        "authentication failure",
        "name, secret or algorithm differ, or it has no account to prove itself with",
    ),
    status(0x0202, Code::IscsiForbidden, "authorization failure", "its access list lacks this initiator"),
    status(
        0x0203,
        Code::IscsiNoTarget,
        "target not found",
        "it is not exported there, or not to this initiator",
    ),
    status(0x0204, Code::IscsiNoTarget, "target removed", "it was there, and is to come back nowhere"),
    status(
        0x0205,
        Code::IscsiRefused,
        "unsupported version",
        "it does not speak version 0, as RFC 7143 has it",
    ),
    status(
        0x0206,
        Code::IscsiRefused,
        "too many connections",
        "end old sessions of this initiator at the target",
    ),
    status(
        0x0207,
        Code::IscsiRefused,
        "missing parameter",
        "it wants a key that was not sent; its log may say which",
    ),
    status(
        0x0208,
        Code::IscsiRefused,
        "cannot include in session",
        "end old sessions of this initiator at the target",
    ),
    status(
        0x0209,
        Code::IscsiRefused,
        "session type not supported",
        "without discovery in the plan it may do",
    ),
    status(
        0x020a,
        Code::IscsiRefused,
        "session does not exist",
        "end old sessions of this initiator at the target",
    ),
    status(0x020b, Code::IscsiRefused, "invalid request during login", "its log may say which"),
    status(0x0300, Code::IscsiBusy, "target error", "its log may say which"),
    status(0x0301, Code::IscsiBusy, "service unavailable", "it may be starting or in maintenance"),
    status(0x0302, Code::IscsiBusy, "out of resources", "it has too many sessions or too little memory"),
];
const UNKNOWN: Status =
    status(0x0000, Code::IscsiProtocol, "which the RFC does not know", "the target's manual may");

fn described(number: u16) -> &'static Status {
    let find = |number| STATUSES.iter().find(|status| status.number == number);
    find(number).or_else(|| find(number & 0xff00)).unwrap_or(&UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_its_code_and_says_what_to_do() {
        for (status, code, text) in [
            (0x0101, Code::IscsiMoved, "target moved temporarily"),
            (0x0102, Code::IscsiMoved, "target moved permanently"),
            (0x01ff, Code::IscsiMoved, "redirection"),
            (0x0200, Code::IscsiRefused, "initiator error"),
            (0x0201, Code::IscsiAuth, "secret"),
            (0x0202, Code::IscsiForbidden, "access list"),
            (0x0203, Code::IscsiNoTarget, "not to this initiator"),
            (0x0204, Code::IscsiNoTarget, "removed"),
            (0x0205, Code::IscsiRefused, "version"),
            (0x0206, Code::IscsiRefused, "old sessions"),
            (0x0207, Code::IscsiRefused, "missing parameter"),
            (0x0208, Code::IscsiRefused, "cannot include"),
            (0x0209, Code::IscsiRefused, "without discovery"),
            (0x020a, Code::IscsiRefused, "does not exist"),
            (0x020b, Code::IscsiRefused, "invalid request"),
            (0x02ff, Code::IscsiRefused, "initiator error"),
            (0x0300, Code::IscsiBusy, "target error"),
            (0x0301, Code::IscsiBusy, "unavailable"),
            (0x0302, Code::IscsiBusy, "out of resources"),
            (0x03ff, Code::IscsiBusy, "target error"),
            (0x0400, Code::IscsiProtocol, "RFC does not know"),
            (0x0001, Code::IscsiProtocol, "RFC does not know"),
        ] {
            let failure = Failure::Status(status);
            assert_eq!(failure.code(), code, "{status:04x}");
            let shown = failure.to_string();
            assert!(shown.contains(&format!("{status:04x}")) && shown.contains(text), "{shown}");
        }
    }
}
