//! Helper processes: this program started once more, with a socket for messages.

use std::ffi::CStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::fs::Mode;

use super::process::{self, orphans};

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

/// Starts `program` with `channel` as its standard input. It gets none of this process's other
/// files: they are all closed by execve(2), see `process::prepare`.
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

/// Makes a process just started a helper: no signal handling but the default, and nobody
/// but root may trace it or read its memory. `name` is for ps(1).
///
/// # Errors
/// The process is not fit to see passwords.
pub(crate) fn settle(name: &CStr) -> io::Result<()> {
    process::name_process(name);
    process::refuse_tracing()?;
    process::reset_signals()?;
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    Ok(())
}
