//! Which control connections are one client's: those over which the same account has logged in
//! from the same address. Some programs keep one cache of TLS sessions for all their connections,
//! and come to the data port of one with the session of another.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::sessions::ControlSessions;

/// Who has logged in over a control connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Holder {
    /// Nobody yet.
    #[default]
    Unknown,
    Account(String),
    /// Somebody who is not known to be the same as anybody else.
    Anonymous,
}

/// How long it is known that a client resumes sessions, and of how many at most.
const KNOWN_FOR: Duration = Duration::from_secs(24 * 3600);
const MOST_KNOWN: usize = 4096;

#[derive(Default)]
pub(super) struct Registry {
    /// The control connections that are protected, by their client's address.
    live: Mutex<HashMap<IpAddr, Vec<Weak<ControlSessions>>>>,
    /// The accounts whose clients resume sessions, and from where; when that was seen last.
    resumers: Mutex<HashMap<(String, IpAddr), Instant>>,
}

impl Registry {
    pub(super) fn add(&self, sessions: &Arc<ControlSessions>) {
        self.live.lock().entry(sessions.address).or_default().push(Arc::downgrade(sessions));
    }

    /// One from there is gone.
    pub(super) fn remove_dead(&self, address: IpAddr) {
        let mut all = self.live.lock();
        let Some(there) = all.get_mut(&address) else { return };
        there.retain(|sessions| sessions.strong_count() > 0);
        if there.is_empty() {
            all.remove(&address);
        }
    }

    /// The others from the address of this one.
    pub(super) fn others(&self, sessions: &Arc<ControlSessions>) -> Vec<Arc<ControlSessions>> {
        let all = self.live.lock();
        let there = all.get(&sessions.address).map(Vec::as_slice).unwrap_or_default();
        let others = there.iter().filter(|other| !std::ptr::eq(other.as_ptr(), Arc::as_ptr(sessions)));
        others.filter_map(Weak::upgrade).collect()
    }

    /// A data connection of this account from there has resumed a session.
    pub(super) fn note_resumer(&self, account: &str, address: IpAddr) {
        let mut all = self.resumers.lock();
        let (client, now) = ((account.to_owned(), address), Instant::now());
        if all.len() >= MOST_KNOWN && !all.contains_key(&client) {
            let oldest = all.iter().min_by_key(|(_, seen)| **seen).map(|(client, _)| client.clone());
            oldest.map(|client| all.remove(&client));
        }
        all.insert(client, now);
    }

    /// Whether one has, of late.
    pub(super) fn is_resumer(&self, account: &str, address: IpAddr) -> bool {
        let seen = self.resumers.lock().get(&(account.to_owned(), address)).copied();
        seen.is_some_and(|seen| seen.elapsed() < KNOWN_FOR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_resumed_last_is_remembered_longest() {
        let registry = Registry::default();
        let address = IpAddr::from([192, 0, 2, 1]);
        for account in 0..MOST_KNOWN {
            registry.note_resumer(&account.to_string(), address);
        }
        registry.note_resumer("0", address);
        registry.note_resumer("one more", address);
        assert!(registry.is_resumer("0", address) && registry.is_resumer("one more", address));
        assert!(!registry.is_resumer("1", address));
        assert!(registry.is_resumer("2", address));
        assert!(!registry.is_resumer("2", IpAddr::from([192, 0, 2, 2])));
        assert_eq!(registry.resumers.lock().len(), MOST_KNOWN);
    }
}
