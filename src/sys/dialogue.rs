//! A connection on which two parties talk, little at a time and for long: setting it up,
//! waiting for it, reading what is there.

use std::io;
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{RecvFlags, recv};

use super::sockets::{self, PollFd, PollFlags};

/// After so long without traffic the peer is asked whether it is still there.
const KEEPALIVE: Duration = Duration::from_secs(120);

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// The socket has input, or is closed.
    Readable,
    /// The other descriptor is readable.
    Other,
    TimedOut,
}

/// Sets a fresh connection up: what is written leaves at once, a write that nobody takes fails
/// after `write_timeout`, a peer that is gone is noticed, and urgent data keeps its place in the
/// stream.
pub(crate) fn prepare(stream: &TcpStream, write_timeout: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(write_timeout))?;
    sockets::set_oobinline(stream)?;
    sockets::set_keepalive(stream, KEEPALIVE)
}

/// Waits until `socket` has input, `other` is readable, or `deadline` is over.
pub(crate) fn wait(socket: BorrowedFd<'_>, other: BorrowedFd<'_>, deadline: Instant) -> io::Result<Woken> {
    let mut fds = [socket, other].map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
    let ready = sockets::poll_until(&mut fds, Some(deadline))?;
    Ok(match ready {
        0 => Woken::TimedOut,
        _ if !fds[0].revents().is_empty() => Woken::Readable,
        _ => Woken::Other,
    })
}

/// Reads what is there without waiting; `None` when nothing is, `Some(0)` at the end.
pub(crate) fn receive(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    match retry_on_intr(|| recv(stream.as_fd(), &mut *buffer, RecvFlags::DONTWAIT)) {
        Ok((count, _)) => Ok(Some(count)),
        Err(Errno::AGAIN) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
