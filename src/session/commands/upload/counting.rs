//! What one upload counts on the tally of an account with a quota.
//!
//! A file that is written under its name counts as it grows. A draft counts by what it has more than
//! the file that it is to take the place of: that one counts until the draft has its place.

use std::cell::Cell;
use std::fs::File;
use std::os::fd::AsFd;

use super::stored::StoreError;
use crate::clients::{Count, Quota, UnderWay};
use crate::dtp::{Allowance, TransferError};
use crate::sys::files;
use crate::vfs::{Draft, Stat, Usage};

#[derive(Debug)]
pub(super) struct Counting {
    quota: Quota,
    under_way: UnderWay,
    /// Bytes that are on the tally for this upload, besides those of a file that was there.
    taken: Cell<u64>,
    /// Bytes of a draft that need not be taken yet.
    credit: Cell<u64>,
}

impl Counting {
    pub(super) fn new(quota: Quota) -> Counting {
        let under_way = quota.tally.begin();
        Counting { quota, under_way, taken: Cell::new(0), credit: Cell::new(0) }
    }

    /// The draft will take the place of a file of so many bytes.
    pub(super) fn expect_to_free(&self, bytes: u64) {
        self.credit.set(bytes);
    }

    /// The upload writes to `file` under its name.
    pub(super) fn writes_to(&mut self, file: &File) {
        if let Ok(stat) = files::stat(file.as_fd()) {
            self.under_way.writes_to(stat.id());
        }
    }

    /// The end of an upload that wrote to `file` under its name, which had `before` bytes before.
    pub(super) fn written(&mut self, file: &File, before: u64) {
        let counted = before.saturating_add(self.taken.take());
        let bytes = || match files::stat(file.as_fd()) {
            Ok(stat) if stat.links == 0 => 0,
            Ok(stat) => stat.size,
            Err(_) => counted,
        };
        self.under_way.written(counted, bytes);
    }

    /// Lets `put` give a draft its place, where there is `in_the_way`. Whoever has removed that file
    /// meanwhile has given its bytes back: there must be room for them once more.
    pub(super) fn publish(
        &self,
        file: &File,
        draft: &mut Draft,
        in_the_way: impl FnOnce(&Draft) -> Option<Stat>,
        put: impl FnOnce(&mut Draft) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let alone = self.quota.tally.alone();
        let bytes = files::stat(file.as_fd())?.size;
        let freed = in_the_way(draft)
            .filter(|stat| stat.is_file() && stat.links == 1 && !alone.is_written_to(stat.id()));
        let counted = self.taken.get().saturating_add(freed.map_or(0, |stat| stat.size));
        let more = bytes.saturating_sub(counted);
        if !self.quota.take(more) {
            return Err(StoreError::Write(TransferError::OverQuota));
        }
        let result = put(draft);
        match &result {
            Ok(()) => {
                self.quota.tally.give_back(counted.saturating_sub(bytes));
                self.taken.set(0);
            }
            Err(_) => self.quota.tally.give_back(more),
        }
        result
    }
}

impl Allowance for Counting {
    fn take(&self, bytes: u64) -> bool {
        let free = self.credit.get().min(bytes);
        if !self.quota.take(bytes - free) {
            return false;
        }
        self.credit.set(self.credit.get() - free);
        self.taken.set(self.taken.get() + (bytes - free));
        true
    }
}

/// What has not become a file is not counted.
impl Drop for Counting {
    fn drop(&mut self) {
        self.quota.tally.give_back(self.taken.get());
    }
}

impl From<Usage> for Count {
    fn from(usage: Usage) -> Count {
        Count { bytes: usage.bytes, is_whole: !usage.has_blind_spots }
    }
}
