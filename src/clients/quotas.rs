//! The bytes that accounts with a quota have stored. All sessions of an account count on one tally, which
//! lasts as long as any of them.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

/// The tallies by account.
#[derive(Default)]
pub(crate) struct Quotas {
    tallies: Mutex<HashMap<String, Weak<Tally>>>,
}

/// Bytes of files.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    used: AtomicU64,
    /// The number of uploads under way: a count of the files would not find their bytes. A session that
    /// gives bytes back has this locked, so that two sessions cannot give the same bytes back.
    uploads: Mutex<usize>,
}

/// A tally, and its limit.
#[derive(Clone, Debug)]
pub(crate) struct Quota {
    pub tally: Arc<Tally>,
    pub most: u64,
}

/// An upload that counts on a tally, until this is dropped.
#[derive(Debug)]
pub(crate) struct UnderWay(Arc<Tally>);

impl Quotas {
    /// The tally of an account, if a session of it has counted the files.
    pub(crate) fn known(&self, account: &str) -> Option<Arc<Tally>> {
        self.tallies.lock().get(account)?.upgrade()
    }

    /// The tally of an account whose files have `bytes`, unless another session was faster.
    pub(crate) fn begin(&self, account: &str, bytes: u64) -> Arc<Tally> {
        let mut tallies = self.tallies.lock();
        tallies.retain(|_, tally| tally.strong_count() > 0);
        if let Some(tally) = tallies.get(account).and_then(Weak::upgrade) {
            return tally;
        }
        let tally = Arc::new(Tally::new(bytes));
        tallies.insert(account.to_owned(), Arc::downgrade(&tally));
        tally
    }
}

impl Tally {
    pub(crate) fn new(bytes: u64) -> Tally {
        Tally { used: AtomicU64::new(bytes), uploads: Mutex::default() }
    }

    /// An upload begins.
    pub(crate) fn begin(self: &Arc<Self>) -> UnderWay {
        *self.uploads.lock() += 1;
        UnderWay(Arc::clone(self))
    }

    /// Counts anew, unless an upload is under way.
    pub(crate) fn recount(&self, count: impl FnOnce() -> io::Result<u64>) -> io::Result<()> {
        let uploads = self.uploads.lock();
        if *uploads == 0 {
            self.used.store(count()?, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Lets `change` do something to files, alone among the sessions of the account, and gives back
    /// the bytes that it says are no more.
    pub(crate) fn releasing<T>(&self, change: impl FnOnce() -> (T, u64)) -> T {
        let _alone = self.uploads.lock();
        let (result, released) = change();
        self.give_back(released);
        result
    }

    /// Bytes that there are, whether there is room for them or not.
    pub(crate) fn add(&self, bytes: u64) {
        let add = |used: u64| Some(used.saturating_add(bytes));
        let _ = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// Bytes that are no more.
    pub(crate) fn give_back(&self, bytes: u64) {
        let less = |used: u64| Some(used.saturating_sub(bytes));
        let _ = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}

impl Quota {
    /// Bytes that there is still room for.
    pub(crate) fn left(&self) -> u64 {
        self.most.saturating_sub(self.tally.used.load(Ordering::Relaxed))
    }

    /// Counts more bytes; `false`, and nothing counted, if there is no room for them.
    pub(crate) fn take(&self, bytes: u64) -> bool {
        let add = |used: u64| used.checked_add(bytes).filter(|&used| used <= self.most);
        self.tally.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        *self.0.uploads.lock() -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(tally: &Arc<Tally>) -> Quota {
        Quota { tally: Arc::clone(tally), most: 100 }
    }

    #[test]
    fn all_sessions_of_an_account_count_on_one_tally() {
        let quotas = Quotas::default();
        assert!(quotas.known("joe").is_none());
        let one = quotas.begin("joe", 10);
        let other = quotas.begin("joe", 99);
        assert_eq!(quota(&other).left(), 90);
        quotas.known("joe").unwrap().give_back(5);
        assert_eq!(quota(&one).left(), 95);
        drop((one, other));
        assert!(quotas.known("joe").is_none());
    }

    #[test]
    fn no_more_is_taken_than_there_is() {
        let tally = Arc::new(Tally::new(90));
        let quota = quota(&tally);
        assert!(quota.take(10) && !quota.take(1) && !quota.take(u64::MAX));
        tally.give_back(30);
        assert_eq!(quota.left(), 30);
        tally.give_back(1000);
        assert_eq!(quota.left(), 100);
        tally.add(1000);
        assert_eq!(quota.left(), 0);
    }

    #[test]
    fn files_are_not_counted_anew_while_one_is_stored() {
        let tally = Arc::new(Tally::new(100));
        let upload = tally.begin();
        tally.recount(|| Ok(0)).unwrap();
        assert_eq!(quota(&tally).left(), 0);
        drop(upload);
        tally.recount(|| Ok(94)).unwrap();
        assert_eq!(quota(&tally).left(), 6);
        assert_eq!(tally.releasing(|| ("gone", 3)), "gone");
        assert_eq!(quota(&tally).left(), 9);
    }
}
