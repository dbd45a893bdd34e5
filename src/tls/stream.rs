//! One connection's TLS: bytes in, bytes out, whatever the socket is.

use std::fmt;
use std::io::{self, BufRead, Read, Write};
use std::sync::Arc;

use rustls::{HandshakeKind, ServerConfig, ServerConnection};

use super::names::names_in;
use super::sessions::DataSessions;
use super::{Proof, Pulled, tickets, truncated};

/// How much ciphertext of a transfer is read at once. rustls by itself would
/// read a quarter of a record.
const INBOX: usize = 64 << 10;

/// The server's end of one TLS connection.
pub(crate) struct TlsConnection {
    tls: ServerConnection,
    /// Ciphertext that was read and not looked at yet; empty on control connections.
    inbox: Vec<u8>,
    taken: usize,
    /// The client has said close_notify.
    ended: bool,
    /// A data connection's.
    sessions: Option<Arc<DataSessions>>,
    /// The ticket that the client got at the handshake, under TLS 1.3.
    ticket: Option<Vec<u8>>,
}

impl TlsConnection {
    pub(super) fn new(
        config: Arc<ServerConfig>,
        sessions: Option<Arc<DataSessions>>,
    ) -> io::Result<TlsConnection> {
        let mut tls = ServerConnection::new(config).map_err(io::Error::other)?;
        // The writer waits until it is sent.
        tls.set_buffer_limit(None);
        Ok(TlsConnection { tls, inbox: Vec::new(), taken: 0, ended: false, sessions, ticket: None })
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        self.tls.is_handshaking()
    }

    /// Whether a data connection belongs to its control connection.
    pub(crate) fn proof(&self) -> Proof {
        match &self.sessions {
            Some(sessions) if self.tls.handshake_kind() == Some(HandshakeKind::Resumed) => sessions.proof(),
            _ => Proof::None,
        }
    }

    /// The data connection belongs to its control connection: who resumes its sessions, does too.
    pub(crate) fn keep_sessions(&self) {
        if let Some(sessions) = &self.sessions {
            sessions.keep();
        }
    }

    /// The client has said that it sends no more.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// There is something to be sent.
    pub(crate) fn wants_write(&self) -> bool {
        self.tls.wants_write()
    }

    /// Takes what one read of `source` gives, and looks at it.
    ///
    /// # Errors
    /// The read's; `InvalidData` when it is not TLS as it should be: what
    /// `push` sends then tells the client.
    pub(crate) fn pull(&mut self, source: &mut dyn Read) -> io::Result<Pulled> {
        if self.ended {
            return Ok(Pulled::End);
        }
        loop {
            return match self.tls.read_tls(source) {
                Ok(0) => Ok(Pulled::End),
                Ok(_) => self.process().map(|()| Pulled::Bytes),
                Err(err) if err.kind() == io::ErrorKind::Interrupted => continue,
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => Ok(Pulled::Nothing),
                Err(err) => Err(err),
            };
        }
    }

    fn process(&mut self) -> io::Result<()> {
        let (state, ticket) = match self.tls.is_handshaking() {
            true => tickets::noting(|| self.tls.process_new_packets()),
            false => (self.tls.process_new_packets(), None),
        };
        if ticket.is_some() {
            self.ticket = ticket;
        }
        let state = state.map_err(|err| io::Error::new(io::ErrorKind::InvalidData, format!("TLS: {err}")))?;
        self.ended |= state.peer_has_closed();
        Ok(())
    }

    /// Moves what can be read to the end of `plain`, as far as `most` bytes.
    pub(crate) fn take(&mut self, plain: &mut Vec<u8>, most: usize) -> io::Result<usize> {
        let mut moved = 0;
        while moved < most {
            let mut reader = self.tls.reader();
            let count = match reader.fill_buf() {
                Ok(chunk) => {
                    let count = chunk.len().min(most - moved);
                    plain.extend_from_slice(&chunk[..count]);
                    count
                }
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => 0,
                Err(err) => return Err(err),
            };
            if count == 0 {
                break;
            }
            reader.consume(count);
            moved += count;
        }
        Ok(moved)
    }

    /// Reads what there is into the spare room of `plain`, as `sys::sockets::read_more`
    /// does, through a large buffer. Zero is the client's close_notify.
    ///
    /// # Errors
    /// `WouldBlock` when there is nothing; `UnexpectedEof` when the stream ends without close_notify.
    pub(crate) fn read(
        &mut self,
        fill: &mut dyn FnMut(&mut Vec<u8>) -> io::Result<usize>,
        plain: &mut Vec<u8>,
    ) -> io::Result<usize> {
        let mut moved = 0;
        loop {
            moved += self.take(plain, plain.capacity() - plain.len())?;
            let full = plain.len() == plain.capacity();
            if full || self.ended {
                return Ok(moved);
            }
            if self.taken < self.inbox.len() {
                let mut rest = &self.inbox[self.taken..];
                let before = rest.len();
                self.tls.read_tls(&mut rest)?;
                self.taken += before - rest.len();
                self.process()?;
                continue;
            }
            if moved > 0 {
                return Ok(moved);
            }
            self.inbox.clear();
            self.inbox.reserve_exact(INBOX);
            self.taken = 0;
            if fill(&mut self.inbox)? == 0 {
                return Err(truncated());
            }
        }
    }

    /// Takes all of `plain`, to be sent in records of 16 KiB.
    pub(crate) fn write(&mut self, plain: &[u8]) -> io::Result<()> {
        self.tls.writer().write_all(plain)
    }

    /// Has the client get the ticket of the handshake again, in front of what is written next.
    pub(crate) fn write_ticket(&mut self) -> io::Result<()> {
        let Some(ticket) = &self.ticket else { return Ok(()) };
        tickets::sending(|| self.tls.writer().write_all(ticket))
    }

    /// Sends as much as `sink` takes; whether that was all.
    pub(crate) fn push(&mut self, sink: &mut dyn Write) -> io::Result<bool> {
        while self.tls.wants_write() {
            match self.tls.write_tls(sink) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => (),
                Err(err) if err.kind() == io::ErrorKind::Interrupted => (),
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(err) => return Err(err),
            }
        }
        Ok(true)
    }

    /// Says close_notify, once.
    pub(crate) fn close(&mut self) {
        self.tls.send_close_notify();
    }

    /// The name that the client asked for (SNI, RFC 6066 section 3).
    pub(crate) fn server_name(&self) -> Option<&str> {
        self.tls.server_name()
    }

    /// The names in the client's certificate, if it has shown one.
    pub(crate) fn client_names(&self) -> Vec<String> {
        let first = self.tls.peer_certificates().and_then(|chain| chain.first());
        first.map(|certificate| names_in(certificate)).unwrap_or_default()
    }

    /// `TLSv1.3, TLS13_AES_256_GCM_SHA384`
    pub(crate) fn describe(&self) -> String {
        let version = match self.tls.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
            _ => "TLS",
        };
        match self.tls.negotiated_cipher_suite() {
            Some(suite) => format!("{version}, {:?}", suite.suite()),
            None => version.to_owned(),
        }
    }
}

impl fmt::Debug for TlsConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TlsConnection({})", self.describe())
    }
}
