//! The data connection: opening it from a data port, closing it, giving it up.
//!
//! What flows on it is `transfer`'s business, lending the passive ports that of
//! `ports`. Whoever waits here looks at the control connection too, through the
//! `Watch` that the session passes in. RFC 959 sections 3.2 and 3.3; RFC 2428
//! for EPRT and EPSV; RFC 2577 for whom a connection is taken from.

mod flow;
mod ports;
mod restart;
mod tally;
mod transfer;

use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

pub(crate) use flow::{Progress, Verdict, Watch};
pub(crate) use ports::{PortAllocator, PortLease};
pub(crate) use restart::{ascii_file_offset, ascii_file_size};
pub(crate) use tally::{Quota, Tally};
pub(crate) use transfer::{
    Outgoing, Source, Target, TransferError, TransferFailure, TransferLimits, receive, send,
};

use crate::config::DataPolicy;
use crate::sys::sockets::{self, Connecting, PollFlags};
use crate::tls::{Pulled, TlsConnection};
use flow::Interruption;

/// How long to wait before another try, when the source port cannot be had: a
/// connection between the same two ports is about to end.
const SOURCE_PORT_PAUSES: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(300), Duration::from_millis(900)];
const FIRST_UNPRIVILEGED: u16 = 1024;
/// Strangers on one passive port that the log names.
const STRANGERS_TOLD: u32 = 5;
/// What a client that sends where it should receive gets to say before we hang up.
const DRAIN_TIME: Duration = Duration::from_secs(1);
const DRAIN_BYTES: usize = 1 << 20;

/// Where the next data connection comes from. It serves one transfer.
#[derive(Debug, Default)]
pub(crate) enum DataPort {
    /// Neither PORT nor PASV, nor one of their successors, since the last transfer.
    #[default]
    Unset,
    /// We connect to the client.
    Active(SocketAddr),
    /// The client connects to us.
    Passive(PortLease),
}

/// The two ends of the control connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ControlPair {
    pub local: SocketAddr,
    pub peer: SocketAddr,
}

/// A data connection, non-blocking. Dropping it closes it at once.
#[derive(Debug)]
pub(crate) struct DataConnection {
    stream: TcpStream,
    tls: Option<Box<TlsConnection>>,
    /// The client has said that it sends no more.
    at_end: bool,
}

/// Why there is no data connection.
#[derive(Debug)]
pub(crate) enum OpenError {
    /// No PORT or PASV came first.
    NotSet,
    /// Nobody connected or answered within `DataPolicy::timeout`.
    TimedOut,
    /// The client said ABOR.
    Aborted,
    ControlLost(io::Error),
    /// Refused, unreachable, or no descriptors.
    Failed(io::Error),
    /// No TLS came about.
    Handshake(io::Error),
    /// TLS, but of a session that is not this control connection's: anybody's.
    NotResumed,
}

impl DataPort {
    /// Connects or accepts, within `policy.timeout`. A passive port goes back to
    /// the allocator, whatever comes of it.
    pub(crate) fn open(
        self,
        control: &ControlPair,
        policy: &DataPolicy,
        watch: &mut dyn Watch,
    ) -> Result<DataConnection, OpenError> {
        let mut opening = Opening {
            control,
            policy,
            watch,
            progress: Progress::new(None),
            deadline: sockets::deadline_in(policy.timeout),
        };
        match self {
            DataPort::Unset => Err(OpenError::NotSet),
            DataPort::Active(target) => opening.connect(target),
            DataPort::Passive(lease) => opening.accept(&lease),
        }
    }
}

impl DataConnection {
    fn new(stream: TcpStream) -> DataConnection {
        DataConnection { stream, tls: None, at_end: false }
    }

    /// Shakes hands, by `deadline`. `require_reuse`: the client must prove that it is
    /// the one of the control connection, by resuming one of its sessions.
    pub(crate) fn secure(
        &mut self,
        mut tls: TlsConnection,
        require_reuse: bool,
        deadline: Option<Instant>,
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
            if !flow::wait(Some((self.stream.as_fd(), events)), watch, &progress, deadline)? {
                return Err(OpenError::Handshake(io::ErrorKind::TimedOut.into()));
            }
        }
        match tls.is_resumed() {
            true => tls.keep_sessions(),
            false if require_reuse => return Err(OpenError::NotResumed),
            false => (),
        }
        log::debug!(
            "data connection: {}, {}",
            tls.describe(),
            if tls.is_resumed() { "resumed" } else { "new" }
        );
        self.tls = Some(Box::new(tls));
        Ok(())
    }

    /// The client's end of it.
    #[cfg(test)]
    pub(crate) fn peer(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }

    /// Ends a transfer that went well: the client gets all that was sent, then
    /// the end of the stream.
    pub(crate) fn finish(self) {
        // To close a socket with unread bytes in it is to reset the connection,
        // and a reset takes along what the client has not received yet.
        let mut scratch = Vec::with_capacity(4096);
        let unread = |stream: &TcpStream, scratch: &mut Vec<u8>| {
            scratch.clear();
            sockets::read_more(stream, scratch)
        };
        if self.at_end || !matches!(unread(&self.stream, &mut scratch), Ok(1..)) {
            return;
        }
        if self.stream.shutdown(Shutdown::Write).is_err() {
            return;
        }
        let deadline = sockets::deadline_in(DRAIN_TIME);
        let mut drained = 0;
        while drained < DRAIN_BYTES
            && sockets::wait_for(&self.stream, PollFlags::IN, deadline).unwrap_or(false)
        {
            match unread(&self.stream, &mut scratch) {
                Ok(read @ 1..) => drained += read,
                _ => return,
            }
        }
    }

    /// Ends a transfer that failed. Only after an ABOR is the end of the stream
    /// what the client expects; otherwise the connection is reset, lest a client
    /// that ignores replies take half a file for the whole.
    pub(crate) fn abandon(self, error: &TransferError) {
        if matches!(error, TransferError::Aborted) {
            if let Some(mut tls) = self.tls {
                tls.close();
                // The client that gave up may take it or not.
                let _ = tls.push(&mut &self.stream);
            }
        } else {
            // Without it the connection is closed all the same.
            let _ = sockets::reset_on_close(&self.stream);
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

/// What both ways to open a data connection need.
struct Opening<'a> {
    control: &'a ControlPair,
    policy: &'a DataPolicy,
    watch: &'a mut dyn Watch,
    progress: Progress,
    deadline: Option<Instant>,
}

impl Opening<'_> {
    /// Takes the connection that comes from the client, and no other.
    fn accept(&mut self, lease: &PortLease) -> Result<DataConnection, OpenError> {
        let mut strangers = 0;
        loop {
            match sockets::accept_nonblocking(lease.listener()) {
                Ok((stream, peer)) if self.is_welcome(peer) => return Ok(DataConnection::new(stream)),
                Ok((_, peer)) => {
                    strangers += 1;
                    self.log_stranger(lease.port(), peer, strangers);
                    // However many come, they must not keep us here for ever.
                    if self.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                        return Err(OpenError::TimedOut);
                    }
                    self.wait(lease.listener().as_fd(), PollFlags::IN)?;
                }
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => {
                    self.wait(lease.listener().as_fd(), PollFlags::IN)?;
                }
                Err(err) if sockets::is_lost_client(&err) => (),
                Err(err) => return Err(OpenError::Failed(err)),
            }
        }
    }

    fn log_stranger(&self, port: u16, peer: SocketAddr, count: u32) {
        // The first few tell the story; the rest would only fill the disk.
        let level = if count <= STRANGERS_TOLD { log::Level::Warn } else { log::Level::Debug };
        let (peer, client) = (peer.ip().to_canonical(), self.control.peer.ip().to_canonical());
        log::log!(level, "data connection to port {port} from {peer} refused: the client is {client}");
    }

    fn is_welcome(&self, peer: SocketAddr) -> bool {
        !self.policy.peer_check || sockets::same_host(peer.ip(), self.control.peer.ip())
    }

    /// Connects to the client, from the source port if it can be had in time.
    fn connect(&mut self, target: SocketAddr) -> Result<DataConnection, OpenError> {
        let target = self.reachable(target);
        let mut from = self.source(target);
        // Port 20, or the one that was asked for, is worth waiting for. A server on a high port has
        // one before it that any program's outgoing connection may hold.
        let is_wanted = self.policy.active_source_port.is_some() || from.port() < FIRST_UNPRIVILEGED;
        let mut pauses = SOURCE_PORT_PAUSES.iter().filter(|_| is_wanted);
        loop {
            match self.connect_from(from, target) {
                Err(OpenError::Failed(err)) if from.port() != 0 && is_about_source(&err) => {
                    let pause = pauses.next().filter(|_| err.kind() != io::ErrorKind::PermissionDenied);
                    match pause {
                        Some(&pause) => self.sleep(pause)?,
                        None => {
                            self.log_other_port(from.port(), &err);
                            from.set_port(0);
                        }
                    }
                }
                outcome => return outcome,
            }
        }
    }

    fn connect_from(&mut self, from: SocketAddr, target: SocketAddr) -> Result<DataConnection, OpenError> {
        let connecting = Connecting::start(from, target).map_err(OpenError::Failed)?;
        self.wait(connecting.as_fd(), PollFlags::OUT)?;
        connecting.finish().map(DataConnection::new).map_err(OpenError::Failed)
    }

    /// A link-local address means nothing without the network it is on, which
    /// EPRT cannot name: it is the control connection's.
    fn reachable(&self, target: SocketAddr) -> SocketAddr {
        let mut target = sockets::canonical(target);
        if let (SocketAddr::V6(target), SocketAddr::V6(peer)) = (&mut target, self.control.peer)
            && target.ip().is_unicast_link_local()
            && target.scope_id() == 0
        {
            target.set_scope_id(peer.scope_id());
        }
        target
    }

    /// The control connection's own address, and the port RFC 959 has data leave from.
    fn source(&self, target: SocketAddr) -> SocketAddr {
        let mut source = sockets::canonical(self.control.local);
        let default = source.port().saturating_sub(1);
        if source.is_ipv4() != target.is_ipv4() {
            source = SocketAddr::new(sockets::unspecified_like(target), 0);
        }
        source.set_port(self.policy.active_source_port.unwrap_or(default));
        source
    }

    fn log_other_port(&self, port: u16, err: &io::Error) {
        let level = match self.policy.active_source_port {
            // The port was asked for.
            Some(_) => log::Level::Warn,
            None => log::Level::Debug,
        };
        log::log!(level, "data connection does not leave from port {port}: {err}");
    }

    fn wait(&mut self, fd: BorrowedFd<'_>, events: PollFlags) -> Result<(), OpenError> {
        match flow::wait(Some((fd, events)), self.watch, &self.progress, self.deadline)? {
            true => Ok(()),
            false => Err(OpenError::TimedOut),
        }
    }

    fn sleep(&mut self, pause: Duration) -> Result<(), OpenError> {
        let until = sockets::deadline_in(pause);
        if self.deadline.is_some() && self.deadline < until {
            return Err(OpenError::TimedOut);
        }
        flow::wait(None, self.watch, &self.progress, until)?;
        Ok(())
    }
}

/// Whether another source port could help.
fn is_about_source(err: &io::Error) -> bool {
    use io::ErrorKind::{AddrInUse, AddrNotAvailable, PermissionDenied};
    matches!(err.kind(), AddrInUse | AddrNotAvailable | PermissionDenied)
}

impl From<Interruption> for OpenError {
    fn from(interruption: Interruption) -> OpenError {
        match interruption {
            Interruption::Aborted => OpenError::Aborted,
            Interruption::ControlLost(err) => OpenError::ControlLost(err),
            Interruption::PollFailed(err) => OpenError::Failed(err),
        }
    }
}

#[cfg(test)]
mod tests;
