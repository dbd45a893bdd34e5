//! TCP sockets: listening, accepting, connecting from a chosen port, waiting with a
//! deadline, and moving bytes between sockets and files inside the kernel.
//!
//! Every descriptor made here is close-on-exec. What std's own `TcpStream` can
//! do (`set_nodelay`, `peer_addr`, `shutdown`) is not repeated.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, sockopt};

mod address;
mod connecting;
mod moving;
mod options;
mod pause;
mod wait;

pub(crate) use address::{canonical, same_host, unspecified_like};
pub(crate) use connecting::Connecting;
pub(crate) use moving::{
    SplicePipe, is_connection_error, is_unsupported, read_more, read_more_at, send_file, write,
};
pub(crate) use options::{cork, reset_on_close, set_keepalive, set_oobinline};
pub(crate) use pause::Pause;
pub(crate) use wait::{PollFd, PollFlags, deadline_in, poll_until, wait_for};

/// A non-blocking listener. An address that is in TIME_WAIT does not hinder it,
/// and an IPv6 one takes no IPv4 clients, so that both can listen side by side.
pub(crate) fn listen(address: SocketAddr, backlog: i32) -> io::Result<TcpListener> {
    let socket = new_socket(address)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, backlog)?;
    Ok(TcpListener::from(socket))
}

/// The next client of a listener, as a blocking stream.
pub(crate) fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    kernel::accept(listener, false)
}

/// The next client of a listener, as a non-blocking stream.
pub(crate) fn accept_nonblocking(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    kernel::accept(listener, true)
}

/// Whether a failed accept(2) concerns one client that is already gone, and not the
/// listener: Linux reports the network errors of a new connection there, see accept(2).
pub(crate) fn is_lost_client(err: &io::Error) -> bool {
    #[cfg(target_os = "linux")]
    if Errno::from_io_error(err) == Some(Errno::NONET) {
        return true;
    }
    matches!(
        Errno::from_io_error(err),
        Some(
            Errno::CONNABORTED
                | Errno::INTR
                | Errno::PROTO
                | Errno::NOPROTOOPT
                | Errno::OPNOTSUPP
                | Errno::PERM
                | Errno::NETDOWN
                | Errno::NETUNREACH
                | Errno::HOSTDOWN
                | Errno::HOSTUNREACH
        )
    )
}

/// Whether a call failed for want of descriptors or memory: time to back off,
/// since the listener stays readable.
pub(crate) fn is_shortage(err: &io::Error) -> bool {
    matches!(Errno::from_io_error(err), Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM))
}

fn new_socket(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    kernel::new_socket(family)
}

#[cfg(target_os = "linux")]
mod kernel {
    use rustix::net::SocketFlags;

    use super::*;

    pub(super) fn new_socket(family: AddressFamily) -> io::Result<OwnedFd> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        Ok(rustix::net::socket_with(family, SocketType::STREAM, flags, None)?)
    }

    pub(super) fn accept(listener: &TcpListener, nonblocking: bool) -> io::Result<(TcpStream, SocketAddr)> {
        let mut flags = SocketFlags::CLOEXEC;
        flags.set(SocketFlags::NONBLOCK, nonblocking);
        let (stream, peer) = rustix::net::acceptfrom_with(listener, flags)?;
        let peer = peer.ok_or(Errno::CONNABORTED)?;
        Ok((TcpStream::from(stream), SocketAddr::try_from(peer)?))
    }
}

#[cfg(not(target_os = "linux"))]
mod kernel {
    use super::*;

    pub(super) fn new_socket(family: AddressFamily) -> io::Result<OwnedFd> {
        let socket = rustix::net::socket(family, SocketType::STREAM, None)?;
        rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(socket)
    }

    pub(super) fn accept(listener: &TcpListener, nonblocking: bool) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = rustix::net::acceptfrom(listener)?;
        rustix::io::fcntl_setfd(&stream, rustix::io::FdFlags::CLOEXEC)?;
        // BSD has the new socket inherit the listener's flag.
        rustix::io::ioctl_fionbio(&stream, nonblocking)?;
        let peer = peer.ok_or(Errno::CONNABORTED)?;
        Ok((TcpStream::from(stream), SocketAddr::try_from(peer)?))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, Ipv6Addr};
    use std::time::Duration;

    use super::*;

    pub(super) fn loopback() -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
    }

    #[test]
    fn a_listener_has_nobody_to_accept_at_first_and_does_not_block() {
        let listener = listen(loopback(), 4).unwrap();
        assert_eq!(accept(&listener).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn accepted_streams_block_or_not_as_asked() {
        let listener = listen(loopback(), 4).unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut quick, peer) = accept_nonblocking(&listener).unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
        assert_eq!(quick.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);

        let mut other = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut patient, _) = accept(&listener).unwrap();
        let reader = std::thread::spawn(move || patient.read(&mut [0]));
        other.write_all(b"x").unwrap();
        assert_eq!(reader.join().unwrap().unwrap(), 1);
        client.write_all(b"x").unwrap();
        assert!(wait_for(&quick, PollFlags::IN, deadline_in(Duration::from_secs(60))).unwrap());
        assert_eq!(quick.read(&mut [0]).unwrap(), 1);
    }

    #[test]
    fn both_families_listen_on_one_port() {
        let Ok(six) = listen(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)), 4) else {
            return; // A machine without IPv6.
        };
        let port = six.local_addr().unwrap().port();
        listen(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)), 4).unwrap();
    }
}
