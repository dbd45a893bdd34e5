//! Tests stand on this, those beside the code and those in `tests/`: a directory of a test's own,
//! numbers from a seed, and the programs that some tests run.
//!
//! Uses nothing of ferryd, so that `tests/` can take the file in by its path.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, process};

/// A directory of a test's own, which everybody may enter. It is removed when the test ends.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Scratch {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let temporary = fs::canonicalize(env::temp_dir()).expect("a directory for temporary files");
        let path = temporary.join(format!("ferryd-test-{}-{number}", process::id()));
        remove(&path); // Left by a process of the same number.
        fs::create_dir(&path).unwrap_or_else(|err| panic!("{}: {err}", path.display()));
        fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("our own directory");
        Scratch(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file in it, and says where that is.
    pub(crate) fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(name);
        fs::write(&path, content).unwrap_or_else(|err| panic!("{}: {err}", path.display()));
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

fn remove(dir: &Path) {
    if fs::remove_dir_all(dir).is_err() {
        open_up(dir); // A test took a permission away.
        let _ = fs::remove_dir_all(dir);
    }
}

/// Lets the owner go everywhere below `dir`.
pub(crate) fn open_up(dir: &Path) {
    let _ = fs::set_permissions(dir, Permissions::from_mode(0o700));
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}

/// Numbers that look random and are the same for the same seed (splitmix64).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    /// From 0 up to `bound`, without it.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// So many bytes, each one of `from`.
    pub(crate) fn bytes(&mut self, length: usize, from: &[u8]) -> Vec<u8> {
        (0..length).map(|_| self.pick(from)).collect()
    }
}

/// The path of a program that a test runs. `None` if it is not installed: the test is left out.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let more = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    let found = env::split_paths(&path).chain(more).map(|dir| dir.join(name)).find(|path| path.exists());
    if found.is_none() {
        leave_out(&format!("there is no {name}"));
    }
    found
}

/// Says why a test, or a part of it, is left out. Where everything is there to run all tests, which CI
/// or FERRYD_ROOT_TESTS says, that is a failure.
pub(crate) fn leave_out(reason: &str) {
    let must_run = ["CI", "FERRYD_ROOT_TESTS"].iter().any(|name| env::var_os(name).is_some());
    assert!(!must_run, "left out, although CI or FERRYD_ROOT_TESTS is set: {reason}");
    eprintln!("left out: {reason}");
}
