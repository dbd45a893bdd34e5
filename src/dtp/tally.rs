//! What an account's files come to, while it has a quota: all its sessions count on one tally.

use std::sync::atomic::{AtomicU64, Ordering};

use super::transfer::Allowance;

/// Bytes of files.
#[derive(Debug, Default)]
pub(crate) struct Tally(AtomicU64);

/// A tally, and how far it may go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quota<'a> {
    pub used: &'a Tally,
    pub most: u64,
}

impl Tally {
    pub(crate) fn new(bytes: u64) -> Tally {
        Tally(AtomicU64::new(bytes))
    }

    pub(crate) fn set(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }

    /// Bytes that there are, whether there is room for them or not.
    pub(crate) fn add(&self, bytes: u64) {
        let add = |used: u64| Some(used.saturating_add(bytes));
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// Bytes that are no more.
    pub(crate) fn give_back(&self, bytes: u64) {
        let _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| Some(used.saturating_sub(bytes)));
    }
}

impl Quota<'_> {
    /// Bytes that there is still room for.
    pub(crate) fn left(&self) -> u64 {
        self.most.saturating_sub(self.used.0.load(Ordering::Relaxed))
    }
}

impl Allowance for Quota<'_> {
    fn take(&self, bytes: u64) -> bool {
        let add = |used: u64| used.checked_add(bytes).filter(|&used| used <= self.most);
        self.used.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_taken_than_there_is() {
        let used = Tally::new(90);
        let quota = Quota { used: &used, most: 100 };
        assert!(quota.take(10) && !quota.take(1) && !quota.take(u64::MAX));
        used.give_back(30);
        assert_eq!(quota.left(), 30);
        used.give_back(1000);
        assert_eq!(quota.left(), 100);
        used.set(1000);
        assert_eq!(quota.left(), 0);
    }
}
