//! The sockets that the server listens on, and the answer to clients that it turns away.

use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown};

use crate::clients::Refused;
use crate::sys::activation::PassedListener;
use crate::sys::sockets::{self, Pause};

/// Clients that may wait for `accept`. Other servers allow 32 to 255, and of 1,000 clients at once
/// half get no greeting. The system may set a lower limit (somaxconn).
pub(crate) const BACKLOG: i32 = 4096;

/// The name of a socket whose clients begin with TLS (FileDescriptorName= of systemd).
const IMPLICIT_TLS: &str = "ftps";

/// The listening sockets, and one descriptor in reserve.
pub(crate) struct Listeners {
    sockets: Vec<TcpListener>,
    /// Those among them whose clients begin with TLS.
    for_tls: Vec<bool>,
    /// Closed to make room for one more client, which is then refused, when no other descriptor is left.
    spare: Option<File>,
    /// No client is accepted while there is no descriptor for one.
    pause: Pause,
}

/// The result of one accept(2).
pub(crate) enum Arrival {
    Client(TcpStream, SocketAddr),
    /// A client that must be refused, because only the spare descriptor was left.
    Surplus(TcpStream, SocketAddr),
    /// A client that went away before it was let in.
    Vanished,
    /// No client, or none for which there is a descriptor.
    Nobody,
}

impl Listeners {
    /// Listens on all of them. Port 0 becomes the same free port on every address. Clients of
    /// `tls_addresses` begin with TLS. The error begins with the address.
    pub(crate) fn bind(addresses: &[SocketAddr], tls_addresses: &[SocketAddr]) -> io::Result<Listeners> {
        let (mut sockets, tls) = (bind_some(addresses)?, bind_some(tls_addresses)?);
        let for_tls = [vec![false; sockets.len()], vec![true; tls.len()]].concat();
        sockets.extend(tls);
        Ok(Listeners { sockets, for_tls, spare: File::open("/dev/null").ok(), pause: Pause::default() })
    }

    /// Listens on the sockets that systemd or inetd has opened.
    ///
    /// # Errors
    /// A socket is named for TLS, and the server has no certificate.
    pub(crate) fn passed(passed: Vec<PassedListener>, tls: bool) -> io::Result<Listeners> {
        let for_tls: Vec<bool> = passed.iter().map(|listener| listener.name == IMPLICIT_TLS).collect();
        if !tls && for_tls.contains(&true) {
            let text = format!("the socket passed as `{IMPLICIT_TLS}` needs --tls-cert");
            return Err(io::Error::new(io::ErrorKind::Unsupported, text));
        }
        let sockets = passed.into_iter().map(|listener| listener.socket).collect();
        Ok(Listeners { sockets, for_tls, spare: File::open("/dev/null").ok(), pause: Pause::default() })
    }

    /// Those of a server that was started with its only client.
    pub(crate) fn none() -> Listeners {
        Listeners { sockets: Vec::new(), for_tls: Vec::new(), spare: None, pause: Pause::default() }
    }

    /// Whether the clients of socket `index` begin with TLS.
    pub(crate) fn is_for_tls(&self, index: usize) -> bool {
        self.for_tls.get(index).copied().unwrap_or(false)
    }

    pub(crate) fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        self.sockets.iter().map(TcpListener::local_addr).collect()
    }

    /// Stops listening. The system refuses clients from now on, unless systemd or inetd listens too.
    pub(crate) fn close(&mut self) {
        self.sockets.clear();
    }

    /// The descriptors to poll for input; none during a pause.
    pub(crate) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let open = if self.pause().is_none() { &self.sockets[..] } else { &[] };
        open.iter().map(AsFd::as_fd)
    }

    /// The rest of a pause; `None` when there is none.
    pub(crate) fn pause(&self) -> Option<Duration> {
        self.pause.left()
    }

    pub(crate) fn len(&self) -> usize {
        self.sockets.len()
    }

    /// Takes the next client of socket `index`. Does not wait.
    pub(crate) fn accept(&mut self, index: usize) -> Arrival {
        let Some(socket) = self.sockets.get(index) else { return Arrival::Nobody };
        if self.spare.is_none() {
            self.spare = File::open("/dev/null").ok();
        }
        let err = match sockets::accept(socket) {
            Ok((stream, peer)) => return Arrival::Client(stream, peer),
            Err(err) => err,
        };
        match Errno::from_io_error(&err) {
            Some(Errno::WOULDBLOCK) => Arrival::Nobody,
            _ if sockets::is_lost_client(&err) => Arrival::Vanished,
            Some(Errno::MFILE | Errno::NFILE) if self.spare.take().is_some() => {
                match sockets::accept(&self.sockets[index]) {
                    Ok((stream, peer)) => Arrival::Surplus(stream, peer),
                    Err(_) => self.wait(&err),
                }
            }
            _ => self.wait(&err),
        }
    }

    /// The client stays in the queue, and the loop does not spin on it.
    fn wait(&mut self, err: &io::Error) -> Arrival {
        self.pause.begin("accept", err);
        Arrival::Nobody
    }
}

fn bind_some(addresses: &[SocketAddr]) -> io::Result<Vec<TcpListener>> {
    /// The free port of the first address may be taken on the second.
    const TRIES: usize = 10;
    let mut result = bind_all(addresses);
    for _ in 1..TRIES {
        match &result {
            Err(err) if err.kind() == io::ErrorKind::AddrInUse && addresses.iter().any(|a| a.port() == 0) => {
                result = bind_all(addresses);
            }
            _ => break,
        }
    }
    result
}

fn bind_all(addresses: &[SocketAddr]) -> io::Result<Vec<TcpListener>> {
    let mut sockets: Vec<TcpListener> = Vec::new();
    for (index, &address) in addresses.iter().enumerate() {
        let mut address = address;
        if let (0, Some(first)) = (address.port(), sockets.first()) {
            address.set_port(first.local_addr()?.port());
        }
        match sockets::listen(address, BACKLOG) {
            Ok(socket) => sockets.push(socket),
            // A machine without IPv6 still has IPv4.
            Err(err) if index > 0 && address.ip().is_unspecified() && has_no_family(&err) => {
                log::info!("not listening on {address}: {err}");
            }
            Err(err) => return Err(cannot_listen(address, &err)),
        }
    }
    Ok(sockets)
}

/// An error of bind(2) or listen(2): it names the address, and says what to do if that is known.
pub(crate) fn cannot_listen(address: SocketAddr, err: &io::Error) -> io::Error {
    let hint = match err.kind() {
        io::ErrorKind::PermissionDenied if address.port() < 1024 => {
            "; ports below 1024 are for root, and -P chooses another, such as -P 2121"
        }
        _ => "",
    };
    io::Error::new(err.kind(), format!("{address}: {err}{hint}"))
}

/// Whether the machine has no addresses of that family.
pub(crate) fn has_no_family(err: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(err),
        Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL | Errno::PROTONOSUPPORT)
    )
}

/// Answers a client that is not let in. It does not wait: a reply fits into the buffer of a new
/// connection.
pub(crate) fn refuse(stream: &TcpStream, why: Refused) {
    let reply = format!("421 {why}\r\n");
    // If that fails, the client has gone.
    let _ = rustix::net::send(stream, reply.as_bytes(), SendFlags::DONTWAIT);
    let _ = rustix::net::shutdown(stream, Shutdown::Write);
    // Closing a socket with unread input resets the connection, and a client that spoke first would
    // not see the reply.
    let _ = rustix::net::recv(stream, &mut [0; 512][..], RecvFlags::DONTWAIT);
}

/// Answers the clients that wait at sockets whose server could not start.
pub(crate) fn refuse_waiting(sockets: &[PassedListener]) {
    for listener in sockets {
        for _ in 0..BACKLOG {
            match sockets::accept(&listener.socket) {
                Ok((stream, _)) => refuse(&stream, Refused::NoResources),
                Err(err) if sockets::is_lost_client(&err) => {}
                Err(_) => break, // Nobody is left.
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    fn loopback(addresses: &[&str]) -> io::Result<Listeners> {
        Listeners::bind(&addresses.iter().map(|a| a.parse().unwrap()).collect::<Vec<_>>(), &[])
    }

    #[test]
    fn any_free_port_is_the_same_one_on_every_address() {
        let listeners = loopback(&["127.0.0.1:0", "127.0.0.2:0"]).unwrap();
        let ports: Vec<_> = listeners.addresses().unwrap().iter().map(SocketAddr::port).collect();
        assert_eq!(ports[0], ports[1]);
        assert_ne!(ports[0], 0);
    }

    #[test]
    fn an_address_in_use_is_named() {
        let first = loopback(&["127.0.0.1:0"]).unwrap();
        let address = first.addresses().unwrap()[0].to_string();
        let err = loopback(&[&address]).err().expect("the address is taken");
        assert_eq!(err.kind(), io::ErrorKind::AddrInUse);
        assert!(err.to_string().starts_with(&address));
    }

    #[test]
    fn who_may_not_have_a_port_is_told_of_another() {
        let text = |port, kind: io::ErrorKind| {
            cannot_listen(SocketAddr::from(([0, 0, 0, 0], port)), &kind.into()).to_string()
        };
        assert!(text(21, io::ErrorKind::PermissionDenied).contains("-P 2121"));
        assert!(!text(2121, io::ErrorKind::PermissionDenied).contains("-P"));
        assert!(!text(21, io::ErrorKind::AddrInUse).contains("-P"));
    }

    #[test]
    fn a_refused_client_hears_why_even_if_it_spoke_first() {
        let mut listeners = loopback(&["127.0.0.1:0"]).unwrap();
        assert!(matches!(listeners.accept(0), Arrival::Nobody));
        let mut client = TcpStream::connect(listeners.addresses().unwrap()[0]).unwrap();
        client.write_all(b"USER x\r\n").unwrap();
        let stream = loop {
            match listeners.accept(0) {
                Arrival::Client(stream, _) => break stream,
                _ => std::thread::yield_now(),
            }
        };
        stream.peek(&mut [0; 1]).unwrap(); // What it said has arrived.
        refuse(&stream, Refused::TooManyClients);
        drop(stream);
        let mut reply = String::new();
        client.read_to_string(&mut reply).unwrap();
        assert_eq!(reply, "421 Too many clients, try again later.\r\n");
    }
}
