//! The processes that a helper started: collected when they have ended, so that none stays as a zombie.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{WaitOptions, wait};
use signal_hook::low_level::pipe;

use super::Channel;

/// Hears of the end of child processes.
pub(crate) struct Children {
    /// A byte comes in with each SIGCHLD.
    news: UnixStream,
}

impl Children {
    /// From here on ends are heard of.
    ///
    /// # Errors
    /// Those of sigaction(2) and socketpair(2).
    pub(crate) fn watch() -> io::Result<Children> {
        let (news, signal) = UnixStream::pair()?;
        news.set_nonblocking(true)?;
        pipe::register(libc::SIGCHLD, signal)?;
        Ok(Children { news })
    }

    /// Waits until there is something to read from `channel`, and meanwhile collects what ends.
    /// For a moment in which nobody else waits for a child, as PAM modules do for theirs.
    ///
    /// # Errors
    /// Those of poll(2).
    pub(crate) fn collect_until_readable(&self, channel: &Channel) -> io::Result<()> {
        loop {
            while matches!((&self.news).read(&mut [0; 64]), Ok(1..)) {}
            while let Ok(Some(_)) | Err(Errno::INTR) = wait(WaitOptions::NOHANG) {}
            let mut fds = [PollFd::new(channel, PollFlags::IN), PollFd::new(&self.news, PollFlags::IN)];
            match poll(&mut fds, None) {
                Ok(_) if !fds[0].revents().is_empty() => return Ok(()),
                Ok(_) | Err(Errno::INTR) => (),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
