//! Splitting the process in two.

use std::io;

/// Which of the two processes this is, after [`fork`].
pub(crate) enum Forked {
    Parent,
    Child,
}

/// Splits the process in two, which go on as one did.
///
/// # Errors
/// Those of fork(2). Also when there is another thread: the child would not have it, and
/// would wait for ever for a lock that it held.
pub(crate) fn fork() -> io::Result<Forked> {
    if !is_single_threaded()? {
        return Err(io::Error::other("a process with several threads cannot be split in two"));
    }
    // SAFETY: there is no other thread that holds a lock or is in the middle of anything, and
    // none can start meanwhile: only this one could start it.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Forked::Child),
        _ => Ok(Forked::Parent),
    }
}

#[cfg(target_os = "linux")]
fn is_single_threaded() -> io::Result<bool> {
    Ok(std::fs::read_dir("/proc/self/task")?.count() == 1)
}

/// Other systems have no reliable way to ask; there too nothing starts a thread before.
#[cfg(not(target_os = "linux"))]
fn is_single_threaded() -> io::Result<bool> {
    Ok(true)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_several_threads_is_not_split() {
        // Tests run in threads of their own beside the main one.
        assert!(fork().is_err());
    }
}
