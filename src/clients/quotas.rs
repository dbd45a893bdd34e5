//! What the sessions of one account count together, such as the bytes of a quota: one
//! tally for each account, as long as any of its sessions is there.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

/// The tallies by account. What a tally is, those know who count on it.
pub(crate) struct Quotas<Tally> {
    tallies: Mutex<HashMap<String, Weak<Tally>>>,
}

impl<Tally> Default for Quotas<Tally> {
    fn default() -> Quotas<Tally> {
        Quotas { tallies: Mutex::default() }
    }
}

impl<Tally> Quotas<Tally> {
    /// The tally of an account that some session has counted the files of.
    pub(crate) fn known(&self, account: &str) -> Option<Arc<Tally>> {
        self.tallies.lock().get(account)?.upgrade()
    }

    /// The tally of an account: `counted`, unless another session was faster.
    pub(crate) fn begin(&self, account: &str, counted: Tally) -> Arc<Tally> {
        let mut tallies = self.tallies.lock();
        tallies.retain(|_, tally| tally.strong_count() > 0);
        if let Some(tally) = tallies.get(account).and_then(Weak::upgrade) {
            return tally;
        }
        let tally = Arc::new(counted);
        tallies.insert(account.to_owned(), Arc::downgrade(&tally));
        tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_sessions_of_an_account_count_on_one_tally() {
        let quotas = Quotas::default();
        assert!(quotas.known("joe").is_none());
        let one = quotas.begin("joe", Mutex::new(10));
        let other = quotas.begin("joe", Mutex::new(99));
        assert_eq!(*other.lock(), 10);
        *quotas.known("joe").unwrap().lock() -= 5;
        assert_eq!(*one.lock(), 5);
        drop((one, other));
        assert!(quotas.known("joe").is_none());
    }
}
