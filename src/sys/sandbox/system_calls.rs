//! The system calls that a session may not make, and the filter that refuses them.

use std::io;
use std::sync::OnceLock;

use libc::*;
use seccompiler::BpfProgram;

use super::Wall;
use super::bpf::{NO_SUCH_CALL, Program, REFUSE};

pub(super) fn filter_system_calls() -> io::Result<Wall> {
    static PROGRAM: OnceLock<BpfProgram> = OnceLock::new();
    let Some(architecture) = ARCHITECTURE else { return Ok(Wall::Unsupported) };
    let program = PROGRAM.get_or_init(|| compile(architecture));
    match seccompiler::apply_filter(program) {
        Ok(()) => Ok(Wall::Up),
        // A kernel without CONFIG_SECCOMP_FILTER, or a container that forbids filters.
        Err(seccompiler::Error::Seccomp(error))
            if matches!(error.raw_os_error(), Some(ENOSYS | EINVAL | EPERM)) =>
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

/// Those that x86-64 has and newer architectures have not.
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

/// The filter. seccompiler could compile the list, too: into three times as many instructions,
/// which compare with one number after the other, and which end the process, with all its
/// clients, at a call of another architecture.
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

#[cfg(test)]
mod tests {
    use seccompiler::sock_filter;

    use super::*;
    use crate::sys::sandbox::bpf::{ANY_BIT, AT_LEAST, EQUAL, LOAD, RETURN};

    /// What the kernel would answer to the system call `number` with all arguments zero.
    fn answer_to(number: u32) -> u32 {
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

    fn is_refused(number: u32) -> bool {
        let always = [SYS_clone];
        REFUSED.iter().chain(REFUSED_HERE).chain(&always).any(|&refused| refused as u32 == number)
    }

    #[test]
    fn the_filter_answers_as_its_lists_say() {
        for number in (0..2000).filter(|&number| number != libc::SYS_clone3 as u32) {
            let refused = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
            let want = if is_refused(number) { refused } else { libc::SECCOMP_RET_ALLOW };
            assert_eq!(answer_to(number), want, "system call {number}");
        }
    }
}
