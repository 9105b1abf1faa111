//! The messages: a netlink header (16 bytes), a `struct iscsi_uevent` (56 bytes on 64-bit machines: type, error,
//! transport, 24 bytes of request, 16 bytes of reply) and what belongs to the event, in native byte order.

use std::io;

use zeroize::Zeroizing;

/// struct nlmsghdr
pub const NETLINK_HEADER: usize = 16;
/// struct iscsi_uevent
pub const UEVENT: usize = 56;
/// The header of an iSCSI PDU.
pub const BHS: usize = 48;
/// NLM_F_REQUEST (linux/netlink.h).
pub const NLM_F_REQUEST: u16 = 1;

// enum iscsi_uevent_e
pub const CREATE_SESSION: u32 = 11;
pub const DESTROY_SESSION: u32 = 12;
pub const CREATE_CONN: u32 = 13;
pub const DESTROY_CONN: u32 = 14;
pub const BIND_CONN: u32 = 15;
pub const SET_PARAM: u32 = 16;
pub const START_CONN: u32 = 17;
pub const STOP_CONN: u32 = 18;
pub const SEND_PDU: u32 = 19;
pub const SET_HOST_PARAM: u32 = 26;
pub const RECV_PDU: u32 = 101;
pub const CONN_ERROR: u32 = 102;
pub const IF_ERROR: u32 = 103;
/// enum iscsi_host_param
pub const ISCSI_HOST_PARAM_NETDEV_NAME: u32 = 2;

/// A connection: the kernel's session id and the connection's id in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    /// The session's id (`sessionSID` in sysfs).
    pub sid: u32,
    /// The connection's id, 0 for the only one.
    pub cid: u32,
}

/// What the kernel tells about a connection without being asked.
pub enum Event {
    Pdu { connection: Connection, bhs: [u8; BHS], data: Zeroizing<Vec<u8>> },
    Error { connection: Connection, error: u32 },
}

impl Event {
    /// It is about this connection.
    pub fn is_of(&self, wanted: Connection) -> bool {
        match self {
            Event::Pdu { connection, .. } | Event::Error { connection, .. } => *connection == wanted,
        }
    }
}

/// The request part of an event, `u`: 24 bytes, zero where nothing is written.
pub struct Union(Vec<u8>);

impl Union {
    const SIZE: usize = 24;

    pub fn new() -> Union {
        Union(Vec::with_capacity(Union::SIZE))
    }

    /// Starts with sid and cid, as most do.
    pub fn of(connection: Connection) -> Union {
        let mut union = Union::new();
        union.u32(connection.sid);
        union.u32(connection.cid);
        union
    }

    pub fn u16(&mut self, value: u16) {
        self.0.extend_from_slice(&value.to_ne_bytes());
    }

    pub fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_ne_bytes());
    }

    pub fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_ne_bytes());
    }

    fn bytes(&self) -> [u8; Union::SIZE] {
        let mut bytes = [0; Union::SIZE];
        for (to, from) in bytes.iter_mut().zip(&self.0) {
            *to = *from;
        }
        bytes
    }
}

/// A request with its payload.
pub fn encode(event: u32, transport: u64, request: &Union, payload: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let length = NETLINK_HEADER + UEVENT + payload.iter().map(|part| part.len()).sum::<usize>();
    let mut message = Zeroizing::new(Vec::with_capacity(length));
    // struct nlmsghdr: length, type, flags, sequence, port
    message.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes());
    message.extend_from_slice(&u16::try_from(event).unwrap_or(u16::MAX).to_ne_bytes());
    message.extend_from_slice(&NLM_F_REQUEST.to_ne_bytes());
    message.extend_from_slice(&[0; 8]);
    // struct iscsi_uevent: type, iferror, transport_handle, u, r
    message.extend_from_slice(&event.to_ne_bytes());
    message.extend_from_slice(&[0; 4]);
    message.extend_from_slice(&transport.to_ne_bytes());
    message.extend_from_slice(&request.bytes());
    message.extend_from_slice(&[0; 16]);
    for part in payload {
        message.extend_from_slice(part);
    }
    message
}

/// A message of the kernel.
pub enum Message {
    Reply(Reply),
    Event(Event),
    Other,
}

/// The kernel's copy of a request, with its reply.
pub struct Reply {
    /// What the request was, from the netlink header: an error has another type in the event.
    answered: u32,
    event: u32,
    error: i32,
    u: [u8; Union::SIZE],
    pub r: [u32; 4],
}

impl Reply {
    pub fn answers(&self, event: u32, request: &Union) -> bool {
        // The kernel echoes the request.
        (self.event == event || (self.event == IF_ERROR && self.answered == event))
            && self.u == request.bytes()
    }

    pub fn checked(self) -> io::Result<Reply> {
        if self.event == IF_ERROR || self.error != 0 {
            return Err(errno(self.error));
        }
        Ok(self)
    }

    /// For the requests that have a result of their own in `r.retcode`.
    pub fn retcode(self) -> io::Result<()> {
        match self.r[0].cast_signed() {
            0 => Ok(()),
            code => Err(errno(code)),
        }
    }
}

/// The kernel's errors are negative numbers; a positive one is an iSCSI error, which only says "failed".
fn errno(code: i32) -> io::Error {
    if (-4095..0).contains(&code) {
        io::Error::from_raw_os_error(-code)
    } else {
        io::Error::other(format!("the kernel's iSCSI initiator says {code}"))
    }
}

/// Reads a message of the kernel; whatever cannot be read is none of ours.
pub fn decode(message: &[u8]) -> Message {
    decode_message(message).unwrap_or(Message::Other)
}

fn decode_message(message: &[u8]) -> Option<Message> {
    let (header, rest) = message.split_first_chunk::<NETLINK_HEADER>()?;
    let (uevent, payload) = rest.split_first_chunk::<UEVENT>()?;
    let u32_at = |at: usize| {
        let bytes = uevent.get(at..at + 4)?.first_chunk::<4>()?;
        Some(u32::from_ne_bytes(*bytes))
    };
    let r = [u32_at(40)?, u32_at(44)?, u32_at(48)?, u32_at(52)?];
    let connection = Connection { sid: r[0], cid: r[1] };
    let event = u32_at(0)?;
    Some(match event {
        RECV_PDU => {
            let (bhs, data) = payload.split_first_chunk::<BHS>()?;
            let length = usize::from(bhs[5]) << 16 | usize::from(bhs[6]) << 8 | usize::from(bhs[7]);
            Message::Event(Event::Pdu {
                connection,
                bhs: *bhs,
                // What follows is the padding of the message.
                data: Zeroizing::new(data.get(..length)?.to_vec()),
            })
        }
        CONN_ERROR => Message::Event(Event::Error { connection, error: r[2] }),
        CREATE_SESSION..=SEND_PDU | SET_HOST_PARAM | IF_ERROR => Message::Reply(Reply {
            answered: u16::from_ne_bytes([header[4], header[5]]).into(),
            event,
            error: u32_at(4)?.cast_signed(),
            u: *uevent.get(16..40)?.first_chunk()?,
            r,
        }),
        _ => Message::Other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CONNECTION: Connection = Connection { sid: 3, cid: 0 };

    /// A message as the kernel sends it: (offset, value) of 32-bit words behind the netlink header.
    fn from_kernel(kind: u16, words: &[(usize, u32)], payload: &[u8]) -> Vec<u8> {
        let mut message = vec![0; NETLINK_HEADER + UEVENT];
        message[4..6].copy_from_slice(&kind.to_ne_bytes());
        for (at, word) in words {
            message[NETLINK_HEADER + at..][..4].copy_from_slice(&word.to_ne_bytes());
        }
        message.extend_from_slice(payload);
        message
    }

    #[test]
    fn a_request_is_laid_out_as_the_kernel_header_says() {
        let mut request = Union::of(CONNECTION);
        request.u64(7);
        request.u32(1);
        let message = encode(BIND_CONN, 0x1122_3344_5566_7788, &request, &[b"xy", b"z"]);
        assert_eq!(message.len(), 16 + 56 + 3);
        assert_eq!(message[0..4], 75u32.to_ne_bytes());
        assert_eq!(message[4..6], 15u16.to_ne_bytes());
        assert_eq!(message[6..8], 1u16.to_ne_bytes());
        assert_eq!(message[8..16], [0; 8]);
        let uevent = &message[16..];
        assert_eq!(uevent[0..4], 15u32.to_ne_bytes());
        assert_eq!(uevent[4..8], [0; 4]);
        assert_eq!(uevent[8..16], 0x1122_3344_5566_7788u64.to_ne_bytes());
        assert_eq!(uevent[16..20], 3u32.to_ne_bytes());
        assert_eq!(uevent[20..24], [0; 4]);
        assert_eq!(uevent[24..32], 7u64.to_ne_bytes());
        assert_eq!(uevent[32..36], 1u32.to_ne_bytes());
        assert_eq!(uevent[36..56], [0; 20]);
        assert_eq!(&uevent[56..], b"xyz");
    }

    #[test]
    fn a_reply_is_told_from_another_listeners() {
        let message = from_kernel(13, &[(0, 13), (16, 3), (40, 3)], &[]);
        let Message::Reply(reply) = decode(&message) else {
            panic!("no reply");
        };
        assert!(reply.answers(CREATE_CONN, &Union::of(CONNECTION)));
        assert!(!reply.answers(CREATE_CONN, &Union::of(Connection { sid: 4, cid: 0 })));
        assert!(!reply.answers(START_CONN, &Union::of(CONNECTION)));
        assert!(reply.checked().is_ok());
    }

    #[test]
    fn an_error_is_the_errno() {
        let minus = |errno: i32| (-errno).cast_unsigned();
        let message = from_kernel(13, &[(0, IF_ERROR), (4, minus(12)), (16, 3)], &[]);
        let Message::Reply(reply) = decode(&message) else {
            panic!("no reply");
        };
        assert!(reply.answers(CREATE_CONN, &Union::of(CONNECTION)));
        assert_eq!(reply.checked().map(|_| ()).unwrap_err().raw_os_error(), Some(12));
        let message = from_kernel(17, &[(0, START_CONN), (16, 3), (40, minus(22))], &[]);
        let Message::Reply(reply) = decode(&message) else {
            panic!("no reply");
        };
        let result = reply.checked().and_then(Reply::retcode);
        assert_eq!(result.unwrap_err().raw_os_error(), Some(22));
    }

    #[test]
    fn a_pdu_comes_without_the_padding_of_its_message() {
        let mut pdu = vec![0; BHS];
        pdu[0] = 0x23;
        pdu[7] = 3;
        pdu.extend_from_slice(b"A=1\0");
        let message = from_kernel(0, &[(0, RECV_PDU), (40, 3), (44, 0)], &pdu);
        let Message::Event(Event::Pdu { connection, bhs, data }) = decode(&message) else {
            panic!("no PDU");
        };
        assert_eq!(connection, CONNECTION);
        assert_eq!(bhs[0], 0x23);
        assert_eq!(*data, b"A=1");
        assert!(matches!(decode(&message[..message.len() - 2]), Message::Other));
    }

    #[test]
    fn a_lost_connection_is_an_event() {
        let message = from_kernel(0, &[(0, CONN_ERROR), (40, 3), (48, 1011)], &[]);
        assert!(matches!(
            decode(&message),
            Message::Event(Event::Error { connection: CONNECTION, error: 1011 })
        ));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(message in proptest::collection::vec(any::<u8>(), 0..200), event in 0u32..110) {
            let _ = decode(&message);
            let _ = decode(&from_kernel(0, &[(0, event)], &message));
        }
    }
}
