//! TCP connections that go out by a given interface or address, and that can be called off.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

// nix, for rustix has neither SO_BINDTODEVICE nor TCP_MAXSEG.
use nix::sys::socket::{getsockopt, setsockopt, sockopt};
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, connect as start, socket_with, sockopt as options,
};

use super::flag::Flag;

/// Where a connection comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct From<'a> {
    /// The network interface that it goes out of (SO_BINDTODEVICE); none: by the routes.
    pub interface: Option<&'a str>,
    /// The address that it has; none: by the routes.
    pub source: Option<IpAddr>,
}

/// Connects to `address`, within `limit` and until `cancel` is raised.
///
/// # Errors
/// The kernel's error; `TimedOut` when there is no answer in time, `Interrupted` when it was called off.
pub fn connect(address: SocketAddr, from: From<'_>, limit: Duration, cancel: &Flag) -> io::Result<TcpStream> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    if let Some(interface) = from.interface {
        setsockopt(&socket, sockopt::BindToDevice, &interface.into())?;
    }
    if let Some(source) = from.source {
        bind(&socket, &SocketAddr::new(source, 0))?;
    }
    let until = Instant::now() + limit;
    match start(&socket, &address) {
        Ok(()) => (),
        Err(Errno::INPROGRESS | Errno::INTR) => loop {
            cancel.check()?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time"));
            }
            cancel.wait_with(&[(socket.as_fd(), PollFlags::OUT)], left);
            options::socket_error(&socket)??;
            if rustix::net::getpeername(&socket).is_ok_and(|peer| peer.is_some()) {
                break;
            }
        },
        Err(error) => return Err(error.into()),
    }
    let stream = TcpStream::from(socket);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

/// The largest segment that this end may send (TCP_MAXSEG), in bytes: what the smaller MTU of the two ends leaves.
///
/// # Errors
/// The kernel's error.
pub fn segment(stream: &TcpStream) -> io::Result<u32> {
    Ok(getsockopt(stream, sockopt::TcpMaxSeg)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::http::fixture::full_listener;
    use std::net::TcpListener;

    const LIMIT: Duration = Duration::from_secs(20);

    #[test]
    fn connects_from_where_it_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let source = "127.0.0.9".parse().unwrap();
        let from = From { interface: Some("lo"), source: Some(source) };
        let stream = connect(address, from, LIMIT, &Flag::default()).unwrap();
        assert_eq!(stream.local_addr().unwrap().ip(), source);
        assert!(segment(&stream).unwrap() > 1000);
        for (from, errno) in [
            (From { interface: Some("none0"), source: None }, Errno::NODEV),
            (From { interface: None, source: Some("192.0.2.1".parse().unwrap()) }, Errno::ADDRNOTAVAIL),
        ] {
            let error = connect(address, from, LIMIT, &Flag::default()).unwrap_err();
            assert_eq!(Errno::from_io_error(&error), Some(errno));
        }
    }

    #[test]
    fn a_closed_port_is_told() {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = connect(address, From::default(), LIMIT, &Flag::default()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn a_silent_port_takes_its_time_or_is_called_off() {
        let silent = full_listener();
        let error =
            connect(silent.0, From::default(), Duration::from_millis(50), &Flag::default()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let cancel = Flag::default();
        let started = Instant::now();
        std::thread::scope(|scope| {
            let connecting = scope.spawn(|| connect(silent.0, From::default(), LIMIT, &cancel));
            cancel.raise();
            assert_eq!(connecting.join().unwrap().unwrap_err().kind(), io::ErrorKind::Interrupted);
        });
        assert!(started.elapsed() < LIMIT / 2);
    }
}
