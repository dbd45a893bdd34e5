//! `ControlConnection`: lines in, replies out, deadlines, urgent data.
//!
//! RFC 959 sections 4.1 and 5.4. What the lines mean is `dispatch`'s business.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::proto::reply::Reply;
use crate::proto::telnet::{Line, LineReader};
use crate::server::guests::Guest;
use crate::sys::control::{self, Woken};
use crate::sys::process::Broadcast;

/// How long a client may leave a reply unread before it counts as gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long after a bare LF the rest of a path-name may take to come.
const BARE_LF_GRACE: Duration = Duration::from_millis(100);

/// How much is read at a time.
const READ_SIZE: usize = 1024;

/// The control connection of one client.
pub(crate) struct ControlConnection {
    stream: TcpStream,
    reader: LineReader,
    pub peer: SocketAddr,
    pub local: SocketAddr,
    /// What others see of the session.
    pub guest: Arc<Guest>,
    /// The client has closed its half.
    ended: bool,
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
        guest: Arc<Guest>,
    ) -> io::Result<ControlConnection> {
        control::prepare(&stream, WRITE_TIMEOUT)?;
        Ok(ControlConnection { stream, reader: LineReader::default(), peer, local, guest, ended: false })
    }

    /// The next line, waited for until `deadline`. Lines that have come are given first, even when
    /// the client has closed its half since, or the server is going down.
    pub(crate) fn read_line(&mut self, deadline: Instant, shutdown: &Broadcast) -> Result<Line, NoLine> {
        loop {
            if self.guest.must_leave().is_some() {
                return Err(NoLine::Dismissed);
            }
            if let Some(line) = self.reader.next_line() {
                return Ok(line);
            }
            if self.ended {
                return Err(NoLine::Closed);
            }
            let lone_lf = self.reader.ends_with_bare_lf();
            let until = if lone_lf { deadline.min(Instant::now() + BARE_LF_GRACE) } else { deadline };
            match control::wait(self.stream.as_fd(), shutdown.fd(), until).map_err(NoLine::Failed)? {
                Woken::Readable => self.take_input().map_err(NoLine::Failed)?,
                Woken::Other => return Err(NoLine::ShuttingDown),
                Woken::TimedOut if lone_lf => self.reader.end_at_bare_lf(),
                Woken::TimedOut => return Err(NoLine::TimedOut),
            }
        }
    }

    /// Sends a reply, in one write.
    pub(crate) fn send(&mut self, reply: &Reply) -> io::Result<()> {
        log::debug!("<--- {}", reply.for_log());
        self.send_bytes(&reply.to_wire())
    }

    /// Sends bytes that are a part of a reply.
    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Takes what has come, without waiting, and answers what Telnet wants answered.
    pub(crate) fn take_input(&mut self) -> io::Result<()> {
        let mut buffer = [0; READ_SIZE];
        match control::receive(&self.stream, &mut buffer)? {
            None => (),
            Some(0) => {
                self.ended = true;
                if self.reader.ends_with_bare_lf() {
                    self.reader.end_at_bare_lf();
                }
            }
            Some(count) => {
                self.reader.push(&buffer[..count]);
                let answers = self.reader.take_answers();
                if !answers.is_empty() {
                    self.send_bytes(&answers)?;
                }
            }
        }
        Ok(())
    }

    /// The lines that wait, for a transfer that looks among them.
    pub(crate) fn reader(&mut self) -> &mut LineReader {
        &mut self.reader
    }

    /// The client has closed its half.
    pub(crate) fn is_ended(&self) -> bool {
        self.ended
    }

    /// Whether more may come, and there is room for it.
    pub(crate) fn wants_input(&self) -> bool {
        !self.ended && self.reader.has_room()
    }

    /// The connection, and what came over it and was not answered yet.
    pub(crate) fn into_parts(self) -> (TcpStream, LineReader) {
        (self.stream, self.reader)
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
