//! What is asked of the control connection while somebody waits for the data connection.
//!
//! The session answers, through the `Watch` that it passes in; `wait` is where it is asked.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use crate::sys::sockets::{self, PollFd, PollFlags};

/// What is asked of the control connection while a transfer is under way.
pub(crate) trait Watch {
    /// To be polled for input, or `None` while no more can be taken from it.
    fn control(&self) -> Option<BorrowedFd<'_>>;

    /// It has input, or has ended: takes what there is without blocking, and may
    /// answer STAT with `progress`. Input that is left is offered again at once.
    /// While there is nothing to poll, this is asked every second: the operator may
    /// want the session to go.
    fn ready(&mut self, progress: &Progress) -> Verdict;

    /// Bytes of the file have moved; called for each piece, so it must be quick.
    fn moved(&mut self, _progress: &Progress) {}
}

/// What becomes of the transfer.
#[derive(Debug)]
pub(crate) enum Verdict {
    Continue,
    /// ABOR.
    Abort,
    /// The control connection has ended, and what comes over the data connection counts all the
    /// same: the upload goes on to the end of that.
    Gone,
    /// There is nobody to transfer for any more.
    Hangup(io::Error),
}

/// How far a transfer is. Counts bytes of the file, also in TYPE A.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    pub done: u64,
    /// How much there is, when that is known.
    pub total: Option<u64>,
    pub started: Instant,
}

impl Progress {
    pub(crate) fn new(total: Option<u64>) -> Progress {
        Progress { done: 0, total, started: Instant::now() }
    }
}

/// When a client is gone: how long the network may be silent before it counts as having brought
/// all that the client sent. A segment that was lost four times in a row comes in less.
pub(super) const LATE: Duration = Duration::from_secs(5);
/// How often a watch is asked that has nothing to be polled.
const UNPOLLED: Duration = Duration::from_secs(1);

/// What a wait came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waited {
    /// The data connection has one of its events.
    Ready,
    /// The deadline has passed.
    TimedOut,
    /// The client is gone, see `Verdict::Gone`; said again and again, as long as the wait goes on.
    Gone,
}

/// What ends a wait early.
#[derive(Debug)]
pub(super) enum Interruption {
    Aborted,
    ControlLost(io::Error),
    PollFailed(io::Error),
}

/// Waits until `data` has one of its events or the deadline passes, while the
/// watch takes what the control connection brings.
pub(super) fn wait(
    data: Option<(BorrowedFd<'_>, PollFlags)>,
    watch: &mut dyn Watch,
    progress: &Progress,
    deadline: Option<Instant>,
) -> Result<Waited, Interruption> {
    loop {
        let (is_ready, is_gone) = wait_once(data, watch, progress, deadline)?;
        // A client that keeps talking does not put the deadline off.
        match deadline {
            _ if is_ready => return Ok(Waited::Ready),
            Some(deadline) if deadline <= Instant::now() => return Ok(Waited::TimedOut),
            _ if is_gone => return Ok(Waited::Gone),
            _ => (),
        }
    }
}

/// Lets the watch take what the control connection has brought, without waiting; whether the
/// client is gone.
pub(super) fn look(watch: &mut dyn Watch, progress: &Progress) -> Result<bool, Interruption> {
    wait_once(None, watch, progress, Some(Instant::now())).map(|(_, is_gone)| is_gone)
}

/// Waits until either connection has something or the deadline passes. Whether `data` has one of
/// its events, and whether the client is gone.
fn wait_once(
    data: Option<(BorrowedFd<'_>, PollFlags)>,
    watch: &mut dyn Watch,
    progress: &Progress,
    deadline: Option<Instant>,
) -> Result<(bool, bool), Interruption> {
    let control = watch.control();
    let is_polled = control.is_some();
    let next_look = if is_polled { None } else { sockets::deadline_in(UNPOLLED) };
    let until = deadline.into_iter().chain(next_look).min();
    let ready = poll_both(data, control, until).map_err(Interruption::PollFailed)?;
    if !ready.control && is_polled {
        return Ok((ready.data, false));
    }
    match watch.ready(progress) {
        Verdict::Continue => Ok((ready.data, false)),
        Verdict::Gone => Ok((ready.data, true)),
        Verdict::Abort => Err(Interruption::Aborted),
        Verdict::Hangup(err) => Err(Interruption::ControlLost(err)),
    }
}

pub(super) struct Ready {
    pub data: bool,
    pub control: bool,
}

pub(super) fn poll_both(
    data: Option<(BorrowedFd<'_>, PollFlags)>,
    control: Option<BorrowedFd<'_>>,
    deadline: Option<Instant>,
) -> io::Result<Ready> {
    let data = data.map(|(fd, events)| PollFd::from_borrowed_fd(fd, events));
    let control = control.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
    let has_event = |fd: &PollFd<'_>| !fd.revents().is_empty();
    let mut ready = Ready { data: false, control: false };
    match (data, control) {
        (Some(data), Some(control)) => {
            let mut fds = [data, control];
            sockets::poll_until(&mut fds, deadline)?;
            ready = Ready { data: has_event(&fds[0]), control: has_event(&fds[1]) };
        }
        (Some(data), None) => ready.data = sockets::poll_until(&mut [data], deadline)? > 0,
        (None, Some(control)) => ready.control = sockets::poll_until(&mut [control], deadline)? > 0,
        (None, None) => {
            sockets::poll_until(&mut [], deadline)?;
        }
    }
    Ok(ready)
}
