//! Helper processes: this program started once more, with a socket for messages.

use std::ffi::CStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::process::orphans;

mod channel;
mod children;

pub(crate) use channel::{Channel, MAX_MESSAGE};
pub(crate) use children::Children;

/// What starts this program again, whatever became of its file.
#[cfg(target_os = "linux")]
pub(crate) fn executable() -> io::Result<PathBuf> {
    Ok(PathBuf::from("/proc/self/exe"))
}

/// What starts this program again.
#[cfg(not(target_os = "linux"))]
pub(crate) fn executable() -> io::Result<PathBuf> {
    std::env::current_exe()
}

/// Starts `program` with `channel` as its standard input, and nothing else of this process's.
///
/// # Errors
/// Those of fork(2) and execve(2).
pub(crate) fn spawn(mut program: Command, channel: Channel) -> io::Result<Child> {
    let program = program
        .stdin(OwnedFd::from(channel))
        // Under inetd, standard output and error are the client's.
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .current_dir("/")
        // Not of the terminal's group: an interrupt there is for the server,
        // which lets logins finish.
        .process_group(0);
    orphans::spawn(program)
}

/// Makes a process just started a helper: no signal handling but the default,
/// no open files but the standard ones, nobody else's to read or trace. `name` is for ps(1).
///
/// # Errors
/// The process is not fit to see passwords.
pub(crate) fn settle(name: &CStr) -> io::Result<()> {
    name_process(name);
    crate::sys::identity::refuse_tracing()?;
    crate::sys::process::reset_signals()?;
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    close_inherited();
    Ok(())
}

/// What ps(1) shows as the command's name. Without it that would be the name of the file
/// that was executed, `exe`.
#[cfg(target_os = "linux")]
pub(crate) fn name_process(name: &CStr) {
    let _ = rustix::thread::set_name(name);
}

/// The name that the process was started with is shown there.
#[cfg(not(target_os = "linux"))]
pub(crate) fn name_process(_name: &CStr) {}

/// Sockets that systemd or inetd passed to the server.
#[cfg(target_os = "linux")]
fn close_inherited() {
    // SAFETY: this program has opened nothing yet but the standard files. A
    // kernel without the call leaves them open, which costs no more than room.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
}

#[cfg(not(target_os = "linux"))]
fn close_inherited() {}

/// Which of the two processes this is, after `fork`.
pub(crate) enum Forked {
    Parent,
    Child,
}

/// Splits a process of one thread in two.
///
/// # Errors
/// Those of fork(2).
pub(crate) fn fork() -> io::Result<Forked> {
    // SAFETY: helpers have one thread, so that the child has no lock that
    // another thread held.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Forked::Child),
        _ => Ok(Forked::Parent),
    }
}
