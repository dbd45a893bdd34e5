//! The process: what it inherits, what it may have, and what the system says of it.
//!
//! Its parts have their own files: detaching from the caller, the pid file, signals, the
//! descriptors that wake threads, and the threads themselves.

use std::fs;
use std::io;

use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit};

mod detach;
mod fork;
pub(crate) mod orphans;
mod pid_file;
mod signals;
mod thread;
mod wake;

pub(crate) use detach::detach;
pub(crate) use fork::{Forked, fork};
pub(crate) use pid_file::PidFile;
pub(crate) use signals::{Received, Signals, block_signals, reset_signals};
pub(crate) use thread::{name_process, name_thread, release_stack, thread_number};
pub(crate) use wake::{Broadcast, Wake};

/// Makes the process independent of what it was started with: umask 0 (every
/// creation passes its own mode), as many file descriptors as it may have, none
/// of them for the programs that it starts, signals that end nobody, and neither
/// core dumps nor tracers, which would see passwords.
pub(crate) fn prepare() -> io::Result<()> {
    rustix::process::umask(Mode::empty());
    raise_fd_limit();
    close_on_exec();
    signals::ignore_those_of_calls()?;
    refuse_tracing()
}

/// How many file descriptors the process may have; `None` when there is no limit.
pub(crate) fn fd_limit() -> Option<u64> {
    rustix::process::getrlimit(Resource::Nofile).current
}

/// How many threads the memory map has room for. Each takes up to four
/// mappings, and std aborts the process when a new thread's guard page finds
/// none, so the limit is kept well below. `None` where there is no such limit.
pub(crate) fn thread_limit() -> Option<usize> {
    let count: usize = fs::read_to_string("/proc/sys/vm/max_map_count").ok()?.trim().parse().ok()?;
    Some((count.saturating_sub(2000) / 4).max(1))
}

fn raise_fd_limit() {
    /// What macOS allows at most, whatever its hard limit says.
    const OPEN_MAX: u64 = 10_240;
    let Rlimit { maximum, .. } = rustix::process::getrlimit(Resource::Nofile);
    for current in [maximum, Some(OPEN_MAX)] {
        if rustix::process::setrlimit(Resource::Nofile, Rlimit { current, maximum }).is_ok() {
            return;
        }
    }
}

/// The programs that the process starts get none of the descriptors that it was started with, but
/// for the standard ones. A system that does not list them leaves them as they are.
fn close_on_exec() {
    let Ok(listed) = fs::read_dir("/dev/fd") else { return };
    let numbers = listed.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    for number in numbers.filter(|&number: &i32| number > libc::STDERR_FILENO) {
        // SAFETY: F_SETFD takes any number, touches no memory, and leaves the descriptor open.
        unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}

/// Nobody but root may trace this process, read its memory or have its core: it holds
/// passwords and the files of every account. For the start of the server and of its helpers.
#[cfg(target_os = "linux")]
pub(crate) fn refuse_tracing() -> io::Result<()> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// No core of this process is written: it holds passwords.
#[cfg(not(target_os = "linux"))]
pub(crate) fn refuse_tracing() -> io::Result<()> {
    Ok(rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?)
}

/// Whether standard error goes to systemd's journal, which has times of its own
/// (JOURNAL_STREAM, systemd.exec(5)).
pub(crate) fn stderr_is_the_journal() -> bool {
    let Ok(stat) = rustix::fs::fstat(io::stderr()) else { return false };
    std::env::var("JOURNAL_STREAM").is_ok_and(|stream| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
}

/// This host's name, as gethostname(3) gives it.
pub(crate) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Asks the child process `id` to end.
pub(crate) fn terminate(id: u32) -> io::Result<()> {
    let pid =
        i32::try_from(id).ok().and_then(rustix::process::Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(rustix::process::kill_process(pid, rustix::process::Signal::TERM)?)
}
