//! The kernel's iSCSI initiator, driven over netlink (kernel: include/scsi/iscsi_if.h and
//! drivers/scsi/scsi_transport_iscsi.c).

#[cfg(fuzzing)]
pub mod fuzz;
mod message;

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, netlink, recv, sendto, socket_with,
};
use zeroize::Zeroizing;

use super::flag::Flag;
pub use message::Connection;
use message::*;

/// ISCSI_NL_GRP_ISCSID: where the kernel sends PDUs and errors, and older kernels replies too.
const GROUP: u32 = 1;
/// The longest the kernel may take for a reply. It does the work before it replies, and to destroy a session
/// with disks takes longest.
const REPLY_LIMIT: Duration = Duration::from_secs(30);
/// Events kept for later; more can only be other people's.
const MOST_EVENTS: usize = 64;

/// A PDU of the login with 8 KiB of data, and room to spare.
const LONGEST_MESSAGE: usize = 16 * 1024;

/// What becomes of a session whose connection is stopped (enum iscsi_conn_stop flags of iscsi_if.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Stop {
    /// STOP_CONN_TERM: it is given up for good; its commands fail, and it can only be destroyed.
    Terminate = 1,
    /// STOP_CONN_RECOVER: it waits for a new connection; its commands are kept for it.
    Recover = 3,
}

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
    UsernameIn = 23,
    Password = 24,
    PasswordIn = 25,
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
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, Some(netlink::ISCSI))?;
        // The port becomes the session's `creator` in sysfs: the thread's id tells others whether its maker lives. It may be
        // taken, by another socket of this thread: with port 0 the kernel chooses one. Sessions whose creator is -1 are
        // not adopted by iscsid.
        let thread = rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned();
        if bind(&socket, &netlink::SocketAddrNetlink::new(thread, GROUP)).is_err() {
            bind(&socket, &netlink::SocketAddrNetlink::new(0, GROUP))?;
        }
        Ok(Initiator { socket, transport: handle, events: VecDeque::new() })
    }

    /// Creates a session, for `cmds_max` commands at once and `queue_depth` of them for each disk; gives its id and the
    /// number of its SCSI host.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn create_session(&mut self, cmds_max: u16, queue_depth: u16) -> io::Result<(u32, u32)> {
        let mut request = Union::new();
        // initial_cmdsn
        request.u32(0);
        request.u16(cmds_max);
        request.u16(queue_depth);
        self.call(CREATE_SESSION, &request, &[]).map(|reply| (reply.r[0], reply.r[1]))
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

    /// Says which network interface a SCSI host is bound to: it shows in sysfs, and iscsid binds to it again.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn set_netdev(&mut self, host: u32, name: &str) -> io::Result<()> {
        let text = [name.as_bytes(), &[0]].concat();
        let mut request = Union::new();
        request.u32(host);
        request.u32(ISCSI_HOST_PARAM_NETDEV_NAME);
        request.u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
        self.call(SET_HOST_PARAM, &request, &[&text]).map(|_| ())
    }

    /// Forgets what the kernel told of a connection so far: it was about one that is over.
    pub fn forget(&mut self, connection: Connection) {
        while let Ok(message) = self.receive(Instant::now(), &Flag::default()) {
            if let Message::Event(event) = message {
                self.keep(event);
            }
        }
        self.events.retain(|event| !event.is_of(connection));
    }

    /// Starts the full feature phase: from here on the kernel sends commands.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn start_conn(&mut self, connection: Connection) -> io::Result<()> {
        self.call(START_CONN, &Union::of(connection), &[]).and_then(Reply::retcode)
    }

    /// Ends a connection. Newer kernels do it themselves (with [`Stop::Recover`]) when they lose one, but BIND_CONN is
    /// ENOTCONN after that until somebody has asked for it.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn stop_conn(&mut self, connection: Connection, stop: Stop) -> io::Result<()> {
        let mut request = Union::of(connection);
        // conn_handle, which nobody reads
        request.u64(0);
        request.u32(stop as u32);
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
        self.call(SEND_PDU, &request, &[bhs, data]).and_then(Reply::retcode)
    }

    /// Waits until `deadline` for a PDU of the connection: its header, and its data without padding.
    ///
    /// # Errors
    /// Nothing came (`TimedOut`), the connection is lost (`ConnectionReset`), `cancel` was raised (`Interrupted`), or the
    /// kernel's error.
    pub fn recv_pdu(
        &mut self,
        connection: Connection,
        deadline: Instant,
        cancel: &Flag,
    ) -> io::Result<([u8; BHS], Zeroizing<Vec<u8>>)> {
        loop {
            while let Some(event) = self.events.pop_front() {
                match event {
                    Event::Pdu { connection: of, bhs, data } if of == connection => return Ok((bhs, data)),
                    Event::Error { connection: of, error } if of == connection => {
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
            if let Message::Event(event) = self.receive(deadline, cancel)? {
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
        sendto(&self.socket, &message, SendFlags::empty(), &netlink::SocketAddrNetlink::new(0, 0))?;
        loop {
            // The kernel's answer is not called off: it says what there is to be taken away.
            match self.receive(deadline, &Flag::default())? {
                Message::Event(event) => self.keep(event),
                // Older kernels send replies to all listeners, so it may be another's.
                Message::Reply(reply) if reply.answers(event, request) => return reply.checked(),
                Message::Reply(_) | Message::Other => (),
            }
        }
    }

    fn receive(&mut self, deadline: Instant, cancel: &Flag) -> io::Result<Message> {
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
                    cancel.check()?;
                    cancel.wait_with(&[(self.socket.as_fd(), PollFlags::IN)], left);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}
