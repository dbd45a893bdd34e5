//! Moving bytes between sockets, files and memory, inside the kernel where it can.

use std::io;
use std::os::fd::AsFd;

use rustix::io::{Errno, retry_on_intr};

pub(crate) use kernel::{SplicePipe, send_file};

/// Reads what there is into the spare room of `buffer`, which must have some.
/// Zero is the end of the stream. No byte of the buffer is cleared first.
pub(crate) fn read_more(fd: impl AsFd, buffer: &mut Vec<u8>) -> io::Result<usize> {
    let fd = fd.as_fd();
    Ok(retry_on_intr(|| rustix::io::read(fd, rustix::buffer::spare_capacity(buffer)))?)
}

/// `read_more` from `offset` in a file; its own position neither counts nor moves.
pub(crate) fn read_more_at(file: impl AsFd, offset: u64, buffer: &mut Vec<u8>) -> io::Result<usize> {
    let file = file.as_fd();
    Ok(retry_on_intr(|| rustix::io::pread(file, rustix::buffer::spare_capacity(buffer), offset))?)
}

/// Writes as much as the descriptor takes.
pub(crate) fn write(fd: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    let fd = fd.as_fd();
    Ok(retry_on_intr(|| rustix::io::write(fd, bytes))?)
}

/// Whether an error of a call between a file and a socket is the socket's.
pub(crate) fn is_connection_error(err: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(err),
        Some(
            Errno::PIPE
                | Errno::CONNRESET
                | Errno::CONNABORTED
                | Errno::NOTCONN
                | Errno::SHUTDOWN
                | Errno::TIMEDOUT
                | Errno::CONNREFUSED
                | Errno::PROTO
                | Errno::NETDOWN
                | Errno::NETUNREACH
                | Errno::NETRESET
                | Errno::HOSTDOWN
                | Errno::HOSTUNREACH
        )
    )
}

/// Whether the kernel cannot do its own moving of bytes for this pair of
/// descriptors, and reads and writes must.
pub(crate) fn is_unsupported(err: &io::Error) -> bool {
    err.kind() == io::ErrorKind::Unsupported
        || matches!(
            Errno::from_io_error(err),
            Some(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::SPIPE)
        )
}

#[cfg(target_os = "linux")]
mod kernel {
    use std::os::fd::OwnedFd;

    use rustix::pipe::{PipeFlags, SpliceFlags};

    use super::*;

    /// Sends up to `count` bytes of `file` from `offset`, which moves on. Zero is
    /// the end of the file. An error is the socket's or the file's: see
    /// `is_connection_error`; `is_unsupported` when this file cannot be sent so.
    pub(crate) fn send_file(
        socket: impl AsFd,
        file: impl AsFd,
        offset: &mut u64,
        count: usize,
    ) -> io::Result<usize> {
        let (socket, file) = (socket.as_fd(), file.as_fd());
        Ok(retry_on_intr(|| rustix::fs::sendfile(socket, file, Some(&mut *offset), count))?)
    }

    /// What splice(2) needs between a socket and a file.
    #[derive(Debug)]
    pub(crate) struct SplicePipe {
        read: OwnedFd,
        write: OwnedFd,
        size: usize,
    }

    impl SplicePipe {
        /// A pipe that holds `size` bytes. Fails when the system gives this
        /// account no more pipes of that size (pipe-user-pages-soft): small
        /// ones are slower than a buffer.
        pub(crate) fn new(size: usize) -> io::Result<SplicePipe> {
            let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
            let size = rustix::pipe::fcntl_setpipe_size(&write, size)?;
            Ok(SplicePipe { read, write, size })
        }

        /// Takes what `socket` has, as far as it fits; the pipe must be empty.
        /// Zero is the end of the stream.
        pub(crate) fn fill(&self, socket: impl AsFd) -> io::Result<usize> {
            let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
            let socket = socket.as_fd();
            Ok(retry_on_intr(|| rustix::pipe::splice(socket, None, &self.write, None, self.size, flags))?)
        }

        /// Moves up to `count` bytes that the pipe holds to `file`, at its position.
        pub(crate) fn empty(&self, file: impl AsFd, count: usize) -> io::Result<usize> {
            let file = file.as_fd();
            Ok(retry_on_intr(|| {
                rustix::pipe::splice(&self.read, None, file, None, count, SpliceFlags::MOVE)
            })?)
        }

        /// Moves bytes that the pipe holds to `buffer`.
        pub(crate) fn read(&self, buffer: &mut Vec<u8>) -> io::Result<usize> {
            read_more(&self.read, buffer)
        }
    }
}

/// Systems whose kernels we do not ask to move bytes: callers read and write.
#[cfg(not(target_os = "linux"))]
mod kernel {
    use super::*;

    pub(crate) fn send_file(_: impl AsFd, _: impl AsFd, _: &mut u64, _: usize) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    #[derive(Debug)]
    pub(crate) enum SplicePipe {}

    impl SplicePipe {
        pub(crate) fn new(_: usize) -> io::Result<SplicePipe> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub(crate) fn fill(&self, _: impl AsFd) -> io::Result<usize> {
            match *self {}
        }

        pub(crate) fn empty(&self, _: impl AsFd, _: usize) -> io::Result<usize> {
            match *self {}
        }

        pub(crate) fn read(&self, _: &mut Vec<u8>) -> io::Result<usize> {
            match *self {}
        }
    }
}
