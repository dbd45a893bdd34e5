//! Second walls around a session's thread, raised after it became the account: they stand
//! where a mistake in ferryd let a client past the first, the account's rights and `Root`.
//!
//! seccomp refuses the system calls of a list: those that start programs, change identities,
//! reach other processes or what only an administrator asks of the kernel. All others stay
//! allowed. Landlock, for confined sessions, refuses files outside the root. Only Linux has
//! them, and not every kernel and container: then a session goes on without, and the log says
//! so once.

use std::io;
use std::os::fd::BorrowedFd;

#[cfg(target_os = "linux")]
mod bpf;
#[cfg(target_os = "linux")]
mod files;
#[cfg(target_os = "linux")]
mod system_calls;

/// What a wall came to.
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only Linux has these walls"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wall {
    Up,
    /// The system, this kernel or the container does not have it.
    Unsupported,
    /// It was not asked for.
    NotWanted,
}

/// What was put around a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Walls {
    pub seccomp: Wall,
    pub landlock: Wall,
}

/// Takes the system calls of the list from the calling thread, for good; with `root`, a
/// directory (O_PATH will do), also every file that is not beneath it, but for the few that
/// name accounts and the time zone. Files that are open already stay open.
///
/// # Errors
/// A wall that this kernel has could not be raised: the session must end.
pub(crate) fn confine_thread(root: Option<BorrowedFd<'_>>) -> io::Result<Walls> {
    platform::confine_thread(root)
}

#[cfg(not(target_os = "linux"))]
mod platform {
    use super::*;

    pub(super) fn confine_thread(_root: Option<BorrowedFd<'_>>) -> io::Result<Walls> {
        Ok(Walls { seccomp: Wall::Unsupported, landlock: Wall::Unsupported })
    }
}

#[cfg(target_os = "linux")]
mod platform {
    use std::sync::Once;

    use super::*;

    pub(super) fn confine_thread(root: Option<BorrowedFd<'_>>) -> io::Result<Walls> {
        // In this order: the filter is not to look at landlock's own calls.
        let landlock = match root {
            Some(root) => files::stay_beneath(root)?,
            None => Wall::NotWanted,
        };
        let walls = Walls { seccomp: system_calls::filter_system_calls()?, landlock };
        say_once_what_is_missing(walls);
        Ok(walls)
    }

    fn say_once_what_is_missing(walls: Walls) {
        static SECCOMP: Once = Once::new();
        static LANDLOCK: Once = Once::new();
        for (said, name, wall) in
            [(&SECCOMP, "seccomp", walls.seccomp), (&LANDLOCK, "landlock", walls.landlock)]
        {
            if wall == Wall::Unsupported {
                said.call_once(|| {
                    log::warn!("{name} is not to be had here: one wall less around each session");
                });
            }
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs::{self, File};
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixDatagram;
    use std::process::Command;
    use std::thread;

    use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};

    use super::*;
    use crate::test_support::Scratch;

    fn confined<T: Send + 'static>(
        root: Option<File>,
        session: impl FnOnce(Option<&File>) -> T + Send + 'static,
    ) -> (Walls, T) {
        let thread = thread::spawn(move || {
            let walls = confine_thread(root.as_ref().map(|root| root.as_fd())).unwrap();
            (walls, session(root.as_ref()))
        });
        thread.join().unwrap()
    }

    fn errno(result: libc::c_long) -> i32 {
        assert_eq!(result, -1);
        io::Error::last_os_error().raw_os_error().unwrap()
    }

    #[test]
    fn what_is_on_the_list_is_refused() {
        let (walls, ()) = confined(None, |_| {
            assert!(Command::new("/bin/true").status().is_err());
            assert!(thread::Builder::new().spawn(|| ()).unwrap().join().is_ok());
            let own_pid = std::process::id();
            for (call, argument) in [
                (libc::SYS_kill, i64::from(own_pid)),
                (libc::SYS_setuid, 0),
                (libc::SYS_chroot, 0),
                (libc::SYS_unshare, 0),
                (libc::SYS_ptrace, 0),
                (libc::SYS_clone, 0),
                (libc::SYS_io_uring_setup, 1),
                (libc::SYS_prctl, i64::from(libc::PR_SET_DUMPABLE)),
            ] {
                // SAFETY: each is refused before it looks at its arguments.
                let result = unsafe { libc::syscall(call, argument, 0, 0, 0, 0) };
                assert_eq!(errno(result), libc::EPERM, "system call {call}");
            }
            // SAFETY: refused before it looks at its arguments.
            assert_eq!(errno(unsafe { libc::syscall(libc::SYS_clone3, 0, 0) }), libc::ENOSYS);
            let limit = libc::rlimit { rlim_cur: 1, rlim_max: 1 };
            // SAFETY: the limit is live, and the call is refused.
            let result = unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const limit) };
            assert_eq!(errno(result.into()), libc::EPERM);
        });
        if walls.seccomp == Wall::Up {
            assert_eq!(walls.landlock, Wall::NotWanted);
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn another_table_of_system_calls_is_no_way_around() {
        confined(None, |_| {
            // SAFETY: getpid of the x32 table; refused, or not there.
            let result = unsafe { libc::syscall(0x4000_0000 | libc::SYS_getpid) };
            assert!([libc::EPERM, libc::ENOSYS].contains(&errno(result)));
        });
    }

    #[test]
    fn a_session_still_has_what_it_needs() {
        confined(None, |_| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            client.write_all(b"x").unwrap();
            let mut byte = [0];
            listener.accept().unwrap().0.read_exact(&mut byte).unwrap();
            UdpSocket::bind("127.0.0.1:0").unwrap();
            let (log, _syslog) = UnixDatagram::pair().unwrap();
            log.send(b"<30>message").unwrap();
            let (sender, receiver) = crossbeam_channel::bounded(1);
            sender.send(vec![0u8; 1 << 20]).unwrap();
            receiver.recv().unwrap();
            assert!(crate::sys::process::fd_limit().is_none_or(|limit| limit > 0));
            File::open("/etc/passwd").unwrap();
            assert!(std::panic::catch_unwind(|| panic!("caught")).is_err());
        });
        // And the thread of a session that panics ends as others do.
        let panicking = thread::spawn(|| {
            confine_thread(None).unwrap();
            panic!("expected");
        });
        assert!(panicking.join().is_err());
    }

    #[test]
    fn a_confined_session_reaches_what_is_beneath_its_root_alone() {
        let scratch = Scratch::new();
        let dir = scratch.path();
        fs::create_dir_all(dir.join("a")).unwrap();
        fs::create_dir_all(dir.join("b")).unwrap();
        fs::write(dir.join("a/file"), "x").unwrap();
        std::os::unix::fs::symlink("/a", dir.join("link")).unwrap();
        let root = rustix::fs::open(dir, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let opened_before = File::open("/etc/passwd").unwrap();
        let path = dir.to_owned();
        let (walls, outside) = confined(Some(File::from(root.unwrap())), move |root| {
            let open = |name: &str, flags: OFlags| {
                let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
                let mode = if flags.contains(OFlags::CREATE) { 0o600 } else { 0 };
                openat2(root.unwrap(), name, flags | OFlags::CLOEXEC, Mode::from_raw_mode(mode), resolve)
            };
            let mut text = String::new();
            File::from(open("link/file", OFlags::RDONLY).unwrap()).read_to_string(&mut text).unwrap();
            assert_eq!(text, "x");
            let mut new = File::from(open("b/new", OFlags::CREATE | OFlags::RDWR).unwrap());
            new.write_all(b"new").unwrap();
            new.set_len(1).unwrap();
            let (a, b) = (open("a", OFlags::PATH).unwrap(), open("b", OFlags::PATH).unwrap());
            rustix::fs::renameat(&a, "file", &b, "file").unwrap();
            rustix::fs::mkdirat(&a, "dir", Mode::from_raw_mode(0o700)).unwrap();
            rustix::fs::unlinkat(&a, "dir", rustix::fs::AtFlags::REMOVEDIR).unwrap();
            rustix::fs::unlinkat(&b, "file", rustix::fs::AtFlags::empty()).unwrap();
            fs::read_dir(&path).unwrap().next().unwrap().unwrap();
            rustix::fs::statvfs(&path).unwrap();
            (&opened_before).read_to_string(&mut text).unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            // Listings name owners.
            let root_user = crate::sys::accounts::by_uid(0).unwrap().map(|entry| entry.name);
            assert_eq!(root_user.as_deref(), Some(b"root".as_slice()));
            File::open("/etc/hostname").or_else(|_| File::open("/proc/version"))
        });
        if walls.landlock == Wall::Up {
            assert_eq!(outside.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        }
    }
}
