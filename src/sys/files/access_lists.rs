//! Access control lists, where the system keeps them as extended attributes: a directory's for new
//! files, and a file's for the one that takes its place.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::Gid;

use super::permissions::set_mode;
use super::stat;

/// Whether a directory says by a list what new files in it are given, so that the umask does not count.
pub(crate) fn has_default(dir: BorrowedFd<'_>) -> bool {
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::AsRawFd;
        // A descriptor that is not open for reading has no attributes; its name in /proc has.
        let path = format!("/proc/self/fd/{}", dir.as_raw_fd());
        let found = rustix::fs::getxattr(path, c"system.posix_acl_default", &mut [0u8; 1]);
        // It is longer than that, if it is there.
        matches!(found, Ok(_) | Err(rustix::io::Errno::RANGE))
    }
    #[cfg(not(target_os = "linux"))]
    {
        _ = dir;
        false
    }
}

/// Gives `file` the permission bits and the list of `model`, and its group if the caller may.
pub(crate) fn take_permissions(file: BorrowedFd<'_>, model: BorrowedFd<'_>) -> io::Result<()> {
    let (is, wanted) = (stat(file)?, stat(model)?);
    let mode = wanted.mode & 0o777;
    let same_group =
        is.gid == wanted.gid || rustix::fs::fchown(file, None, Some(Gid::from_raw(wanted.gid))).is_ok();
    if !same_group {
        // What one group might do is not for another: it gets what everybody has.
        drop_list(file);
        return set_mode(file, mode & (0o707 | (mode & 7) << 3));
    }
    if copy_list(file, model)? {
        return Ok(());
    }
    drop_list(file);
    set_mode(file, mode)
}

/// Whether there was one. It has the permission bits in it.
#[cfg(target_os = "linux")]
fn copy_list(file: BorrowedFd<'_>, model: BorrowedFd<'_>) -> io::Result<bool> {
    use rustix::fs::{XattrFlags, fgetxattr, fsetxattr};
    let mut list = vec![0; LARGEST];
    let Ok(size) = fgetxattr(model, LIST, &mut list) else { return Ok(false) };
    fsetxattr(file, LIST, &list[..size], XattrFlags::empty())?;
    Ok(true)
}

/// The list that a new file got from its directory.
#[cfg(target_os = "linux")]
fn drop_list(file: BorrowedFd<'_>) {
    // There is none, or the file system has no lists.
    let _ = rustix::fs::fremovexattr(file, LIST);
}

#[cfg(target_os = "linux")]
const LIST: &std::ffi::CStr = c"system.posix_acl_access";

/// The most that an attribute has.
#[cfg(target_os = "linux")]
const LARGEST: usize = 64 << 10;

#[cfg(not(target_os = "linux"))]
fn copy_list(_file: BorrowedFd<'_>, _model: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(false)
}

#[cfg(not(target_os = "linux"))]
fn drop_list(_file: BorrowedFd<'_>) {}
