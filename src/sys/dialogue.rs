//! A connection on which two parties talk, little at a time and for long: setting it up,
//! waiting for it, reading what is there.

use std::io;
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{RecvFlags, SendFlags, recv};

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

/// Sets a fresh connection up: what is written leaves at once, a peer that is gone is noticed, and
/// urgent data keeps its place in the stream.
pub(crate) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    sockets::set_oobinline(stream)?;
    sockets::set_keepalive(stream, KEEPALIVE)
}

/// Waits until `socket` has input, `other` is readable, or `deadline` is over.
pub(crate) fn wait(
    socket: BorrowedFd<'_>,
    other: Option<BorrowedFd<'_>>,
    deadline: Instant,
) -> io::Result<Woken> {
    let mut fds = [socket, other.unwrap_or(socket)].map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
    let ready = sockets::poll_until(&mut fds, Some(deadline))?;
    Ok(match ready {
        0 => Woken::TimedOut,
        _ if !fds[0].revents().is_empty() => Woken::Readable,
        _ => Woken::Other,
    })
}

/// Sends what the socket takes without waiting, of `bytes` that are not none; `None` when it takes
/// nothing.
pub(crate) fn send(stream: &TcpStream, bytes: &[u8]) -> io::Result<Option<usize>> {
    match retry_on_intr(|| rustix::net::send(stream.as_fd(), bytes, SendFlags::DONTWAIT)) {
        Ok(count) => Ok(Some(count)),
        Err(Errno::AGAIN) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Waits until `socket` takes more, or `deadline` is over.
pub(crate) fn wait_for_room(socket: BorrowedFd<'_>, deadline: Instant) -> io::Result<()> {
    sockets::wait_for(socket, PollFlags::OUT, Some(deadline)).map(drop)
}

/// Waits until nothing can go over `socket` any more, either way, or `deadline` is over.
pub(crate) fn wait_for_end(socket: BorrowedFd<'_>, deadline: Instant) -> io::Result<bool> {
    sockets::wait_for(socket, PollFlags::empty(), Some(deadline))
}

/// Reads what is there without waiting; `None` when nothing is, `Some(0)` at the end.
pub(crate) fn receive(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    match retry_on_intr(|| recv(stream.as_fd(), &mut *buffer, RecvFlags::DONTWAIT)) {
        Ok((count, _)) => Ok(Some(count)),
        Err(Errno::AGAIN) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
