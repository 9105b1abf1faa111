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
    /// What came is no login response.
    Pdu(pdu::Malformed),
    /// Its text cannot be read.
    Text(text::Malformed),
    /// A key has an impossible value.
    Key(negotiation::BadValue),
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
            Failure::Status(status) => match status {
                0x0201 => Code::IscsiAuth,
                0x0202 => Code::IscsiForbidden,
                0x0203 | 0x0204 => Code::IscsiNoTarget,
                0x0100..=0x01ff => Code::IscsiMoved,
                0x0200..=0x02ff => Code::IscsiRefused,
                0x0300..=0x03ff => Code::IscsiBusy,
                _ => Code::IscsiProtocol,
            },
            Failure::AuthenticationWanted | Failure::AuthenticationNotDone(_) => Code::IscsiAuth,
            _ => Code::IscsiProtocol,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Status(status) => write!(f, "login status {status:04x}, {}", meaning(*status)),
            Failure::AuthenticationWanted => {
                f.write_str("it wants authentication, and the plan has no iscsi.auth")
            }
            Failure::AuthenticationNotDone(answer) => {
                write!(f, "the plan has iscsi.auth, but to CHAP with MD5 the target answers {answer}")
            }
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

fn meaning(status: u16) -> &'static str {
    match status {
        0x0101 => "target moved temporarily",
        0x0102 => "target moved permanently",
        0x0200 => "initiator error",
        0x0201 => "authentication failure",
        0x0202 => "authorization failure",
        0x0203 => "target not found",
        0x0204 => "target removed",
        0x0205 => "unsupported version",
        0x0206 => "too many connections",
        0x0207 => "missing parameter",
        0x0208 => "cannot include in session",
        0x0209 => "session type not supported",
        0x020a => "session does not exist",
        0x020b => "invalid request during login",
        0x0300 => "target error",
        0x0301 => "service unavailable",
        0x0302 => "out of resources",
        _ => "which the RFC does not know",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_its_code() {
        for (status, code) in [
            (0x0101, Code::IscsiMoved),
            (0x0200, Code::IscsiRefused),
            (0x0201, Code::IscsiAuth),
            (0x0202, Code::IscsiForbidden),
            (0x0203, Code::IscsiNoTarget),
            (0x0204, Code::IscsiNoTarget),
            (0x0206, Code::IscsiRefused),
            (0x02ff, Code::IscsiRefused),
            (0x0300, Code::IscsiBusy),
            (0x0301, Code::IscsiBusy),
            (0x0302, Code::IscsiBusy),
            (0x0400, Code::IscsiProtocol),
            (0x0001, Code::IscsiProtocol),
        ] {
            assert_eq!(Failure::Status(status).code(), code, "{status:04x}");
        }
    }
}
