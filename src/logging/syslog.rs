//! syslog(3)'s protocol: a datagram for each record.
//!
//! A session must not wait for a log that is full or missing: nothing here waits, and a record that
//! cannot be sent is lost.

use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;

use log::Level;

/// Linux and the BSDs; macOS and some BSDs.
const SOCKETS: [&str; 2] = ["/dev/log", "/var/run/syslog"];

/// The number that begins a datagram: facility and severity (RFC 3164 section 4.1.1).
pub(super) fn priority(facility: u8, level: Level) -> u8 {
    facility * 8 + severity(level)
}

pub(super) fn severity(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

/// The connection to syslogd. The socket is made at start, while the process has its rights; syslogd may
/// start later, stop and start again.
pub(super) struct Syslog {
    socket: Option<UnixDatagram>,
    paths: Vec<String>,
}

impl Syslog {
    pub(super) fn open() -> Syslog {
        Syslog::at(SOCKETS.map(str::to_owned).to_vec())
    }

    fn at(paths: Vec<String>) -> Syslog {
        let socket = UnixDatagram::unbound().and_then(|socket| {
            socket.set_nonblocking(true)?;
            Ok(socket)
        });
        let mut syslog = Syslog { socket: socket.ok(), paths };
        syslog.connect();
        syslog
    }

    fn connect(&mut self) -> bool {
        let Some(socket) = &self.socket else { return false };
        self.paths.iter().any(|path| socket.connect(path).is_ok())
    }

    fn send(&self, record: &[u8]) -> io::Result<()> {
        match &self.socket {
            Some(socket) => socket.send(record).map(drop),
            None => Ok(()),
        }
    }
}

impl Write for Syslog {
    /// Always takes the whole record, whether or not it could be sent.
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        match self.send(record) {
            Err(err) if err.kind() != io::ErrorKind::WouldBlock && self.connect() => {
                let _ = self.send(record); // If this fails too, the record is lost.
            }
            Ok(()) | Err(_) => {}
        }
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::Scratch;
    use std::fs;

    fn receive(daemon: &UnixDatagram) -> Vec<u8> {
        let mut record = [0; 100];
        let length = daemon.recv(&mut record).unwrap();
        record[..length].to_vec()
    }

    #[test]
    fn syslogd_may_be_started_late_and_again() {
        let scratch = Scratch::new();
        let path = scratch.join("log");
        let mut syslog = Syslog::at(vec![path.to_str().unwrap().to_owned()]);
        syslog.write_all(b"lost").unwrap();
        for record in [b"first", b"again"] {
            let daemon = UnixDatagram::bind(&path).unwrap();
            syslog.write_all(record).unwrap();
            assert_eq!(receive(&daemon), record);
            fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn a_log_that_is_full_holds_nobody_up() {
        let scratch = Scratch::new();
        let path = scratch.join("log");
        let daemon = UnixDatagram::bind(&path).unwrap();
        let mut syslog = Syslog::at(vec![path.to_str().unwrap().to_owned()]);
        for _ in 0..10_000 {
            syslog.write_all(&[b'x'; 1000]).unwrap(); // Would wait for ever, did it wait.
        }
        drop(daemon);
    }

    #[test]
    fn facility_and_severity_are_one_number() {
        assert_eq!(priority(11, Level::Info), 94); // LOG_FTP | LOG_INFO
    }
}
