//! The limits on clients: in all, of each host and of each user. Clients that are not logged in have
//! limits of their own, so that strangers leave places to others.
//!
//! The main thread takes a place for each client, and the session takes one for its user. A place is
//! given back when its owner drops it, however the session ends.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::bans::{Bans, Guess};
use super::presence::Presence;
use crate::config::Limits;
use crate::proto::origin::Origin;

/// The logins of one connection within a minute. Each writes to logs and to wtmp.
const LOGINS_A_MINUTE: usize = 30;
const MINUTE: Duration = Duration::from_secs(60);

/// The places of one server.
pub(crate) struct Admission {
    max_clients: usize,
    max_per_ip: Option<usize>,
    max_before_login: Option<usize>,
    max_before_login_per_ip: Option<usize>,
    max_per_user: Option<usize>,
    places: Mutex<Places>,
    bans: Option<Arc<Bans>>,
}

#[derive(Default)]
struct Places {
    all: Taken,
    hosts: HashMap<Origin, Taken>,
    users: HashMap<String, usize>,
    /// By number, in the order of their arrival.
    sessions: BTreeMap<u64, Arc<Presence>>,
    last_id: u64,
}

/// Places that clients have.
#[derive(Clone, Copy, Default)]
struct Taken {
    clients: usize,
    /// Those of them that are not logged in.
    before_login: usize,
}

/// The reason why a client is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    TooManyClients,
    TooManyOfHost,
    TooManyBeforeLogin,
    TooManyOfHostBeforeLogin,
    Banned,
    TooManyOfUser,
    /// The client logs in again and again.
    TooManyLogins,
    /// Its password cannot be tried before those of others of its host.
    Busy,
    /// The system has no thread or descriptor left.
    NoResources,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refused::TooManyClients => "Too many clients, try again later.",
            Refused::TooManyOfHost => "Too many connections from your address.",
            Refused::TooManyBeforeLogin => "Too many clients that are not logged in, try again later.",
            Refused::TooManyOfHostBeforeLogin => {
                "Too many connections from your address that are not logged in."
            }
            Refused::Banned => "Too many failed logins from your address, try again later.",
            Refused::TooManyOfUser => "Too many sessions of this user; closing the connection.",
            Refused::TooManyLogins => "Too many logins; closing the connection.",
            Refused::Busy => "Other logins from your address are being checked, try again later.",
            Refused::NoResources => "No resources for another client, try again later.",
        })
    }
}

/// The place of one client: among all clients, and among those of its host.
#[must_use = "dropping the slot gives the place back at once"]
pub(crate) struct Slot(Arc<Place>);

/// A place, as long as the client or its login has it.
struct Place {
    admission: Arc<Admission>,
    origin: Origin,
    presence: Arc<Presence>,
    /// The last logins of the connection, the oldest first.
    logins: Mutex<VecDeque<Instant>>,
}

impl Slot {
    /// The session, as `who` shows it.
    pub(crate) fn presence(&self) -> &Arc<Presence> {
        &self.0.presence
    }

    /// A place for a login of `user`, unless there are too many of the user, or of this connection within
    /// a minute. Every login takes one, so that the logins can be counted.
    pub(crate) fn log_in(&self, user: &str) -> Result<UserSlot, Refused> {
        let Place { admission, origin, logins, .. } = &*self.0;
        let (mut logins, now) = (logins.lock(), Instant::now());
        logins.retain(|time| now.duration_since(*time) < MINUTE);
        if logins.len() >= LOGINS_A_MINUTE {
            return Err(Refused::TooManyLogins);
        }
        let mut places = admission.places.lock();
        let count = places.users.entry(user.to_owned()).or_default();
        if admission.max_per_user.is_some_and(|most| *count >= most) {
            return Err(Refused::TooManyOfUser); // The count is at least one, so no empty entry is left.
        }
        *count += 1;
        places.change(*origin, |taken| taken.before_login -= 1);
        logins.push_back(now);
        Ok(UserSlot { place: Arc::clone(&self.0), user: user.to_owned() })
    }

    /// Whether a client that is logged in would have a place without its login.
    pub(crate) fn may_log_out(&self) -> Result<(), Refused> {
        let Place { admission, origin, .. } = &*self.0;
        admission.room_before_login(&admission.places.lock(), *origin)
    }

    /// Begins to try a password, if the client's host is not banned. If the passwords that are being
    /// tried already could all fail and get the host banned, this waits until one of them is decided,
    /// as long as `go_on` is true. `None`: there is no `--ban`.
    pub(crate) fn guess(&self, go_on: &dyn Fn() -> bool) -> Result<Option<Guess>, Refused> {
        let Place { admission, origin, .. } = &*self.0;
        admission.bans.as_ref().map(|bans| bans.guess(*origin, go_on)).transpose()
    }

    /// Whether the client's host is banned.
    pub(crate) fn is_banned(&self) -> bool {
        self.0.admission.is_banned(self.0.origin)
    }
}

/// The place of one login among those of its user. Dropping it ends the login.
#[must_use = "dropping the slot gives the place back at once"]
pub(crate) struct UserSlot {
    place: Arc<Place>,
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
            max_before_login: limits.max_before_login,
            max_before_login_per_ip: limits.max_before_login_per_ip,
            max_per_user: limits.max_per_user,
            places: Mutex::default(),
            bans: limits.ban.map(|rule| Arc::new(Bans::new(rule))),
        })
    }

    /// A place for a client from `host`.
    pub(crate) fn admit(self: &Arc<Self>, host: IpAddr) -> Result<Slot, Refused> {
        let origin = Origin::of(host);
        if self.is_banned(origin) {
            return Err(Refused::Banned);
        }
        let mut places = self.places.lock();
        if places.all.clients >= self.max_clients {
            return Err(Refused::TooManyClients);
        }
        if self.max_per_ip.is_some_and(|most| places.of(origin).clients >= most) {
            return Err(Refused::TooManyOfHost);
        }
        self.room_before_login(&places, origin)?;
        places.change(origin, |taken| {
            taken.clients += 1;
            taken.before_login += 1;
        });
        places.last_id += 1;
        let presence = Arc::new(Presence::new(places.last_id, host));
        places.sessions.insert(presence.place, Arc::clone(&presence));
        let (admission, logins) = (Arc::clone(self), Mutex::default());
        Ok(Slot(Arc::new(Place { admission, origin, presence, logins })))
    }

    fn room_before_login(&self, places: &Places, origin: Origin) -> Result<(), Refused> {
        if self.max_before_login_per_ip.is_some_and(|most| places.of(origin).before_login >= most) {
            return Err(Refused::TooManyOfHostBeforeLogin);
        }
        if self.max_before_login.is_some_and(|most| places.all.before_login >= most) {
            return Err(Refused::TooManyBeforeLogin);
        }
        Ok(())
    }

    fn is_banned(&self, origin: Origin) -> bool {
        self.bans.as_ref().is_some_and(|bans| bans.is_banned(origin))
    }

    pub(crate) fn clients(&self) -> usize {
        self.places.lock().all.clients
    }

    /// The sessions, in the order of their arrival.
    pub(crate) fn sessions(&self) -> Vec<Arc<Presence>> {
        self.places.lock().sessions.values().cloned().collect()
    }

    pub(crate) fn census(&self) -> Census {
        let banned = self.bans.as_ref().map_or(0, |bans| bans.count());
        let places = self.places.lock();
        Census {
            clients: places.all.clients,
            hosts: places.hosts.len(),
            logged_in: places.users.values().sum(),
            banned,
        }
    }
}

impl Places {
    fn of(&self, origin: Origin) -> Taken {
        self.hosts.get(&origin).copied().unwrap_or_default()
    }

    /// Counts a change of one client's, among all and among those of its host.
    fn change(&mut self, origin: Origin, change: impl Fn(&mut Taken)) {
        let host = self.hosts.entry(origin).or_default();
        change(host);
        if host.clients == 0 {
            self.hosts.remove(&origin);
        }
        change(&mut self.all);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.presence.detach();
        let mut places = self.admission.places.lock();
        places.sessions.remove(&self.presence.place);
        places.change(self.origin, |taken| {
            taken.clients -= 1;
            taken.before_login -= 1;
        });
    }
}

impl Drop for UserSlot {
    fn drop(&mut self) {
        let mut places = self.place.admission.places.lock();
        places.change(self.place.origin, |taken| taken.before_login += 1);
        if let Some(count) = places.users.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                places.users.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
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
        let clients: Vec<Slot> = (0..3).map(|_| house.admit(A).expect("there is room")).collect();
        let joe = clients[0].log_in("joe").expect("joe is not there");
        assert_eq!(clients[1].log_in("joe").err(), Some(Refused::TooManyOfUser));
        assert!(clients[2].log_in("ann").is_ok());
        assert_eq!(house.census().logged_in, 1);
        drop(joe);
        assert!(clients[1].log_in("joe").is_ok());
    }

    #[test]
    fn one_connection_does_not_log_in_without_end() {
        let house = admission(Limits::default());
        let client = house.admit(A).expect("there is room");
        (0..LOGINS_A_MINUTE).for_each(|_| drop(client.log_in("joe").expect("these are a few")));
        assert_eq!(client.log_in("joe").err(), Some(Refused::TooManyLogins));
        assert_eq!(house.places.lock().all.before_login, 1);
    }

    #[test]
    fn strangers_leave_places_to_others() {
        let limits = Limits {
            max_clients: 4,
            max_before_login: Some(3),
            max_before_login_per_ip: Some(2),
            ..Limits::default()
        };
        let house = admission(limits);
        let (one, _two) = (house.admit(A).expect("there is room"), house.admit(A));
        assert_eq!(house.admit(A).err(), Some(Refused::TooManyOfHostBeforeLogin));
        let _three = house.admit(B).expect("another host has a share of its own");
        assert_eq!(house.admit(B).err(), Some(Refused::TooManyBeforeLogin));
        // A login makes room, and REIN comes back only where there is some.
        let login = one.log_in("joe").expect("there is no limit");
        let four = house.admit(A).expect("there is room");
        assert_eq!(one.may_log_out(), Err(Refused::TooManyOfHostBeforeLogin));
        drop(four);
        assert_eq!(one.may_log_out(), Ok(()));
        // In whatever order they go, no place is lost.
        drop(one);
        assert_eq!(house.census().clients, 3);
        drop(login);
        assert_eq!(house.census(), Census { clients: 2, hosts: 2, logged_in: 0, banned: 0 });
        assert_eq!(house.places.lock().all.before_login, 2);
    }

    #[test]
    fn all_addresses_of_a_64_are_one_host() {
        let house = admission(Limits { max_per_ip: Some(2), ..Limits::default() });
        let clients: Vec<_> =
            (1..4).map(|number| house.admit(format!("2001:db8::{number}").parse().unwrap())).collect();
        assert_eq!(clients[2].as_ref().err(), Some(&Refused::TooManyOfHost));
        assert!(house.admit("2001:db8:0:1::1".parse().unwrap()).is_ok());
    }

    #[test]
    fn a_banned_host_is_refused_at_the_door_and_with_its_next_password() {
        let long = Duration::from_secs(600);
        let rule = Ban { failures: 1, period: long, time: long };
        let house = admission(Limits { ban: Some(rule), ..Limits::default() });
        let client = house.admit(A).expect("there is room");
        let guess = client.guess(&|| true).expect("nobody is banned").expect("there is a rule");
        assert!(guess.failed());
        assert!(client.is_banned());
        assert_eq!(client.guess(&|| true).err(), Some(Refused::Banned));
        assert_eq!(house.admit(A).err(), Some(Refused::Banned));
        assert_eq!(house.census().banned, 1);
    }
}
