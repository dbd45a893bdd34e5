//! Sockets that whoever started the process has opened for it: systemd's
//! (sd_listen_fds(3)), or inetd's, on standard input.
//!
//! Standard input, output and error may be such a socket too. They become
//! /dev/null here, before anything is written to a client by accident.

use std::env;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::FdFlags;
use rustix::net::SocketType;
use rustix::stdio;

/// systemd passes descriptors from this number on.
const FIRST: RawFd = 3;

/// Nobody passes more; a number beyond it is a mistake in the environment.
const MOST: i32 = 1024;

/// What was passed.
pub(crate) enum Passed {
    /// One client (inetd: nowait; systemd: Accept=yes).
    Connected(TcpStream),
    /// Sockets to listen on (inetd: wait; systemd: Accept=no). Never empty.
    Listening(Vec<PassedListener>),
}

/// A socket that listens, and does not wait when there is nobody.
pub(crate) struct PassedListener {
    pub socket: TcpListener,
    /// What systemd's FileDescriptorName= calls it; "" otherwise.
    pub name: String,
}

impl PassedListener {
    /// The same socket once more.
    pub(crate) fn try_clone(&self) -> io::Result<PassedListener> {
        Ok(PassedListener { socket: self.socket.try_clone()?, name: self.name.clone() })
    }
}

/// Takes what was passed; `None` when nothing was. `backlog` is how many clients
/// may wait for a listening socket's accept(2).
///
/// To be called before [`super::process::prepare`]. What has been taken is not there a second time.
///
/// # Errors
/// Sockets that are no TCP sockets; connected and listening ones side by side; fewer than promised.
pub(crate) fn take(backlog: i32) -> io::Result<Option<Passed>> {
    let mut sockets = from_systemd()?;
    if sockets.is_empty() {
        sockets = from_inetd()?;
    }
    silence_stdio()?;
    sort_out(sockets, backlog)
}

/// Whether what is written to standard error would go to a client. To be asked before [`take`].
pub(crate) fn stderr_is_a_socket() -> bool {
    is_internet_socket(io::stderr().as_fd())
}

/// LISTEN_FDS of them, if LISTEN_PID means this process and not its parent.
fn from_systemd() -> io::Result<Vec<(OwnedFd, String)>> {
    let number = |name| env::var(name).ok().and_then(|word| word.parse::<i32>().ok());
    let (Some(pid), Some(count)) = (number("LISTEN_PID"), number("LISTEN_FDS")) else {
        return Ok(Vec::new());
    };
    if u32::try_from(pid) != Ok(std::process::id()) || count <= 0 {
        return Ok(Vec::new());
    }
    if count > MOST {
        return Err(invalid(format!("LISTEN_FDS: {count} sockets are too many")));
    }
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':').map(str::to_owned);
    (FIRST..FIRST + count).map(|number| Ok((take_fd(number)?, names.next().unwrap_or_default()))).collect()
}

fn take_fd(number: RawFd) -> io::Result<OwnedFd> {
    if !is_inherited(number) {
        return Err(invalid(format!("LISTEN_FDS: descriptor {number} was not passed")));
    }
    // SAFETY: it is open, and no part of this program opened it, so that nobody else owns it.
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    rustix::io::fcntl_setfd(&fd, FdFlags::CLOEXEC)?;
    Ok(fd)
}

/// Whether the process was started with this descriptor. What this program opens has
/// close-on-exec set from the beginning, and what it has taken has it since then; a descriptor
/// that came through execve(2) has not.
fn is_inherited(number: RawFd) -> bool {
    // SAFETY: F_GETFD takes any number and touches no memory.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    flags >= 0 && flags & libc::FD_CLOEXEC == 0
}

/// Standard input, if it is an Internet socket. One of another family is none of
/// inetd's: some programs start their children with one.
fn from_inetd() -> io::Result<Vec<(OwnedFd, String)>> {
    let stdin = io::stdin();
    match is_internet_socket(stdin.as_fd()) {
        true => Ok(vec![(rustix::io::fcntl_dupfd_cloexec(stdin, FIRST)?, String::new())]),
        false => Ok(Vec::new()),
    }
}

fn is_internet_socket(fd: BorrowedFd<'_>) -> bool {
    rustix::net::getsockname(fd).is_ok_and(|address| SocketAddr::try_from(address).is_ok())
}

/// Puts /dev/null in the place of those of standard input, output and error that are
/// Internet sockets.
fn silence_stdio() -> io::Result<()> {
    let null = || rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
    if is_internet_socket(io::stdin().as_fd()) {
        stdio::dup2_stdin(null()?)?;
    }
    if is_internet_socket(io::stdout().as_fd()) {
        stdio::dup2_stdout(null()?)?;
    }
    if is_internet_socket(io::stderr().as_fd()) {
        stdio::dup2_stderr(null()?)?;
    }
    Ok(())
}

fn sort_out(sockets: Vec<(OwnedFd, String)>, backlog: i32) -> io::Result<Option<Passed>> {
    let (mut connected, mut listening) = (Vec::new(), Vec::new());
    for (fd, name) in sockets {
        let is_tcp = is_internet_socket(fd.as_fd())
            && rustix::net::sockopt::socket_type(&fd).is_ok_and(|kind| kind == SocketType::STREAM);
        if !is_tcp {
            return Err(invalid(format!("the socket passed as `{name}` is not a TCP socket")));
        }
        if listens(&fd)? {
            listen(&fd, backlog)?;
            listening.push(PassedListener { socket: TcpListener::from(fd), name });
        } else {
            connected.push(TcpStream::from(fd));
        }
    }
    match (connected.pop(), listening.is_empty()) {
        (None, true) => Ok(None),
        (None, false) => Ok(Some(Passed::Listening(listening))),
        (Some(stream), true) if connected.is_empty() => {
            stream.set_nonblocking(false)?;
            Ok(Some(Passed::Connected(stream)))
        }
        (Some(_), _) => Err(invalid("more was passed than one client, or sockets to listen on".to_owned())),
    }
}

#[cfg(not(target_vendor = "apple"))]
fn listens(fd: &OwnedFd) -> io::Result<bool> {
    // Not getpeername(2): a client that has gone already has no name, and is a client.
    Ok(rustix::net::sockopt::socket_acceptconn(fd)?)
}

/// Apple's systems do not have SO_ACCEPTCONN, and say EINVAL of a client that has gone.
#[cfg(target_vendor = "apple")]
fn listens(fd: &OwnedFd) -> io::Result<bool> {
    Ok(rustix::net::getpeername(fd) == Err(rustix::io::Errno::NOTCONN))
}

/// Listens once more, with a longer queue: inetd's are short.
fn listen(fd: &OwnedFd, backlog: i32) -> io::Result<()> {
    rustix::net::listen(fd, backlog)?;
    Ok(rustix::io::ioctl_fionbio(fd, true)?)
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsRawFd, IntoRawFd};
    use std::os::unix::net::UnixStream;

    use super::*;

    fn passed(sockets: Vec<OwnedFd>) -> io::Result<Option<Passed>> {
        sort_out(sockets.into_iter().map(|fd| (fd, "name".to_owned())).collect(), 16)
    }

    fn pair() -> (TcpListener, TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let server = listener.accept().unwrap().0;
        (listener, client, server)
    }

    #[test]
    fn sockets_are_told_apart_by_what_they_are() {
        let (listener, _client, server) = pair();
        assert!(matches!(passed(Vec::new()), Ok(None)));
        assert!(matches!(passed(vec![server.into()]), Ok(Some(Passed::Connected(_)))));
        let second = TcpListener::bind("127.0.0.1:0").unwrap();
        match passed(vec![listener.into(), second.into()]) {
            Ok(Some(Passed::Listening(found))) => {
                assert_eq!(found.len(), 2);
                assert_eq!(found[0].name, "name");
                assert!(found[0].socket.accept().is_err(), "it does not wait");
            }
            _ => panic!("they listen"),
        }
    }

    #[test]
    fn a_client_that_has_gone_is_still_a_client() {
        let (_listener, client, server) = pair();
        rustix::net::sockopt::set_socket_linger(&client, Some(std::time::Duration::ZERO)).unwrap();
        drop(client); // With a reset: there is no peer any more.
        assert!(matches!(passed(vec![server.into()]), Ok(Some(Passed::Connected(_)))));
    }

    #[test]
    fn what_cannot_be_served_is_an_error() {
        let (listener, _client, server) = pair();
        assert!(passed(vec![listener.into(), server.into()]).is_err());
        let (unix, _) = UnixStream::pair().unwrap();
        assert!(passed(vec![unix.into()]).is_err());
        let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(passed(vec![datagrams.into()]).is_err());
    }

    #[test]
    fn what_this_program_opened_is_not_taken_for_what_was_passed() {
        let (listener, ..) = pair();
        assert!(take_fd(listener.as_raw_fd()).is_err());
        assert!(take_fd(listener.as_raw_fd()).is_err());
        let passed = rustix::io::dup(&listener).unwrap(); // Which does not set close-on-exec.
        let number = passed.into_raw_fd();
        let taken = take_fd(number).unwrap();
        assert!(take_fd(number).is_err(), "it is taken");
        drop(taken);
        assert!(take_fd(number).is_err(), "it is closed, or another test's");
    }
}
