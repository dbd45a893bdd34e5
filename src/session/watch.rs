//! The control connection while a transfer runs: ABOR and STAT are answered at once,
//! everything else waits for its turn.
//!
//! A client that goes without QUIT has given a download up. Of an upload, what it sent before
//! is on its way still and counts. RFC 959 sections 4.1.3 (ABOR, STAT) and 5.4.

use std::io;
use std::os::fd::BorrowedFd;

use super::control::ControlConnection;
use crate::clients::Leave;
use crate::dtp::{Progress, Verdict, Watch};
use crate::events::Direction;
use crate::proto::command::{self, Offered, Urgent};
use crate::proto::reply::{Reply, ReplyCode};

/// A transfer asks it whether to go on.
pub(crate) struct ControlWatch<'a> {
    control: &'a mut ControlConnection,
    offered: &'a Offered,
    direction: Direction,
}

impl<'a> ControlWatch<'a> {
    pub(crate) fn new(
        control: &'a mut ControlConnection,
        offered: &'a Offered,
        direction: Direction,
    ) -> ControlWatch<'a> {
        ControlWatch { control, offered, direction }
    }

    /// Sends the preliminary reply, if there is still a client to read it or none is needed.
    pub(crate) fn announce(&mut self, reply: &Reply) -> io::Result<()> {
        match self.control.send(reply) {
            Err(error) => match self.lost(error) {
                Verdict::Hangup(error) => Err(error),
                _ => Ok(()),
            },
            Ok(()) => Ok(()),
        }
    }

    /// Answers the urgent ones among the lines that have come, and says whether the transfer goes on.
    pub(crate) fn look(&mut self, progress: &Progress) -> Verdict {
        let is_asked = |line: &[u8], what: Urgent| {
            command::urgent(line).is_some_and(|(spec, urgent)| urgent == what && self.offered.includes(spec))
        };
        for _ in self.control.reader().take_matching(|line| is_asked(line, Urgent::Status)) {
            if let Err(error) = self.control.send(&status(progress)) {
                return self.lost(error);
            }
        }
        if !self.control.reader().take_matching(|line| is_asked(line, Urgent::Abort)).is_empty() {
            return Verdict::Abort;
        }
        match self.control.presence.must_leave() {
            Some(Leave::Now) => return Verdict::Hangup(io::ErrorKind::ConnectionAborted.into()),
            // The end of input that it saw is not the client's; what is under way may be finished.
            Some(Leave::Soon) => return Verdict::Continue,
            None => (),
        }
        // A client that says QUIT and closes its half wants the transfer to end well;
        // one that just closes is gone (RFC 959 section 4.1.1, QUIT).
        if self.control.is_ended() && !self.control.has_quit() {
            return self.gone(io::ErrorKind::UnexpectedEof.into());
        }
        Verdict::Continue
    }

    /// The connection broke: for whoever has said QUIT, that is an end like another.
    fn lost(&mut self, error: io::Error) -> Verdict {
        self.control.end_input();
        if self.control.has_quit() { Verdict::Continue } else { self.gone(error) }
    }

    fn gone(&self, error: io::Error) -> Verdict {
        match self.direction {
            Direction::Incoming => Verdict::Gone,
            Direction::Outgoing => Verdict::Hangup(error),
        }
    }
}

impl Watch for ControlWatch<'_> {
    fn control(&self) -> Option<BorrowedFd<'_>> {
        self.control.wants_input().then(|| self.control.fd())
    }

    fn ready(&mut self, progress: &Progress) -> Verdict {
        if self.control.wants_input()
            && let Err(error) = self.control.take_input()
        {
            return self.lost(error);
        }
        self.look(progress)
    }

    fn moved(&mut self, progress: &Progress) {
        self.control.presence.set_progress(progress.done, progress.total);
    }
}

/// How far the transfer is, how fast, and how long it will take.
fn status(progress: &Progress) -> Reply {
    let seconds = progress.started.elapsed().as_secs_f64();
    let rate = if seconds > 0.0 { progress.done as f64 / seconds } else { 0.0 };
    let mut text = match progress.total {
        Some(total) => format!("Status: {} of {total} bytes transferred", progress.done),
        None => format!("Status: {} bytes transferred", progress.done),
    };
    text.push_str(&format!(", {rate:.0} bytes a second"));
    if let Some(left) = progress.total.map(|total| total.saturating_sub(progress.done))
        && rate > 0.0
    {
        text.push_str(&format!(", {:.0} seconds left", left as f64 / rate));
    }
    Reply::new(ReplyCode::FileStatus, text)
}
