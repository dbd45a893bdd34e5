//! Hosts that are banned for their failed logins (`--ban`).
//!
//! A ban is asked for each time that a password is tried, and not only when a client connects. So a
//! host with many connections has no more tries than a host with one.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::admission::Refused;
use crate::config::Ban;
use crate::proto::origin::Origin;

/// The most hosts that are banned at one time, and the most others whose failures are remembered. A
/// ban never ends early. If there are too many others, those that failed the least are forgotten.
const MOST_BANNED: usize = 65_536;
const MOST_FAILING: usize = 16_384;

/// How often a thread that waits for another password's check looks whether it must end.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The failed logins of each host, and the hosts that are banned.
#[derive(Debug)]
pub(super) struct Bans {
    rule: Ban,
    hosts: Mutex<Hosts>,
    /// Notified when a check has ended.
    over: Condvar,
}

#[derive(Debug, Default)]
struct Hosts {
    failing: HashMap<Origin, Failing>,
    /// The end of each ban.
    banned: HashMap<Origin, Instant>,
}

#[derive(Debug, Default)]
struct Failing {
    /// The time of each failure, the oldest first; fewer than the rule allows.
    times: VecDeque<Instant>,
    /// Passwords that are being tried.
    guesses: usize,
}

/// A password that is being tried, until this is dropped.
#[must_use = "dropping it ends the try"]
#[derive(Debug)]
pub(crate) struct Guess {
    bans: Arc<Bans>,
    origin: Origin,
}

impl Bans {
    pub(super) fn new(rule: Ban) -> Bans {
        Bans { rule, hosts: Mutex::default(), over: Condvar::new() }
    }

    pub(super) fn is_banned(&self, origin: Origin) -> bool {
        self.hosts.lock().is_banned(origin, Instant::now())
    }

    pub(super) fn count(&self) -> usize {
        let now = Instant::now();
        self.hosts.lock().banned.values().filter(|end| **end > now).count()
    }

    /// Begins to try a password; see `Slot::guess`.
    pub(super) fn guess(
        self: &Arc<Self>,
        origin: Origin,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Guess, Refused> {
        let mut hosts = self.hosts.lock();
        loop {
            let now = Instant::now();
            if hosts.is_banned(origin, now) {
                return Err(Refused::Banned);
            }
            let failing = hosts.failing(origin, &self.rule, now);
            if failing.times.len() + failing.guesses < self.rule.failures as usize {
                failing.guesses += 1;
                return Ok(Guess { bans: Arc::clone(self), origin });
            }
            if !go_on() {
                return Err(Refused::Busy);
            }
            self.over.wait_for(&mut hosts, LOOK_EVERY);
        }
    }

    /// Counts a failure. True if it is the one for which the host is banned.
    fn failed(&self, origin: Origin, now: Instant) -> bool {
        let mut hosts = self.hosts.lock();
        if hosts.is_banned(origin, now) {
            return false;
        }
        let failing = hosts.failing(origin, &self.rule, now);
        failing.times.push_back(now);
        if failing.times.len() < self.rule.failures as usize {
            return false;
        }
        failing.times.clear();
        hosts.ban(origin, now, now + self.rule.time)
    }

    /// The check of a password has ended.
    fn end(&self, origin: Origin) {
        let mut hosts = self.hosts.lock();
        if let Some(failing) = hosts.failing.get_mut(&origin) {
            failing.guesses = failing.guesses.saturating_sub(1);
            if failing.guesses == 0 && failing.times.is_empty() {
                hosts.failing.remove(&origin);
            }
        }
        self.over.notify_all();
    }
}

impl Guess {
    /// The password was wrong. True if the host is banned for it.
    pub(crate) fn failed(self) -> bool {
        self.bans.failed(self.origin, Instant::now())
    }
}

impl Drop for Guess {
    fn drop(&mut self) {
        self.bans.end(self.origin);
    }
}

impl Hosts {
    fn is_banned(&self, origin: Origin, now: Instant) -> bool {
        self.banned.get(&origin).is_some_and(|end| *end > now)
    }

    /// The failures of a host that still count.
    fn failing(&mut self, origin: Origin, rule: &Ban, now: Instant) -> &mut Failing {
        if self.failing.len() >= MOST_FAILING && !self.failing.contains_key(&origin) {
            self.forget_failures(rule, now);
        }
        let failing = self.failing.entry(origin).or_default();
        failing.times.retain(|time| now.duration_since(*time) < rule.period);
        failing
    }

    /// Forgets the failures that do not count any more. If that is not enough, it forgets half of the
    /// hosts: those with the fewest failures, and among them those that failed the longest ago.
    fn forget_failures(&mut self, rule: &Ban, now: Instant) {
        let counts = |last: &Instant| now.duration_since(*last) < rule.period;
        self.failing.retain(|_, failing| failing.guesses > 0 || failing.times.back().is_some_and(counts));
        if self.failing.len() < MOST_FAILING {
            return;
        }
        let idle = self.failing.iter().filter(|(_, failing)| failing.guesses == 0);
        let mut least: Vec<(usize, Instant, Origin)> = idle
            .filter_map(|(origin, Failing { times, .. })| Some((times.len(), *times.back()?, *origin)))
            .collect();
        let half = least.len() / 2;
        if half > 0 {
            least.select_nth_unstable(half);
            least[..half].iter().for_each(|(_, _, origin)| drop(self.failing.remove(origin)));
        }
    }

    /// False if there is no room for another ban.
    fn ban(&mut self, origin: Origin, now: Instant, end: Instant) -> bool {
        if self.banned.len() >= MOST_BANNED {
            self.banned.retain(|_, end| *end > now);
        }
        let has_room = self.banned.len() < MOST_BANNED;
        if has_room {
            self.banned.insert(origin, end);
        }
        has_room
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::thread;

    use super::*;

    fn origin(number: u32) -> Origin {
        Origin::of(IpAddr::from(number.to_be_bytes()))
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn bans(failures: u32, period: u64, time: u64) -> Arc<Bans> {
        Arc::new(Bans::new(Ban { failures, period: seconds(period), time: seconds(time) }))
    }

    #[test]
    fn a_host_is_banned_for_a_time_by_its_failures_within_the_period() {
        let (bans, start) = (bans(3, 60, 600), Instant::now());
        let (a, b) = (origin(1), origin(2));
        let is_banned = |origin, at| bans.hosts.lock().is_banned(origin, at);
        assert!(!bans.failed(a, start));
        assert!(!bans.failed(a, start + seconds(61)));
        assert!(!bans.failed(a, start + seconds(62)));
        assert!(!is_banned(a, start + seconds(62)));
        assert!(bans.failed(a, start + seconds(63)));
        assert!(!bans.failed(a, start + seconds(64)));
        assert!(is_banned(a, start + seconds(662)) && !is_banned(b, start + seconds(64)));
        assert!(!is_banned(a, start + seconds(663)));
        assert!(!bans.failed(a, start + seconds(700)));
    }

    #[test]
    fn failures_from_everywhere_neither_fill_the_memory_nor_end_a_ban_nor_hide_a_guesser() {
        let bans = bans(3, 600, 600);
        let (banned, guesser, start) = (origin(1), origin(2), Instant::now());
        assert_eq!([(); 3].map(|()| bans.failed(banned, start)), [false, false, true]);
        for number in 0..3 * MOST_FAILING as u32 {
            bans.failed(origin(0x0100_0000 + number), start + Duration::from_millis(number.into()));
            if number == 2 * MOST_FAILING as u32 {
                let now = start + Duration::from_millis(number.into());
                assert_eq!([(); 2].map(|()| bans.failed(guesser, now)), [false, false]);
            }
        }
        assert!(bans.hosts.lock().failing.len() <= MOST_FAILING);
        assert!(bans.is_banned(banned));
        assert!(bans.failed(guesser, start + seconds(60)));
    }

    #[test]
    fn passwords_that_are_tried_at_once_are_no_more_than_one_after_the_other() {
        let bans = bans(3, 600, 600);
        let tried = std::sync::atomic::AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| {
                    if let Ok(guess) = bans.guess(origin(1), &|| true) {
                        tried.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        thread::sleep(Duration::from_millis(10));
                        guess.failed();
                    }
                });
            }
        });
        assert_eq!(tried.into_inner(), 3);
        assert!(bans.hosts.lock().failing.is_empty());
    }

    #[test]
    fn right_passwords_wait_for_each_other_and_ban_nobody() {
        let bans = bans(1, 600, 600);
        let first = bans.guess(origin(1), &|| true).unwrap();
        assert_eq!(bans.guess(origin(1), &|| false).err(), Some(Refused::Busy));
        drop(bans.guess(origin(2), &|| false).unwrap());
        drop(first);
        drop(bans.guess(origin(1), &|| false).unwrap());
        assert!(bans.hosts.lock().failing.is_empty());
    }
}
