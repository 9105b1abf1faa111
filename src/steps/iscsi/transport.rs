//! What carries login PDUs to the target: the kernel for sessions that are to stay, `socket` for
//! discoveries.
//!
//! The kernel numbers commands itself and does not tell how far it is, so the login of a session that it will
//! use has to go through it: after a login on the bare socket a session that was there before hangs.

use std::io;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::pdu::Pdu;
use crate::sys::flag::Flag;
use crate::sys::iscsi_netlink::{Connection, Initiator};

/// The kernel is through with a request within this time of its response.
const BUSY_LIMIT: Duration = Duration::from_millis(200);

/// Carries PDUs, until a deadline of its own.
pub trait Transport {
    /// Sends a request and waits for its response.
    ///
    /// # Errors
    /// The connection is lost, or no response came in time (`TimedOut`).
    fn exchange(&mut self, request: &Pdu) -> io::Result<Pdu>;
}

/// Through the kernel, on a bound connection.
pub struct Kernel<'a> {
    /// The way to the kernel.
    pub initiator: &'a mut Initiator,
    /// The bound connection.
    pub connection: Connection,
    /// Until when all responses have to be there.
    pub deadline: Instant,
    /// Ends the wait for a response.
    pub cancel: &'a Flag,
}

impl Transport for Kernel<'_> {
    fn exchange(&mut self, request: &Pdu) -> io::Result<Pdu> {
        // The kernel passes a response on before it is through with the request, and takes no other one until then.
        let until = Instant::now() + BUSY_LIMIT;
        loop {
            match self.initiator.send_pdu(self.connection, &request.bhs, &request.data) {
                Err(error) if Errno::from_io_error(&error) == Some(Errno::PERM) && Instant::now() < until => {
                    self.cancel.sleep(Duration::from_millis(1));
                    self.cancel.check()?;
                }
                other => break other?,
            }
        }
        let (bhs, data) = self.initiator.recv_pdu(self.connection, self.deadline, self.cancel)?;
        Ok(Pdu { bhs, data })
    }
}
