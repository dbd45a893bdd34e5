//! The TLS sessions of one control connection and its data connections, by the ticket or the
//! session id that the client knows them by.
//!
//! Whose sessions count for a data connection besides these is `registry`'s business.

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::crypto::SecureRandom;
use rustls::server::{ClientHello, ProducesTickets, ResolvesServerCert, StoresServerSessions};
use rustls::sign::CertifiedKey;

use super::Proof;
use super::registry::{Holder, Registry};
use super::renamed::renamed;
use crate::sys::crypt::is_same_secret;

/// Sessions of data connections that are remembered, beside all those of the
/// control connection.
const REMEMBERED: usize = 32;
/// Seconds: as long as TLS allows (RFC 8446 section 4.6.1). A session is
/// forgotten with its control connection.
const LIFETIME: u32 = 7 * 24 * 3600;

/// A session, behind the ticket or session id that the client knows it by.
type Named = (Vec<u8>, Vec<u8>);

/// Those of a control connection, and of those data connections that have proved to be its own.
pub(super) struct ControlSessions {
    random: &'static dyn SecureRandom,
    kept: Mutex<Kept>,
    registry: Arc<Registry>,
    /// Where the client is.
    pub address: IpAddr,
    pub holder: Mutex<Holder>,
    /// A data connection of it has resumed a session.
    has_resumed: AtomicBool,
}

impl ControlSessions {
    pub(super) fn new(config: &ServerConfig, registry: &Arc<Registry>, address: IpAddr) -> Arc<Self> {
        let sessions = Arc::new(ControlSessions {
            random: config.crypto_provider().secure_random,
            kept: Mutex::default(),
            registry: Arc::clone(registry),
            address,
            holder: Mutex::default(),
            has_resumed: AtomicBool::new(false),
        });
        registry.add(&sessions);
        sessions
    }

    /// The control connection's handshake is done: its sessions are kept for as
    /// long as it lives, those to come are not.
    pub(super) fn seal(&self) {
        let mut kept = self.kept.lock();
        kept.pinned = kept.entries.len();
        kept.sealed = true;
    }

    fn note_resumed(&self) {
        self.has_resumed.store(true, Ordering::Relaxed);
        if let Holder::Account(account) = &*self.holder.lock() {
            self.registry.note_resumer(account, self.address);
        }
    }

    /// Whether the client resumes sessions: over this control connection, or, if it is known who it
    /// is, over another one of late.
    pub(super) fn has_resumed(&self) -> bool {
        self.has_resumed.load(Ordering::Relaxed)
            || match &*self.holder.lock() {
                Holder::Account(account) => self.registry.is_resumer(account, self.address),
                Holder::Unknown | Holder::Anonymous => false,
            }
    }
}

impl Drop for ControlSessions {
    fn drop(&mut self) {
        self.registry.remove_dead(self.address);
    }
}

/// What one data connection looks up, and the sessions it makes itself.
pub(super) struct DataSessions {
    random: &'static dyn SecureRandom,
    control: Arc<ControlSessions>,
    /// The name that the client asked for (SNI).
    name: Mutex<Option<String>>,
    found: Mutex<Option<Found>>,
    /// Until the connection has proved to be its client's they must prove nothing, so they are set
    /// apart. `None`: it makes none. Where several connections share a cache, one that is not kept
    /// yet might be what the next of them comes with.
    apart: Option<Mutex<Vec<Named>>>,
}

/// The session that was looked up last.
struct Found {
    /// The ticket or session id.
    name: Vec<u8>,
    from: Origin,
}

/// Whose session it is.
enum Origin {
    /// The client's.
    Client,
    /// That of a control connection from the same address which nobody has logged in over yet.
    Unknown(Weak<ControlSessions>),
}

impl DataSessions {
    pub(super) fn new(config: &ServerConfig, control: &Arc<ControlSessions>, make: bool) -> Arc<Self> {
        Arc::new(DataSessions {
            random: config.crypto_provider().secure_random,
            control: Arc::clone(control),
            name: Mutex::default(),
            found: Mutex::default(),
            apart: make.then(Mutex::default),
        })
    }

    /// What it proves that the handshake has resumed a session: the one that was looked up last.
    pub(super) fn proof(&self) -> Proof {
        match self.found.lock().as_ref().map(|found| &found.from) {
            None => Proof::None,
            Some(Origin::Client) => Proof::Given,
            Some(Origin::Unknown(control)) => {
                control.upgrade().map_or(Proof::None, |control| self.control.proof_by(&control))
            }
        }
    }

    /// The data connection has proved to be the client's: so do its sessions from now on.
    pub(super) fn keep(&self) {
        self.control.note_resumed();
        let Some(apart) = &self.apart else { return };
        let mut kept = self.control.kept.lock();
        for (name, session) in apart.lock().drain(..) {
            kept.put(name, session);
        }
    }

    fn look_up(&self, name: &[u8]) -> Option<(Vec<u8>, Origin)> {
        let own = self.control.kept.lock().get(name);
        if let Some(session) = own {
            return Some((session, Origin::Client));
        }
        self.control.registry.others(&self.control).into_iter().find_map(|other| {
            let from = match self.control.proof_by(&other) {
                Proof::Given => Origin::Client,
                Proof::Pending => Origin::Unknown(Arc::downgrade(&other)),
                Proof::None => return None,
            };
            Some((other.kept.lock().get(name)?, from))
        })
    }
}

impl ControlSessions {
    /// What a session of `other`, from the same address, proves to this one.
    fn proof_by(&self, other: &ControlSessions) -> Proof {
        let own = self.holder.lock().clone();
        match &*other.holder.lock() {
            Holder::Account(account) if own == Holder::Account(account.clone()) => Proof::Given,
            Holder::Unknown if matches!(own, Holder::Account(_)) => Proof::Pending,
            _ => Proof::None,
        }
    }
}

impl ProducesTickets for Shelved<ControlSessions> {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        LIFETIME
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let name = new_name(self.0.random)?;
        self.0.kept.lock().put(name.clone(), plain.to_vec());
        Some(name)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        self.0.kept.lock().get(ticket)
    }
}

impl ProducesTickets for Shelved<DataSessions> {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        LIFETIME
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        match &self.0.apart {
            Some(apart) => {
                let name = new_name(self.0.random)?;
                apart.lock().push((name.clone(), plain.to_vec()));
                Some(name)
            }
            // TLS 1.2 gives the client the ticket again that it has come with, if any.
            None => self.0.found.lock().as_ref().map(|found| found.name.clone()),
        }
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (session, from) = self.0.look_up(ticket)?;
        *self.0.found.lock() = Some(Found { name: ticket.to_vec(), from });
        // rustls resumes no session of another name. Clients send one over the control connection
        // and none over the data connection, or the other way round; the ticket is the proof.
        renamed(&session, self.0.name.lock().as_deref())
    }
}

/// A ticket is a random name here, nothing is encrypted in it; and one that is used stays good,
/// for clients that use it again.
fn new_name(random: &dyn SecureRandom) -> Option<Vec<u8>> {
    let mut name = vec![0; 32];
    random.fill(&mut name).ok()?;
    Some(name)
}

/// Session ids, which clients of TLS 1.2 have that do not take tickets.
impl StoresServerSessions for Shelved<ControlSessions> {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.0.kept.lock().put(key, value);
        true
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.decrypt(key)
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.decrypt(key)
    }

    fn can_cache(&self) -> bool {
        true
    }
}

impl StoresServerSessions for Shelved<DataSessions> {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.0.apart.as_ref().map(|apart| apart.lock().push((key, value))).is_some()
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.decrypt(key)
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.decrypt(key)
    }

    fn can_cache(&self) -> bool {
        true
    }
}

/// Sessions as rustls takes them.
struct Shelved<S>(Arc<S>);

impl<S> fmt::Debug for Shelved<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shelved")
    }
}

/// A control connection by `config` keeps its sessions in `sessions`.
pub(super) fn keep_in(sessions: &Arc<ControlSessions>, config: &mut ServerConfig) {
    config.session_storage = Arc::new(Shelved(Arc::clone(sessions)));
    config.ticketer = Arc::new(Shelved(Arc::clone(sessions)));
}

/// A data connection by `config` keeps its sessions in `sessions`.
pub(super) fn keep_apart(sessions: &Arc<DataSessions>, config: &mut ServerConfig) {
    config.session_storage = Arc::new(Shelved(Arc::clone(sessions)));
    config.ticketer = Arc::new(Shelved(Arc::clone(sessions)));
    let certificates = Arc::clone(&config.cert_resolver);
    config.cert_resolver = Arc::new(NameNoted { certificates, sessions: Arc::clone(sessions) });
}

/// Notes which name the client asks for, before its session is looked up.
struct NameNoted {
    certificates: Arc<dyn ResolvesServerCert>,
    sessions: Arc<DataSessions>,
}

impl ResolvesServerCert for NameNoted {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        *self.sessions.name.lock() = hello.server_name().map(str::to_owned);
        self.certificates.resolve(hello)
    }
}

impl fmt::Debug for NameNoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NameNoted")
    }
}

#[derive(Default)]
struct Kept {
    entries: Vec<Named>,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_control_connections_sessions_outlive_those_of_any_number_of_data_connections() {
        const PINNED: usize = 64;
        let mut kept = Kept::default();
        for ticket in 0..PINNED {
            kept.put(format!("control {ticket}").into_bytes(), vec![1]);
        }
        (kept.pinned, kept.sealed) = (kept.entries.len(), true);
        for ticket in 0..1000 {
            kept.put(format!("data {ticket}").into_bytes(), vec![2]);
        }
        assert_eq!(kept.entries.len(), PINNED + REMEMBERED);
        assert_eq!(kept.get(b"control 0"), Some(vec![1]));
        assert_eq!(kept.get(b"data 999"), Some(vec![2]));
        assert_eq!(kept.get(b"data 968"), Some(vec![2]));
        assert_eq!(kept.get(b"data 967"), None);
    }
}
