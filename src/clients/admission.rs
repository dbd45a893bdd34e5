//! The limits on clients: in all, of each host and of each user.
//!
//! The main thread takes a place for each client, and the session takes one for its user. A place is
//! given back when its owner drops it, however the session ends.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use super::bans::Bans;
use super::presence::Presence;
use crate::config::Limits;

/// The places of one server.
pub(crate) struct Admission {
    max_clients: usize,
    max_per_ip: Option<usize>,
    max_per_user: Option<usize>,
    places: Mutex<Places>,
    bans: Option<Mutex<Bans>>,
}

#[derive(Default)]
struct Places {
    clients: usize,
    hosts: HashMap<IpAddr, usize>,
    users: HashMap<String, usize>,
    /// By number, in the order of their arrival.
    sessions: BTreeMap<u64, Arc<Presence>>,
    last_id: u64,
}

/// The reason why a client is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    TooManyClients,
    TooManyOfHost,
    Banned,
    /// The system has no thread or descriptor left.
    NoResources,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refused::TooManyClients => "Too many clients, try again later.",
            Refused::TooManyOfHost => "Too many connections from your address.",
            Refused::Banned => "Too many failed logins from your address, try again later.",
            Refused::NoResources => "No resources for another client, try again later.",
        })
    }
}

/// The place of one client: among all clients, and among those of its host.
#[must_use = "dropping the slot gives the place back at once"]
pub(crate) struct Slot {
    admission: Arc<Admission>,
    host: IpAddr,
    presence: Arc<Presence>,
}

impl Slot {
    /// The session, as `who` shows it.
    pub(crate) fn presence(&self) -> &Arc<Presence> {
        &self.presence
    }
}

/// The place of one login among those of its user.
#[must_use = "dropping the slot gives the place back at once"]
pub(crate) struct UserSlot {
    admission: Arc<Admission>,
    user: String,
}

/// Numbers for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Census {
    pub clients: usize,
    pub hosts: usize,
    pub logged_in: usize,
    pub banned: usize,
}

impl Admission {
    pub(crate) fn new(limits: &Limits) -> Arc<Admission> {
        Arc::new(Admission {
            max_clients: limits.max_clients,
            max_per_ip: limits.max_per_ip,
            max_per_user: limits.max_per_user,
            places: Mutex::default(),
            bans: limits.ban.map(|rule| Mutex::new(Bans::new(rule))),
        })
    }

    /// A place for a client from `host`.
    pub(crate) fn admit(self: &Arc<Self>, host: IpAddr) -> Result<Slot, Refused> {
        if self.bans.as_ref().is_some_and(|bans| bans.lock().is_banned(host, Instant::now())) {
            return Err(Refused::Banned);
        }
        let mut places = self.places.lock();
        if places.clients >= self.max_clients {
            return Err(Refused::TooManyClients);
        }
        if self.max_per_ip.is_some_and(|most| places.hosts.get(&host).is_some_and(|&count| count >= most)) {
            return Err(Refused::TooManyOfHost);
        }
        places.clients += 1;
        *places.hosts.entry(host).or_default() += 1;
        places.last_id += 1;
        let presence = Arc::new(Presence::new(places.last_id, host));
        places.sessions.insert(presence.place, Arc::clone(&presence));
        Ok(Slot { admission: Arc::clone(self), host, presence })
    }

    /// A place for a login of `user`; `None` if the user has `--max-per-user` already. Every login takes
    /// one, so that the logins can be counted.
    pub(crate) fn user_slot(self: &Arc<Self>, user: &str) -> Option<UserSlot> {
        let mut places = self.places.lock();
        let count = places.users.entry(user.to_owned()).or_default();
        if self.max_per_user.is_some_and(|most| *count >= most) {
            return None; // The count is at least one, so no empty entry is left.
        }
        *count += 1;
        Some(UserSlot { admission: Arc::clone(self), user: user.to_owned() })
    }

    /// Counts a failed login. True if it is the one for which `host` is banned.
    pub(crate) fn login_failed(&self, host: IpAddr) -> bool {
        self.bans.as_ref().is_some_and(|bans| bans.lock().failed(host, Instant::now()))
    }

    pub(crate) fn clients(&self) -> usize {
        self.places.lock().clients
    }

    /// The sessions, in the order of their arrival.
    pub(crate) fn sessions(&self) -> Vec<Arc<Presence>> {
        self.places.lock().sessions.values().cloned().collect()
    }

    pub(crate) fn census(&self) -> Census {
        let banned = self.bans.as_ref().map_or(0, |bans| bans.lock().count(Instant::now()));
        let places = self.places.lock();
        Census {
            clients: places.clients,
            hosts: places.hosts.len(),
            logged_in: places.users.values().sum(),
            banned,
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.presence.detach();
        let mut places = self.admission.places.lock();
        places.sessions.remove(&self.presence.place);
        places.clients -= 1;
        give_back(&mut places.hosts, &self.host);
    }
}

impl Drop for UserSlot {
    fn drop(&mut self) {
        give_back(&mut self.admission.places.lock().users, &self.user);
    }
}

fn give_back<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Ban;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn admission(limits: Limits) -> Arc<Admission> {
        Admission::new(&limits)
    }

    #[test]
    fn a_full_house_has_room_again_when_a_client_goes() {
        let house = admission(Limits { max_clients: 2, ..Limits::default() });
        let first = house.admit(A).expect("there is room");
        let _second = house.admit(A).expect("there is room");
        assert_eq!(house.admit(B).err(), Some(Refused::TooManyClients));
        drop(first);
        assert!(house.admit(B).is_ok());
    }

    #[test]
    fn one_host_does_not_take_the_place_of_others() {
        let house = admission(Limits { max_per_ip: Some(1), ..Limits::default() });
        let first = house.admit(A);
        assert_eq!(house.admit(A).err(), Some(Refused::TooManyOfHost));
        assert!(house.admit(B).is_ok());
        drop(first);
        assert!(house.admit(A).is_ok());
        assert_eq!(house.census(), Census { clients: 0, hosts: 0, logged_in: 0, banned: 0 });
    }

    #[test]
    fn users_are_counted_by_name() {
        let house = admission(Limits { max_per_user: Some(1), ..Limits::default() });
        let joe = house.user_slot("joe").expect("joe is not there");
        assert!(house.user_slot("joe").is_none());
        assert!(house.user_slot("ann").is_some());
        assert_eq!(house.census().logged_in, 1);
        drop(joe);
        assert!(house.user_slot("joe").is_some());
    }

    #[test]
    fn a_banned_host_is_refused_at_the_door() {
        let long = Duration::from_secs(600);
        let rule = Ban { failures: 1, period: long, time: long };
        let house = admission(Limits { ban: Some(rule), ..Limits::default() });
        assert!(house.admit(A).is_ok());
        assert!(house.login_failed(A));
        assert_eq!(house.admit(A).err(), Some(Refused::Banned));
        assert_eq!(house.census().banned, 1);
    }
}
