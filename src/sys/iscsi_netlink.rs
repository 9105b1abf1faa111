//! The kernel's iSCSI initiator, driven over netlink (kernel: include/scsi/iscsi_if.h and
//! drivers/scsi/scsi_transport_iscsi.c).
//!
//! A message is a netlink header (16 bytes), a `struct iscsi_uevent` (56 bytes on 64-bit machines: type, error,
//! transport, 24 bytes of request, 16 bytes of reply) and what belongs to the event. All in native byte order.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, netlink, recv, sendto, socket_with,
};
use zeroize::Zeroizing;

/// ISCSI_NL_GRP_ISCSID: where the kernel sends PDUs and errors, and older kernels replies too.
const GROUP: u32 = 1;
/// The longest the kernel may take for a reply. It does the work before it replies, and to destroy a session
/// with disks takes longest.
const REPLY_LIMIT: Duration = Duration::from_secs(30);
/// Events kept for later; more can only be other people's.
const MOST_EVENTS: usize = 64;

const NETLINK_HEADER: usize = 16;
const UEVENT: usize = 56;
const BHS: usize = 48;
/// A PDU of the login with 8 KiB of data, and room to spare.
const LONGEST_MESSAGE: usize = 16 * 1024;
/// NLM_F_REQUEST (linux/netlink.h).
const NLM_F_REQUEST: u16 = 1;

// enum iscsi_uevent_e
const CREATE_SESSION: u32 = 11;
const DESTROY_SESSION: u32 = 12;
const CREATE_CONN: u32 = 13;
const DESTROY_CONN: u32 = 14;
const BIND_CONN: u32 = 15;
const SET_PARAM: u32 = 16;
const START_CONN: u32 = 17;
const STOP_CONN: u32 = 18;
const SEND_PDU: u32 = 19;
const RECV_PDU: u32 = 101;
const CONN_ERROR: u32 = 102;
const IF_ERROR: u32 = 103;

/// STOP_CONN_TERM: the connection is given up for good.
const STOP_CONN_TERM: u32 = 1;

/// A parameter of a session or connection (enum iscsi_param).
#[allow(missing_docs, reason = "the names are the kernel's")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Param {
    MaxRecvDlength = 0,
    MaxXmitDlength = 1,
    HdrDgstEn = 2,
    DataDgstEn = 3,
    InitialR2tEn = 4,
    MaxR2t = 5,
    ImmDataEn = 6,
    FirstBurst = 7,
    MaxBurst = 8,
    PduInorderEn = 9,
    DataSeqInorderEn = 10,
    Erl = 11,
    ExpStatSn = 14,
    TargetName = 15,
    Tpgt = 16,
    PersistentAddress = 17,
    PersistentPort = 18,
    SessRecoveryTmo = 19,
    Username = 22,
    Password = 24,
    FastAbort = 26,
    AbortTmo = 27,
    LuResetTmo = 28,
    PingTmo = 30,
    RecvTmo = 31,
    IfaceName = 32,
    InitiatorName = 34,
    TgtResetTmo = 35,
    DiscoverySess = 43,
}

/// A connection: the kernel's session id and the connection's id in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    /// The session's id (`sessionSID` in sysfs).
    pub sid: u32,
    /// The connection's id, 0 for the only one.
    pub cid: u32,
}

/// What the kernel tells about a connection without being asked.
enum Event {
    Pdu {
        connection: Connection,
        bhs: [u8; BHS],
        data: Zeroizing<Vec<u8>>,
    },
    Error {
        connection: Connection,
        error: u32,
    },
}

/// A netlink socket to the kernel's iSCSI initiator.
pub struct Initiator {
    socket: OwnedFd,
    transport: u64,
    events: VecDeque<Event>,
}

impl Initiator {
    /// Opens it for the transport with this `handle` (/sys/class/iscsi_transport/tcp/handle).
    ///
    /// # Errors
    /// The kernel has no iSCSI, or the caller is not root of the machine.
    pub fn open(handle: u64) -> io::Result<Initiator> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            flags,
            Some(netlink::ISCSI),
        )?;
        // With port 0 the kernel chooses one. It becomes the session's `creator` in sysfs, and sessions whose
        // creator is -1 are not adopted by iscsid.
        bind(&socket, &netlink::SocketAddrNetlink::new(0, GROUP))?;
        Ok(Initiator {
            socket,
            transport: handle,
            events: VecDeque::new(),
        })
    }

    /// Creates a session, for `cmds_max` commands at once and `queue_depth` of them for each disk; gives its id.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn create_session(&mut self, cmds_max: u16, queue_depth: u16) -> io::Result<u32> {
        let mut request = Union::new();
        // initial_cmdsn
        request.u32(0);
        request.u16(cmds_max);
        request.u16(queue_depth);
        self.call(CREATE_SESSION, &request, &[]).map(|reply| reply.r[0])
    }

    /// Destroys a session that has no connections.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn destroy_session(&mut self, sid: u32) -> io::Result<()> {
        let mut request = Union::new();
        request.u32(sid);
        self.call(DESTROY_SESSION, &request, &[]).map(|_| ())
    }

    /// Creates a connection.
    ///
    /// # Errors
    /// The kernel's error; ENOMEM may also mean that it has no CRC32C.
    pub fn create_conn(&mut self, connection: Connection) -> io::Result<()> {
        self.call(CREATE_CONN, &Union::of(connection), &[]).map(|_| ())
    }

    /// Destroys a connection.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn destroy_conn(&mut self, connection: Connection) -> io::Result<()> {
        self.call(DESTROY_CONN, &Union::of(connection), &[]).map(|_| ())
    }

    /// Gives the connection its TCP socket. The kernel keeps a reference of its own.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn bind_conn(&mut self, connection: Connection, tcp: BorrowedFd<'_>) -> io::Result<()> {
        let mut request = Union::of(connection);
        request.u64(u64::try_from(tcp.as_raw_fd()).unwrap_or(u64::MAX));
        // is_leading
        request.u32(1);
        self.call(BIND_CONN, &request, &[]).and_then(Reply::retcode)
    }

    /// Sets a parameter; one that this kernel does not know is left out. The connection has to be bound.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn set_param(&mut self, connection: Connection, param: Param, value: &[u8]) -> io::Result<()> {
        let mut text = Zeroizing::new(Vec::with_capacity(value.len() + 1));
        text.extend_from_slice(value);
        text.push(0);
        let mut request = Union::of(connection);
        request.u32(param as u32);
        request.u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
        match self.call(SET_PARAM, &request, &[&text]) {
            Err(error) if error.raw_os_error() == Some(Errno::NOSYS.raw_os_error()) => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// Starts the full feature phase: from here on the kernel sends commands.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn start_conn(&mut self, connection: Connection) -> io::Result<()> {
        self.call(START_CONN, &Union::of(connection), &[])
            .and_then(Reply::retcode)
    }

    /// Ends a connection for good; it can only be destroyed then.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn stop_conn(&mut self, connection: Connection) -> io::Result<()> {
        let mut request = Union::of(connection);
        // conn_handle, which nobody reads
        request.u64(0);
        request.u32(STOP_CONN_TERM);
        self.call(STOP_CONN, &request, &[]).and_then(Reply::retcode)
    }

    /// Sends a login PDU. The kernel fills in task tag and CmdSN, and pads the data.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn send_pdu(&mut self, connection: Connection, bhs: &[u8; BHS], data: &[u8]) -> io::Result<()> {
        let mut request = Union::of(connection);
        request.u32(48);
        request.u32(u32::try_from(data.len()).unwrap_or(u32::MAX));
        self.call(SEND_PDU, &request, &[bhs, data])
            .and_then(Reply::retcode)
    }

    /// Waits until `deadline` for a PDU of the connection: its header, and its data without padding.
    ///
    /// # Errors
    /// Nothing came (`TimedOut`), the connection is lost (`ConnectionReset`), or the kernel's error.
    pub fn recv_pdu(
        &mut self,
        connection: Connection,
        deadline: Instant,
    ) -> io::Result<([u8; BHS], Zeroizing<Vec<u8>>)> {
        loop {
            while let Some(event) = self.events.pop_front() {
                match event {
                    Event::Pdu {
                        connection: of,
                        bhs,
                        data,
                    } if of == connection => return Ok((bhs, data)),
                    Event::Error {
                        connection: of,
                        error,
                    } if of == connection => {
                        // enum iscsi_err
                        return Err(io::Error::new(
                            io::ErrorKind::ConnectionReset,
                            format!("connection lost (kernel iSCSI error {error})"),
                        ));
                    }
                    // Another session's: with one listener for each, nobody misses it.
                    _ => (),
                }
            }
            if let Message::Event(event) = self.receive(deadline)? {
                self.keep(event);
            }
        }
    }

    /// Keeps an event until somebody asks for it.
    fn keep(&mut self, event: Event) {
        if self.events.len() < MOST_EVENTS {
            self.events.push_back(event);
        }
    }

    /// Sends a request and waits for the kernel's reply to it.
    fn call(&mut self, event: u32, request: &Union, payload: &[&[u8]]) -> io::Result<Reply> {
        let deadline = Instant::now() + REPLY_LIMIT;
        let message = encode(event, self.transport, request, payload);
        // To port 0, the kernel. All of the work is done within this call.
        sendto(
            &self.socket,
            &message,
            SendFlags::empty(),
            &netlink::SocketAddrNetlink::new(0, 0),
        )?;
        loop {
            match self.receive(deadline)? {
                Message::Event(event) => self.keep(event),
                // Older kernels send replies to all listeners, so it may be another's.
                Message::Reply(reply) if reply.answers(event, request) => return reply.checked(),
                Message::Reply(_) | Message::Other => (),
            }
        }
    }

    fn receive(&mut self, deadline: Instant) -> io::Result<Message> {
        let mut buffer = Zeroizing::new(vec![0; LONGEST_MESSAGE]);
        loop {
            match recv(&self.socket, buffer.as_mut_slice(), RecvFlags::DONTWAIT) {
                Ok((length, _)) => return Ok(decode(buffer.get(..length).unwrap_or_default())),
                Err(Errno::INTR) => (),
                Err(Errno::AGAIN) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time"));
                    }
                    let timeout = Timespec {
                        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                        tv_nsec: i64::from(left.subsec_nanos()),
                    };
                    match poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], Some(&timeout)) {
                        Ok(_) | Err(Errno::INTR) => (),
                        Err(error) => return Err(error.into()),
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The request part of an event, `u`: 24 bytes, zero where nothing is written.
struct Union(Vec<u8>);

impl Union {
    const SIZE: usize = 24;

    fn new() -> Union {
        Union(Vec::with_capacity(Union::SIZE))
    }

    /// Starts with sid and cid, as most do.
    fn of(connection: Connection) -> Union {
        let mut union = Union::new();
        union.u32(connection.sid);
        union.u32(connection.cid);
        union
    }

    fn u16(&mut self, value: u16) {
        self.0.extend_from_slice(&value.to_ne_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_ne_bytes());
    }

    fn u64(&mut self, value: u64) {
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

fn encode(event: u32, transport: u64, request: &Union, payload: &[&[u8]]) -> Zeroizing<Vec<u8>> {
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

enum Message {
    Reply(Reply),
    Event(Event),
    Other,
}

/// The kernel's copy of a request, with its reply.
struct Reply {
    /// What the request was, from the netlink header: an error has another type in the event.
    answered: u32,
    event: u32,
    error: i32,
    u: [u8; Union::SIZE],
    r: [u32; 4],
}

impl Reply {
    fn answers(&self, event: u32, request: &Union) -> bool {
        // The kernel echoes the request.
        (self.event == event || (self.event == IF_ERROR && self.answered == event))
            && self.u == request.bytes()
    }

    fn checked(self) -> io::Result<Reply> {
        if self.event == IF_ERROR || self.error != 0 {
            return Err(errno(self.error));
        }
        Ok(self)
    }

    /// For the requests that have a result of their own in `r.retcode`.
    fn retcode(self) -> io::Result<()> {
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

fn decode(message: &[u8]) -> Message {
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
        CONN_ERROR => Message::Event(Event::Error {
            connection,
            error: r[2],
        }),
        CREATE_SESSION..=SEND_PDU | IF_ERROR => Message::Reply(Reply {
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
        let Message::Event(Event::Pdu {
            connection,
            bhs,
            data,
        }) = decode(&message)
        else {
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
            Message::Event(Event::Error {
                connection: CONNECTION,
                error: 1011
            })
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
