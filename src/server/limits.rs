//! Who is let in: clients in all, for each host and for each user, and hosts
//! that are banned for their failed logins.
//!
//! A place is taken by the main thread or the session and given back when its
//! owner drops it, however the session ends.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::guests::Guest;
use crate::config::{Ban, Limits};

/// Hosts whose failures are remembered at once; more make it forget the oldest.
const MOST_HOSTS: usize = 16_384;

/// The server's guest list.
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
    guests: BTreeMap<u64, Arc<Guest>>,
    last_guest: u64,
}

/// Why a client is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    TooManyClients,
    TooManyOfHost,
    Banned,
    /// Not a limit that was set: the system has no thread or descriptor left.
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

/// One client's place among all and among those of its host.
#[must_use = "dropping the slot gives the place back at once"]
pub(crate) struct Slot {
    admission: Arc<Admission>,
    host: IpAddr,
    guest: Arc<Guest>,
}

impl Slot {
    /// What is known of the client.
    pub(crate) fn guest(&self) -> &Arc<Guest> {
        &self.guest
    }
}

/// One login's place among those of its user.
#[must_use = "dropping the slot gives the place back at once"]
pub(crate) struct UserSlot {
    admission: Arc<Admission>,
    user: String,
}

/// How many there are of each, for the log.
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
            bans: limits.ban.map(|rule| Mutex::new(Bans { rule, hosts: HashMap::new() })),
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
        places.last_guest += 1;
        let guest = Arc::new(Guest::new(places.last_guest, host));
        places.guests.insert(guest.id, Arc::clone(&guest));
        Ok(Slot { admission: Arc::clone(self), host, guest })
    }

    /// A place for a login of `user`; `None` when `--max-per-user` are there.
    /// Every login takes one, so that they can be counted.
    pub(crate) fn user_slot(self: &Arc<Self>, user: &str) -> Option<UserSlot> {
        let mut places = self.places.lock();
        let count = places.users.entry(user.to_owned()).or_default();
        if self.max_per_user.is_some_and(|most| *count >= most) {
            return None; // The count is at least one, so no empty entry is left.
        }
        *count += 1;
        Some(UserSlot { admission: Arc::clone(self), user: user.to_owned() })
    }

    /// Counts a failed login. True when it was the one that got `host` banned.
    pub(crate) fn login_failed(&self, host: IpAddr) -> bool {
        self.bans.as_ref().is_some_and(|bans| bans.lock().failed(host, Instant::now()))
    }

    pub(crate) fn clients(&self) -> usize {
        self.places.lock().clients
    }

    /// Who is there, in the order of arrival.
    pub(crate) fn guests(&self) -> Vec<Arc<Guest>> {
        self.places.lock().guests.values().cloned().collect()
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
        self.guest.detach();
        let mut places = self.admission.places.lock();
        places.guests.remove(&self.guest.id);
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

/// Failed logins by host, and who is banned for them.
struct Bans {
    rule: Ban,
    hosts: HashMap<IpAddr, Record>,
}

enum Record {
    /// When each failure was, the oldest first; fewer than the rule allows.
    Failures(VecDeque<Instant>),
    BannedUntil(Instant),
}

impl Bans {
    fn is_banned(&self, host: IpAddr, now: Instant) -> bool {
        matches!(self.hosts.get(&host), Some(Record::BannedUntil(end)) if *end > now)
    }

    fn failed(&mut self, host: IpAddr, now: Instant) -> bool {
        if self.hosts.len() >= MOST_HOSTS && !self.hosts.contains_key(&host) {
            self.make_room(now);
        }
        let rule = self.rule;
        let record = self.hosts.entry(host).or_insert_with(|| Record::Failures(VecDeque::new()));
        let failures = match record {
            // A session from before the ban; it changes nothing.
            Record::BannedUntil(end) if *end > now => return false,
            Record::BannedUntil(_) => {
                *record = Record::Failures(VecDeque::from([now]));
                1
            }
            Record::Failures(times) => {
                times.retain(|time| now.duration_since(*time) < rule.period);
                times.push_back(now);
                times.len()
            }
        };
        if failures < rule.failures as usize {
            return false;
        }
        *record = Record::BannedUntil(now + rule.time);
        true
    }

    fn count(&self, now: Instant) -> usize {
        self.hosts.values().filter(|record| matches!(record, Record::BannedUntil(end) if *end > now)).count()
    }

    /// Forgets what is over; if nothing is, half of those who are not banned yet,
    /// and in the end of those who are, so that nobody fills the memory.
    fn make_room(&mut self, now: Instant) {
        let period = self.rule.period;
        self.hosts.retain(|_, record| !record.is_over(now, period));
        for banned_too in [false, true] {
            if self.hosts.len() < MOST_HOSTS {
                return;
            }
            let mut kept = false;
            self.hosts.retain(|_, record| {
                kept = !kept;
                kept || matches!(record, Record::BannedUntil(_)) && !banned_too
            });
        }
    }
}

impl Record {
    fn is_over(&self, now: Instant, period: Duration) -> bool {
        match self {
            Record::BannedUntil(end) => *end <= now,
            Record::Failures(times) => times.back().is_none_or(|last| now.duration_since(*last) >= period),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn admission(limits: Limits) -> Arc<Admission> {
        Admission::new(&limits)
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
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
    fn a_host_is_banned_for_a_time_by_its_failures_within_the_period() {
        let rule = Ban { failures: 3, period: seconds(60), time: seconds(600) };
        let (mut bans, start) = (Bans { rule, hosts: HashMap::new() }, Instant::now());
        assert!(!bans.failed(A, start));
        assert!(!bans.failed(A, start + seconds(61)));
        assert!(!bans.failed(A, start + seconds(62)));
        assert!(!bans.is_banned(A, start + seconds(62)));
        assert!(bans.failed(A, start + seconds(63)));
        assert!(!bans.failed(A, start + seconds(64)));
        assert!(bans.is_banned(A, start + seconds(662)) && !bans.is_banned(B, start + seconds(64)));
        assert!(!bans.is_banned(A, start + seconds(663)));
        assert!(!bans.failed(A, start + seconds(700)));
    }

    #[test]
    fn a_banned_host_is_refused_at_the_door() {
        let rule = Ban { failures: 1, period: seconds(600), time: seconds(600) };
        let house = admission(Limits { ban: Some(rule), ..Limits::default() });
        assert!(house.admit(A).is_ok());
        assert!(house.login_failed(A));
        assert_eq!(house.admit(A).err(), Some(Refused::Banned));
        assert_eq!(house.census().banned, 1);
    }

    #[test]
    fn failures_from_everywhere_do_not_fill_the_memory() {
        let rule = Ban { failures: 2, period: seconds(600), time: seconds(600) };
        let (mut bans, now) = (Bans { rule, hosts: HashMap::new() }, Instant::now());
        bans.failed(B, now);
        bans.failed(B, now);
        for bits in 0..3 * MOST_HOSTS as u32 {
            bans.failed(IpAddr::from(bits.to_be_bytes()), now);
        }
        assert!(bans.hosts.len() <= MOST_HOSTS);
        assert!(bans.is_banned(B, now));
    }
}
