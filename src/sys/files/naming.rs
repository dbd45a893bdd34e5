//! Names: taking one that is free, files that have none yet, and giving them theirs.

use std::ffi::CStr;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode};
use rustix::io::Errno;

/// Renames, unless `to` is there already (EEXIST).
pub(crate) fn rename_new(
    from_dir: BorrowedFd<'_>,
    from: &CStr,
    to_dir: BorrowedFd<'_>,
    to: &CStr,
) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    match rustix::fs::renameat_with(from_dir, from, to_dir, to, rustix::fs::RenameFlags::NOREPLACE) {
        // A file system or a kernel that does not know the flag; a container that forbids the call.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP | Errno::PERM) => (),
        result => return Ok(result?),
    }
    // A second name in place of the new one: that does not replace either. Directories have one name.
    match rustix::fs::linkat(from_dir, from, to_dir, to, AtFlags::empty()) {
        Ok(()) => return Ok(rustix::fs::unlinkat(from_dir, from, AtFlags::empty())?),
        Err(Errno::PERM | Errno::NOTSUP | Errno::NOSYS | Errno::ACCESS | Errno::MLINK | Errno::ISDIR) => (),
        Err(err) => return Err(err.into()),
    }
    match rustix::fs::statat(to_dir, to, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Err(Errno::EXIST.into()),
        Err(Errno::NOENT) => Ok(rustix::fs::renameat(from_dir, from, to_dir, to)?),
        Err(err) => Err(err.into()),
    }
}

/// Lets two names of one directory change places, so that what had the second one is not lost.
/// `Unsupported` where the system or the file system cannot do that.
pub(crate) fn exchange(dir: BorrowedFd<'_>, one: &CStr, other: &CStr) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    match rustix::fs::renameat_with(dir, one, dir, other, rustix::fs::RenameFlags::EXCHANGE) {
        // A container may forbid the call. Where EPERM is about the files, a plain rename says it again.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP | Errno::PERM) => (),
        result => return Ok(result?),
    }
    _ = (dir, one, other);
    Err(io::ErrorKind::Unsupported.into())
}

/// A new file in `dir` that has no name, for reading and writing; `None` where the system
/// or the file system has no such files, or could not give one its name later.
pub(crate) fn nameless(dir: BorrowedFd<'_>, mode: Mode) -> io::Result<Option<OwnedFd>> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::OFlags;
        match rustix::fs::openat(dir, c".", OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC, mode) {
            // An old kernel takes it for a wish to write to the directory.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT) => Ok(None),
            result => Ok(Some(result?)),
        }
    }
    #[cfg(not(target_os = "linux"))]
    {
        _ = (dir, mode);
        Ok(None)
    }
}

/// Gives a file that has no name one in `dir`; EEXIST if something has it.
pub(crate) fn give_name(file: BorrowedFd<'_>, dir: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::AsRawFd;
        match rustix::fs::linkat(file, c"", dir, name, AtFlags::EMPTY_PATH) {
            // Linux before 6.10 lets only root say it so.
            Err(Errno::NOENT | Errno::PERM) => {
                let held = format!("/proc/self/fd/{}", file.as_raw_fd());
                Ok(rustix::fs::linkat(rustix::fs::CWD, held, dir, name, AtFlags::SYMLINK_FOLLOW)?)
            }
            result => Ok(result?),
        }
    }
    #[cfg(not(target_os = "linux"))]
    {
        _ = (file, dir, name);
        Err(Errno::OPNOTSUPP.into())
    }
}
