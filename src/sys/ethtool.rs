//! What a network card says of itself.
#![allow(unsafe_code, reason = "the ioctl has no safe wrapper in any crate we use")]

use std::io;
use std::os::fd::AsRawFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

/// `ETHTOOL_GPERMADDR` (linux/ethtool.h).
const GET_PERMANENT_ADDRESS: u32 = 0x20;
/// MAX_ADDR_LEN (linux/netdevice.h)
const LONGEST: usize = 32;

/// `struct ethtool_perm_addr` with room for an address.
#[repr(C)]
struct PermanentAddress {
    command: u32,
    size: u32,
    data: [u8; LONGEST],
}

/// The hardware address in the card of the interface `name`, which stays whatever the interface was told to use.
///
/// # Errors
/// There is no such interface, or its driver does not say.
pub fn permanent_address(name: &str) -> io::Result<Vec<u8>> {
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    let mut answer =
        PermanentAddress { command: GET_PERMANENT_ADDRESS, size: LONGEST as u32, data: [0; LONGEST] };
    // SAFETY: all zeros is a value of this plain structure of the C interface.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // One byte stays zero, which ends the name.
    if name.len() >= request.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (place, byte) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *place = byte as libc::c_char;
    }
    request.ifr_ifru.ifru_data = (&raw mut answer).cast();
    // SAFETY: the descriptor is open for as long as `socket` lives. The kernel reads and writes the request, which lives, and
    // behind its pointer the answer, which lives too and has room for the `size` that it names; it keeps neither.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL as _, &raw mut request) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let length = usize::try_from(answer.size).unwrap_or(LONGEST).min(LONGEST);
    Ok(answer.data.get(..length).unwrap_or_default().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_without_a_card_has_none() {
        assert!(permanent_address("no-such-nic").is_err());
        assert!(permanent_address("a-name-that-is-too-long").is_err());
        // The loopback has an address of zeros, or none.
        assert!(permanent_address("lo").is_ok_and(|octets| octets.iter().all(|octet| *octet == 0)));
    }
}
