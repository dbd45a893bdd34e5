//! `ControlConnection`: lines in, replies out, deadlines, urgent data.
//!
//! RFC 959 sections 4.1 and 5.4; RFC 4217 for TLS around it. What the lines mean is `dispatch`'s business.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::clients::{Leave, Presence};
use crate::proto::command::{self, Urgent};
use crate::proto::reply::Reply;
use crate::proto::telnet::{Line, LineReader};
use crate::sys::dialogue::{self, Woken};
use crate::sys::process::Broadcast;
use crate::tls::{Pulled, TlsConnection};

/// How long a client may leave a reply unread before it counts as gone; and the same where the
/// server is going down.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
const LAST_WRITE_TIMEOUT: Duration = Duration::from_secs(3);

/// How soon a session that waits for its client to read learns that it must go.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long after a bare LF the rest of a path-name may take to come.
const BARE_LF_GRACE: Duration = Duration::from_millis(100);

/// How much is read at a time.
const READ_SIZE: usize = 1024;

/// The bytes before a TLS record: its type, a version, its length (RFC 8446 section 5.1).
const RECORD_HEADER: usize = 5;

/// The control connection of one client.
pub(crate) struct ControlConnection {
    socket: Socket,
    tls: Option<Box<TlsConnection>>,
    reader: LineReader,
    pub peer: SocketAddr,
    pub local: SocketAddr,
    /// The session as others see it.
    pub presence: Arc<Presence>,
    /// The client has closed its half.
    ended: bool,
    /// A data connection may have used the client's ticket up.
    owes_ticket: bool,
    /// The server is going down, and what the client had sent by then was taken.
    closing: bool,
}

/// Why no line came.
#[derive(Debug)]
pub(crate) enum NoLine {
    TimedOut,
    /// The client closed the connection.
    Closed,
    Failed(io::Error),
    /// The server is going down.
    ShuttingDown,
    /// The operator or the administrator's files want the client to go.
    Dismissed,
}

impl ControlConnection {
    pub(crate) fn new(
        stream: TcpStream,
        peer: SocketAddr,
        local: SocketAddr,
        presence: Arc<Presence>,
        shutdown: Arc<Broadcast>,
        login_deadline: Instant,
    ) -> io::Result<ControlConnection> {
        dialogue::prepare(&stream)?;
        let login_deadline = Some(login_deadline);
        Ok(ControlConnection {
            socket: Socket { stream, presence: Arc::clone(&presence), shutdown, login_deadline },
            tls: None,
            reader: LineReader::default(),
            peer,
            local,
            presence,
            ended: false,
            owes_ticket: false,
            closing: false,
        })
    }

    /// Shakes hands, by `deadline`. What came before it is forgotten: it was not
    /// the client alone who could send it.
    pub(crate) fn secure(&mut self, mut tls: TlsConnection, deadline: Instant) -> io::Result<()> {
        self.reader = LineReader::default();
        while tls.is_handshaking() {
            tls.push(&mut &self.socket)?;
            self.wait_readable(deadline)?;
            match tls.pull(&mut Waiting(&self.socket.stream)) {
                Ok(Pulled::End) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => (),
                Err(error) => {
                    // The alert says why, to whoever listens.
                    let _ = tls.push(&mut &self.socket);
                    return Err(error);
                }
            }
        }
        tls.push(&mut &self.socket)?;
        self.tls = Some(Box::new(tls));
        // The first commands may have come with the end of the handshake.
        self.take_plain()
    }

    /// Goes on in the clear, once both sides have said close_notify (RFC 4217 section 12.3).
    /// Reads record by record: what follows the last one is not TLS any more.
    pub(crate) fn clear(&mut self, deadline: Instant) -> io::Result<()> {
        let Some(mut tls) = self.tls.take() else { return Ok(()) };
        tls.close();
        tls.push(&mut &self.socket)?;
        while !tls.has_ended() {
            let mut record = vec![0; RECORD_HEADER];
            self.read_exactly(&mut record, deadline)?;
            let length = usize::from(u16::from_be_bytes([record[3], record[4]]));
            record.resize(RECORD_HEADER + length, 0);
            self.read_exactly(&mut record[RECORD_HEADER..], deadline)?;
            let mut rest = &record[..];
            while !rest.is_empty() && tls.pull(&mut rest)? == Pulled::Bytes {}
        }
        // Bytes that came under TLS and are no line yet belong to the part that is over.
        self.reader = LineReader::default();
        Ok(())
    }

    fn read_exactly(&self, mut bytes: &mut [u8], deadline: Instant) -> io::Result<()> {
        while !bytes.is_empty() {
            self.wait_readable(deadline)?;
            match dialogue::receive(&self.socket.stream, bytes)? {
                Some(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Some(count) => bytes = &mut bytes[count..],
                None => (),
            }
        }
        Ok(())
    }

    fn wait_readable(&self, deadline: Instant) -> io::Result<()> {
        // Also for a client from which something has always come.
        if deadline <= Instant::now() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match dialogue::wait(self.socket.stream.as_fd(), Some(self.socket.shutdown.fd()), deadline)? {
            Woken::Readable => Ok(()),
            Woken::Other => Err(io::Error::other("the server is shutting down")),
            Woken::TimedOut => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    pub(crate) fn tls(&self) -> Option<&TlsConnection> {
        self.tls.as_deref()
    }

    /// The next line, waited for until `deadline`. Lines that have come are given first, even when
    /// the client has closed its half since, or the server is going down; but not when the time for
    /// the login is over.
    pub(crate) fn read_line(&mut self, deadline: Instant) -> Result<Line, NoLine> {
        self.read_line_or(deadline, true)
    }

    /// The same of a server that is going down.
    pub(crate) fn read_last_line(&mut self, deadline: Instant) -> Result<Line, NoLine> {
        self.read_line_or(deadline, false)
    }

    fn read_line_or(&mut self, deadline: Instant, minds_shutdown: bool) -> Result<Line, NoLine> {
        loop {
            if self.presence.must_leave().is_some() {
                return Err(NoLine::Dismissed);
            }
            if self.socket.login_deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Err(NoLine::TimedOut);
            }
            if let Some(line) = self.reader.next_line() {
                return Ok(line);
            }
            if self.ended {
                return Err(NoLine::Closed);
            }
            if minds_shutdown && self.closing {
                return Err(NoLine::ShuttingDown);
            }
            let lone_lf = self.reader.ends_with_bare_lf();
            let until = if lone_lf { deadline.min(Instant::now() + BARE_LF_GRACE) } else { deadline };
            let until = self.socket.login_deadline.map_or(until, |login| until.min(login));
            let shutdown = minds_shutdown.then(|| self.socket.shutdown.fd());
            match dialogue::wait(self.socket.stream.as_fd(), shutdown, until).map_err(NoLine::Failed)? {
                Woken::Readable => {
                    // A client that talks on and on hears of it all the same.
                    self.closing |= self.socket.shutdown.is_announced();
                    self.take_input().map_err(NoLine::Failed)?;
                }
                Woken::Other => return Err(NoLine::ShuttingDown),
                Woken::TimedOut if lone_lf => self.reader.end_at_bare_lf(),
                Woken::TimedOut => return Err(NoLine::TimedOut),
            }
        }
    }

    /// The next final reply brings a ticket along, for the next data connection under TLS.
    pub(crate) fn owe_ticket(&mut self) {
        self.owes_ticket = true;
    }

    /// Sends a reply, in one write.
    pub(crate) fn send(&mut self, reply: &Reply) -> io::Result<()> {
        log::debug!("<--- {}", reply.for_log());
        if self.owes_ticket && !reply.is_preliminary() {
            self.owes_ticket = false;
            self.tls.as_mut().map_or(Ok(()), |tls| tls.write_ticket())?;
        }
        self.send_bytes(&reply.to_wire())
    }

    /// Sends bytes that are a part of a reply.
    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.tls {
            None => (&self.socket).write_all(bytes),
            Some(tls) => {
                tls.write(bytes)?;
                // A write that times out is a client that is gone.
                match tls.push(&mut &self.socket)? {
                    true => Ok(()),
                    false => Err(io::ErrorKind::TimedOut.into()),
                }
            }
        }
    }

    /// Says that nothing follows.
    pub(crate) fn say_end(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.close();
            // The client may be gone already.
            let _ = tls.push(&mut &self.socket);
        }
    }

    /// Takes what has come, without waiting, and answers what Telnet wants answered.
    pub(crate) fn take_input(&mut self) -> io::Result<()> {
        match self.take_what_came() {
            // The end of input that a session sees when it must go was not the client's.
            Err(_) if self.presence.must_leave().is_some() => {
                self.end_input();
                Ok(())
            }
            result => result,
        }
    }

    fn take_what_came(&mut self) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            match tls.pull(&mut Waiting(&self.socket.stream)) {
                Ok(Pulled::End) => self.end_input(),
                Ok(Pulled::Nothing) => (),
                Ok(Pulled::Bytes) => {
                    let ended = tls.has_ended();
                    self.take_plain()?;
                    if ended {
                        self.end_input();
                    }
                }
                Err(error) => {
                    let _ = tls.push(&mut &self.socket);
                    return Err(error);
                }
            }
            return Ok(());
        }
        let mut buffer = [0; READ_SIZE];
        match dialogue::receive(&self.socket.stream, &mut buffer)? {
            None => (),
            Some(0) => self.end_input(),
            Some(count) => {
                self.reader.push(&buffer[..count]);
                self.answer_telnet()?;
            }
        }
        Ok(())
    }

    /// Takes all that TLS has to read, so that none is left that `poll` does not know of.
    fn take_plain(&mut self) -> io::Result<()> {
        let Some(tls) = &mut self.tls else { return Ok(()) };
        let mut plain = Vec::new();
        tls.take(&mut plain, usize::MAX)?;
        // TLS itself answers a change of keys.
        tls.push(&mut &self.socket)?;
        self.reader.push(&plain);
        self.answer_telnet()
    }

    fn answer_telnet(&mut self) -> io::Result<()> {
        let answers = self.reader.take_answers();
        if answers.is_empty() { Ok(()) } else { self.send_bytes(&answers) }
    }

    /// Nothing more will come.
    pub(crate) fn end_input(&mut self) {
        self.ended = true;
        if self.reader.ends_with_bare_lf() {
            self.reader.end_at_bare_lf();
        }
    }

    /// Whether the session must end at once, or the server goes down.
    pub(crate) fn must_end(&self) -> bool {
        self.presence.must_leave() == Some(Leave::Now) || self.socket.shutdown.is_announced()
    }

    /// Waits until `moment`; no longer if the client is gone or must go, or the server goes down.
    pub(crate) fn pause(&self, moment: Instant) {
        while !self.must_end() {
            let until = moment.min(Instant::now() + LOOK_EVERY);
            match dialogue::wait_for_end(self.socket.stream.as_fd(), until) {
                Ok(false) if Instant::now() < moment => (),
                _ => return,
            }
        }
    }

    /// The lines that wait, for a transfer that looks among them.
    pub(crate) fn reader(&mut self) -> &mut LineReader {
        &mut self.reader
    }

    /// The client has said QUIT, after what it is answered now.
    pub(crate) fn has_quit(&self) -> bool {
        self.reader.any_line(|line| command::urgent(line).is_some_and(|(_, urgent)| urgent == Urgent::Quit))
    }

    /// The client has closed its half.
    pub(crate) fn is_ended(&self) -> bool {
        self.ended
    }

    /// Whether more may come, and there is room for it.
    pub(crate) fn wants_input(&self) -> bool {
        !self.ended && self.reader.has_room()
    }

    /// When the connection ends, whatever the client does; `None`: the client has logged in.
    pub(crate) fn login_deadline(&self) -> Option<Instant> {
        self.socket.login_deadline
    }

    pub(crate) fn set_login_deadline(&mut self, deadline: Option<Instant>) {
        self.socket.login_deadline = deadline;
    }

    /// The connection, and what came over it and was not answered yet.
    pub(crate) fn into_parts(self) -> (TcpStream, Option<Box<TlsConnection>>, LineReader) {
        (self.socket.stream, self.tls, self.reader)
    }

    /// Takes over the connection from an earlier thread.
    pub(crate) fn resume(&mut self, tls: Option<Box<TlsConnection>>, reader: LineReader) {
        (self.tls, self.reader) = (tls, reader);
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.stream.as_fd()
    }
}

/// The socket, for whoever waits no longer than this connection may take.
struct Socket {
    stream: TcpStream,
    presence: Arc<Presence>,
    shutdown: Arc<Broadcast>,
    /// When the connection ends, whatever the client does: it must have logged in by then. `None`:
    /// it has.
    login_deadline: Option<Instant>,
}

impl Write for &Socket {
    /// Waits until the client makes room: for a while, which begins anew each time it reads; but not
    /// beyond the time for its login, and not when the session must go at once.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let started = Instant::now();
        loop {
            if let Some(count) = dialogue::send(&self.stream, bytes)? {
                return Ok(count);
            }
            if self.presence.must_leave() == Some(Leave::Now) {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            let patience = if self.shutdown.is_announced() { LAST_WRITE_TIMEOUT } else { WRITE_TIMEOUT };
            let until = self.login_deadline.map_or(started + patience, |login| login.min(started + patience));
            let now = Instant::now();
            if until <= now {
                return Err(io::ErrorKind::TimedOut.into());
            }
            dialogue::wait_for_room(self.stream.as_fd(), until.min(now + LOOK_EVERY))?;
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A socket that gives what is there, without waiting.
struct Waiting<'a>(&'a TcpStream);

impl Read for Waiting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        dialogue::receive(self.0, buffer)?.ok_or(io::ErrorKind::WouldBlock.into())
    }
}
