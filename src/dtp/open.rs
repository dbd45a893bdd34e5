//! From a data port to a data connection: connecting, accepting, and whom it is refused to.
//!
//! Whoever waits here looks at the control connection too, through the `Watch` that the
//! session passes in. RFC 959 section 3.2; RFC 2428 for EPRT and EPSV; RFC 2577 for whom
//! a connection is taken from.

use std::io;
use std::mem;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use super::connection::DataConnection;
use super::error::OpenError;
use super::ports::PortLease;
use super::watch::{self, LATE, Progress, Waited, Watch};
use crate::config::DataPolicy;
use crate::proto::params::TransferMode;
use crate::sys::sockets::{self, Connecting, PollFlags};

/// How long to wait before another try, when the source port cannot be had: a
/// connection between the same two ports is about to end.
const SOURCE_PORT_PAUSES: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(300), Duration::from_millis(900)];
const FIRST_UNPRIVILEGED: u16 = 1024;
/// Strangers on one passive port that the log names.
const STRANGERS_TOLD: u32 = 5;
/// How long the client is waited for once somebody else has connected in its place.
const GRACE: Duration = Duration::from_secs(5);

/// Where the next data connection comes from.
#[derive(Debug, Default)]
pub(crate) enum DataPort {
    /// Neither PORT nor PASV, nor one of their successors, since the last transfer.
    #[default]
    Unset,
    /// We connect to the client.
    Active(SocketAddr),
    /// The client connects to us.
    Passive(PortLease),
    /// The last one was left open for the next file.
    Kept(Kept),
}

/// A data connection between two files. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Kept(Option<Box<DataConnection>>);

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(|connection| connection.finish());
    }
}

/// The two ends of the control connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ControlPair {
    pub local: SocketAddr,
    pub peer: SocketAddr,
}

impl DataPort {
    /// What there is for the next file, after one has gone well over `connection`.
    pub(crate) fn after(connection: DataConnection, mode: TransferMode) -> DataPort {
        if mode.ends_with_connection() {
            connection.finish();
            return DataPort::Unset;
        }
        DataPort::Kept(Kept(Some(Box::new(connection))))
    }

    /// Whether there is a data connection already, protected by TLS or not as it should be, that
    /// the client has left open.
    pub(crate) fn is_open(&self, is_secure: bool) -> bool {
        let DataPort::Kept(Kept(Some(connection))) = self else { return false };
        connection.is_secure() == is_secure && connection.is_open()
    }

    /// Connects or accepts, within `policy.connect_timeout`. A passive port goes back to
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
            deadline: sockets::deadline_in(policy.connect_timeout),
            gone: false,
        };
        match self {
            DataPort::Unset => Err(OpenError::NotSet),
            DataPort::Active(target) => opening.connect(target),
            DataPort::Passive(lease) => opening.accept(&lease),
            DataPort::Kept(mut kept) => kept.0.take().map(|connection| *connection).ok_or(OpenError::NotSet),
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
    /// The client is gone.
    gone: bool,
}

impl Opening<'_> {
    /// Takes the connection that comes from the client, and no other.
    fn accept(&mut self, lease: &PortLease) -> Result<DataConnection, OpenError> {
        let mut strangers = 0;
        loop {
            match sockets::accept_nonblocking(lease.listener()) {
                Ok((stream, peer)) => {
                    if self.is_welcome(peer) {
                        return Ok(DataConnection::new(stream, self.deadline));
                    }
                    // At once: whoever it is shall not wait as long as we do.
                    drop(stream);
                    strangers += 1;
                    self.log_stranger(lease.port(), peer, strangers);
                    if strangers == 1 {
                        self.hurry(GRACE);
                    }
                    // However many come, they must not keep us here for ever.
                    if self.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                        return Err(OpenError::OnlyStrangers);
                    }
                }
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => (),
                Err(err) if sockets::is_lost_client(&err) => continue,
                Err(err) => return Err(OpenError::Failed(err)),
            }
            match self.wait(lease.listener().as_fd(), PollFlags::IN) {
                Err(OpenError::TimedOut) if strangers > 0 => return Err(OpenError::OnlyStrangers),
                waited => waited?,
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
        let stream = connecting.finish().map_err(OpenError::Failed)?;
        Ok(DataConnection::new(stream, self.deadline))
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
        loop {
            match watch::wait(Some((fd, events)), self.watch, &self.progress, self.deadline)? {
                Waited::Ready => return Ok(()),
                Waited::TimedOut => return Err(OpenError::TimedOut),
                Waited::Gone => self.note_gone(),
            }
        }
    }

    /// The client is gone. It made its data connection before that, or will not any more.
    fn note_gone(&mut self) {
        if !mem::replace(&mut self.gone, true) {
            self.hurry(LATE);
        }
    }

    fn hurry(&mut self, grace: Duration) {
        self.deadline = self.deadline.into_iter().chain(sockets::deadline_in(grace)).min();
    }

    fn sleep(&mut self, pause: Duration) -> Result<(), OpenError> {
        let until = sockets::deadline_in(pause);
        if self.deadline.is_some() && self.deadline < until {
            return Err(OpenError::TimedOut);
        }
        while watch::wait(None, self.watch, &self.progress, until)? == Waited::Gone {
            self.note_gone();
        }
        Ok(())
    }
}

/// Whether another source port could help.
fn is_about_source(err: &io::Error) -> bool {
    use io::ErrorKind::{AddrInUse, AddrNotAvailable, PermissionDenied};
    matches!(err.kind(), AddrInUse | AddrNotAvailable | PermissionDenied)
}
