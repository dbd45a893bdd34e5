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
use super::watch::{self, Progress, Ready, Waited, Watch};
use crate::sys::sockets::{self, PollFlags};
use crate::tls::{Proof, Pulled, TlsConnection};

/// What a client that sends where it should receive gets to say before we hang up.
const DRAIN_TIME: Duration = Duration::from_secs(1);
const DRAIN_BYTES: usize = 1 << 20;
const DRAIN_PIECE: usize = 16 << 10;
/// And one whose upload was refused, for it to see the reply.
const REFUSAL_TIME: Duration = Duration::from_secs(3);

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
            _ if require_reuse => {
                // It is told so under TLS.
                self.tls = Some(Box::new(tls));
                return Err(OpenError::NotResumed);
            }
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
            drain(&self.stream, None, DRAIN_TIME, DRAIN_BYTES);
        }
    }

    /// Ends what was refused, for the client to read the reply in place of a reset: it gets the end of the
    /// stream at once, and what it sends is to be heard out once it has the reply.
    pub(crate) fn turn_away(mut self) -> TurnedAway {
        self.say_end();
        // Of a connection that is broken already there is nothing more to hear.
        let _ = self.stream.shutdown(Shutdown::Write);
        TurnedAway(self.stream)
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

/// A data connection whose client has been refused, and may not know it yet.
#[derive(Debug)]
pub(crate) struct TurnedAway(TcpStream);

impl TurnedAway {
    /// Reads what the client still sends and forgets it, for a moment: until it ends, or says
    /// something over the control connection.
    pub(crate) fn hear_out(self, control: BorrowedFd<'_>) {
        drain(&self.0, Some(control), REFUSAL_TIME, usize::MAX);
    }
}

/// Reads what the client sends, and forgets it, until `time` is over or `control` has something.
fn drain(stream: &TcpStream, control: Option<BorrowedFd<'_>>, time: Duration, most: usize) {
    let mut scratch = Vec::with_capacity(DRAIN_PIECE);
    let deadline = sockets::deadline_in(time);
    let mut drained = 0;
    while drained < most && deadline.is_none_or(|deadline| Instant::now() < deadline) {
        match watch::poll_both(Some((stream.as_fd(), PollFlags::IN)), control, deadline) {
            Ok(Ready { data: true, control: false }) => (),
            _ => return,
        }
        scratch.clear();
        match sockets::read_more(stream, &mut scratch) {
            Ok(read @ 1..) => drained += read,
            _ => return,
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
