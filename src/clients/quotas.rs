//! The tallies of accounts that have a quota: one for each account, as long as any of its
//! sessions is there.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::dtp::Tally;

#[derive(Default)]
pub(crate) struct Quotas {
    tallies: Mutex<HashMap<String, Weak<Tally>>>,
}

impl Quotas {
    /// The tally of an account that some session has counted the files of.
    pub(crate) fn known(&self, account: &str) -> Option<Arc<Tally>> {
        self.tallies.lock().get(account)?.upgrade()
    }

    /// The tally of an account, whose files come to `bytes`.
    pub(crate) fn begin(&self, account: &str, bytes: u64) -> Arc<Tally> {
        let mut tallies = self.tallies.lock();
        tallies.retain(|_, tally| tally.strong_count() > 0);
        // Another session may have counted at the same time.
        if let Some(tally) = tallies.get(account).and_then(Weak::upgrade) {
            return tally;
        }
        let tally = Arc::new(Tally::new(bytes));
        tallies.insert(account.to_owned(), Arc::downgrade(&tally));
        tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtp::Quota;

    #[test]
    fn all_sessions_of_an_account_count_on_one_tally() {
        let quotas = Quotas::default();
        assert!(quotas.known("joe").is_none());
        let one = quotas.begin("joe", 10);
        let other = quotas.begin("joe", 99);
        assert_eq!(Quota { used: &other, most: 100 }.left(), 90);
        quotas.known("joe").unwrap().give_back(5);
        assert_eq!(Quota { used: &one, most: 100 }.left(), 95);
        drop((one, other));
        assert!(quotas.known("joe").is_none());
    }
}
