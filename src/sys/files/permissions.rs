//! Permissions: what the calling thread may do, and changing the bits.

use std::ffi::CStr;
use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;

use rustix::fs::{Access, AtFlags, Mode};
use rustix::io::Errno;

#[cfg(target_os = "linux")]
use super::stat;
use super::stat_at;

/// Whether the calling thread, with its effective rights, may do all of `access` to
/// `name` in `dir`. Plain access(2) would ask for the real uid, which is the server's.
pub(crate) fn may(dir: BorrowedFd<'_>, name: &CStr, access: Access) -> bool {
    let flags = AtFlags::EACCESS | AtFlags::SYMLINK_NOFOLLOW;
    match rustix::fs::accessat(dir, name, access, flags) {
        // macOS before 13 knows EACCESS alone, Linux before 5.8 no flags at all.
        Err(Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS) => {
            rustix::fs::accessat(dir, name, access, AtFlags::EACCESS).is_ok()
        }
        answer => answer.is_ok(),
    }
}

/// Gives `name` in `dir` the permission bits `mode` (0 to 0o7777). A symlink has none
/// of its own and is an error; it is never followed, however quickly it appears.
pub(crate) fn chmod_at(dir: BorrowedFd<'_>, name: &CStr, mode: u32) -> io::Result<()> {
    if stat_at(dir, name)?.is_symlink() {
        return Err(Errno::LOOP.into());
    }
    chmod_no_follow(dir, name, Mode::from_raw_mode(mode as rustix::fs::RawMode))
}

#[cfg(target_os = "linux")]
fn chmod_no_follow(dir: BorrowedFd<'_>, name: &CStr, mode: Mode) -> io::Result<()> {
    match fchmodat2(dir, name, mode) {
        // Linux before 6.6; seccomp in containers says EPERM to calls it does not know.
        Err(err) if matches!(err.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
            chmod_by_descriptor(dir, name, mode)
        }
        result => result,
    }
}

#[cfg(target_os = "linux")]
fn fchmodat2(dir: BorrowedFd<'_>, name: &CStr, mode: Mode) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let (flags, mode) = (libc::AT_SYMLINK_NOFOLLOW, mode.bits());
    // SAFETY: an open descriptor, a string that ends in NUL and two numbers, all alive.
    match unsafe { libc::syscall(libc::SYS_fchmodat2, dir.as_raw_fd(), name.as_ptr(), mode, flags) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The way of older kernels: hold the file, be sure that it is no link, and reach it by
/// the name /proc has for the descriptor.
#[cfg(target_os = "linux")]
fn chmod_by_descriptor(dir: BorrowedFd<'_>, name: &CStr, mode: Mode) -> io::Result<()> {
    use rustix::fs::OFlags;
    use std::os::fd::AsRawFd;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let held = rustix::fs::openat(dir, name, flags, Mode::empty())?;
    if stat(held.as_fd())?.is_symlink() {
        return Err(Errno::LOOP.into());
    }
    Ok(rustix::fs::chmod(format!("/proc/self/fd/{}", held.as_raw_fd()), mode)?)
}

#[cfg(not(target_os = "linux"))]
fn chmod_no_follow(dir: BorrowedFd<'_>, name: &CStr, mode: Mode) -> io::Result<()> {
    Ok(rustix::fs::chmodat(dir, name, mode, AtFlags::SYMLINK_NOFOLLOW)?)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsFd;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::sys::files::is_of_procfs;
    use crate::sys::files::tests::open;
    use crate::test_support::Scratch;

    #[test]
    fn the_mode_of_a_link_is_nobodys() {
        let scratch = Scratch::new();
        fs::write(scratch.join("f"), "").unwrap();
        symlink("f", scratch.join("link")).unwrap();
        let dir = open(&scratch);
        chmod_at(dir.as_fd(), c"f", 0o100).unwrap();
        assert!(chmod_at(dir.as_fd(), c"link", 0o777).is_err());
        assert_eq!(stat_at(dir.as_fd(), c"f").unwrap().mode, 0o100);
        // Both ways of Linux, without the look in front that others could be quicker than.
        #[cfg(target_os = "linux")]
        {
            let mode = |bits| Mode::from_raw_mode(bits);
            assert!(chmod_no_follow(dir.as_fd(), c"link", mode(0o777)).is_err());
            assert!(chmod_by_descriptor(dir.as_fd(), c"link", mode(0o777)).is_err());
            chmod_by_descriptor(dir.as_fd(), c"f", mode(0o751)).unwrap();
            assert_eq!(stat_at(dir.as_fd(), c"f").unwrap().mode, 0o751);
        }
    }

    #[test]
    fn rights_are_those_of_the_effective_user() {
        let scratch = Scratch::new();
        fs::write(scratch.join("f"), "").unwrap();
        let dir = open(&scratch);
        assert!(may(dir.as_fd(), c"f", Access::READ_OK | Access::WRITE_OK));
        assert!(!may(dir.as_fd(), c"none", Access::READ_OK));
        assert!(!is_of_procfs(dir.as_fd()));
        if !rustix::process::geteuid().is_root() {
            chmod_at(dir.as_fd(), c"f", 0o400).unwrap();
            assert!(!may(dir.as_fd(), c"f", Access::WRITE_OK));
        }
    }
}
