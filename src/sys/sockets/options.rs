//! Options of TCP sockets that std does not set.

use std::io;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::net::sockopt;

/// Urgent data keeps its place in the stream, in front of what was sent after it.
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

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::sys::sockets::tests::loopback;
    use crate::sys::sockets::{accept, listen};

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
