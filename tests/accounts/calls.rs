//! System calls of a server, watched and made to fail: the n-th write below a folder says ENOSPC,
//! and the server has to make the best of it.
//!
//! The server runs under a seccomp filter that asks this process about the calls that change or
//! list files (seccomp_unotify(2)). Each is let through, or answered here in place of the kernel.

#![expect(unsafe_code, reason = "the notifications of seccomp have no safe interface")]

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::server::{Folder, Server};
use crate::test_support::leave_out;

/// What a call does to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// Opens one that is there, to write to it.
    Open,
    /// Opens one that is made, with a name or without.
    Create,
    /// Writes to it, from memory or from a pipe.
    Write,
    Truncate,
    /// Closes one that is open for writing.
    Close,
    Sync,
    /// Syncs a directory.
    SyncDir,
    /// The new name.
    Rename,
    /// The new name.
    Link,
    Unlink,
    Chmod,
    /// Holds it against others.
    Lock,
    /// Reads names of a directory.
    List,
    /// Looks at it.
    Stat,
}

/// A call that was made below the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) call: Call,
    /// The last name of the path; of a file without a name, what /proc says.
    pub(crate) name: String,
    pub(crate) failed: bool,
}

/// Which calls are to fail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) call: Call,
    /// The first that fails, counted from one.
    pub(crate) nth: usize,
    pub(crate) errno: Errno,
    /// All that follow fail as well.
    pub(crate) stays: bool,
}

/// What the file system of the folder seems to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disk {
    /// What it has.
    Own,
    /// Every file has a name, and no two names change places: NFS, and many others.
    Plain,
}

/// A server whose calls below a folder are seen.
pub(crate) struct Watched {
    pub(crate) server: Server,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    fault: Option<Fault>,
    seen: Vec<Seen>,
}

impl Watched {
    /// The program that `launcher` replaces itself with runs with `args`. `None` where the calls of
    /// a process cannot be watched.
    pub(crate) fn start(
        launcher: Command,
        args: Vec<OsString>,
        folder: &Path,
        disk: Disk,
    ) -> Option<Watched> {
        let state = Arc::<Mutex<State>>::default();
        let (watcher, folder) = (Arc::clone(&state), folder.to_owned());
        // What a thread is asked about is asked of the programs that it starts, too.
        let (give, listener) = mpsc::channel::<OwnedFd>();
        thread::spawn(move || listener.recv().map(|listener| answer(&listener, &folder, disk, &watcher)));
        let starter = thread::spawn(move || {
            let listener = ask_about(&CALLS)?;
            give.send(listener).expect("the thread above waits for it");
            Ok::<_, io::Error>(Server::start_by(launcher, Folder::new(), &args))
        });
        match starter.join().expect("the server starts") {
            Ok(server) => Some(Watched { server, state }),
            Err(error) => {
                leave_out(&format!("the calls of a process cannot be watched here: {error}"));
                None
            }
        }
    }

    /// What is made to fail from now on, in place of what was before.
    pub(crate) fn set(&self, fault: Option<Fault>) {
        let mut state = self.state.lock().expect("no test panics in here");
        *state = State { fault, seen: Vec::new() };
    }

    /// The calls since `set`.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.lock().expect("no test panics in here").seen.clone()
    }

    /// Whether the fault has come about.
    pub(crate) fn has_failed(&self) -> bool {
        self.seen().iter().any(|seen| seen.failed)
    }
}

impl State {
    /// Takes note of a call; the error to answer it with.
    fn look(&mut self, call: Call, path: &Path) -> Option<Errno> {
        let count = 1 + self.seen.iter().filter(|seen| seen.call == call).count();
        let fault = self.fault.filter(|fault| fault.call == call);
        let fault = fault.filter(|fault| count == fault.nth || fault.stays && count > fault.nth);
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.seen.push(Seen { call, name, failed: fault.is_some() });
        fault.map(|fault| fault.errno)
    }
}

/// The calls that may be answered.
const CALLS: [i64; 26] = [
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_write,
    libc::SYS_pwrite64,
    libc::SYS_writev,
    libc::SYS_splice,
    libc::SYS_copy_file_range,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchmodat2,
    libc::SYS_close,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_syncfs,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_linkat,
    libc::SYS_unlinkat,
    libc::SYS_flock,
    libc::SYS_getdents64,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_mkdirat,
];

/// Answers until the last process that asks has ended.
fn answer(listener: &OwnedFd, folder: &Path, disk: Disk, state: &Mutex<State>) {
    let null = File::open("/dev/null").expect("every system has it");
    loop {
        let mut polled = [PollFd::new(listener, PollFlags::IN)];
        if poll(&mut polled, None).is_err() {
            continue;
        }
        if polled[0].revents().contains(PollFlags::HUP) {
            return;
        }
        // A thread that was killed meanwhile asks no more.
        let Ok(asked) = receive(listener) else { continue };
        let below = classify(&asked).filter(|(_, path)| path.starts_with(folder));
        let answer = below.and_then(|(call, path)| match missing(&asked, disk) {
            Some(errno) => Some((call, errno)),
            None => {
                state.lock().expect("no test panics in here").look(call, &path).map(|errno| (call, errno))
            }
        });
        if let Some((Call::Close, _)) = answer {
            // The file is closed all the same, as by a close that fails.
            let _ = replace(listener, asked.id, asked.data.args[0] as u32, &null);
        }
        let _ = send(listener, asked.id, answer.map(|(_, errno)| errno));
    }
}

/// The answer to what the disk has not.
fn missing(asked: &libc::seccomp_notif, disk: Disk) -> Option<Errno> {
    let has = |flag: i32| asked.data.args[2] as i32 & flag == flag;
    match i64::from(asked.data.nr) {
        _ if disk == Disk::Own => None,
        libc::SYS_openat if has(libc::O_TMPFILE) => Some(Errno::OPNOTSUPP),
        libc::SYS_renameat2 => Some(Errno::INVAL),
        _ => None,
    }
}

/// What is asked about, and the file. `None`: nothing that matters.
fn classify(asked: &libc::seccomp_notif) -> Option<(Call, PathBuf)> {
    let (tid, args) = (asked.pid, asked.data.args);
    let fd = |n: usize| fd_path(tid, args[n] as i32);
    let at = |dir: usize, name: usize| path_at(tid, args[dir] as i32, args[name]);
    match i64::from(asked.data.nr) {
        libc::SYS_openat => opened(at(0, 1)?, args[2]),
        libc::SYS_openat2 => {
            let mut flags = [0; 8];
            memory(tid)?.read_exact_at(&mut flags, args[2]).ok()?;
            opened(at(0, 1)?, u64::from_ne_bytes(flags))
        }
        libc::SYS_write | libc::SYS_pwrite64 | libc::SYS_writev => Some((Call::Write, fd(0)?)),
        libc::SYS_splice | libc::SYS_copy_file_range => Some((Call::Write, fd(2)?)),
        libc::SYS_ftruncate | libc::SYS_fallocate => Some((Call::Truncate, fd(0)?)),
        libc::SYS_fchmod => Some((Call::Chmod, fd(0)?)),
        libc::SYS_fchmodat | libc::SYS_fchmodat2 => Some((Call::Chmod, at(0, 1)?)),
        libc::SYS_close if is_written_to(tid, args[0]) => Some((Call::Close, fd(0)?)),
        libc::SYS_fsync | libc::SYS_fdatasync | libc::SYS_syncfs => {
            let path = fd(0)?;
            let call = if path.is_dir() { Call::SyncDir } else { Call::Sync };
            Some((call, path))
        }
        libc::SYS_renameat | libc::SYS_renameat2 => Some((Call::Rename, at(2, 3)?)),
        libc::SYS_linkat => Some((Call::Link, at(2, 3)?)),
        libc::SYS_unlinkat if args[2] as i32 & libc::AT_REMOVEDIR == 0 => Some((Call::Unlink, at(0, 1)?)),
        libc::SYS_flock => Some((Call::Lock, fd(0)?)),
        libc::SYS_getdents64 => Some((Call::List, fd(0)?)),
        libc::SYS_mkdirat => Some((Call::Create, at(0, 1)?)),
        libc::SYS_fstat => Some((Call::Stat, fd(0)?)),
        libc::SYS_newfstatat | libc::SYS_statx => Some((Call::Stat, at(0, 1)?)),
        _ => None,
    }
}

fn opened(path: PathBuf, flags: u64) -> Option<(Call, PathBuf)> {
    let flags = flags as i32;
    let has = |flag| flags & flag == flag;
    match flags & libc::O_ACCMODE {
        _ if has(libc::O_PATH) => None,
        _ if has(libc::O_CREAT) || has(libc::O_TMPFILE) => Some((Call::Create, path)),
        libc::O_RDONLY => None,
        _ => Some((Call::Open, path)),
    }
}

/// Another process's memory, to read the names in its calls.
fn memory(tid: u32) -> Option<File> {
    File::open(format!("/proc/{tid}/mem")).ok()
}

fn fd_path(tid: u32, fd: i32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{tid}/fd/{fd}")).ok()
}

fn path_at(tid: u32, dir: i32, name: u64) -> Option<PathBuf> {
    let mut bytes = vec![0; libc::PATH_MAX as usize];
    // The end of the memory may be nearer than the longest name.
    let length = memory(tid)?.read_at(&mut bytes, name).ok()?;
    bytes.truncate(bytes[..length].iter().position(|&byte| byte == 0)?);
    let name = PathBuf::from(OsString::from_vec(bytes));
    match dir {
        libc::AT_FDCWD => Some(fs::read_link(format!("/proc/{tid}/cwd")).ok()?.join(name)),
        _ if name.as_os_str().is_empty() => fd_path(tid, dir),
        // Links on the way and `..` are not looked at: no test has them there.
        _ => Some(fd_path(tid, dir)?.join(name)),
    }
}

fn is_written_to(tid: u32, fd: u64) -> bool {
    let info = fs::read_to_string(format!("/proc/{tid}/fdinfo/{fd}")).unwrap_or_default();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| i32::from_str_radix(flags.trim(), 8).ok()).unwrap_or(0);
    flags & libc::O_PATH == 0 && flags & libc::O_ACCMODE != libc::O_RDONLY
}

/// From now on the calling thread, and what it starts, asks about `calls`.
fn ask_about(calls: &[i64]) -> io::Result<OwnedFd> {
    let (load, equal, end) = (
        libc::BPF_LD | libc::BPF_W | libc::BPF_ABS,
        libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
        libc::BPF_RET,
    );
    let line = |code: u32, k: u32, jump| libc::sock_filter { code: code as u16, jt: jump, jf: 0, k };
    // The number of the call is first in what the filter reads.
    let mut program = vec![line(load, 0, 0)];
    for (n, &call) in calls.iter().enumerate() {
        program.push(line(equal, call as u32, (calls.len() - n) as u8));
    }
    program.push(line(end, libc::SECCOMP_RET_ALLOW, 0));
    program.push(line(end, libc::SECCOMP_RET_USER_NOTIF, 0));
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    rustix::thread::set_no_new_privs(true)?;
    let (set, new_listener) = (libc::SECCOMP_SET_MODE_FILTER, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER);
    // SAFETY: the kernel copies the program, which is alive; the descriptor is new and nobody else's.
    unsafe {
        let fd = checked(libc::syscall(libc::SYS_seccomp, set, new_listener, &raw const program))?;
        Ok(OwnedFd::from_raw_fd(fd as i32))
    }
}

fn receive(listener: &OwnedFd) -> io::Result<libc::seccomp_notif> {
    // SAFETY: a struct of numbers, for which zeros are values; the kernel wants them.
    let mut asked: libc::seccomp_notif = unsafe { mem::zeroed() };
    let request = rustix::ioctl::opcode::read_write::<libc::seccomp_notif>(b'!', 0);
    // SAFETY: the kernel writes one such struct there.
    checked(unsafe { libc::ioctl(listener.as_raw_fd(), request as _, &raw mut asked) }.into())?;
    Ok(asked)
}

/// Lets the call go on, or answers it with an error.
fn send(listener: &OwnedFd, id: u64, errno: Option<Errno>) -> io::Result<()> {
    let flags = if errno.is_none() { libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32 } else { 0 };
    let error = errno.map_or(0, |errno| -errno.raw_os_error());
    let mut answer = libc::seccomp_notif_resp { id, val: 0, error, flags };
    let request = rustix::ioctl::opcode::read_write::<libc::seccomp_notif_resp>(b'!', 1);
    // SAFETY: the kernel reads one such struct there.
    checked(unsafe { libc::ioctl(listener.as_raw_fd(), request as _, &raw mut answer) }.into()).map(drop)
}

/// Puts `file` in the place of a descriptor of whoever waits for the answer to `id`.
fn replace(listener: &OwnedFd, id: u64, fd: u32, file: &File) -> io::Result<()> {
    let flags = libc::SECCOMP_ADDFD_FLAG_SETFD as u32;
    let srcfd = file.as_fd().as_raw_fd() as u32;
    let mut addition =
        libc::seccomp_notif_addfd { id, flags, srcfd, newfd: fd, newfd_flags: libc::O_CLOEXEC as u32 };
    let request = rustix::ioctl::opcode::write::<libc::seccomp_notif_addfd>(b'!', 3);
    // SAFETY: the kernel reads one such struct there.
    checked(unsafe { libc::ioctl(listener.as_raw_fd(), request as _, &raw mut addition) }.into()).map(drop)
}

fn checked(result: i64) -> io::Result<i64> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
