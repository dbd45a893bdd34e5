//! The bytes that accounts with a quota have stored. All sessions of an account count on one tally, which
//! lasts as long as any of them.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};

/// The tallies by account.
#[derive(Default)]
pub(crate) struct Quotas {
    tallies: Mutex<HashMap<String, Known>>,
}

struct Known {
    tally: Weak<Tally>,
    /// One that no count of the files could replace stays as long as the server.
    _kept: Option<Arc<Tally>>,
}

/// What a count of an account's files came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Count {
    pub bytes: u64,
    /// It has seen all that there is.
    pub is_whole: bool,
}

/// Bytes of files.
#[derive(Debug)]
pub(crate) struct Tally {
    used: AtomicU64,
    /// A count of the files would find what the tally has.
    can_be_counted: bool,
    /// Whoever changes files so that bytes come back locks it, so that two sessions do not give the
    /// same ones back.
    uploads: Mutex<Uploads>,
}

/// Uploads under way.
#[derive(Debug, Default)]
struct Uploads {
    /// Their bytes are not all in files yet.
    count: usize,
    /// The files that they write to under their names, by device and inode. When such a file is
    /// removed its upload gives its bytes back, which goes on counting until it notices.
    files: Vec<(u64, u64)>,
    /// When the files were counted last, and how long that took.
    counted: Option<(Instant, Duration)>,
}

/// An account at the end of its quota spends one part in so many of its time on counting anew.
const COUNTING: u32 = 10;

/// A tally, and how far it may go.
#[derive(Clone, Debug)]
pub(crate) struct Quota {
    pub tally: Arc<Tally>,
    pub most: u64,
}

/// An upload that counts on a tally, until this is dropped.
#[derive(Debug)]
pub(crate) struct UnderWay {
    tally: Arc<Tally>,
    file: Option<(u64, u64)>,
}

/// A tally whose other sessions neither remove nor replace files meanwhile.
pub(crate) struct Alone<'a> {
    tally: &'a Tally,
    uploads: MutexGuard<'a, Uploads>,
}

impl Quotas {
    /// The tally of an account, if a session of it has counted the files.
    pub(crate) fn known(&self, account: &str) -> Option<Arc<Tally>> {
        self.tallies.lock().get(account)?.tally.upgrade()
    }

    /// The tally of an account whose files were counted; another session may have been faster.
    pub(crate) fn begin(&self, account: &str, count: Count) -> Arc<Tally> {
        let mut tallies = self.tallies.lock();
        tallies.retain(|_, known| known.tally.strong_count() > 0);
        if let Some(tally) = tallies.get(account).and_then(|known| known.tally.upgrade()) {
            return tally;
        }
        let tally = Arc::new(Tally::new(count));
        let kept = (!count.is_whole).then(|| Arc::clone(&tally));
        tallies.insert(account.to_owned(), Known { tally: Arc::downgrade(&tally), _kept: kept });
        tally
    }
}

impl Tally {
    fn new(count: Count) -> Tally {
        let used = AtomicU64::new(count.bytes);
        Tally { used, can_be_counted: count.is_whole, uploads: Mutex::default() }
    }

    /// An upload begins.
    pub(crate) fn begin(self: &Arc<Self>) -> UnderWay {
        self.uploads.lock().count += 1;
        UnderWay { tally: Arc::clone(self), file: None }
    }

    /// Counts anew, unless an upload is under way, or that was done just now.
    pub(crate) fn recount(&self, count: impl FnOnce() -> io::Result<Count>) -> io::Result<()> {
        let mut uploads = self.uploads.lock();
        let just_now = uploads.counted.is_some_and(|(when, took)| when.elapsed() < took * COUNTING);
        if uploads.count == 0 && self.can_be_counted && !just_now {
            let begun = Instant::now();
            self.used.store(count()?.bytes, Ordering::Relaxed);
            uploads.counted = Some((Instant::now(), begun.elapsed()));
        }
        Ok(())
    }

    /// Waits until no other session removes or replaces files, and keeps it so.
    pub(crate) fn alone(&self) -> Alone<'_> {
        Alone { tally: self, uploads: self.uploads.lock() }
    }

    /// Bytes that are no more.
    pub(crate) fn give_back(&self, bytes: u64) {
        let less = |used: u64| Some(used.saturating_sub(bytes));
        let _ = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// Bytes that there are, whether there is room for them or not.
    fn add(&self, bytes: u64) {
        let add = |used: u64| Some(used.saturating_add(bytes));
        let _ = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }
}

impl Alone<'_> {
    /// A file of so many bytes is no more.
    pub(crate) fn gone(&self, file: (u64, u64), bytes: u64) {
        if !self.is_written_to(file) {
            self.tally.give_back(bytes);
        }
    }

    /// An upload writes to the file, and counts it.
    pub(crate) fn is_written_to(&self, file: (u64, u64)) -> bool {
        self.uploads.files.contains(&file)
    }

    /// What has `counted` bytes on the tally comes to `bytes`.
    pub(crate) fn correct(&self, counted: u64, bytes: u64) {
        self.tally.add(bytes.saturating_sub(counted));
        self.tally.give_back(counted.saturating_sub(bytes));
    }
}

impl UnderWay {
    /// The upload writes to a file that has its name already.
    pub(crate) fn writes_to(&mut self, file: (u64, u64)) {
        self.forget_file(&mut self.tally.uploads.lock());
        self.tally.uploads.lock().files.push(file);
        self.file = Some(file);
    }

    /// It writes no more: `counted` bytes of the tally are its file's, which has so many as `bytes` finds.
    pub(crate) fn written(&mut self, counted: u64, bytes: impl FnOnce() -> u64) {
        let mut alone = self.tally.alone();
        alone.correct(counted, bytes());
        self.forget_file(&mut alone.uploads);
        drop(alone);
        self.file = None;
    }

    fn forget_file(&self, uploads: &mut Uploads) {
        let Some(file) = self.file else { return };
        if let Some(at) = uploads.files.iter().position(|&other| other == file) {
            uploads.files.swap_remove(at);
        }
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
        bytes == 0 || self.tally.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut uploads = self.tally.uploads.lock();
        uploads.count -= 1;
        self.forget_file(&mut uploads);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(bytes: u64) -> Arc<Tally> {
        Arc::new(Tally::new(Count { bytes, is_whole: true }))
    }

    fn quota(tally: &Arc<Tally>) -> Quota {
        Quota { tally: Arc::clone(tally), most: 100 }
    }

    #[test]
    fn all_sessions_of_an_account_count_on_one_tally() {
        let quotas = Quotas::default();
        assert!(quotas.known("joe").is_none());
        let one = quotas.begin("joe", Count { bytes: 10, is_whole: true });
        let other = quotas.begin("joe", Count { bytes: 99, is_whole: true });
        assert_eq!(quota(&other).left(), 90);
        quotas.known("joe").unwrap().give_back(5);
        assert_eq!(quota(&one).left(), 95);
        drop((one, other));
        assert!(quotas.known("joe").is_none());
    }

    #[test]
    fn what_no_count_would_find_is_remembered() {
        let quotas = Quotas::default();
        let quota = quota(&quotas.begin("joe", Count { bytes: 10, is_whole: false }));
        assert!(quota.take(80));
        quota.tally.recount(|| Ok(Count { bytes: 0, is_whole: true })).unwrap();
        drop(quota);
        let tally = quotas.begin("joe", Count { bytes: 10, is_whole: false });
        assert_eq!(self::quota(&tally).left(), 10);
    }

    #[test]
    fn no_more_is_taken_than_there_is() {
        let tally = tally(90);
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
        let tally = tally(100);
        let upload = tally.begin();
        tally.recount(|| Ok(Count { bytes: 0, is_whole: true })).unwrap();
        assert_eq!(quota(&tally).left(), 0);
        drop(upload);
        tally.recount(|| Ok(Count { bytes: 94, is_whole: true })).unwrap();
        assert_eq!(quota(&tally).left(), 6);
        tally.uploads.lock().counted = Some((Instant::now(), Duration::from_secs(1)));
        tally.recount(|| Ok(Count { bytes: 0, is_whole: true })).unwrap();
        assert_eq!(quota(&tally).left(), 6);
        tally.alone().gone((1, 2), 3);
        assert_eq!(quota(&tally).left(), 9);
    }

    #[test]
    fn the_bytes_of_a_file_that_is_removed_while_it_is_stored_come_back_once() {
        let tally = tally(10);
        let mut upload = tally.begin();
        upload.writes_to((1, 2));
        assert!(quota(&tally).take(50));
        tally.alone().gone((1, 2), 20);
        assert_eq!(quota(&tally).left(), 40);
        upload.written(50, || 0);
        assert_eq!(quota(&tally).left(), 90);
        tally.alone().gone((1, 2), 10);
        assert_eq!(quota(&tally).left(), 100);
    }
}
