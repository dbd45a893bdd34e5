//! Files that are written to: holding one against others, and learning of errors that come late.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd};

use rustix::fs::FlockOperation;
use rustix::io::Errno;

/// Holds `file` until its last descriptor is closed: no other that asks in this way gets it, in this
/// process or another. `false`: somebody has it. Where files cannot be held, everybody gets them.
pub(crate) fn hold(file: BorrowedFd<'_>) -> io::Result<bool> {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        // Not on this file system, or not in this container.
        Err(Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::PERM) => Ok(true),
        Err(err) => Err(err.into()),
    }
}

/// Whether nobody holds `file`, for sure: the caller holds it from then on.
pub(crate) fn is_abandoned(file: BorrowedFd<'_>) -> bool {
    rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive).is_ok()
}

/// Hands what was written over to the file system, which may say only now that it has no room for
/// it (NFS, FUSE): each close of a descriptor asks it. `file` stays open.
pub(crate) fn flush(file: BorrowedFd<'_>) -> io::Result<()> {
    close(file.as_fd().try_clone_to_owned()?)
}

/// Closes a descriptor, and says what dropping it would keep to itself.
fn close(fd: OwnedFd) -> io::Result<()> {
    let raw = fd.into_raw_fd();
    // SAFETY: `raw` was owned, nobody else closes it, and it is not used after this.
    match unsafe { libc::close(raw) } {
        0 => Ok(()),
        // It is closed all the same, and nothing was lost.
        _ if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Has the disk keep the contents of a file, and the names in a directory. What cannot be synced
/// by itself is synced with all of its file system.
pub(crate) fn sync(fd: BorrowedFd<'_>) -> io::Result<()> {
    #[cfg(target_vendor = "apple")]
    match rustix::fs::fcntl_fullfsync(fd) {
        // fsync stops at the cache of the disk there; some file systems know nothing else.
        Err(Errno::NOTSUP | Errno::INVAL | Errno::NOTTY) => (),
        result => return Ok(result?),
    }
    match rustix::fs::fsync(fd) {
        Err(Errno::INVAL) => sync_all(fd),
        result => Ok(result?),
    }
}

/// Has the disk keep everything of the file system that `fd` is on.
pub(crate) fn sync_all(fd: BorrowedFd<'_>) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::fs::syncfs(fd)?;
    #[cfg(not(target_os = "linux"))]
    {
        _ = fd;
        rustix::fs::sync();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn a_file_is_held_by_one_until_it_is_closed() {
        let scratch = crate::test_support::Scratch::new();
        let path = scratch.path().join("f");
        let first = File::create(&path).unwrap();
        let second = File::options().write(true).open(&path).unwrap();
        assert!(hold(first.as_fd()).unwrap());
        assert!(!hold(second.as_fd()).unwrap());
        flush(first.as_fd()).unwrap();
        assert!(!hold(second.as_fd()).unwrap(), "a flush gives nothing up");
        drop(first);
        assert!(hold(second.as_fd()).unwrap());
    }
}
