//! What ties data connections to their control connection: a cache of TLS
//! sessions that no other control connection has.

use std::fmt;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::crypto::SecureRandom;
use rustls::server::{ProducesTickets, StoresServerSessions};

use super::TlsConnection;
use crate::sys::crypt::is_same_secret;

/// Tickets that a control connection's handshake gives out. Each transfer's last reply brings another.
const CONTROL_TICKETS: usize = 2;
/// And to clients that ask for a number (RFC 9149).
const MOST_TICKETS: usize = 64;
/// Tickets of a data connection whose client reads them, as OpenSSL's servers have it.
const DATA_TICKETS: usize = 1;
/// Sessions of data connections that are remembered, beside all those of the
/// control connection.
const REMEMBERED: usize = 32;
/// Seconds: as long as TLS allows (RFC 8446 section 4.6.1). A session is
/// forgotten with its control connection.
const LIFETIME: u32 = 7 * 24 * 3600;

/// One control connection's TLS sessions, and those of its data connections.
#[derive(Clone)]
pub(crate) struct Binding {
    control: Arc<ServerConfig>,
    data: Arc<ServerConfig>,
    sessions: Arc<Sessions>,
}

impl Binding {
    /// `config` is the server's; only its certificates and rules are shared.
    pub(super) fn new(config: &ServerConfig) -> Binding {
        let sessions = Arc::new(Sessions::new(config, None));
        let mut control = config.clone();
        sessions.serve(&mut control);
        control.send_tls13_tickets = CONTROL_TICKETS;
        control.max_tls13_tickets = MOST_TICKETS;
        control.alpn_protocols = vec![b"ftp".to_vec()];
        let mut data = control.clone();
        data.send_tls13_tickets = DATA_TICKETS;
        data.max_tls13_tickets = 0;
        data.alpn_protocols = vec![b"ftp-data".to_vec(), b"ftp".to_vec()];
        Binding { control: Arc::new(control), data: Arc::new(data), sessions }
    }

    pub(crate) fn control(&self) -> io::Result<TlsConnection> {
        TlsConnection::new(Arc::clone(&self.control), None)
    }

    /// Until the connection has proved that it belongs here, its own sessions must prove
    /// nothing: they are set apart, for `TlsConnection::keep_sessions`.
    ///
    /// `with_ticket`: under TLS 1.3 the client gets a ticket at the handshake. A client that closes
    /// the connection without having read it resets the connection, and may lose the end of its upload.
    pub(crate) fn data(&self, with_ticket: bool) -> io::Result<TlsConnection> {
        let apart = Arc::new(Sessions::new(&self.data, Some(Arc::clone(&self.sessions))));
        let mut config = ServerConfig::clone(&self.data);
        apart.serve(&mut config);
        if !with_ticket {
            config.send_tls13_tickets = 0;
        }
        TlsConnection::new(Arc::new(config), Some(apart))
    }

    /// The control connection's handshake is done: its sessions are kept for as
    /// long as it lives, those to come are not.
    pub(crate) fn seal(&self) {
        let mut kept = self.sessions.kept.lock();
        kept.pinned = kept.entries.len();
        kept.sealed = true;
    }
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Binding")
    }
}

/// Sessions by the ticket or session id that the client knows them by. A ticket
/// is a random name here, nothing is encrypted in it; and one that is used
/// stays good, for clients that use it again.
pub(super) struct Sessions {
    random: &'static dyn SecureRandom,
    kept: Mutex<Kept>,
    /// Those of the control connection, for a data connection.
    parent: Option<Arc<Sessions>>,
}

impl Sessions {
    fn new(config: &ServerConfig, parent: Option<Arc<Sessions>>) -> Sessions {
        let random = config.crypto_provider().secure_random;
        Sessions { random, kept: Mutex::default(), parent }
    }

    fn serve(self: &Arc<Self>, config: &mut ServerConfig) {
        config.session_storage = Arc::clone(self) as Arc<dyn StoresServerSessions>;
        config.ticketer = Arc::clone(self) as Arc<dyn ProducesTickets>;
    }

    /// Those of a data connection become those of the control connection.
    pub(super) fn move_to_parent(&self) {
        let Some(parent) = &self.parent else { return };
        let mut theirs = parent.kept.lock();
        for (name, session) in self.kept.lock().entries.drain(..) {
            theirs.put(name, session);
        }
    }

    fn find(&self, name: &[u8]) -> Option<Vec<u8>> {
        let own = self.kept.lock().get(name);
        own.or_else(|| self.parent.as_ref()?.find(name))
    }
}

#[derive(Default)]
struct Kept {
    entries: Vec<(Vec<u8>, Vec<u8>)>,
    /// The control connection's handshake is over. What it puts in is bounded by itself.
    sealed: bool,
    /// That many at the beginning stay.
    pinned: usize,
    /// Which of the others the next one replaces, once there are enough.
    next: usize,
}

impl Kept {
    fn put(&mut self, name: Vec<u8>, session: Vec<u8>) {
        if let Some(entry) = self.entries.iter_mut().find(|(known, _)| *known == name) {
            entry.1 = session;
        } else if !self.sealed || self.entries.len() < self.pinned + REMEMBERED {
            self.entries.push((name, session));
        } else {
            let place = self.pinned + self.next % REMEMBERED;
            self.next += 1;
            if let Some(entry) = self.entries.get_mut(place) {
                *entry = (name, session);
            }
        }
    }

    fn get(&self, name: &[u8]) -> Option<Vec<u8>> {
        self.entries.iter().find(|(known, _)| is_same_secret(known, name)).map(|(_, session)| session.clone())
    }
}

impl StoresServerSessions for Sessions {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.kept.lock().put(key, value);
        true
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.find(key)
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.find(key)
    }

    fn can_cache(&self) -> bool {
        true
    }
}

impl ProducesTickets for Sessions {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        LIFETIME
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let mut name = vec![0; 32];
        self.random.fill(&mut name).ok()?;
        self.kept.lock().put(name.clone(), plain.to_vec());
        Some(name)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        self.find(ticket)
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sessions")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_control_connections_sessions_outlive_those_of_any_number_of_data_connections() {
        let mut kept = Kept::default();
        for ticket in 0..MOST_TICKETS {
            kept.put(format!("control {ticket}").into_bytes(), vec![1]);
        }
        (kept.pinned, kept.sealed) = (kept.entries.len(), true);
        for ticket in 0..1000 {
            kept.put(format!("data {ticket}").into_bytes(), vec![2]);
        }
        assert_eq!(kept.entries.len(), MOST_TICKETS + REMEMBERED);
        assert_eq!(kept.get(b"control 0"), Some(vec![1]));
        assert_eq!(kept.get(b"data 999"), Some(vec![2]));
        assert_eq!(kept.get(b"data 968"), Some(vec![2]));
        assert_eq!(kept.get(b"data 967"), None);
    }
}
