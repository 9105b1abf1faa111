//! A target that follows a script, over a real connection.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::pdu::{BHS, Pdu};
use super::socket::padding;

/// Flags of a login response: transit, and stages in the bits of CSG and NSG.
pub const SECURITY: u8 = 0x00;
pub const SECURITY_MORE: u8 = 0x40;
pub const TO_OPERATIONAL: u8 = 0x81;
pub const OPERATIONAL: u8 = 0x04;
pub const OPERATIONAL_MORE: u8 = 0x44;
pub const TO_FULL_FEATURE: u8 = 0x87;
/// Flags of a text response.
pub const FINAL: u8 = 0x80;
pub const MORE_KEYS: u8 = 0x00;
pub const MORE_OF_THIS: u8 = 0x40;
/// Opcodes.
const LOGIN_RESPONSE: u8 = 0x23;
const TEXT_RESPONSE: u8 = 0x24;
const LOGOUT_REQUEST: u8 = 0x46;
const LOGOUT_RESPONSE: u8 = 0x26;
const NOP_IN: u8 = 0x20;

/// One response of the target, and what the request before it must have been.
#[derive(Clone, Default)]
pub struct Turn {
    /// Flags of the request.
    pub asked: Option<u8>,
    /// Keys that the request must hold, as `key=value`.
    pub got: Vec<String>,
    pub flags: u8,
    pub status: u16,
    pub keys: String,
    /// It answers a text request, not a login request.
    pub text: bool,
    /// A ping comes before the response.
    pub ping: bool,
}

pub fn turn(flags: u8, keys: impl Into<String>) -> Turn {
    Turn { flags, keys: keys.into(), ..Turn::default() }
}

/// A response to a text request.
pub fn listed(flags: u8, keys: impl Into<String>) -> Turn {
    Turn { text: true, asked: Some(FINAL), ..turn(flags, keys) }
}

impl Turn {
    pub fn asked(mut self, flags: u8, keys: &[&str]) -> Turn {
        self.asked = Some(flags);
        self.got = keys.iter().map(|key| (*key).to_owned()).collect();
        self
    }

    pub fn status(mut self, status: u16) -> Turn {
        self.status = status;
        self
    }
}

fn read_request(stream: &mut TcpStream) -> Option<([u8; BHS], Vec<u8>)> {
    let mut bhs = [0; BHS];
    stream.read_exact(&mut bhs).ok()?;
    let length = Pdu::data_length(&bhs);
    let mut data = vec![0; length + padding(length)];
    stream.read_exact(&mut data).ok()?;
    data.truncate(length);
    Some((bhs, data))
}

/// Plays `turns`, the last one again and again, until the initiator goes away. Gives the requests it got.
pub fn play(mut stream: TcpStream, turns: &[Turn]) -> Vec<[u8; BHS]> {
    let mut requests = Vec::new();
    let mut transfer_tag = [0xff; 4];
    while let Some((bhs, data)) = read_request(&mut stream) {
        let number = requests.len() as u32;
        requests.push(bhs);
        // ExpStatSN follows the responses' StatSN, which starts at 100 here.
        let expected = if number == 0 { 0 } else { 100 + number };
        assert_eq!(bhs[28..32], expected.to_be_bytes());
        let mut answer = vec![0; BHS];
        answer[16..20].copy_from_slice(&bhs[16..20]);
        answer[24..28].copy_from_slice(&(100 + number).to_be_bytes());
        if bhs[0] == LOGOUT_REQUEST {
            answer[0] = LOGOUT_RESPONSE;
            let _ = stream.write_all(&answer);
            break;
        }
        let turn = &turns[(number as usize).min(turns.len() - 1)];
        assert_eq!(bhs[0], if turn.text { 0x44 } else { 0x43 });
        if let Some(asked) = turn.asked {
            assert_eq!(bhs[1], asked, "flags of request {number}");
        }
        let text = String::from_utf8(data).unwrap();
        for key in &turn.got {
            assert!(text.split('\0').any(|got| got == *key), "{key} not in {text:?}");
        }
        if turn.ping {
            let mut ping = vec![0; BHS];
            ping[0] = NOP_IN;
            ping[16..20].copy_from_slice(&[0xff; 4]);
            stream.write_all(&ping).unwrap();
        }
        answer[0] = if turn.text { TEXT_RESPONSE } else { LOGIN_RESPONSE };
        answer[1] = turn.flags;
        answer[5..8].copy_from_slice(&(turn.keys.len() as u32).to_be_bytes()[1..]);
        if turn.text {
            assert_eq!(bhs[20..24], transfer_tag, "transfer tag of request {number}");
            transfer_tag = if turn.flags & FINAL == 0 { [0, 0, 0, 55] } else { [0xff; 4] };
            answer[20..24].copy_from_slice(&transfer_tag);
        } else {
            answer[15] = 9;
            answer[36..38].copy_from_slice(&turn.status.to_be_bytes());
        }
        answer.extend_from_slice(turn.keys.as_bytes());
        answer.extend(std::iter::repeat_n(0, padding(turn.keys.len())));
        if stream.write_all(&answer).is_err() {
            break;
        }
    }
    requests
}
