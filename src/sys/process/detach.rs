//! A daemon leaves its terminal, and tells whoever started it how the start went.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::process;

use rustix::fs::{Mode, OFlags};
use rustix::stdio;

use super::fork::{Forked, fork};

/// A detached process, whose caller still waits to hear how the start went. If this
/// is dropped, the caller exits with 1.
#[must_use = "the caller waits until it is told"]
pub(crate) struct Detached(PipeWriter);

/// Leaves the terminal and the caller: returns in a grandchild that leads no
/// session. The caller stays until [`Detached::ready`] or [`Detached::fail`],
/// so that a start that fails is seen, on the standard error it still has.
///
/// # Errors
/// Those of [`fork`], and of setsid(2) and chdir(2).
pub(crate) fn detach() -> io::Result<Detached> {
    let (reader, writer) = io::pipe()?;
    if let Forked::Parent = fork()? {
        drop(writer);
        process::exit(wait_for_start(reader));
    }
    drop(reader);
    rustix::process::setsid()?;
    if let Forked::Parent = fork()? {
        exit_without_cleanup();
    }
    rustix::process::chdir("/")?;
    Ok(Detached(writer))
}

impl Detached {
    /// The start succeeded: lets go of standard input, output and error, and
    /// the caller exits with 0.
    pub(crate) fn ready(self) -> io::Result<()> {
        close_stdio()?;
        self.tell(0)
    }

    /// The start failed, and said why: the caller exits with `code`.
    pub(crate) fn fail(self, code: u8) {
        let _ = self.tell(code); // A caller that is gone needs no answer.
    }

    fn tell(mut self, code: u8) -> io::Result<()> {
        self.0.write_all(&[code])
    }
}

fn wait_for_start(mut reader: PipeReader) -> i32 {
    let mut code = [1];
    match reader.read_exact(&mut code) {
        Ok(()) => i32::from(code[0]),
        Err(_) => 1,
    }
}

fn exit_without_cleanup() -> ! {
    // SAFETY: ends the process; what stdout has buffered belongs to the caller.
    unsafe { libc::_exit(0) }
}

/// Puts /dev/null in the place of standard input, output and error: the numbers
/// stay taken, and nothing written by mistake reaches a terminal or a client.
pub(crate) fn close_stdio() -> io::Result<()> {
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    stdio::dup2_stdin(&null)?;
    stdio::dup2_stdout(&null)?;
    stdio::dup2_stderr(&null)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_of_a_detached_process_is_reported_by_its_exit_code() {
        for (code, expected) in [(0, 0), (2, 2)] {
            let (reader, writer) = io::pipe().unwrap();
            Detached(writer).fail(code);
            assert_eq!(wait_for_start(reader), expected);
        }
        let (reader, writer) = io::pipe().unwrap();
        drop(Detached(writer));
        assert_eq!(wait_for_start(reader), 1);
    }
}
