//! Login PDUs: the 48-byte basic header segment and the data segment behind it (RFC 7143, sections 11.2, 11.12
//! and 11.13).

use std::fmt;

use zeroize::Zeroizing;

/// Bytes of a basic header segment.
pub const BHS: usize = 48;
/// The largest data segment of a login PDU, either way: the MaxRecvDataSegmentLength that holds until the login
/// is done, and what the kernel can pass on (RFC 7143, section 7.1.1).
pub const MOST_DATA: usize = 8192;

/// Opcode 0x03 with the immediate bit: all login requests are immediate.
const LOGIN_REQUEST: u8 = 0x43;
/// Opcode of a login response.
const LOGIN_RESPONSE: u8 = 0x23;
const TRANSIT: u8 = 0x80;
const CONTINUE: u8 = 0x40;

/// One PDU as it travels: header and data, without additional headers, digests and padding.
///
/// The data may hold the answer to a challenge: it is wiped, and never printed.
pub struct Pdu {
    /// The basic header segment.
    pub bhs: [u8; BHS],
    /// The data segment, without padding.
    pub data: Zeroizing<Vec<u8>>,
}

impl Pdu {
    /// The length of the data segment that a header announces, in bytes, without padding.
    pub fn data_length(bhs: &[u8; BHS]) -> usize {
        usize::from(bhs[5]) << 16 | usize::from(bhs[6]) << 8 | usize::from(bhs[7])
    }
}

impl fmt::Debug for Pdu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pdu(opcode {:#04x}, {} bytes)", self.bhs[0] & 0x3f, self.data.len())
    }
}

/// A stage of the login phase (RFC 7143, section 11.12.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// SecurityNegotiation.
    Security = 0,
    /// LoginOperationalNegotiation.
    Operational = 1,
    /// FullFeaturePhase: the login is done.
    FullFeature = 3,
}

impl Stage {
    fn from_bits(bits: u8) -> Option<Stage> {
        match bits & 3 {
            0 => Some(Stage::Security),
            1 => Some(Stage::Operational),
            3 => Some(Stage::FullFeature),
            _ => None,
        }
    }
}

/// A login request (RFC 7143, section 11.12). CmdSN and initiator task tag are filled in by the kernel.
pub struct Request {
    /// The stage it belongs to.
    pub stage: Stage,
    /// The stage the initiator is ready to go to; none: it has more to negotiate in this one.
    pub next: Option<Stage>,
    /// The initiator's part of the session identifier.
    pub isid: [u8; 6],
    /// The StatSN expected next.
    pub expected_stat_sn: u32,
    /// The text keys, at most [`MOST_DATA`] bytes.
    pub data: Zeroizing<Vec<u8>>,
}

impl Request {
    /// As it travels.
    pub fn encode(self) -> Pdu {
        let mut bhs = [0; BHS];
        bhs[0] = LOGIN_REQUEST;
        bhs[1] = (self.stage as u8) << 2 | self.next.map_or(0, |next| TRANSIT | next as u8);
        // Version-max and Version-min (2, 3) are 0, so are TotalAHSLength (4), TSIH (14) of a new session, the
        // initiator task tag (16), CID (20) and CmdSN (24).
        let length = u32::try_from(self.data.len()).unwrap_or(u32::MAX).to_be_bytes();
        bhs[5..8].copy_from_slice(&length[1..]);
        bhs[8..14].copy_from_slice(&self.isid);
        bhs[28..32].copy_from_slice(&self.expected_stat_sn.to_be_bytes());
        Pdu { bhs, data: self.data }
    }
}

/// The header of a login response (RFC 7143, section 11.13).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Response {
    /// The stage it belongs to; none: a reserved value.
    pub stage: Option<Stage>,
    /// The stage the target goes to; none: it stays.
    pub next: Option<Stage>,
    /// The text goes on in the next response.
    pub more: bool,
    /// The session's handle at the target; not 0 in the last response.
    pub tsih: u16,
    /// The response's own status sequence number.
    pub stat_sn: u32,
    /// Status class (high byte) and detail (low byte).
    pub status: u16,
}

/// What makes a PDU not the response that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// It has this opcode.
    Opcode(u8),
    /// It answers another request.
    TaskTag,
    /// It has more text to come, and no tag to ask for it.
    TransferTag,
    /// It is of this protocol version; there is only 0.
    Version(u8),
    /// It transits to a reserved stage, or with text still to come.
    Transition,
    /// The data segment is not as long as the header says, or longer than allowed.
    Length,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Malformed::Opcode(opcode) => {
                write!(f, "a PDU of opcode {opcode:#04x} that is not the response due")
            }
            Malformed::TaskTag => write!(f, "a text response to another request"),
            Malformed::TransferTag => write!(f, "a text response with more to come and no transfer tag"),
            Malformed::Version(version) => write!(f, "a login response of version {version}"),
            Malformed::Transition => write!(f, "a login response with an impossible transition"),
            Malformed::Length => write!(f, "a response whose data have the wrong length"),
        }
    }
}

impl Response {
    /// Reads the header of `pdu`.
    ///
    /// # Errors
    /// It is no well-formed login response.
    pub fn decode(pdu: &Pdu) -> Result<Response, Malformed> {
        let bhs = &pdu.bhs;
        let opcode = bhs[0] & 0x3f;
        if opcode != LOGIN_RESPONSE {
            return Err(Malformed::Opcode(opcode));
        }
        if Pdu::data_length(bhs) != pdu.data.len() || pdu.data.len() > MOST_DATA {
            return Err(Malformed::Length);
        }
        let status = u16::from_be_bytes([bhs[36], bhs[37]]);
        let more = bhs[1] & CONTINUE != 0;
        let mut next = None;
        // A refusal leaves the other fields undefined.
        if status == 0 {
            if bhs[3] != 0 {
                return Err(Malformed::Version(bhs[3]));
            }
            if bhs[1] & TRANSIT != 0 {
                next = Stage::from_bits(bhs[1]);
                if next.is_none() || more {
                    return Err(Malformed::Transition);
                }
            }
        }
        Ok(Response {
            stage: Stage::from_bits(bhs[1] >> 2),
            next,
            more,
            tsih: u16::from_be_bytes([bhs[14], bhs[15]]),
            stat_sn: u32::from_be_bytes([bhs[24], bhs[25], bhs[26], bhs[27]]),
            status,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_request_is_laid_out_as_the_rfc_says() {
        let pdu = Request {
            stage: Stage::Operational,
            next: Some(Stage::FullFeature),
            isid: [0, 2, 0x3d, 1, 2, 3],
            expected_stat_sn: 0x0a0b_0c0d,
            data: Zeroizing::new(b"A=B\0C=D\0E\0".to_vec()),
        }
        .encode();
        let mut expected = [0; BHS];
        expected[0] = 0x43;
        expected[1] = 0x87;
        expected[7] = 10;
        expected[8..14].copy_from_slice(&[0, 2, 0x3d, 1, 2, 3]);
        expected[28..32].copy_from_slice(&[0x0a, 0x0b, 0x0c, 0x0d]);
        assert_eq!(pdu.bhs, expected);
        assert_eq!(format!("{pdu:?}"), "Pdu(opcode 0x03, 10 bytes)");
    }

    fn response(change: impl FnOnce(&mut [u8; BHS])) -> Result<Response, Malformed> {
        let mut bhs = [0; BHS];
        bhs[0] = 0x23;
        change(&mut bhs);
        Response::decode(&Pdu { bhs, data: Zeroizing::default() })
    }

    #[test]
    fn a_response_is_read_as_the_rfc_says() {
        let read = response(|bhs| {
            bhs[1] = 0x87;
            bhs[15] = 9;
            bhs[27] = 5;
        });
        assert_eq!(
            read,
            Ok(Response {
                stage: Some(Stage::Operational),
                next: Some(Stage::FullFeature),
                more: false,
                tsih: 9,
                stat_sn: 5,
                status: 0
            })
        );
        let refusal = response(|bhs| {
            bhs[3] = 7;
            bhs[36] = 2;
            bhs[37] = 1;
        });
        assert_eq!(refusal.unwrap().status, 0x0201);
    }

    #[test]
    fn what_is_no_response_is_named() {
        assert_eq!(response(|bhs| bhs[0] = 0x3f), Err(Malformed::Opcode(0x3f)));
        assert_eq!(response(|bhs| bhs[3] = 1), Err(Malformed::Version(1)));
        assert_eq!(response(|bhs| bhs[1] = 0x82), Err(Malformed::Transition));
        assert_eq!(response(|bhs| bhs[1] = 0xc1), Err(Malformed::Transition));
        assert_eq!(response(|bhs| bhs[7] = 1), Err(Malformed::Length));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(bhs: [u8; 48], data: Vec<u8>) {
            let _ = Response::decode(&Pdu { bhs, data: Zeroizing::new(data) });
        }
    }
}
