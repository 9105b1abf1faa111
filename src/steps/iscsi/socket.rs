//! PDUs on a socket of this process, for sessions that have no kernel in between: those of a discovery.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use zeroize::Zeroizing;

use super::pdu::{BHS, Pdu};
use super::transport::Transport;
use crate::sys::flag::Flag;

/// On a socket of this process.
pub struct Socket<'a> {
    /// The connection to the portal.
    pub stream: TcpStream,
    /// Until when all responses have to be there.
    pub deadline: Instant,
    /// The largest data segment taken, in bytes: what was declared to the target.
    pub max_recv: usize,
    /// Ends every wait.
    pub cancel: &'a Flag,
}

impl Transport for Socket<'_> {
    fn exchange(&mut self, request: &Pdu) -> io::Result<Pdu> {
        self.send(request)?;
        self.receive()
    }
}

impl Socket<'_> {
    fn send(&mut self, request: &Pdu) -> io::Result<()> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(BHS + request.data.len() + 3));
        bytes.extend_from_slice(&request.bhs);
        bytes.extend_from_slice(&request.data);
        bytes.extend(std::iter::repeat_n(0, padding(request.data.len())));
        self.stream.write_all(&bytes).map_err(timed_out)
    }

    /// Waits for a PDU, whatever it is.
    ///
    /// # Errors
    /// The connection is lost, nothing came in time (`TimedOut`), or it is too long (`InvalidData`).
    pub fn receive(&mut self) -> io::Result<Pdu> {
        let mut bhs = [0; BHS];
        self.read(&mut bhs)?;
        let length = Pdu::data_length(&bhs);
        if length > self.max_recv {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("a response with {length} bytes of data, where {} are allowed", self.max_recv),
            ));
        }
        // TotalAHSLength is in words of four bytes.
        self.read(&mut vec![0; usize::from(bhs[4]) * 4])?;
        let mut data = Zeroizing::new(vec![0; length + padding(length)]);
        self.read(&mut data)?;
        data.truncate(length);
        Ok(Pdu { bhs, data })
    }

    fn left(&self) -> io::Result<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(left)
    }

    /// Fills `buffer`, before the deadline however slowly the bytes drip in.
    fn read(&mut self, mut buffer: &mut [u8]) -> io::Result<()> {
        while !buffer.is_empty() {
            self.cancel.check()?;
            // Readable, at its end, or broken: the read tells.
            self.cancel.wait_with(&[(self.stream.as_fd(), PollFlags::IN)], self.left()?);
            self.cancel.check()?;
            self.stream.set_read_timeout(Some(self.left()?))?;
            match self.stream.read(buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => buffer = buffer.get_mut(length..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                Err(error) => return Err(timed_out(error)),
            }
        }
        Ok(())
    }
}

/// How many bytes of padding follow a segment of `length` bytes.
pub fn padding(length: usize) -> usize {
    length.wrapping_neg() % 4
}

/// A socket's time-out is EAGAIN.
fn timed_out(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::WouldBlock {
        return io::ErrorKind::TimedOut.into();
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn padding_fills_up_to_four_bytes() {
        assert_eq!([0, 1, 2, 3, 4, 5].map(padding), [0, 3, 2, 1, 0, 3]);
    }

    fn pdu(data: &[u8]) -> Pdu {
        let mut bhs = [0; BHS];
        bhs[7] = data.len() as u8;
        Pdu { bhs, data: Zeroizing::new(data.to_vec()) }
    }

    /// What comes of an exchange with a peer that sends `answer`, and what the peer got (64 bytes at most).
    fn exchange(answer: Vec<u8>, limit: Duration) -> (io::Result<Pdu>, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        peer.write_all(&answer).unwrap();
        let mut socket =
            Socket { stream, deadline: Instant::now() + limit, max_recv: 8192, cancel: &Flag::default() };
        let result = socket.exchange(&pdu(b"A=1\0B=2\0\0"));
        drop(socket);
        let mut got = vec![0; 64];
        let length = peer.read(&mut got).unwrap_or(0);
        got.truncate(length);
        (result, got)
    }

    #[test]
    fn data_are_padded_both_ways() {
        let mut answer = vec![0; BHS];
        answer[4] = 1;
        answer[7] = 2;
        answer.extend_from_slice(b"AHSxdt\0\0");
        let (result, got) = exchange(answer, Duration::from_secs(5));
        assert_eq!(*result.unwrap().data, b"dt");
        assert_eq!(got[BHS..], *b"A=1\0B=2\0\0\0\0\0");
    }

    #[test]
    fn faults_of_the_peer_end_the_exchange() {
        let (result, _) = exchange(vec![0; 20], Duration::from_millis(50));
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::TimedOut);
        let mut long = vec![0; BHS];
        long[5] = 1;
        let (result, _) = exchange(long, Duration::from_secs(5));
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
