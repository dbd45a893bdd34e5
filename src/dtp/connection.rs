//! The data connection: securing it, closing it, giving it up.
//!
//! How it comes about is `open`'s business, what flows on it `transfer`'s. RFC 959 section
//! 3.3; RFC 4217 for TLS on it.

use std::io;
#[cfg(test)]
use std::net::SocketAddr;
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use super::error::{OpenError, TransferError};
use super::watch::{self, Progress, Waited, Watch};
use crate::sys::sockets::{self, PollFlags};
use crate::tls::{Proof, Pulled, TlsConnection};

/// What a client that sends where it should receive gets to say before we hang up.
const DRAIN_TIME: Duration = Duration::from_secs(1);
const DRAIN_BYTES: usize = 1 << 20;
const DRAIN_PIECE: usize = 16 << 10;

/// How long another connection of the client may take to log in, whose session this one has, and
/// how often that is looked at.
const PROOF_TIME: Duration = Duration::from_secs(10);
const PROOF_LOOK: Duration = Duration::from_millis(10);

/// A data connection, non-blocking. Dropping it closes it at once.
#[derive(Debug)]
pub(crate) struct DataConnection {
    pub(super) stream: TcpStream,
    pub(super) tls: Option<Box<TlsConnection>>,
    /// When it must be ready for use, which TLS may still have to make it.
    set_up_by: Option<Instant>,
    /// The client has said that it sends no more.
    pub(super) at_end: bool,
    /// What was read with the end of a file, and belongs to the next one.
    pub(super) rest: Vec<u8>,
}

impl DataConnection {
    pub(super) fn new(stream: TcpStream, set_up_by: Option<Instant>) -> DataConnection {
        DataConnection { stream, tls: None, set_up_by, at_end: false, rest: Vec::new() }
    }

    /// Shakes hands. `require_reuse`: the client must prove that it is the one of the
    /// control connection, by resuming one of its sessions.
    pub(crate) fn secure(
        &mut self,
        mut tls: TlsConnection,
        require_reuse: bool,
        watch: &mut dyn Watch,
    ) -> Result<(), OpenError> {
        // A handshake is several small writes each way: one must not wait for the other's
        // delayed acknowledgement, which costs 40 ms a file. Where it cannot be set, nothing else is lost.
        let _ = self.stream.set_nodelay(true);
        let progress = Progress::new(None);
        while tls.is_handshaking() || tls.wants_write() {
            let events = match shake(&mut tls, &self.stream).map_err(OpenError::Handshake)? {
                Some(events) => events,
                None => continue,
            };
            match watch::wait(Some((self.stream.as_fd(), events)), watch, &progress, self.set_up_by)? {
                Waited::Ready | Waited::Gone => (),
                Waited::TimedOut => return Err(OpenError::Handshake(io::ErrorKind::TimedOut.into())),
            }
        }
        let patience = Instant::now() + PROOF_TIME;
        while require_reuse && tls.proof() == Proof::Pending && Instant::now() < patience {
            watch::wait(None, watch, &progress, Some(Instant::now() + PROOF_LOOK))?;
        }
        let proof = tls.proof();
        match proof {
            Proof::Given => tls.keep_sessions(),
            _ if require_reuse => return Err(OpenError::NotResumed),
            _ => (),
        }
        log::debug!("data connection: {}, proof of the client: {proof:?}", tls.describe());
        self.tls = Some(Box::new(tls));
        Ok(())
    }

    pub(crate) fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// Whether the client has left it open, as far as can be told without reading.
    pub(super) fn is_open(&self) -> bool {
        match self.stream.peek(&mut [0]) {
            Ok(count) => count > 0 || !self.rest.is_empty(),
            Err(err) => err.kind() == io::ErrorKind::WouldBlock,
        }
    }

    /// The client's end of it.
    #[cfg(test)]
    pub(crate) fn peer(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }

    /// Ends the connection after the last file that went well: the client gets all
    /// that was sent, then the end of the stream.
    pub(crate) fn finish(mut self) {
        self.say_end();
        // To close a socket with unread bytes in it is to reset the connection,
        // and a reset takes along what the client has not received yet.
        let mut scratch = Vec::with_capacity(DRAIN_PIECE);
        if self.at_end || !matches!(sockets::read_more(&self.stream, &mut scratch), Ok(1..)) {
            return;
        }
        if self.stream.shutdown(Shutdown::Write).is_ok() {
            self.drain(DRAIN_BYTES);
        }
    }

    /// Ends an upload that was refused: what the client sends is read and thrown away for a moment,
    /// so that it reads the reply in place of a reset.
    pub(crate) fn turn_away(mut self) {
        self.say_end();
        if self.stream.shutdown(Shutdown::Write).is_ok() {
            self.drain(usize::MAX);
        }
    }

    /// Reads what the client sends, for a moment, and forgets it.
    fn drain(&self, most: usize) {
        let mut scratch = Vec::with_capacity(DRAIN_PIECE);
        let deadline = sockets::deadline_in(DRAIN_TIME);
        let mut drained = 0;
        while drained < most
            && deadline.is_none_or(|deadline| Instant::now() < deadline)
            && sockets::wait_for(&self.stream, PollFlags::IN, deadline).unwrap_or(false)
        {
            scratch.clear();
            match sockets::read_more(&self.stream, &mut scratch) {
                Ok(read @ 1..) => drained += read,
                _ => return,
            }
        }
    }

    /// Ends a transfer that failed. Only after an ABOR is the end of the stream
    /// what the client expects; otherwise the connection is reset, lest a client
    /// that ignores replies take half a file for the whole.
    pub(crate) fn abandon(mut self, error: &TransferError) {
        if matches!(error, TransferError::Aborted) {
            self.say_end();
        } else {
            // Without it the connection is closed all the same.
            let _ = sockets::reset_on_close(&self.stream);
        }
    }

    /// Under TLS: says that nothing follows, unless that was said.
    fn say_end(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.close();
            // The client may be gone, or have given up: it may take it or not.
            let _ = tls.push(&mut &self.stream);
        }
    }
}

impl AsFd for DataConnection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// One step of a handshake; what to wait for before the next, if anything.
fn shake(tls: &mut TlsConnection, mut stream: &TcpStream) -> io::Result<Option<PollFlags>> {
    if !tls.push(&mut stream)? {
        return Ok(Some(PollFlags::OUT));
    }
    if !tls.is_handshaking() {
        return Ok(None);
    }
    match tls.pull(&mut stream) {
        Ok(Pulled::Bytes) => Ok(None),
        Ok(Pulled::Nothing) => Ok(Some(PollFlags::IN)),
        Ok(Pulled::End) => {
            Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed during the TLS handshake"))
        }
        Err(err) => {
            // The alert that tells the client why, if it can be sent.
            let _ = tls.push(&mut stream);
            Err(err)
        }
    }
}
