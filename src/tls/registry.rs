//! Which control connections are one client's: those over which the same account has logged in
//! from the same address. Some programs keep one cache of TLS sessions for all their connections,
//! and come to the data port of one with the session of another.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Weak};

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

/// The control connections that are protected, by their client's address.
#[derive(Default)]
pub(super) struct Registry(Mutex<HashMap<IpAddr, Vec<Weak<ControlSessions>>>>);

impl Registry {
    pub(super) fn add(&self, sessions: &Arc<ControlSessions>) {
        self.0.lock().entry(sessions.address).or_default().push(Arc::downgrade(sessions));
    }

    /// One from there is gone.
    pub(super) fn remove_dead(&self, address: IpAddr) {
        let mut all = self.0.lock();
        let Some(there) = all.get_mut(&address) else { return };
        there.retain(|sessions| sessions.strong_count() > 0);
        if there.is_empty() {
            all.remove(&address);
        }
    }

    /// The others from the address of this one.
    pub(super) fn others(&self, sessions: &Arc<ControlSessions>) -> Vec<Arc<ControlSessions>> {
        let all = self.0.lock();
        let there = all.get(&sessions.address).map(Vec::as_slice).unwrap_or_default();
        let others = there.iter().filter(|other| !std::ptr::eq(other.as_ptr(), Arc::as_ptr(sessions)));
        others.filter_map(Weak::upgrade).collect()
    }
}
