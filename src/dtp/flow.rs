//! Flow: the waits of a transfer. While bytes move, or do not, somebody looks
//! at the control connection, at the clock, and at the rate allowed.

use std::io;
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use super::DataConnection;
use super::transfer::{TransferError, TransferLimits};
use crate::sys::sockets::{self, PollFd, PollFlags};
use crate::tls::TlsConnection;

/// A stream that never has to wait looks at the control connection after this many bytes.
const LOOK_EVERY: u64 = 1 << 20;
/// What is read of a file and encrypted at once: four records, which one call
/// sends. Twice as much was a quarter slower or more where it was measured
/// (scripts/bench tls-retr), half as much no faster.
pub(super) const TLS_PIECE: usize = 64 << 10;
/// Pieces of a transfer with a rate limit last this part of a second.
const PIECES_A_SECOND: u64 = 20;
/// What a rate limit makes up for after it slept too long, and no more, so
/// that a stall is not followed by a burst.
const MADE_UP: Duration = Duration::from_millis(40);

/// What is asked of the control connection while a transfer is under way.
pub(crate) trait Watch {
    /// To be polled for input, or `None` while no more can be taken from it.
    fn control(&self) -> Option<BorrowedFd<'_>>;

    /// It has input, or has ended: takes what there is without blocking, and may
    /// answer STAT with `progress`. Input that is left is offered again at once.
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

/// What ends a wait early.
#[derive(Debug)]
pub(super) enum Interruption {
    Aborted,
    ControlLost(io::Error),
    PollFailed(io::Error),
}

/// Waits until `data` has one of its events (`true`) or the deadline passes
/// (`false`), while the watch takes what the control connection brings.
pub(super) fn wait(
    data: Option<(BorrowedFd<'_>, PollFlags)>,
    watch: &mut dyn Watch,
    progress: &Progress,
    deadline: Option<Instant>,
) -> Result<bool, Interruption> {
    loop {
        let ready = poll_both(data, watch.control(), deadline).map_err(Interruption::PollFailed)?;
        if ready.control {
            match watch.ready(progress) {
                Verdict::Continue => (),
                Verdict::Abort => return Err(Interruption::Aborted),
                Verdict::Hangup(err) => return Err(Interruption::ControlLost(err)),
            }
        }
        if ready.data {
            return Ok(true);
        }
        // A client that keeps talking does not put the deadline off.
        if !ready.control || deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Ok(false);
        }
    }
}

struct Ready {
    data: bool,
    control: bool,
}

fn poll_both(
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

/// The moving bytes of one transfer.
pub(super) struct Flow<'a> {
    stream: &'a TcpStream,
    tls: Option<&'a mut TlsConnection>,
    watch: &'a mut dyn Watch,
    progress: Progress,
    timeout: Duration,
    pace: Option<Pace>,
    /// Bytes since the control connection was looked at.
    unwatched: u64,
    /// Since when nothing has moved, once that has been noticed.
    stalled: Option<Instant>,
}

impl<'a> Flow<'a> {
    pub(super) fn new(
        connection: &'a mut DataConnection,
        limits: &TransferLimits,
        total: Option<u64>,
        watch: &'a mut dyn Watch,
    ) -> Flow<'a> {
        Flow {
            stream: &connection.stream,
            tls: connection.tls.as_deref_mut(),
            watch,
            progress: Progress::new(total),
            timeout: limits.timeout,
            pace: limits.rate.map(Pace::new),
            unwatched: 0,
            stalled: None,
        }
    }

    pub(super) fn data(&self) -> BorrowedFd<'a> {
        self.stream.as_fd()
    }

    /// What the kernel moves by itself goes past TLS.
    pub(super) fn is_plain(&self) -> bool {
        self.tls.is_none()
    }

    /// Bytes of the file so far.
    pub(super) fn done(&self) -> u64 {
        self.progress.done
    }

    /// How many bytes to move at once, where `most` is best without a rate limit.
    pub(super) fn piece(&self, most: usize) -> usize {
        match &self.pace {
            Some(pace) => usize::try_from(pace.rate / PIECES_A_SECOND).unwrap_or(most).clamp(1, most),
            None => most,
        }
    }

    /// Counts bytes of the file as transferred.
    pub(super) fn count(&mut self, bytes: u64) {
        self.progress.done += bytes;
        self.watch.moved(&self.progress);
    }

    /// Bytes went over the data connection: pauses if that was too fast, and
    /// looks at the control connection if nobody did for long.
    pub(super) fn moved(&mut self, bytes: usize) -> Result<(), TransferError> {
        self.stalled = None;
        self.unwatched += bytes as u64;
        let pause = self.pace.as_mut().and_then(|pace| pace.spend(bytes as u64));
        if pause.is_some() || self.unwatched >= LOOK_EVERY {
            self.unwatched = 0;
            let until = pause.unwrap_or(self.progress.started);
            wait(None, self.watch, &self.progress, Some(until))?;
        }
        Ok(())
    }

    /// Waits for the data connection. TimedOut when nothing moved for too long.
    pub(super) fn wait_for(&mut self, events: PollFlags) -> Result<(), TransferError> {
        self.unwatched = 0;
        let deadline = self.stalled.get_or_insert_with(Instant::now).checked_add(self.timeout);
        match wait(Some((self.stream.as_fd(), events)), self.watch, &self.progress, deadline)? {
            true => Ok(()),
            false => Err(TransferError::TimedOut),
        }
    }

    /// Reads what there is into the spare room of `chunk`; zero is the end. Under
    /// TLS that is the client's word, and without it the upload is not complete.
    pub(super) fn read(&mut self, chunk: &mut Vec<u8>) -> io::Result<usize> {
        let stream = self.stream;
        match &mut self.tls {
            Some(tls) => tls.read(&mut |inbox| sockets::read_more(stream, inbox), chunk),
            None => sockets::read_more(stream, chunk),
        }
    }

    /// Sends all of `bytes`.
    pub(super) fn write_all(&mut self, bytes: &[u8]) -> Result<(), TransferError> {
        if self.is_plain() { self.write_plain(bytes) } else { self.write_tls(bytes) }
    }

    fn write_tls(&mut self, bytes: &[u8]) -> Result<(), TransferError> {
        let piece = self.piece(TLS_PIECE);
        for piece in bytes.chunks(piece) {
            if let Some(tls) = &mut self.tls {
                tls.write(piece).map_err(TransferError::DataLost)?;
            }
            self.flush()?;
            self.moved(piece.len())?;
        }
        Ok(())
    }

    /// Sends what TLS has to send.
    fn flush(&mut self) -> Result<(), TransferError> {
        while let Some(tls) = &mut self.tls
            && !tls.push(&mut &*self.stream).map_err(TransferError::DataLost)?
        {
            self.wait_for(PollFlags::OUT)?;
        }
        Ok(())
    }

    /// All has been sent: under TLS the client is told so.
    pub(super) fn end(&mut self) -> Result<(), TransferError> {
        if let Some(tls) = &mut self.tls {
            tls.close();
        }
        self.flush()
    }

    /// All has been received: under TLS the client's close_notify is answered, if
    /// it still listens.
    pub(super) fn answer_end(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.close();
            let _ = tls.push(&mut &*self.stream);
        }
    }

    fn write_plain(&mut self, mut bytes: &[u8]) -> Result<(), TransferError> {
        while !bytes.is_empty() {
            let piece = bytes.len().min(self.piece(bytes.len()));
            match sockets::write(self.stream, &bytes[..piece]) {
                Ok(written) => {
                    bytes = &bytes[written..];
                    self.moved(written)?;
                    if written < piece {
                        self.wait_for(PollFlags::OUT)?;
                    }
                }
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => self.wait_for(PollFlags::OUT)?,
                Err(err) => return Err(TransferError::DataLost(err)),
            }
        }
        Ok(())
    }
}

/// Bytes a second, evenly.
#[derive(Debug)]
struct Pace {
    rate: u64,
    /// When the bytes so far are paid for.
    paid: Instant,
}

impl Pace {
    fn new(rate: u64) -> Pace {
        Pace { rate: rate.max(1), paid: Instant::now() }
    }

    /// The moment to go on, unless that is now.
    fn spend(&mut self, bytes: u64) -> Option<Instant> {
        let now = Instant::now();
        let price = u128::from(bytes) * 1_000_000_000 / u128::from(self.rate);
        let price = Duration::from_nanos(u64::try_from(price).unwrap_or(u64::MAX));
        let oldest = now.checked_sub(MADE_UP).unwrap_or(now);
        self.paid = self.paid.max(oldest).checked_add(price)?;
        (self.paid > now).then_some(self.paid)
    }
}

impl From<Interruption> for TransferError {
    fn from(interruption: Interruption) -> TransferError {
        match interruption {
            Interruption::Aborted => TransferError::Aborted,
            Interruption::ControlLost(err) => TransferError::ControlLost(err),
            Interruption::PollFailed(err) => TransferError::DataLost(err),
        }
    }
}
