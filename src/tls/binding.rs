//! The tie between data connections and their control connection: a cache of TLS
//! sessions that no other client has.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::ServerConfig;

use super::TlsConnection;
use super::registry::{Holder, Registry};
use super::sessions::{self, ControlSessions, DataSessions};

/// Tickets that a control connection's handshake gives out. Each transfer's last reply brings another.
const CONTROL_TICKETS: usize = 2;
/// And to clients that ask for a number (RFC 9149).
const MOST_TICKETS: usize = 64;
/// Tickets of a data connection that has any.
const DATA_TICKETS: usize = 1;

/// One control connection's TLS sessions, and those of its data connections.
#[derive(Clone)]
pub(crate) struct Binding {
    control: Arc<ServerConfig>,
    data: Arc<ServerConfig>,
    sessions: Arc<ControlSessions>,
}

impl Binding {
    /// `config` is the server's; only its certificates and rules are shared.
    pub(super) fn new(config: &ServerConfig, registry: &Arc<Registry>, address: IpAddr) -> Binding {
        let sessions = ControlSessions::new(config, registry, address);
        let mut control = config.clone();
        sessions::keep_in(&sessions, &mut control);
        control.send_tls13_tickets = CONTROL_TICKETS;
        control.max_tls13_tickets = MOST_TICKETS;
        control.alpn_protocols = vec![b"ftp".to_vec()];
        let mut data = control.clone();
        data.max_tls13_tickets = 0;
        data.alpn_protocols = vec![b"ftp-data".to_vec(), b"ftp".to_vec()];
        Binding { control: Arc::new(control), data: Arc::new(data), sessions }
    }

    pub(crate) fn control(&self) -> io::Result<TlsConnection> {
        TlsConnection::new(Arc::clone(&self.control), None)
    }

    /// `with_ticket`: under TLS 1.3 the client gets a ticket at the handshake, because it cannot
    /// get one over the control connection. One that closes the connection without having read
    /// it resets the connection, and may lose the end of its upload.
    pub(crate) fn data(&self, with_ticket: bool) -> io::Result<TlsConnection> {
        let sessions = DataSessions::new(&self.data, &self.sessions, with_ticket);
        let mut config = ServerConfig::clone(&self.data);
        sessions::keep_apart(&sessions, &mut config);
        config.send_tls13_tickets = if with_ticket { DATA_TICKETS } else { 0 };
        TlsConnection::new(Arc::new(config), Some(sessions))
    }

    /// The control connection's handshake is done.
    pub(crate) fn seal(&self) {
        self.sessions.seal();
    }

    /// Whether the client is known to resume sessions on its data connections.
    pub(crate) fn has_resumed(&self) -> bool {
        self.sessions.has_resumed()
    }

    /// Somebody has logged in; `None` is an anonymous client.
    pub(crate) fn log_in(&self, account: Option<&str>) {
        let holder = account.map_or(Holder::Anonymous, |name| Holder::Account(name.to_owned()));
        *self.sessions.holder.lock() = holder;
    }

    /// Whoever was logged in is not any more.
    pub(crate) fn log_out(&self) {
        *self.sessions.holder.lock() = Holder::Unknown;
    }
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Binding")
    }
}
