//! Waiting for descriptors, with a deadline.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::Timespec;
pub(crate) use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;

/// Polls until one of `fds` has an event or the deadline passes (`None`: for
/// ever); says how many have one. A signal does not end the wait. A deadline in
/// the past looks once, without waiting.
pub(crate) fn poll_until(fds: &mut [PollFd<'_>], deadline: Option<Instant>) -> io::Result<usize> {
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        // What Timespec cannot hold is as good as for ever.
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        match rustix::event::poll(fds, timeout.as_ref()) {
            // Systems that count in milliseconds may wake a little early.
            Ok(0) if left.is_some_and(|left| !left.is_zero()) => (),
            Ok(ready) => return Ok(ready),
            Err(Errno::INTR) => (),
            Err(err) => return Err(err.into()),
        }
    }
}

/// Polls one descriptor; `false` when the deadline passed first. An error or a
/// hang-up counts as an event: the read or write that follows tells which.
pub(crate) fn wait_for(fd: impl AsFd, events: PollFlags, deadline: Option<Instant>) -> io::Result<bool> {
    let fd = fd.as_fd();
    Ok(poll_until(&mut [PollFd::from_borrowed_fd(fd, events)], deadline)? > 0)
}

/// The moment `timeout` from now; `None` when that is beyond what the clock can say.
pub(crate) fn deadline_in(timeout: Duration) -> Option<Instant> {
    Instant::now().checked_add(timeout)
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;
    use crate::sys::sockets::listen;
    use crate::sys::sockets::tests::loopback;

    #[test]
    fn a_deadline_in_the_past_looks_once() {
        let listener = listen(loopback(), 4).unwrap();
        let now = Some(Instant::now());
        assert!(!wait_for(&listener, PollFlags::IN, now).unwrap());
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        // On loopback connect() returns once the listener has the connection.
        assert!(wait_for(&listener, PollFlags::IN, now).unwrap());
    }
}
