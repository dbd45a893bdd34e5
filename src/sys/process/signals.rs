//! Signals: those that the server answers, as file descriptors to poll, and those that must not end it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::low_level::pipe;

use super::orphans;
use super::wake::drain;

/// The signals that the server answers, as file descriptors to poll.
pub(crate) struct Signals {
    stop: UnixStream,
    reload: UnixStream,
    status: UnixStream,
    reopen: UnixStream,
    /// Only where orphans come.
    child: Option<UnixStream>,
}

/// What has arrived since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Received {
    /// How many of SIGTERM and SIGINT.
    pub stop: usize,
    /// SIGHUP.
    pub reload: bool,
    /// SIGUSR1.
    pub status: bool,
    /// SIGUSR2.
    pub reopen: bool,
    /// SIGCHLD: there may be orphans to collect.
    pub child: bool,
}

impl Signals {
    pub(crate) fn install() -> io::Result<Signals> {
        Ok(Signals {
            stop: signals(&[SIGTERM, SIGINT])?,
            reload: signals(&[SIGHUP])?,
            status: signals(&[SIGUSR1])?,
            reopen: signals(&[SIGUSR2])?,
            child: orphans::are_expected().then(|| signals(&[SIGCHLD])).transpose()?,
        })
    }

    pub(crate) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> + Clone {
        let always = [&self.stop, &self.reload, &self.status, &self.reopen];
        always.into_iter().chain(&self.child).map(AsFd::as_fd)
    }

    /// Takes what has arrived; does not wait.
    pub(crate) fn take(&self) -> Received {
        Received {
            stop: drain(&self.stop),
            reload: drain(&self.reload) > 0,
            status: drain(&self.status) > 0,
            reopen: drain(&self.reopen) > 0,
            child: self.child.as_ref().is_some_and(|child| drain(child) > 0),
        }
    }
}

fn signals(numbers: &[i32]) -> io::Result<UnixStream> {
    let (reader, writer) = UnixStream::pair()?;
    reader.set_nonblocking(true)?;
    writer.set_nonblocking(true)?;
    for &number in numbers {
        pipe::register(number, writer.try_clone()?)?;
    }
    Ok(reader)
}

/// Signals that a call, a limit or a timer of this process raises, and that would end it with
/// all its clients: a write to a pipe or a socket that nobody reads, or to a file that grows past
/// the limit (ulimit -f), too much processor time (ulimit -t), timers that outlive execve(2), input
/// on a descriptor whose owner asked for a signal.
const OF_CALLS: [i32; 7] =
    [libc::SIGPIPE, libc::SIGXFSZ, libc::SIGXCPU, libc::SIGALRM, libc::SIGVTALRM, libc::SIGPROF, libc::SIGIO];

/// From here on the call that would have raised one of them fails (EPIPE, EFBIG), and nothing else
/// happens. The programs that this process starts inherit it.
pub(super) fn ignore_those_of_calls() -> io::Result<()> {
    OF_CALLS.iter().try_for_each(|&signal| dispose(signal, Disposition::Ignored))
}

/// These signals do again what they do by default, for a process that is to run modules of others.
/// A file that grows past the limit stays an error of the call: a module's log must not cost a login.
pub(crate) fn reset_signals() -> io::Result<()> {
    let others = OF_CALLS.into_iter().filter(|&signal| signal != libc::SIGXFSZ);
    [SIGHUP, SIGINT, SIGTERM, libc::SIGCHLD]
        .into_iter()
        .chain(others)
        .try_for_each(|signal| dispose(signal, Disposition::Default))
}

/// A signal does what it does by default, or nothing. No function is called for it.
#[derive(Clone, Copy)]
enum Disposition {
    Default,
    Ignored,
}

fn dispose(signal: i32, how: Disposition) -> io::Result<()> {
    let handler = match how {
        Disposition::Default => libc::SIG_DFL,
        Disposition::Ignored => libc::SIG_IGN,
    };
    // SAFETY: no function of ours is installed.
    match unsafe { libc::signal(signal, handler) } {
        libc::SIG_ERR => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// The calling thread leaves the server's signals to the main thread, so that
/// they interrupt no session's system calls.
pub(crate) fn block_signals() -> io::Result<()> {
    let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: makes `set` an empty signal set.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    for signal in [SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD] {
        // SAFETY: `set` was made above, and these signals exist.
        unsafe { libc::sigaddset(set.as_mut_ptr(), signal) };
    }
    // SAFETY: `set` is complete, and changing this thread's mask touches no other.
    match unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut()) } {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, poll};

    use super::*;

    #[test]
    fn signals_arrive_as_what_they_mean() {
        let signals = Signals::install().unwrap();
        signal_hook::low_level::raise(SIGUSR1).unwrap();
        signal_hook::low_level::raise(SIGHUP).unwrap();
        let mut seen = Received::default();
        while !(seen.reload && seen.status) {
            let fds = signals.fds().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
            let mut fds: Vec<PollFd<'_>> = fds.collect();
            poll(&mut fds, None).unwrap();
            let received = signals.take();
            seen.reload |= received.reload;
            seen.status |= received.status;
        }
        assert_eq!(signals.take().stop, 0);
    }
}
