//! Descriptors that one thread makes readable and others poll.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};

/// Tells every waiting session that the server is going down: its file
/// descriptor is readable, and never drained, from then on.
pub(crate) struct Broadcast {
    announced: AtomicBool,
    reader: PipeReader,
    writer: PipeWriter,
}

impl Broadcast {
    pub(crate) fn new() -> io::Result<Broadcast> {
        let (reader, writer) = io::pipe()?;
        Ok(Broadcast { announced: AtomicBool::new(false), reader, writer })
    }

    /// To be polled for input, next to what the session waits for.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }

    pub(crate) fn announce(&self) {
        if !self.announced.swap(true, Ordering::SeqCst) {
            // One byte always fits in an empty pipe whose other end is ours.
            let _ = (&self.writer).write(&[0]);
        }
    }

    pub(crate) fn is_announced(&self) -> bool {
        self.announced.load(Ordering::SeqCst)
    }
}

/// Wakes the thread that polls it. Any thread may call it.
pub(crate) struct Wake {
    reader: UnixStream,
    writer: UnixStream,
}

impl Wake {
    pub(crate) fn new() -> io::Result<Wake> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        writer.set_nonblocking(true)?;
        Ok(Wake { reader, writer })
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }

    pub(crate) fn wake(&self) {
        let _ = (&self.writer).write(&[0]); // A full pipe wakes just as well.
    }

    pub(crate) fn drain(&self) {
        drain(&self.reader);
    }
}

pub(super) fn drain(mut stream: &UnixStream) -> usize {
    let mut total = 0;
    let mut bytes = [0; 64];
    while let Ok(count @ 1..) = stream.read(&mut bytes) {
        total += count;
    }
    total
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    fn is_readable(fd: BorrowedFd<'_>) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], Some(&now)).unwrap() == 1
    }

    #[test]
    fn an_announced_shutdown_stays_readable() {
        let shutdown = Broadcast::new().unwrap();
        assert!(!shutdown.is_announced() && !is_readable(shutdown.fd()));
        shutdown.announce();
        shutdown.announce();
        assert!(shutdown.is_announced() && is_readable(shutdown.fd()) && is_readable(shutdown.fd()));
    }

    #[test]
    fn a_wake_is_seen_once() {
        let wake = Wake::new().unwrap();
        wake.wake();
        wake.wake();
        assert!(is_readable(wake.fd()));
        wake.drain();
        assert!(!is_readable(wake.fd()));
    }
}
