//! Connecting from a chosen address and port, without waiting.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;

use rustix::io::Errno;
use rustix::net::sockopt;

use super::new_socket;

/// A connection under way: non-blocking, writable once it is made or has failed.
#[derive(Debug)]
pub(crate) struct Connecting(TcpStream);

impl Connecting {
    /// Starts to connect to `to` from `from`, whose port may be 0 for any.
    /// SO_REUSEADDR lets many connections to different places leave from one
    /// port. AddrInUse and AddrNotAvailable: that pair of addresses is taken.
    pub(crate) fn start(from: SocketAddr, to: SocketAddr) -> io::Result<Connecting> {
        let socket = new_socket(to)?;
        if from.port() != 0 {
            sockopt::set_socket_reuseaddr(&socket, true)?;
        }
        if from.port() != 0 || !from.ip().is_unspecified() {
            rustix::net::bind(&socket, &from)?;
        }
        match rustix::net::connect(&socket, &to) {
            // A connect that a signal interrupts goes on by itself.
            Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => Ok(Connecting(TcpStream::from(socket))),
            Err(err) => Err(err.into()),
        }
    }

    /// The stream, once poll has said that it is writable.
    pub(crate) fn finish(self) -> io::Result<TcpStream> {
        sockopt::socket_error(&self.0)??;
        // From any port to a port where nobody listens, TCP may meet itself.
        if self.0.local_addr()? == self.0.peer_addr()? {
            return Err(Errno::CONNREFUSED.into());
        }
        Ok(self.0)
    }
}

impl AsFd for Connecting {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::Duration;

    use super::*;
    use crate::sys::sockets::tests::loopback;
    use crate::sys::sockets::{PollFlags, deadline_in, listen, wait_for};

    #[test]
    fn two_connections_leave_from_one_port() {
        let first = listen(loopback(), 4).unwrap();
        let second = listen(loopback(), 4).unwrap();
        let connect = |from, to: &TcpListener| {
            let connecting = Connecting::start(from, to.local_addr().unwrap()).unwrap();
            assert!(wait_for(&connecting, PollFlags::OUT, deadline_in(Duration::from_secs(60))).unwrap());
            connecting.finish().unwrap()
        };
        let a = connect(loopback(), &first);
        // The first chose a port without SO_REUSEADDR, so a second pair shares another.
        let probe = listen(loopback(), 1).unwrap().local_addr().unwrap();
        let b = connect(probe, &first);
        let c = connect(probe, &second);
        assert_ne!(a.local_addr().unwrap(), b.local_addr().unwrap());
        assert_eq!(b.local_addr().unwrap(), c.local_addr().unwrap());

        let again = Connecting::start(probe, first.local_addr().unwrap()).unwrap_err();
        assert!(matches!(again.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::AddrInUse));
    }

    #[test]
    fn a_refused_connection_is_told_apart_by_finish() {
        // Bound, so that no other test has it, and deaf.
        let deaf = new_socket(loopback()).unwrap();
        rustix::net::bind(&deaf, &loopback()).unwrap();
        let nobody = SocketAddr::try_from(rustix::net::getsockname(&deaf).unwrap()).unwrap();
        // Some systems say it at once.
        let outcome = Connecting::start(loopback(), nobody).and_then(|connecting| {
            wait_for(&connecting, PollFlags::OUT, deadline_in(Duration::from_secs(60)))?;
            connecting.finish()
        });
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }
}
