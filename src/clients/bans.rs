//! Hosts that are banned for their failed logins (`--ban`).

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::config::Ban;

/// The most hosts that are remembered. When there are more, some are forgotten.
const MOST_HOSTS: usize = 16_384;

/// The failed logins of each host, and the hosts that are banned.
pub(super) struct Bans {
    rule: Ban,
    hosts: HashMap<IpAddr, Record>,
}

enum Record {
    /// The time of each failure, the oldest first; fewer than the rule allows.
    Failures(VecDeque<Instant>),
    BannedUntil(Instant),
}

impl Bans {
    pub(super) fn new(rule: Ban) -> Bans {
        Bans { rule, hosts: HashMap::new() }
    }

    pub(super) fn is_banned(&self, host: IpAddr, now: Instant) -> bool {
        matches!(self.hosts.get(&host), Some(Record::BannedUntil(end)) if *end > now)
    }

    pub(super) fn failed(&mut self, host: IpAddr, now: Instant) -> bool {
        if self.hosts.len() >= MOST_HOSTS && !self.hosts.contains_key(&host) {
            self.make_room(now);
        }
        let rule = self.rule;
        let record = self.hosts.entry(host).or_insert_with(|| Record::Failures(VecDeque::new()));
        let failures = match record {
            // The session is older than the ban, which stays as it is.
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

    pub(super) fn count(&self, now: Instant) -> usize {
        self.hosts.values().filter(|record| matches!(record, Record::BannedUntil(end) if *end > now)).count()
    }

    /// Forgets what is over. If that is not enough, forgets half of the hosts that are not banned, and
    /// then half of those that are, so that nobody can fill the memory.
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

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_host_is_banned_for_a_time_by_its_failures_within_the_period() {
        let rule = Ban { failures: 3, period: seconds(60), time: seconds(600) };
        let (mut bans, start) = (Bans::new(rule), Instant::now());
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
    fn failures_from_everywhere_do_not_fill_the_memory() {
        let rule = Ban { failures: 2, period: seconds(600), time: seconds(600) };
        let (mut bans, now) = (Bans::new(rule), Instant::now());
        bans.failed(B, now);
        bans.failed(B, now);
        for bits in 0..3 * MOST_HOSTS as u32 {
            bans.failed(IpAddr::from(bits.to_be_bytes()), now);
        }
        assert!(bans.hosts.len() <= MOST_HOSTS);
        assert!(bans.is_banned(B, now));
    }
}
