//! Whose rights a thread has: the session's thread becomes the account, for good.
//!
//! On Linux identity belongs to a thread and is changed by raw system calls.
//! The C library's functions of the same names change all threads, and abort
//! the process once a thread differs; clippy.toml bans them. Elsewhere identity
//! belongs to the process, and `become_user` is for the child of one session.

use std::io;
use std::marker::PhantomData;

use rustix::process::geteuid;

/// Whose rights a session has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub uid: u32,
    pub gid: u32,
    /// The supplementary groups, the primary one among them or not.
    pub groups: Vec<u32>,
}

/// Whether a thread can become an account by itself, for good. Elsewhere the process does.
pub(crate) const PER_THREAD: bool = cfg!(target_os = "linux");

/// Whether the calling thread has root's rights.
pub(crate) fn is_root() -> bool {
    geteuid().is_root()
}

/// Whose rights the calling thread has.
pub(crate) fn effective_uid() -> u32 {
    geteuid().as_raw()
}

/// The calling thread is the account from here on, for good. On Linux its real
/// and saved uid are `server_uid`'s: a process of the account's may not signal,
/// trace or limit a thread that has only the effective uid in common with it.
///
/// On Linux the thread keeps CAP_NET_BIND_SERVICE alone (for ports below 1024), and
/// has a working directory and umask of its own, unless a container forbids that.
/// Elsewhere the whole process becomes the account, and `server_uid` is not used.
///
/// # Errors
/// The thread may be anything between the two: the caller ends it. `InvalidInput`
/// for root, and for the number that the system calls read as "unchanged".
pub(crate) fn become_user(identity: &Identity, server_uid: u32) -> io::Result<()> {
    const UNCHANGED: u32 = u32::MAX;
    let gids = || identity.groups.iter().chain([&identity.gid]);
    if [0, UNCHANGED].contains(&identity.uid)
        || [0, UNCHANGED].contains(&server_uid)
        || gids().any(|&gid| gid == UNCHANGED)
    {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not an identity for a session"));
    }
    platform::become_user(identity, server_uid)?;
    platform::verify(identity, server_uid)
}

/// A thread has a umask of its own. This does not leave the thread.
pub(crate) struct OwnUmask(PhantomData<*const ()>);

impl OwnUmask {
    /// Gives the calling thread a umask and a working directory of its own. `None` where threads
    /// cannot have them, or may not in this container: then the process's umask counts, which is
    /// 0, and callers mask modes by hand.
    pub(crate) fn take() -> Option<OwnUmask> {
        platform::leave_shared_umask().then_some(OwnUmask(PhantomData))
    }

    pub(crate) fn set(&self, umask: u32) {
        rustix::process::umask(rustix::fs::Mode::from_raw_mode((umask & 0o777) as rustix::fs::RawMode));
    }
}

#[cfg(target_os = "linux")]
mod platform {
    use std::io;

    use rustix::process::{Gid, Uid, getgroups};
    use rustix::thread::{
        CapabilitySet, CapabilitySets, UnshareFlags, capabilities, set_capabilities, set_keep_capabilities,
        set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid, unshare_unsafe,
    };

    use super::Identity;
    use crate::sys::newer;
    use crate::sys::process::refuse_tracing;

    /// What a session may do beyond the account's rights: bind ports below 1024.
    const KEPT: CapabilitySet = CapabilitySet::NET_BIND_SERVICE;

    pub(super) fn become_user(identity: &Identity, server_uid: u32) -> io::Result<()> {
        let (user, group) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
        let server = Uid::from_raw(server_uid);
        let groups: Vec<Gid> = identity.groups.iter().map(|&gid| Gid::from_raw(gid)).collect();

        leave_shared_fs()?;
        set_keep_capabilities(true)?;
        set_thread_groups(&groups)?;
        set_thread_res_gid(group, group, group)?;
        set_thread_res_uid(server, user, server)?;
        keep_one_capability()?;
        set_keep_capabilities(false)?;
        // The kernel puts fs.suid_dumpable here whenever an identity changes.
        refuse_tracing()?;
        set_no_new_privs(true)?;
        Ok(())
    }

    pub(super) fn leave_shared_umask() -> bool {
        // Nothing changes for a thread that has its own already.
        leave_shared_fs().unwrap_or(false)
    }

    /// Gives the calling thread a working directory and umask of its own; `false` where a container
    /// forbids that: the process's umask is 0, and nothing uses its working directory.
    fn leave_shared_fs() -> io::Result<bool> {
        // SAFETY: only this thread's fs_struct is copied; no file descriptor,
        // which Rust's ownership of fds relies on, changes its meaning.
        match unsafe { unshare_unsafe(UnshareFlags::FS) } {
            Err(err) if newer::is_absent(err) => Ok(false),
            Err(err) => Err(err.into()),
            Ok(()) => Ok(true),
        }
    }

    fn keep_one_capability() -> io::Result<()> {
        // A container's root may lack it: then there is none.
        let kept = capabilities(None)?.permitted & KEPT;
        let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
        set_capabilities(None, sets)?;
        // Ambient capabilities are inheritable ones, of which there are none now.
        Ok(())
    }

    /// Asks the kernel who this thread is now, and whether it can be root again.
    pub(super) fn verify(identity: &Identity, server_uid: u32) -> io::Result<()> {
        let (uid, gid) = (identity.uid, identity.gid);
        if real_effective_saved_uid()? != [server_uid, uid, server_uid] {
            return Err(io::Error::other("the thread did not get the account's user id"));
        }
        if real_effective_saved_gid()? != [gid, gid, gid] {
            return Err(io::Error::other("the thread did not get the account's group id"));
        }
        // The kernel keeps them sorted, and as often as they were named.
        let mut wanted = identity.groups.clone();
        let mut groups: Vec<u32> = getgroups()?.into_iter().map(Gid::as_raw).collect();
        wanted.sort_unstable();
        groups.sort_unstable();
        if groups != wanted {
            return Err(io::Error::other("the thread did not get the account's groups"));
        }
        let CapabilitySets { effective, permitted, inheritable } = capabilities(None)?;
        if !KEPT.contains(effective | permitted) || !inheritable.is_empty() {
            return Err(io::Error::other("the thread kept capabilities"));
        }
        if set_thread_res_uid(None, Uid::ROOT, None).is_ok()
            || set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).is_ok()
        {
            return Err(io::Error::other("the thread could become root again"));
        }
        Ok(())
    }

    fn real_effective_saved_uid() -> io::Result<[u32; 3]> {
        let [mut real, mut effective, mut saved] = [0; 3];
        // SAFETY: the three pointers are to live variables of the right type.
        match unsafe { libc::getresuid(&raw mut real, &raw mut effective, &raw mut saved) } {
            0 => Ok([real, effective, saved]),
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn real_effective_saved_gid() -> io::Result<[u32; 3]> {
        let [mut real, mut effective, mut saved] = [0; 3];
        // SAFETY: the three pointers are to live variables of the right type.
        match unsafe { libc::getresgid(&raw mut real, &raw mut effective, &raw mut saved) } {
            0 => Ok([real, effective, saved]),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod platform {
    use std::io;

    use rustix::process::{getegid, geteuid, getgid, getgroups, getuid};

    use super::Identity;

    pub(super) fn leave_shared_umask() -> bool {
        false
    }

    pub(super) fn become_user(identity: &Identity, _server_uid: u32) -> io::Result<()> {
        // macOS takes 16 groups and asks its directory for the others; the
        // primary group is the first of them.
        let mut groups = vec![identity.gid];
        groups.extend(identity.groups.iter().filter(|&&gid| gid != identity.gid));
        groups.truncate(16);
        checked(set_groups(&groups))?;
        checked(set_gid(identity.gid))?;
        checked(set_uid(identity.uid))
    }

    #[expect(clippy::disallowed_methods, reason = "this process has one session and one thread")]
    fn set_groups(groups: &[libc::gid_t]) -> libc::c_int {
        // SAFETY: the pointer and the length are those of one live slice.
        unsafe { libc::setgroups(groups.len() as _, groups.as_ptr()) }
    }

    #[expect(clippy::disallowed_methods, reason = "this process has one session and one thread")]
    fn set_gid(gid: libc::gid_t) -> libc::c_int {
        // SAFETY: takes a number, and no memory of ours.
        unsafe { libc::setgid(gid) }
    }

    #[expect(clippy::disallowed_methods, reason = "this process has one session and one thread")]
    fn set_uid(uid: libc::uid_t) -> libc::c_int {
        // SAFETY: takes a number, and no memory of ours.
        unsafe { libc::setuid(uid) }
    }

    fn checked(result: libc::c_int) -> io::Result<()> {
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Asks the kernel who this process is now, and whether it can be root again.
    pub(super) fn verify(identity: &Identity, _server_uid: u32) -> io::Result<()> {
        if [getuid(), geteuid()].iter().any(|uid| uid.as_raw() != identity.uid) {
            return Err(io::Error::other("the process did not get the account's user id"));
        }
        if [getgid(), getegid()].iter().any(|gid| gid.as_raw() != identity.gid) {
            return Err(io::Error::other("the process did not get the account's group id"));
        }
        let allowed = |gid: u32| gid == identity.gid || identity.groups.contains(&gid);
        if !getgroups()?.iter().all(|gid| allowed(gid.as_raw())) {
            return Err(io::Error::other("the process kept groups"));
        }
        if set_uid(0) == 0 {
            return Err(io::Error::other("the process could become root again"));
        }
        Ok(())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs;
    use std::net::TcpListener;
    use std::os::unix::fs::{PermissionsExt, chown};
    use std::os::unix::process::CommandExt;
    use std::path::{Path, PathBuf};
    use std::process::{Command, Stdio};
    use std::sync::mpsc;
    use std::thread;

    use rustix::thread::gettid;

    use super::*;
    use crate::sys::process::refuse_tracing;
    use crate::test_support::Scratch;

    /// Numbers that no account has.
    const ANNE: u32 = 3_000_000_001;
    const BERT: u32 = 3_000_000_002;
    const SERVER: u32 = 3_000_000_003;

    fn identity(uid: u32) -> Identity {
        Identity { uid, gid: uid, groups: vec![uid, uid + 100] }
    }

    #[test]
    fn an_unprivileged_process_cannot_become_anyone() {
        thread::spawn(|| {
            if is_root() {
                become_user(&identity(ANNE), SERVER).unwrap();
            }
            assert!(become_user(&identity(BERT), SERVER).is_err());
        })
        .join()
        .unwrap();
    }

    #[test]
    fn root_and_the_unchanged_number_are_no_identities() {
        thread::spawn(|| {
            for (uid, gid, server) in [
                (0, 1, SERVER),
                (ANNE, 1, 0),
                (u32::MAX, 1, SERVER),
                (ANNE, u32::MAX, SERVER),
                (ANNE, 1, u32::MAX),
            ] {
                let refused = become_user(&Identity { uid, gid, groups: vec![] }, server).unwrap_err();
                assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
            }
        })
        .join()
        .unwrap();
    }

    #[test]
    fn two_accounts_beside_root_keep_their_files_apart() {
        if !is_root() {
            return cannot_become(ANNE);
        }
        let scratch = Scratch::new();
        let (annes, berts) = (file_of(ANNE, &scratch, "anne"), file_of(BERT, &scratch, "bert"));
        let session = |uid, own: &Path, other: &Path| {
            let (own, other) = (own.to_owned(), other.to_owned());
            let (ready, is_ready) = mpsc::channel();
            let (finish, finished) = mpsc::channel::<()>();
            let thread = thread::spawn(move || {
                become_user(&identity(uid), SERVER).unwrap();
                ready.send(()).unwrap();
                finished.recv().unwrap(); // Both are somebody by now.
                fs::read(&own).unwrap();
                for closed in [&other, Path::new("/etc/shadow")] {
                    assert_eq!(fs::read(closed).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
                }
                assert!(rustix::thread::set_thread_uid(rustix::process::Uid::ROOT).is_err());
                assert!(rustix::thread::set_thread_groups(&[]).is_err());
                let status = fs::read_to_string("/proc/thread-self/status").unwrap();
                let line =
                    |name: &str| status.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
                assert_eq!(line("Uid:"), format!("Uid:\t{SERVER}\t{uid}\t{SERVER}\t{uid}"));
                assert_eq!(line("Gid:"), format!("Gid:\t{uid}\t{uid}\t{uid}\t{uid}"));
                assert_eq!(line("Groups:").trim_end(), format!("Groups:\t{uid} {}", uid + 100));
                assert_eq!(line("CapInh:"), "CapInh:\t0000000000000000");
                assert_eq!(line("CapAmb:"), "CapAmb:\t0000000000000000");
                assert_eq!(line("NoNewPrivs:"), "NoNewPrivs:\t1");
                TcpListener::bind(("127.0.0.1", low_port(uid))).unwrap();
            });
            (thread, is_ready, finish)
        };
        let sessions = [session(ANNE, &annes, &berts), session(BERT, &berts, &annes)];
        sessions.iter().for_each(|(_, is_ready, _)| is_ready.recv().unwrap());
        fs::read("/etc/shadow").unwrap(); // This thread is root all the while.
        sessions.iter().for_each(|(_, _, finish)| finish.send(()).unwrap());
        sessions.into_iter().for_each(|(thread, ..)| thread.join().unwrap());
        assert!(is_root());
    }

    #[test]
    fn a_process_of_the_account_has_no_power_over_the_session() {
        if !is_root() {
            return cannot_become(ANNE);
        }
        refuse_tracing().unwrap();
        let (tid, is_tid) = mpsc::channel();
        let (finish, finished) = mpsc::channel::<()>();
        let session = thread::spawn(move || {
            become_user(&identity(ANNE), SERVER).unwrap();
            tid.send(gettid().as_raw_nonzero()).unwrap();
            finished.recv().unwrap();
        });
        let tid = is_tid.recv().unwrap();
        let can = |script: String| {
            let mut shell = Command::new("/bin/sh");
            shell.args(["-c", &script]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            shell.uid(ANNE).gid(ANNE).status().unwrap().success()
        };
        assert!(can("true".into()));
        assert!(!can(format!("kill -0 {tid}")), "may signal");
        assert!(!can(format!("kill -STOP {tid}")), "stopped it");
        assert!(!can(format!("kill -KILL {tid}")), "killed it");
        assert!(!can(format!("prlimit --pid {tid} --nofile=3:3")), "limited it");
        assert!(!can(format!("head -c 1 /proc/{tid}/mem")), "read its memory");
        assert!(!can(format!("ls /proc/{tid}/fd/")), "saw its files");
        assert!(!can(format!("cat /proc/{tid}/environ")), "saw its environment");
        finish.send(()).unwrap();
        session.join().unwrap();
    }

    /// What these tests can check of a process that is not root's.
    fn cannot_become(uid: u32) {
        assert!(become_user(&identity(uid), SERVER).is_err());
    }

    /// A port that only the kept capability opens, different for each account.
    fn low_port(uid: u32) -> u16 {
        900 + (uid % 10) as u16
    }

    /// A file that only `owner` may read.
    fn file_of(owner: u32, scratch: &Scratch, name: &str) -> PathBuf {
        let path = scratch.write(name, name);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        chown(&path, Some(owner), Some(owner)).unwrap();
        path
    }
}
