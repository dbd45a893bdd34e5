//! How much work and time a refusal takes, so that it tells nothing: as much as a check that
//! found a password wrong.
//!
//! Modules of PAM compute one hash for an account that exists, or two, or ask a server
//! elsewhere, and what they do for a name that does not exist differs again. So what a
//! pretended check does is taken from the last real ones: as many hashes as there is time for,
//! because only work slows down under load as work does, and then a wait for the rest.

use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Checks of either kind that are remembered.
const REMEMBERED: usize = 32;

/// One alone may have been unlucky.
const ENOUGH: usize = 3;

/// A real check that takes longer has waited for something else than a hash.
const LONGEST: Duration = Duration::from_secs(5);

/// Strangers must not be able to keep the processors busy with names that do not exist.
const MOST_HASHES: u32 = 4;

/// The last checks.
pub(super) struct Pace {
    recent: Mutex<Recent>,
}

struct Recent {
    /// Those that found a password wrong.
    real: Times,
    /// Those that were pretended with `hashes` hashes each.
    pretended: Times,
    hashes: u32,
}

/// One login, until it is refused.
pub(super) struct Paced {
    began: Instant,
    effort: Effort,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effort {
    /// So many hashes, and then to wait a little.
    Hashes(u32, Duration),
    /// A real check is faster than a hash: to take as long as one of them did.
    Wait(Duration),
}

impl Pace {
    /// `hashes` is a guess, until there is more to go by.
    pub(super) fn new(hashes: u32) -> Pace {
        let recent = Recent { real: Times::default(), pretended: Times::default(), hashes };
        Pace { recent: Mutex::new(recent) }
    }

    /// A login begins.
    pub(super) fn begin(&self) -> Paced {
        Paced { effort: self.recent.lock().effort(), began: Instant::now() }
    }

    /// A password was wrong. Of the time, `waited` went by before a helper was free.
    pub(super) fn note_real(&self, login: &Paced, waited: Duration) {
        self.recent.lock().real.push(login.took(waited).min(LONGEST));
    }

    /// Waits until a login that was refused with a pretended check has taken as long as others.
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
        // Two hashes never take the same time; and what was right is not given up for a little.
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
    /// The hashes of a pretended check.
    pub(super) fn hashes(&self) -> u32 {
        match self.effort {
            Effort::Hashes(hashes, _) => hashes,
            Effort::Wait(_) => 0,
        }
    }

    /// Waits until a login has taken as long as others, where PAM refused it without a hash,
    /// and `hashes` were computed instead.
    pub(super) fn wait_out(&self, waited: Duration) {
        if let Effort::Wait(time) = self.effort {
            thread::sleep(time.saturating_sub(self.took(waited)));
        }
    }

    /// The wait for a free helper does not count: everybody has it.
    fn took(&self, waited: Duration) -> Duration {
        self.began.elapsed().saturating_sub(waited)
    }
}

/// The last times of something.
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

    /// `None` while there are too few.
    fn median(&self) -> Option<Duration> {
        let mut sorted = self.times.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).filter(|_| sorted.len() >= ENOUGH).copied()
    }

    /// Each in turn, so that what is made of them is spread as they are.
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
            // Nothing is known yet of one or the other.
            (2, &[][..], &[][..], Effort::Hashes(2, Duration::ZERO)),
            (2, &[100; 3], &[200; 2], Effort::Hashes(2, Duration::ZERO)),
            (1, &[50; 2], &[100; 3], Effort::Hashes(1, Duration::ZERO)),
            // Two were right, but the modules take their time.
            (2, &[90, 100, 500], &[103, 102, 900], Effort::Hashes(2, MS * 3)),
            (2, &[100; 3], &[90; 3], Effort::Hashes(2, Duration::ZERO)),
            // One is.
            (2, &[100; 3], &[54; 3], Effort::Hashes(1, MS * 4)),
            (1, &[50; 3], &[148; 3], Effort::Hashes(3, Duration::ZERO)),
            (1, &[50; 3], &[90; 3], Effort::Hashes(1, MS * 40)),
            // A directory far away.
            (1, &[50; 3], &[1000; 3], Effort::Hashes(4, MS * 800)),
            // One that is near, or a hash that is cheap.
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
