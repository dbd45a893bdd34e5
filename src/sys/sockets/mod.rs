//! TCP sockets: waiting with a deadline, listening, accepting, connecting from
//! a chosen port, and moving bytes between sockets and files inside the kernel.
//!
//! Every descriptor made here is close-on-exec. What std's own `TcpStream` can
//! do (`set_nodelay`, `peer_addr`, `shutdown`) is not repeated.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::Timespec;
pub(crate) use rustix::event::{PollFd, PollFlags};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{AddressFamily, SocketType, sockopt};

pub(crate) use kernel::{SplicePipe, send_file};

// Waiting

/// Polls until one of `fds` has an event or the deadline passes (`None`: for
/// ever); says how many have one. A signal does not end the wait. A deadline in
/// the past looks once, without waiting.
pub(crate) fn poll_until(fds: &mut [PollFd<'_>], deadline: Option<Instant>) -> io::Result<usize> {
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        // What Timespec cannot hold is as good as for ever.
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        match rustix::event::poll(fds, timeout.as_ref()) {
            // Systems that count in milliseconds may wake a little early.
            Ok(0) if left.is_some_and(|left| !left.is_zero()) => (),
            Ok(ready) => return Ok(ready),
            Err(Errno::INTR) => (),
            Err(err) => return Err(err.into()),
        }
    }
}

/// Polls one descriptor; `false` when the deadline passed first. An error or a
/// hang-up counts as an event: the read or write that follows tells which.
pub(crate) fn wait_for(fd: impl AsFd, events: PollFlags, deadline: Option<Instant>) -> io::Result<bool> {
    let fd = fd.as_fd();
    Ok(poll_until(&mut [PollFd::from_borrowed_fd(fd, events)], deadline)? > 0)
}

/// The moment `timeout` from now; `None` when that is beyond what the clock can say.
pub(crate) fn deadline_in(timeout: Duration) -> Option<Instant> {
    Instant::now().checked_add(timeout)
}

// Listening and accepting

/// A non-blocking listener. An address that is in TIME_WAIT does not hinder it,
/// and an IPv6 one takes no IPv4 clients, so that both can listen side by side.
pub(crate) fn listen(address: SocketAddr, backlog: i32) -> io::Result<TcpListener> {
    let socket = new_socket(address)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, backlog)?;
    Ok(TcpListener::from(socket))
}

/// The next client of a listener, as a blocking stream.
pub(crate) fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    kernel::accept(listener, false)
}

/// The next client of a listener, as a non-blocking stream.
pub(crate) fn accept_nonblocking(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    kernel::accept(listener, true)
}

/// Whether a failed accept(2) concerns one client that is already gone, and not
/// the listener: accept(2) has Linux pass a new connection's network errors on.
pub(crate) fn is_lost_client(err: &io::Error) -> bool {
    #[cfg(target_os = "linux")]
    if Errno::from_io_error(err) == Some(Errno::NONET) {
        return true;
    }
    matches!(
        Errno::from_io_error(err),
        Some(
            Errno::CONNABORTED
                | Errno::INTR
                | Errno::PROTO
                | Errno::NOPROTOOPT
                | Errno::OPNOTSUPP
                | Errno::PERM
                | Errno::NETDOWN
                | Errno::NETUNREACH
                | Errno::HOSTDOWN
                | Errno::HOSTUNREACH
        )
    )
}

/// Whether a call failed for want of descriptors or memory: time to back off,
/// since the listener stays readable.
pub(crate) fn is_shortage(err: &io::Error) -> bool {
    matches!(Errno::from_io_error(err), Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM))
}

// Connecting

/// A connection under way: non-blocking, writable once it is made or has failed.
#[derive(Debug)]
pub(crate) struct Connecting(TcpStream);

impl Connecting {
    /// Starts to connect to `to` from `from`, whose port may be 0 for any.
    /// SO_REUSEADDR lets many connections to different places leave from one
    /// port. AddrInUse and AddrNotAvailable: that pair of addresses is taken.
    pub(crate) fn start(from: SocketAddr, to: SocketAddr) -> io::Result<Connecting> {
        let socket = new_socket(to)?;
        if from.port() != 0 {
            sockopt::set_socket_reuseaddr(&socket, true)?;
        }
        if from.port() != 0 || !from.ip().is_unspecified() {
            rustix::net::bind(&socket, &from)?;
        }
        match rustix::net::connect(&socket, &to) {
            // A connect that a signal interrupts goes on by itself.
            Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => Ok(Connecting(TcpStream::from(socket))),
            Err(err) => Err(err.into()),
        }
    }

    /// The stream, once poll has said that it is writable.
    pub(crate) fn finish(self) -> io::Result<TcpStream> {
        sockopt::socket_error(&self.0)??;
        // From any port to a port where nobody listens, TCP may meet itself.
        if self.0.local_addr()? == self.0.peer_addr()? {
            return Err(Errno::CONNREFUSED.into());
        }
        Ok(self.0)
    }
}

impl AsFd for Connecting {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn new_socket(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    kernel::new_socket(family)
}

// Addresses

/// Whether two addresses mean the same host; `::ffff:192.0.2.1` is 192.0.2.1.
pub(crate) fn same_host(a: IpAddr, b: IpAddr) -> bool {
    a.to_canonical() == b.to_canonical()
}

/// An IPv4-mapped address as the IPv4 address it is; others as they are, with
/// the scope that a link-local one needs.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    match (address, address.ip().to_canonical()) {
        (SocketAddr::V6(_), IpAddr::V4(v4)) => SocketAddr::from((v4, address.port())),
        _ => address,
    }
}

/// "Any address" in the family of `address`.
pub(crate) fn unspecified_like(address: SocketAddr) -> IpAddr {
    if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() }
}

// Options

/// Urgent data stays in the stream, where the Telnet Synch of an ABOR belongs.
pub(crate) fn set_oobinline(stream: &TcpStream) -> io::Result<()> {
    Ok(sockopt::set_socket_oobinline(stream, true)?)
}

/// Asks the kernel to find out about peers that vanished without a word: after
/// `idle` without traffic it sends four probes, a quarter of that apart.
pub(crate) fn set_keepalive(stream: &TcpStream, idle: Duration) -> io::Result<()> {
    let second = Duration::from_secs(1);
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, idle.max(second))?;
    sockopt::set_tcp_keepintvl(stream, (idle / 4).max(second))?;
    Ok(sockopt::set_tcp_keepcnt(stream, 4)?)
}

/// Only full segments leave from now on, until the socket is closed.
pub(crate) fn cork(socket: impl AsFd) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    sockopt::set_tcp_cork(socket, true)?;
    #[cfg(not(target_os = "linux"))]
    let _ = socket;
    Ok(())
}

/// The coming close of `stream` discards what is unsent and resets the connection.
pub(crate) fn reset_on_close(stream: &TcpStream) -> io::Result<()> {
    Ok(sockopt::set_socket_linger(stream, Some(Duration::ZERO))?)
}

// Bytes

/// Reads what there is into the spare room of `buffer`, which must have some.
/// Zero is the end of the stream. No byte of the buffer is cleared first.
pub(crate) fn read_more(fd: impl AsFd, buffer: &mut Vec<u8>) -> io::Result<usize> {
    let fd = fd.as_fd();
    Ok(retry_on_intr(|| rustix::io::read(fd, rustix::buffer::spare_capacity(buffer)))?)
}

/// `read_more` from `offset` in a file; its own position neither counts nor moves.
pub(crate) fn read_more_at(file: impl AsFd, offset: u64, buffer: &mut Vec<u8>) -> io::Result<usize> {
    let file = file.as_fd();
    Ok(retry_on_intr(|| rustix::io::pread(file, rustix::buffer::spare_capacity(buffer), offset))?)
}

/// Writes as much as the descriptor takes.
pub(crate) fn write(fd: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    let fd = fd.as_fd();
    Ok(retry_on_intr(|| rustix::io::write(fd, bytes))?)
}

/// Whether an error of a call between a file and a socket is the socket's.
pub(crate) fn is_connection_error(err: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(err),
        Some(
            Errno::PIPE
                | Errno::CONNRESET
                | Errno::CONNABORTED
                | Errno::NOTCONN
                | Errno::SHUTDOWN
                | Errno::TIMEDOUT
                | Errno::CONNREFUSED
                | Errno::PROTO
                | Errno::NETDOWN
                | Errno::NETUNREACH
                | Errno::NETRESET
                | Errno::HOSTDOWN
                | Errno::HOSTUNREACH
        )
    )
}

/// Whether the kernel cannot do its own moving of bytes for this pair of
/// descriptors, and reads and writes must.
pub(crate) fn is_unsupported(err: &io::Error) -> bool {
    err.kind() == io::ErrorKind::Unsupported
        || matches!(
            Errno::from_io_error(err),
            Some(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::SPIPE)
        )
}

#[cfg(target_os = "linux")]
mod kernel {
    use super::*;
    use rustix::net::SocketFlags;
    use rustix::pipe::{PipeFlags, SpliceFlags};

    pub(super) fn new_socket(family: AddressFamily) -> io::Result<OwnedFd> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        Ok(rustix::net::socket_with(family, SocketType::STREAM, flags, None)?)
    }

    pub(super) fn accept(listener: &TcpListener, nonblocking: bool) -> io::Result<(TcpStream, SocketAddr)> {
        let mut flags = SocketFlags::CLOEXEC;
        flags.set(SocketFlags::NONBLOCK, nonblocking);
        let (stream, peer) = rustix::net::acceptfrom_with(listener, flags)?;
        let peer = peer.ok_or(Errno::CONNABORTED)?;
        Ok((TcpStream::from(stream), SocketAddr::try_from(peer)?))
    }

    /// Sends up to `count` bytes of `file` from `offset`, which moves on. Zero is
    /// the end of the file. An error is the socket's or the file's: see
    /// `is_connection_error`; `is_unsupported` when this file cannot be sent so.
    pub(crate) fn send_file(
        socket: impl AsFd,
        file: impl AsFd,
        offset: &mut u64,
        count: usize,
    ) -> io::Result<usize> {
        let (socket, file) = (socket.as_fd(), file.as_fd());
        Ok(retry_on_intr(|| rustix::fs::sendfile(socket, file, Some(&mut *offset), count))?)
    }

    /// What splice(2) needs between a socket and a file.
    #[derive(Debug)]
    pub(crate) struct SplicePipe {
        read: OwnedFd,
        write: OwnedFd,
        size: usize,
    }

    impl SplicePipe {
        /// A pipe that holds `size` bytes. Fails when the system gives this
        /// account no more pipes of that size (pipe-user-pages-soft): small
        /// ones are slower than a buffer.
        pub(crate) fn new(size: usize) -> io::Result<SplicePipe> {
            let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
            let size = rustix::pipe::fcntl_setpipe_size(&write, size)?;
            Ok(SplicePipe { read, write, size })
        }

        /// Takes what `socket` has, as far as it fits; the pipe must be empty.
        /// Zero is the end of the stream.
        pub(crate) fn fill(&self, socket: impl AsFd) -> io::Result<usize> {
            let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
            let socket = socket.as_fd();
            Ok(retry_on_intr(|| rustix::pipe::splice(socket, None, &self.write, None, self.size, flags))?)
        }

        /// Moves up to `count` bytes that the pipe holds to `file`, at its position.
        pub(crate) fn empty(&self, file: impl AsFd, count: usize) -> io::Result<usize> {
            let file = file.as_fd();
            Ok(retry_on_intr(|| {
                rustix::pipe::splice(&self.read, None, file, None, count, SpliceFlags::MOVE)
            })?)
        }

        /// Moves bytes that the pipe holds to `buffer`.
        pub(crate) fn read(&self, buffer: &mut Vec<u8>) -> io::Result<usize> {
            read_more(&self.read, buffer)
        }
    }
}

/// Systems whose kernels we do not ask to move bytes: callers read and write.
#[cfg(not(target_os = "linux"))]
mod kernel {
    use super::*;

    pub(super) fn new_socket(family: AddressFamily) -> io::Result<OwnedFd> {
        let socket = rustix::net::socket(family, SocketType::STREAM, None)?;
        rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(socket)
    }

    pub(super) fn accept(listener: &TcpListener, nonblocking: bool) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = rustix::net::acceptfrom(listener)?;
        rustix::io::fcntl_setfd(&stream, rustix::io::FdFlags::CLOEXEC)?;
        // BSD has the new socket inherit the listener's flag.
        rustix::io::ioctl_fionbio(&stream, nonblocking)?;
        let peer = peer.ok_or(Errno::CONNABORTED)?;
        Ok((TcpStream::from(stream), SocketAddr::try_from(peer)?))
    }

    pub(crate) fn send_file(_: impl AsFd, _: impl AsFd, _: &mut u64, _: usize) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    #[derive(Debug)]
    pub(crate) enum SplicePipe {}

    impl SplicePipe {
        pub(crate) fn new(_: usize) -> io::Result<SplicePipe> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub(crate) fn fill(&self, _: impl AsFd) -> io::Result<usize> {
            match *self {}
        }

        pub(crate) fn empty(&self, _: impl AsFd, _: usize) -> io::Result<usize> {
            match *self {}
        }

        pub(crate) fn read(&self, _: &mut Vec<u8>) -> io::Result<usize> {
            match *self {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    fn loopback() -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
    }

    #[test]
    fn a_deadline_in_the_past_looks_once() {
        let listener = listen(loopback(), 4).unwrap();
        let now = Some(Instant::now());
        assert!(!wait_for(&listener, PollFlags::IN, now).unwrap());
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        // On loopback connect() returns once the listener has the connection.
        assert!(wait_for(&listener, PollFlags::IN, now).unwrap());
    }

    #[test]
    fn a_listener_has_nobody_to_accept_at_first_and_does_not_block() {
        let listener = listen(loopback(), 4).unwrap();
        assert_eq!(accept(&listener).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn accepted_streams_block_or_not_as_asked() {
        let listener = listen(loopback(), 4).unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut quick, peer) = accept_nonblocking(&listener).unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
        assert_eq!(quick.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);

        let mut other = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut patient, _) = accept(&listener).unwrap();
        let reader = std::thread::spawn(move || patient.read(&mut [0]));
        other.write_all(b"x").unwrap();
        assert_eq!(reader.join().unwrap().unwrap(), 1);
        client.write_all(b"x").unwrap();
        assert!(wait_for(&quick, PollFlags::IN, deadline_in(Duration::from_secs(60))).unwrap());
        assert_eq!(quick.read(&mut [0]).unwrap(), 1);
    }

    #[test]
    fn both_families_listen_on_one_port() {
        let Ok(six) = listen(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)), 4) else {
            return; // A machine without IPv6.
        };
        let port = six.local_addr().unwrap().port();
        listen(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)), 4).unwrap();
    }

    #[test]
    fn two_connections_leave_from_one_port() {
        let first = listen(loopback(), 4).unwrap();
        let second = listen(loopback(), 4).unwrap();
        let connect = |from, to: &TcpListener| {
            let connecting = Connecting::start(from, to.local_addr().unwrap()).unwrap();
            assert!(wait_for(&connecting, PollFlags::OUT, deadline_in(Duration::from_secs(60))).unwrap());
            connecting.finish().unwrap()
        };
        let a = connect(loopback(), &first);
        // The first chose a port without SO_REUSEADDR, so a second pair shares another.
        let probe = listen(loopback(), 1).unwrap().local_addr().unwrap();
        let b = connect(probe, &first);
        let c = connect(probe, &second);
        assert_ne!(a.local_addr().unwrap(), b.local_addr().unwrap());
        assert_eq!(b.local_addr().unwrap(), c.local_addr().unwrap());

        let again = Connecting::start(probe, first.local_addr().unwrap()).unwrap_err();
        assert!(matches!(again.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::AddrInUse));
    }

    #[test]
    fn a_refused_connection_is_told_apart_by_finish() {
        // Bound, so that no other test has it, and deaf.
        let deaf = new_socket(loopback()).unwrap();
        rustix::net::bind(&deaf, &loopback()).unwrap();
        let nobody = SocketAddr::try_from(rustix::net::getsockname(&deaf).unwrap()).unwrap();
        // Some systems say it at once.
        let outcome = Connecting::start(loopback(), nobody).and_then(|connecting| {
            wait_for(&connecting, PollFlags::OUT, deadline_in(Duration::from_secs(60)))?;
            connecting.finish()
        });
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn a_mapped_address_is_the_host_it_maps() {
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        assert!(same_host(mapped, "192.0.2.1".parse().unwrap()));
        assert!(!same_host(mapped, "192.0.2.2".parse().unwrap()));
        assert!(!same_host("::1".parse().unwrap(), "127.0.0.1".parse().unwrap()));
        assert_eq!(canonical((mapped, 7).into()), "192.0.2.1:7".parse().unwrap());
        assert_eq!(canonical("[fe80::1%3]:7".parse().unwrap()), "[fe80::1%3]:7".parse().unwrap());
    }

    #[test]
    fn options_are_taken() {
        let listener = listen(loopback(), 4).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        set_oobinline(&client).unwrap();
        set_keepalive(&client, Duration::from_millis(1)).unwrap();
        reset_on_close(&client).unwrap();
        let (mut server, _) = accept(&listener).unwrap();
        drop(client);
        assert_eq!(server.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }
}
