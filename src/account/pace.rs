//! The work and the time of a refusal: the same as of a check that found a password wrong, so
//! that a client does not learn why it was refused.
//!
//! For an account that exists, a module of PAM may compute one hash, or two, or ask another
//! server. For a name that does not exist it does something else. So a check that is pretended
//! follows the last real ones: it computes as many hashes as fit into their time, and then waits
//! for the rest. It computes hashes and does not only wait, because under load a computation
//! takes longer and a wait does not.

use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How many checks of each kind are remembered.
const REMEMBERED: usize = 32;

/// How many checks are enough for a median. A single one may have been slow by chance.
const ENOUGH: usize = 3;

/// The longest time that is remembered. A check that took longer has waited for something.
const LONGEST: Duration = Duration::from_secs(5);

/// The most hashes of a pretended check: names that do not exist must not keep the machine busy.
const MOST_HASHES: u32 = 4;

/// The times of the last checks.
pub(super) struct Pace {
    recent: Mutex<Recent>,
}

struct Recent {
    /// Checks that found a password wrong.
    real: Times,
    /// Pretended checks of `hashes` hashes each.
    pretended: Times,
    hashes: u32,
}

/// The time and the work of one login that may be refused.
pub(super) struct Paced {
    began: Instant,
    effort: Effort,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effort {
    /// To compute so many hashes, and then wait for so long.
    Hashes(u32, Duration),
    /// A real check is faster than a hash. To take so long in all, as one of them did.
    Wait(Duration),
}

impl Pace {
    /// `hashes` is used until there are enough checks to learn from.
    pub(super) fn new(hashes: u32) -> Pace {
        let recent = Recent { real: Times::default(), pretended: Times::default(), hashes };
        Pace { recent: Mutex::new(recent) }
    }

    /// A login begins now.
    pub(super) fn begin(&self) -> Paced {
        Paced { effort: self.recent.lock().effort(), began: Instant::now() }
    }

    /// The password of a login was wrong. It `waited` for a free helper, which does not count.
    pub(super) fn note_real(&self, login: &Paced, waited: Duration) {
        self.recent.lock().real.push(login.took(waited).min(LONGEST));
    }

    /// After a pretended check: waits until the login has taken as long as others.
    pub(super) fn wait_out_pretended(&self, login: &Paced, waited: Duration) {
        match login.effort {
            Effort::Hashes(hashes, rest) => {
                self.recent.lock().note_pretended(hashes, login.took(waited));
                thread::sleep(rest);
            }
            Effort::Wait(_) => login.wait_out(waited),
        }
    }
}

impl Recent {
    fn effort(&mut self) -> Effort {
        let (Some(real), Some(pretended)) = (self.real.median(), self.pretended.median()) else {
            return Effort::Hashes(self.hashes, Duration::ZERO);
        };
        let hash = pretended / self.hashes.max(1);
        // No two hashes take the same time: a small difference does not change their number.
        let about = |tenths| (real + hash * tenths / 10).as_nanos() / hash.as_nanos().max(1);
        let hashes = if about(3) == self.hashes.into() { about(3) } else { about(1) };
        match hashes.min(MOST_HASHES.into()) as u32 {
            0 => Effort::Wait(self.real.next()),
            hashes if hashes == self.hashes => Effort::Hashes(hashes, real.saturating_sub(pretended)),
            hashes => Effort::Hashes(hashes, real.saturating_sub(hash * hashes)),
        }
    }

    fn note_pretended(&mut self, hashes: u32, took: Duration) {
        if hashes != self.hashes {
            (self.hashes, self.pretended) = (hashes, Times::default());
        }
        self.pretended.push(took);
    }
}

impl Paced {
    /// The number of hashes of a pretended check.
    pub(super) fn hashes(&self) -> u32 {
        match self.effort {
            Effort::Hashes(hashes, _) => hashes,
            Effort::Wait(_) => 0,
        }
    }

    /// After a check that was refused without a look at the password, but with these `hashes`:
    /// waits until the login has taken as long as others.
    pub(super) fn wait_out(&self, waited: Duration) {
        if let Effort::Wait(time) = self.effort {
            thread::sleep(time.saturating_sub(self.took(waited)));
        }
    }

    /// The wait for a free helper does not count: each login may have it.
    fn took(&self, waited: Duration) -> Duration {
        self.began.elapsed().saturating_sub(waited)
    }
}

/// Times that something took, the last ones.
#[derive(Default)]
struct Times {
    times: Vec<Duration>,
    written: usize,
    read: usize,
}

impl Times {
    fn push(&mut self, time: Duration) {
        match self.times.get_mut(self.written) {
            Some(oldest) => *oldest = time,
            None => self.times.push(time),
        }
        self.written = (self.written + 1) % REMEMBERED;
    }

    /// `None`: there are not enough.
    fn median(&self) -> Option<Duration> {
        let mut sorted = self.times.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).filter(|_| sorted.len() >= ENOUGH).copied()
    }

    /// One after another, so that the times taken from here vary as the real ones do.
    fn next(&mut self) -> Duration {
        self.read = (self.read + 1) % self.times.len().max(1);
        self.times.get(self.read).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn recent(hashes: u32, pretended: &[u32], real: &[u32]) -> Recent {
        let times = |milliseconds: &[u32]| {
            let mut times = Times::default();
            milliseconds.iter().for_each(|&count| times.push(MS * count));
            times
        };
        Recent { real: times(real), pretended: times(pretended), hashes }
    }

    #[test]
    fn a_pretended_check_computes_as_many_hashes_as_a_real_one_and_waits_for_the_rest() {
        for (hashes, pretended, real, effort) in [
            // There are not enough of one kind or the other.
            (2, &[][..], &[][..], Effort::Hashes(2, Duration::ZERO)),
            (2, &[100; 3], &[200; 2], Effort::Hashes(2, Duration::ZERO)),
            (1, &[50; 2], &[100; 3], Effort::Hashes(1, Duration::ZERO)),
            // Two are right, and the modules need some time too.
            (2, &[90, 100, 500], &[103, 102, 900], Effort::Hashes(2, MS * 3)),
            (2, &[100; 3], &[90; 3], Effort::Hashes(2, Duration::ZERO)),
            // One is right.
            (2, &[100; 3], &[54; 3], Effort::Hashes(1, MS * 4)),
            (1, &[50; 3], &[148; 3], Effort::Hashes(3, Duration::ZERO)),
            (1, &[50; 3], &[90; 3], Effort::Hashes(1, MS * 40)),
            // Another server is asked, far away.
            (1, &[50; 3], &[1000; 3], Effort::Hashes(4, MS * 800)),
            // Another server is asked, near by; or the accounts have cheap hashes.
            (2, &[100; 3], &[5, 6, 7], Effort::Wait(MS * 6)),
            (0, &[100; 3], &[5; 3], Effort::Wait(MS * 5)),
        ] {
            assert_eq!(recent(hashes, pretended, real).effort(), effort, "{hashes} {pretended:?} {real:?}");
        }
    }

    #[test]
    fn another_number_of_hashes_is_measured_anew() {
        let mut recent = recent(2, &[100; 3], &[54; 3]);
        assert_eq!(recent.effort(), Effort::Hashes(1, MS * 4));
        (0..3).for_each(|_| recent.note_pretended(1, MS * 51));
        assert_eq!((recent.pretended.times.len(), recent.effort()), (3, Effort::Hashes(1, MS * 3)));
    }

    #[test]
    fn only_the_last_times_count() {
        let mut times = Times::default();
        times.push(MS * 1000);
        (0..REMEMBERED as u32).for_each(|count| times.push(MS * count));
        assert_eq!(times.times.len(), REMEMBERED);
        assert_eq!(times.median(), Some(MS * (REMEMBERED / 2) as u32));
        let mut read: Vec<Duration> = (0..REMEMBERED).map(|_| times.next()).collect();
        read.sort();
        assert_eq!(read, (0..REMEMBERED as u32).map(|count| MS * count).collect::<Vec<_>>());
    }

    #[test]
    fn the_wait_for_a_helper_is_not_the_checks() {
        let pace = Pace::new(1);
        let ago = |time| Instant::now().checked_sub(time).expect("the machine has run for longer");
        for (began, waited) in [(MS * 300, MS * 200), (LONGEST * 2, MS), (MS, MS * 2)] {
            pace.note_real(&Paced { began: ago(began), effort: Effort::Wait(MS) }, waited);
        }
        let [first, second, third] = pace.recent.lock().real.times[..] else { panic!("three were noted") };
        assert!(first >= MS * 100 && first < MS * 200, "{first:?}");
        assert_eq!((second, third), (LONGEST, Duration::ZERO));
    }
}
