//! What no session needs, no session may call: the walls that are raised around
//! its thread after it became the account.
//!
//! seccomp refuses the system calls that start programs, change identities,
//! reach other processes or the kernel's innards. Landlock, for confined
//! sessions, refuses files outside the root. Both are second walls: the first
//! are the account's own rights and `Root`. Only Linux has them.

use std::io;
use std::os::fd::BorrowedFd;

/// What a wall came to.
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only Linux has these walls"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wall {
    Up,
    /// The system, or this kernel, does not have it.
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

/// Takes from the calling thread, for good, what no session needs; with `root`,
/// a directory (O_PATH will do), also every file that is not beneath it, but for
/// the few that name accounts and the time zone. Files already open stay open,
/// and `root` stays what openat2 resolves from.
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
    use std::os::fd::OwnedFd;
    use std::sync::OnceLock;

    use landlock::{
        ABI, Access, AccessFs, CompatLevel, Compatible, PathBeneath, Ruleset, RulesetAttr,
        RulesetCreatedAttr, RulesetError, RulesetStatus,
    };
    use libc::*;
    use seccompiler::{BpfProgram, sock_filter};

    use super::*;

    pub(super) fn confine_thread(root: Option<BorrowedFd<'_>>) -> io::Result<Walls> {
        // In this order: the filter is not to look at landlock's own calls.
        let landlock = match root {
            Some(root) => stay_beneath(root)?,
            None => Wall::NotWanted,
        };
        Ok(Walls { seccomp: filter_system_calls()?, landlock })
    }

    fn stay_beneath(root: BorrowedFd<'_>) -> io::Result<Wall> {
        // The newest set of rights that was tried with a session. Network
        // rights and scopes are not among them.
        let all = AccessFs::from_all(ABI::V5);
        let Ok(ruleset) = Ruleset::default()
            // Without this right, which came second, a rename from one
            // directory to another is refused everywhere.
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessFs::Refer)
        else {
            return Ok(Wall::Unsupported);
        };
        let status = ruleset
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(all)
            .and_then(Ruleset::create)
            .and_then(|ruleset| ruleset.add_rule(PathBeneath::new(root, all)))
            .and_then(|ruleset| ruleset.add_rules(readable()))
            .and_then(|ruleset| ruleset.restrict_self())
            .map_err(io::Error::other)?;
        match status.ruleset {
            RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(Wall::Up),
            RulesetStatus::NotEnforced => Ok(Wall::Unsupported),
        }
    }

    /// Files outside the root that listings read: names of owners, local time.
    fn readable() -> impl Iterator<Item = Result<PathBeneath<OwnedFd>, RulesetError>> {
        use rustix::fs::{Mode, OFlags, open};
        ["/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/localtime"]
            .into_iter()
            .filter_map(|path| open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok())
            .map(|file| Ok(PathBeneath::new(file, AccessFs::ReadFile)))
    }

    fn filter_system_calls() -> io::Result<Wall> {
        static PROGRAM: OnceLock<BpfProgram> = OnceLock::new();
        let Some(architecture) = ARCHITECTURE else { return Ok(Wall::Unsupported) };
        let program = PROGRAM.get_or_init(|| compile(architecture));
        match seccompiler::apply_filter(program) {
            Ok(()) => Ok(Wall::Up),
            // A kernel without CONFIG_SECCOMP_FILTER.
            Err(seccompiler::Error::Seccomp(error))
                if matches!(error.raw_os_error(), Some(ENOSYS | EINVAL)) =>
            {
                Ok(Wall::Unsupported)
            }
            Err(error) => Err(io::Error::other(error)),
        }
    }

    /// AUDIT_ARCH_* of linux/audit.h: system call numbers mean nothing without it.
    const ARCHITECTURE: Option<u32> = if cfg!(target_arch = "x86_64") {
        Some(0xc000_003e)
    } else if cfg!(target_arch = "aarch64") {
        Some(0xc000_00b7)
    } else if cfg!(target_arch = "riscv64") {
        Some(0xc000_00f3)
    } else {
        None
    };

    /// System calls answered EPERM, whatever their arguments.
    const REFUSED: &[c_long] = &[
        // Starting programs. (fork and vfork, where they exist, are below.)
        SYS_execve,
        SYS_execveat,
        // Other processes, and other threads of this one.
        SYS_ptrace,
        SYS_process_vm_readv,
        SYS_process_vm_writev,
        SYS_process_madvise,
        SYS_process_mrelease,
        SYS_kcmp,
        SYS_kill,
        SYS_tkill,
        SYS_tgkill,
        SYS_rt_sigqueueinfo,
        SYS_rt_tgsigqueueinfo,
        SYS_pidfd_open,
        SYS_pidfd_getfd,
        SYS_pidfd_send_signal,
        SYS_migrate_pages,
        SYS_move_pages,
        // Identities.
        SYS_setuid,
        SYS_setgid,
        SYS_setreuid,
        SYS_setregid,
        SYS_setresuid,
        SYS_setresgid,
        SYS_setfsuid,
        SYS_setfsgid,
        SYS_setgroups,
        SYS_capset,
        // Mounts, namespaces and roots.
        SYS_mount,
        SYS_umount2,
        SYS_move_mount,
        SYS_mount_setattr,
        SYS_open_tree,
        SYS_fsopen,
        SYS_fsconfig,
        SYS_fsmount,
        SYS_fspick,
        SYS_pivot_root,
        SYS_chroot,
        SYS_unshare,
        SYS_setns,
        SYS_open_by_handle_at,
        // The kernel.
        SYS_bpf,
        SYS_perf_event_open,
        SYS_userfaultfd,
        SYS_io_uring_setup,
        SYS_io_uring_enter,
        SYS_io_uring_register,
        SYS_add_key,
        SYS_request_key,
        SYS_keyctl,
        SYS_init_module,
        SYS_finit_module,
        SYS_delete_module,
        SYS_kexec_load,
        SYS_reboot,
        SYS_swapon,
        SYS_swapoff,
        SYS_acct,
        SYS_syslog,
        SYS_quotactl,
        SYS_fanotify_init,
        SYS_sethostname,
        SYS_setdomainname,
        SYS_settimeofday,
        SYS_clock_settime,
        SYS_clock_adjtime,
        SYS_adjtimex,
        SYS_vhangup,
        SYS_personality,
        SYS_setrlimit,
        SYS_setpriority,
        SYS_mknodat,
    ];

    /// Those that only the oldest architecture has.
    #[cfg(target_arch = "x86_64")]
    const REFUSED_HERE: &[c_long] = &[
        SYS_fork,
        SYS_vfork,
        SYS_mknod,
        SYS_iopl,
        SYS_ioperm,
        SYS_modify_ldt,
        SYS_kexec_file_load,
        SYS__sysctl,
        SYS_uselib,
    ];
    #[cfg(not(target_arch = "x86_64"))]
    const REFUSED_HERE: &[c_long] = &[];

    /// prctl(2) operations answered EPERM: they would undo what `identity` did.
    const REFUSED_PRCTL: &[c_int] =
        &[PR_SET_DUMPABLE, PR_SET_PTRACER, PR_SET_KEEPCAPS, PR_SET_SECUREBITS, PR_SET_MM, PR_SET_PDEATHSIG];

    /// x86-64 kernels take the calls of another table with this bit set.
    const X32_BIT: u32 = 0x4000_0000;

    const ALLOW: u32 = SECCOMP_RET_ALLOW;
    const REFUSE: u32 = SECCOMP_RET_ERRNO | EPERM as u32;
    /// The C library goes on to clone, whose arguments a filter can see.
    const NO_SUCH_CALL: u32 = SECCOMP_RET_ERRNO | ENOSYS as u32;

    /// The filter: a third of what seccompiler's own compiler makes of such a list,
    /// a search where that has a chain, and an answer other than the end of the
    /// server to calls of another architecture.
    fn compile(architecture: u32) -> BpfProgram {
        let mut program = Program::default();
        program.load(4); // seccomp_data.arch
        program.unless_equal(architecture, REFUSE);
        program.load(0); // seccomp_data.nr
        if cfg!(target_arch = "x86_64") {
            program.if_at_least(X32_BIT, REFUSE);
        }
        program.if_equal(SYS_clone3 as u32, NO_SUCH_CALL);
        program.with_argument(SYS_clone, |program| {
            program.load_low(0);
            program.unless_any_bit(CLONE_THREAD as u32, REFUSE);
        });
        program.with_argument(SYS_prlimit64, |program| {
            // Limits may be read: the third argument, the new one, is null.
            program.load_low(2);
            program.unless_equal(0, REFUSE);
            program.load_high(2);
            program.unless_equal(0, REFUSE);
        });
        program.with_argument(SYS_prctl, |program| {
            program.load_low(0);
            REFUSED_PRCTL.iter().for_each(|&operation| program.if_equal(operation as u32, REFUSE));
        });
        let mut refused: Vec<u32> = REFUSED.iter().chain(REFUSED_HERE).map(|&number| number as u32).collect();
        refused.sort_unstable();
        program.refuse_all(&refused);
        program.0
    }

    /// What the kernel would answer to the system call `number` with all arguments zero.
    #[cfg(test)]
    pub(super) fn answer_to(number: u32) -> u32 {
        let program = compile(ARCHITECTURE.expect("a filter for this architecture"));
        let (mut at, mut loaded) = (0, 0);
        loop {
            let sock_filter { code, jt, jf, k } = program[at].clone();
            let jump = |yes: bool| usize::from(if yes { jt } else { jf });
            at += 1;
            match u32::from(code) {
                LOAD if k == 0 => loaded = number,
                LOAD if k == 4 => loaded = ARCHITECTURE.unwrap_or_default(),
                LOAD => loaded = 0,
                RETURN => return k,
                EQUAL => at += jump(loaded == k),
                AT_LEAST => at += jump(loaded >= k),
                ANY_BIT => at += jump(loaded & k != 0),
                other => panic!("an instruction that compile does not use: {other}"),
            }
        }
    }

    #[cfg(test)]
    pub(super) fn is_refused(number: u32) -> bool {
        let always = [SYS_clone];
        REFUSED.iter().chain(REFUSED_HERE).chain(&always).any(|&refused| refused as u32 == number)
    }

    const LOAD: u32 = BPF_LD | BPF_W | BPF_ABS;
    const RETURN: u32 = BPF_RET | BPF_K;
    const EQUAL: u32 = BPF_JMP | BPF_JEQ | BPF_K;
    const AT_LEAST: u32 = BPF_JMP | BPF_JGE | BPF_K;
    const ANY_BIT: u32 = BPF_JMP | BPF_JSET | BPF_K;

    #[derive(Default)]
    struct Program(BpfProgram);

    impl Program {
        fn push(&mut self, code: u32, k: u32, jt: u8, jf: u8) {
            self.0.push(sock_filter { code: code as u16, jt, jf, k });
        }

        fn load(&mut self, offset: u32) {
            self.push(LOAD, offset, 0, 0);
        }

        /// The less significant half of an argument, on a little-endian machine.
        fn load_low(&mut self, argument: u32) {
            self.load(16 + 8 * argument);
        }

        fn load_high(&mut self, argument: u32) {
            self.load(20 + 8 * argument);
        }

        fn answer(&mut self, answer: u32) {
            self.push(RETURN, answer, 0, 0);
        }

        fn if_equal(&mut self, value: u32, answer: u32) {
            self.push(EQUAL, value, 0, 1);
            self.answer(answer);
        }

        fn unless_equal(&mut self, value: u32, answer: u32) {
            self.push(EQUAL, value, 1, 0);
            self.answer(answer);
        }

        /// Answers for all system calls at once, by halving the sorted list. For each filter of each
        /// thread the kernel tries all its numbers: with one comparison after the other that is most
        /// of what a login costs.
        fn refuse_all(&mut self, refused: &[u32]) {
            const FEW: usize = 3;
            if refused.len() <= FEW {
                let count = refused.len() as u8;
                for (distance, &number) in (1..=count).rev().zip(refused) {
                    self.push(EQUAL, number, distance, 0);
                }
                self.answer(ALLOW);
                return self.answer(REFUSE);
            }
            let (below, above) = refused.split_at(refused.len() / 2);
            let mut branch = Program::default();
            branch.refuse_all(below);
            let over = u8::try_from(branch.0.len()).expect("a jump reaches over half of the list");
            self.push(AT_LEAST, above[0], over, 0);
            self.0.append(&mut branch.0);
            self.refuse_all(above);
        }

        fn if_at_least(&mut self, value: u32, answer: u32) {
            self.push(AT_LEAST, value, 0, 1);
            self.answer(answer);
        }

        fn unless_any_bit(&mut self, bits: u32, answer: u32) {
            self.push(ANY_BIT, bits, 1, 0);
            self.answer(answer);
        }

        /// For this system call alone, `check`, which may load arguments and
        /// answer; then it is allowed.
        fn with_argument(&mut self, number: c_long, check: impl FnOnce(&mut Program)) {
            let mut branch = Program::default();
            check(&mut branch);
            branch.answer(ALLOW);
            let over = u8::try_from(branch.0.len()).expect("a jump reaches over the branch");
            self.push(EQUAL, number as u32, 0, over);
            self.0.append(&mut branch.0);
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
    fn the_filter_answers_as_its_lists_say() {
        for number in (0..2000).filter(|&number| number != libc::SYS_clone3 as u32) {
            let refused = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
            let want = if platform::is_refused(number) { refused } else { libc::SECCOMP_RET_ALLOW };
            assert_eq!(platform::answer_to(number), want, "system call {number}");
        }
    }

    #[test]
    fn what_no_session_needs_is_refused() {
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
            // SAFETY: the limit is live; it is only read.
            let read = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut std::mem::zeroed()) };
            assert_eq!(read, 0);
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
        let dir = std::env::temp_dir().join(format!("ferryd-landlock-{}", std::process::id()));
        fs::create_dir_all(dir.join("a")).unwrap();
        fs::create_dir_all(dir.join("b")).unwrap();
        fs::write(dir.join("a/file"), "x").unwrap();
        std::os::unix::fs::symlink("/a", dir.join("link")).unwrap();
        let root = rustix::fs::open(&dir, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let opened_before = File::open("/etc/passwd").unwrap();
        let path = dir.clone();
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
        fs::remove_dir_all(&dir).unwrap();
        if walls.landlock == Wall::Up {
            assert_eq!(outside.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        }
    }
}
