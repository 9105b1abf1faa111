//! Questions to the machine's BMC (IPMI 2.0; linux/ipmi.h, linux/ipmi_msgdefs.h).
#![allow(unsafe_code, reason = "the ioctls have no safe wrapper in any crate we use")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::ioctl::opcode;

/// The network function of requests about networks.
pub const TRANSPORT: u8 = 0x0c;
/// Get LAN Configuration Parameters.
pub const GET_LAN: u8 = 0x02;
/// IPMI_SYSTEM_INTERFACE_ADDR_TYPE: the BMC itself.
const SYSTEM_INTERFACE: i32 = 0x0c;
/// IPMI_BMC_CHANNEL
const BMC_CHANNEL: i16 = 0x0f;
/// IPMI_MAX_MSG_LENGTH
const LONGEST: usize = 272;

/// `struct ipmi_system_interface_addr`
#[repr(C)]
struct Address {
    kind: i32,
    channel: i16,
    lun: u8,
}

/// `struct ipmi_addr`: room for any address.
#[repr(C)]
struct AnyAddress {
    kind: i32,
    channel: i16,
    data: [u8; 32],
}

/// `struct ipmi_msg`
#[repr(C)]
struct Message {
    function: u8,
    command: u8,
    length: u16,
    data: *mut u8,
}

/// `struct ipmi_req`
#[repr(C)]
struct Request {
    address: *mut Address,
    address_length: u32,
    id: libc::c_long,
    message: Message,
}

/// `struct ipmi_recv`
#[repr(C)]
struct Received {
    kind: i32,
    address: *mut AnyAddress,
    address_length: u32,
    id: libc::c_long,
    message: Message,
}

/// IPMICTL_SEND_COMMAND and IPMICTL_RECEIVE_MSG_TRUNC, numbers 13 and 11 of the group `i`.
const SEND: libc::c_ulong = opcode::read::<Request>(b'i', 13) as libc::c_ulong;
const RECEIVE: libc::c_ulong = opcode::read_write::<Received>(b'i', 11) as libc::c_ulong;

/// A BMC that can be asked.
#[derive(Debug)]
pub struct Bmc {
    device: File,
    deadline: Instant,
    id: libc::c_long,
}

impl Bmc {
    /// The BMC behind `device`, /dev/ipmi0, to be asked for `limit` at most; none: there is no such device.
    pub fn open(device: &Path, limit: Duration) -> Option<Bmc> {
        let device = File::options().read(true).write(true).open(device).ok()?;
        Some(Bmc { device, deadline: Instant::now() + limit, id: 0 })
    }

    /// Asks for `command` of the network function `function`; the answer begins with its completion code. None: the BMC
    /// does not answer in time, or the device is none.
    pub fn request(&mut self, function: u8, command: u8, data: &[u8]) -> Option<Vec<u8>> {
        self.id += 1;
        self.send(function, command, data).ok()?;
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
            match poll(&mut [PollFd::new(&self.device, PollFlags::IN)], Some(&timeout)) {
                Err(Errno::INTR) => continue,
                Ok(0) | Err(_) => return None,
                Ok(_) => (),
            }
            let (id, answer) = self.receive().ok()?;
            // The answer to an earlier question, which was not waited for.
            if id == self.id {
                return Some(answer);
            }
        }
    }

    fn send(&self, function: u8, command: u8, data: &[u8]) -> io::Result<()> {
        let mut address = Address { kind: SYSTEM_INTERFACE, channel: BMC_CHANNEL, lun: 0 };
        let mut data = data.to_vec();
        let length = u16::try_from(data.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let request = Request {
            address: &raw mut address,
            address_length: size_of::<Address>() as u32,
            id: self.id,
            message: Message { function, command, length, data: data.as_mut_ptr() },
        };
        // SAFETY: the descriptor is open for as long as `self` lives. The kernel reads the request, the address and the
        // data behind its pointers, each of which lives beyond the call and has the length that the request names; it
        // writes to none of them and keeps no pointer.
        let result = unsafe { libc::ioctl(self.device.as_raw_fd(), SEND, &raw const request) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    fn receive(&self) -> io::Result<(libc::c_long, Vec<u8>)> {
        let mut address = AnyAddress { kind: 0, channel: 0, data: [0; 32] };
        let mut data = vec![0u8; LONGEST];
        let mut received = Received {
            kind: 0,
            address: &raw mut address,
            address_length: size_of::<AnyAddress>() as u32,
            id: 0,
            message: Message { function: 0, command: 0, length: LONGEST as u16, data: data.as_mut_ptr() },
        };
        // SAFETY: the descriptor is open for as long as `self` lives. The kernel writes the structure, and behind its
        // pointers at most the lengths that it names, of which each place has as many; all of them live beyond the call, and
        // nobody else looks at them meanwhile.
        let result = unsafe { libc::ioctl(self.device.as_raw_fd(), RECEIVE, &raw mut received) };
        // EMSGSIZE: the answer was cut, and the beginning is there.
        if result != 0 && io::Error::last_os_error().raw_os_error() != Some(libc::EMSGSIZE) {
            return Err(io::Error::last_os_error());
        }
        data.truncate(usize::from(received.message.length).min(LONGEST));
        Ok((received.id, data))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_bmc_is_not_waited_for() {
        assert!(Bmc::open(Path::new("/nonexistent/ipmi0"), Duration::from_secs(1)).is_none());
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut bmc = Bmc::open(file.path(), Duration::from_secs(1)).unwrap();
        assert_eq!(bmc.request(TRANSPORT, GET_LAN, &[1, 3, 0, 0]), None);
    }

    /// The numbers of the kernel's own header, on a machine of 64 bits.
    #[test]
    fn the_calls_have_their_numbers() {
        assert_eq!((SEND, RECEIVE), (0x8028_690d, 0xc030_690b));
    }
}
