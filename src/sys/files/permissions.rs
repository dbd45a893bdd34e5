//! Permissions: what the calling thread may do, and changing the bits.

use std::ffi::CStr;
use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
#[cfg(target_os = "linux")]
use std::sync::OnceLock;

#[cfg(target_os = "linux")]
use rustix::fs::CWD;
use rustix::fs::{Access, AtFlags, Mode};
use rustix::io::Errno;

#[cfg(target_os = "linux")]
use super::stat;
use super::stat_at;
#[cfg(target_os = "linux")]
use crate::sys::newer;

/// Whether the calling thread, with its effective rights, may do all of `access` to
/// `name` in `dir`. Plain access(2) would ask for the real uid, which is the server's.
pub(crate) fn may(dir: BorrowedFd<'_>, name: &CStr, access: Access) -> bool {
    let flags = AtFlags::EACCESS | AtFlags::SYMLINK_NOFOLLOW;
    match rustix::fs::accessat(dir, name, access, flags) {
        // Linux before 5.8, or a container. A file that is immutable is EPERM, too.
        #[cfg(target_os = "linux")]
        Err(err) if newer::is_absent(err) && !has_faccessat2() => may_by_mode(dir, name, access),
        // macOS before 13 knows this flag alone.
        #[cfg(not(target_os = "linux"))]
        Err(Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS) => {
            rustix::fs::accessat(dir, name, access, AtFlags::EACCESS).is_ok()
        }
        answer => answer.is_ok(),
    }
}

#[cfg(target_os = "linux")]
fn has_faccessat2() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| {
        let answer =
            rustix::fs::accessat(CWD, c"/", Access::EXISTS, AtFlags::EACCESS | AtFlags::SYMLINK_NOFOLLOW);
        !answer.is_err_and(newer::is_absent)
    })
}

/// What the kernel would say of the effective ids, as the C library finds it out on old kernels:
/// by the bits of the mode. Access control lists and immutable files are not seen.
#[cfg(target_os = "linux")]
fn may_by_mode(dir: BorrowedFd<'_>, name: &CStr, access: Access) -> bool {
    let Ok(stat) = stat_at(dir, name) else { return false };
    if access.contains(Access::WRITE_OK) && super::is_read_only(dir) {
        return false;
    }
    let wanted = [(Access::READ_OK, 4), (Access::WRITE_OK, 2), (Access::EXEC_OK, 1)]
        .into_iter()
        .filter(|&(one, _)| access.contains(one))
        .fold(0, |bits, (_, bit)| bits | bit);
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid().as_raw());
    if uid.is_root() {
        return wanted & 1 == 0 || stat.is_dir() || stat.mode & 0o111 != 0;
    }
    let is_member = || {
        let groups = rustix::process::getgroups().unwrap_or_default();
        gid == stat.gid || groups.iter().any(|group| group.as_raw() == stat.gid)
    };
    let granted = match () {
        () if uid.as_raw() == stat.uid => stat.mode >> 6,
        () if is_member() => stat.mode >> 3,
        () => stat.mode,
    };
    granted & wanted == wanted
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
        // Linux before 6.6, or a container. Where EPERM is the file's, the other way says it again.
        Err(err) if newer::is_caused_by_absence(&err) => chmod_by_descriptor(dir, name, mode),
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

/// Gives an open file the permission bits `mode` (0 to 0o7777).
pub(crate) fn set_mode(file: BorrowedFd<'_>, mode: u32) -> io::Result<()> {
    Ok(rustix::fs::fchmod(file, Mode::from_raw_mode((mode & 0o7777) as rustix::fs::RawMode))?)
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

    /// The modes, the owners and the askers that make a difference, ours alone unless root runs this.
    #[cfg(target_os = "linux")]
    #[test]
    fn the_mode_says_what_the_kernel_says() {
        use std::os::unix::fs::{PermissionsExt, chown};

        use crate::sys::identity::{Identity, become_user, is_root};

        const ASKER: u32 = 3_000_000_021;
        const GROUP: u32 = 3_000_000_022;
        const OTHER: u32 = 3_000_000_023;
        const ALL: [Access; 6] = [
            Access::EXISTS,
            Access::READ_OK,
            Access::WRITE_OK,
            Access::EXEC_OK,
            Access::READ_OK.union(Access::WRITE_OK),
            Access::WRITE_OK.union(Access::EXEC_OK),
        ];
        let scratch = Scratch::new();
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let owners: &[_] = match is_root() {
            true => &[(ASKER, OTHER), (OTHER, ASKER), (OTHER, GROUP), (OTHER, OTHER), (ASKER, GROUP)],
            false => &[(u32::MAX, u32::MAX)], // As they are.
        };
        let mut names = vec![c"none".to_owned()];
        for (number, &(uid, gid)) in owners.iter().enumerate() {
            for mode in (0..=0o777).step_by(3) {
                for kind in ["file", "dir"] {
                    let name = format!("{kind}-{number}-{mode}");
                    let path = scratch.join(&name);
                    if kind == "file" {
                        fs::write(&path, "").unwrap()
                    } else {
                        fs::create_dir(&path).unwrap()
                    }
                    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
                    let id = |id: u32| (id != u32::MAX).then_some(id);
                    chown(&path, id(uid), id(gid)).unwrap();
                    names.push(std::ffi::CString::new(name).unwrap());
                }
            }
        }
        let dir = open(&scratch);
        let compare = || {
            for name in &names {
                for access in ALL {
                    let (bits, kernel) =
                        (may_by_mode(dir.as_fd(), name, access), may(dir.as_fd(), name, access));
                    assert_eq!(bits, kernel, "{name:?} {access:?}");
                }
            }
        };
        compare();
        if is_root() {
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let identity = Identity { uid: ASKER, gid: ASKER, groups: vec![ASKER, GROUP] };
                    become_user(&identity, 3_000_000_024).unwrap();
                    compare();
                });
            });
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
