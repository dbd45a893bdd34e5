//! Turns: in one directory, one session at a time removes and replaces names. So what a session has
//! found under a name is what it then removes, and not what another one has put there meanwhile.
//!
//! Other processes know nothing of this. New names need no turn: the system itself gives a free name
//! to one alone.

use std::io;
use std::os::fd::BorrowedFd;

use parking_lot::{Condvar, Mutex};

use crate::sys::files::{self, FileId};

/// The directories in which somebody has the turn.
static TAKEN: Mutex<Vec<FileId>> = Mutex::new(Vec::new());
static GIVEN_BACK: Condvar = Condvar::new();

/// The turn in one directory or two, until this is dropped.
#[must_use]
pub(super) struct Turn(Vec<FileId>);

impl Turn {
    /// Waits for it. No session waits for one turn while it has another.
    pub(super) fn in_both(dir: BorrowedFd<'_>, other: BorrowedFd<'_>) -> io::Result<Turn> {
        let mut wanted = vec![files::stat(dir)?.id(), files::stat(other)?.id()];
        wanted.dedup();
        Ok(Turn::wait_for(wanted))
    }

    pub(super) fn in_dir(dir: BorrowedFd<'_>) -> io::Result<Turn> {
        Ok(Turn::wait_for(vec![files::stat(dir)?.id()]))
    }

    fn wait_for(wanted: Vec<FileId>) -> Turn {
        let mut taken = TAKEN.lock();
        while wanted.iter().any(|dir| taken.contains(dir)) {
            GIVEN_BACK.wait(&mut taken);
        }
        taken.extend(&wanted);
        Turn(wanted)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        TAKEN.lock().retain(|dir| !self.0.contains(dir));
        GIVEN_BACK.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    use super::*;
    use crate::test_support::Scratch;

    #[test]
    fn one_at_a_time() {
        let scratch = Scratch::new();
        let dirs = ["a", "b"].map(|name| {
            std::fs::create_dir(scratch.join(name)).unwrap();
            std::fs::File::open(scratch.join(name)).unwrap()
        });
        let inside = [AtomicU32::new(0), AtomicU32::new(0)];
        let in_turn = |which: &[usize]| {
            which.iter().for_each(|&n| assert_eq!(inside[n].fetch_add(1, Ordering::SeqCst), 0));
            thread::yield_now();
            which.iter().for_each(|&n| assert_eq!(inside[n].fetch_sub(1, Ordering::SeqCst), 1));
        };
        let [a, b] = [dirs[0].as_fd(), dirs[1].as_fd()];
        thread::scope(|scope| {
            for order in 0..4 {
                let in_turn = &in_turn;
                scope.spawn(move || {
                    for _ in 0..200 {
                        let (first, second) = if order % 2 == 0 { (a, b) } else { (b, a) };
                        let turn = Turn::in_both(first, second).unwrap();
                        in_turn(&[0, 1]);
                        drop(turn);
                        let turn = Turn::in_dir(a).unwrap();
                        in_turn(&[0]);
                        drop(turn);
                        let turn = Turn::in_both(b, b).unwrap();
                        in_turn(&[1]);
                        drop(turn);
                    }
                });
            }
        });
    }
}
