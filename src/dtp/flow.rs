//! Flow: the waits of a transfer. While bytes move, or do not, somebody looks
//! at the control connection, at the clock, and at the rate allowed.

use std::io;
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use super::connection::DataConnection;
use super::error::{TransferError, TransferLimits};
use super::watch::{LATE, Progress, Waited, Watch, wait};
use crate::sys::sockets::{self, PollFlags};
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

/// The moving bytes of one transfer.
pub(super) struct Flow<'a> {
    stream: &'a TcpStream,
    tls: Option<&'a mut TlsConnection>,
    /// What was read already.
    rest: &'a mut Vec<u8>,
    watch: &'a mut dyn Watch,
    progress: Progress,
    timeout: Duration,
    pace: Option<Pace>,
    /// Bytes since the control connection was looked at.
    unwatched: u64,
    /// Since when nothing has moved, once that has been noticed.
    stalled: Option<Instant>,
    /// Since when the client is known to be gone, while what it sent still comes.
    gone: Option<Instant>,
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
            rest: &mut connection.rest,
            watch,
            progress: Progress::new(total),
            timeout: limits.timeout,
            pace: limits.rate.map(Pace::new),
            unwatched: 0,
            stalled: None,
            gone: None,
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
            self.look(pause.unwrap_or(self.progress.started))?;
        }
        Ok(())
    }

    /// Waits for the data connection. TimedOut when nothing moved for too long.
    pub(super) fn wait_for(&mut self, events: PollFlags) -> Result<(), TransferError> {
        self.unwatched = 0;
        let stalled = *self.stalled.get_or_insert_with(Instant::now);
        loop {
            let patience = stalled.checked_add(self.timeout);
            let late = self.gone.map(|gone| gone.max(stalled) + LATE);
            let deadline = patience.into_iter().chain(late).min();
            match wait(Some((self.stream.as_fd(), events)), self.watch, &self.progress, deadline)? {
                Waited::Ready => return Ok(()),
                Waited::TimedOut => return Err(TransferError::TimedOut),
                Waited::Gone => self.note_gone(),
            }
        }
    }

    /// Looks at the control connection, until `moment` if that is still to come.
    fn look(&mut self, moment: Instant) -> Result<(), TransferError> {
        while wait(None, self.watch, &self.progress, Some(moment))? == Waited::Gone {
            self.note_gone();
        }
        Ok(())
    }

    fn note_gone(&mut self) {
        self.gone.get_or_insert_with(|| {
            log::debug!("the control connection has ended; the data connection is read to its end");
            Instant::now()
        });
    }

    /// Reads what there is into the spare room of `chunk`; zero is the end. Under
    /// TLS that is the client's word, and without it the upload is not complete.
    pub(super) fn read(&mut self, chunk: &mut Vec<u8>) -> io::Result<usize> {
        if !self.rest.is_empty() {
            let count = self.rest.len().min(chunk.capacity() - chunk.len());
            chunk.extend(self.rest.drain(..count));
            return Ok(count);
        }
        let stream = self.stream;
        match &mut self.tls {
            Some(tls) => tls.read(&mut |inbox| sockets::read_more(stream, inbox), chunk),
            None => sockets::read_more(stream, chunk),
        }
    }

    /// Gives back the end of what was read: it is not this file's.
    pub(super) fn put_back(&mut self, bytes: &[u8]) {
        self.rest.splice(..0, bytes.iter().copied());
    }

    /// Small writes leave at once: the connection is not going to be closed, which would push them.
    pub(super) fn write_through(&self) {
        // Where it cannot be set, nothing is lost but time.
        let _ = self.stream.set_nodelay(true);
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
