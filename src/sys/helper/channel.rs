//! A connection that carries messages between a process and its helper.
//!
//! A message is a length of two octets, the most significant first, and so many
//! octets; a file descriptor may travel with it. The socket is a stream on
//! every system, because macOS has no SOCK_SEQPACKET.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, FdFlags};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use zeroize::Zeroizing;

/// The most octets a message has.
pub(crate) const MAX_MESSAGE: usize = 4096;

/// Without waiting, and with close-on-exec for a file that comes along, where the system can do so at once.
#[cfg(target_os = "linux")]
const RECEIVE: RecvFlags = RecvFlags::DONTWAIT.union(RecvFlags::CMSG_CLOEXEC);
#[cfg(not(target_os = "linux"))]
const RECEIVE: RecvFlags = RecvFlags::DONTWAIT;

/// One end of a connection that carries messages.
pub(crate) struct Channel(OwnedFd);

/// A message; wiped when dropped, for it may carry a password.
pub(crate) struct Message {
    pub bytes: Zeroizing<Vec<u8>>,
    pub fd: Option<OwnedFd>,
}

impl Channel {
    pub(crate) fn pair() -> io::Result<(Channel, Channel)> {
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::empty(), None)?;
        for end in [&ours, &theirs] {
            rustix::io::fcntl_setfd(end, FdFlags::CLOEXEC)?;
        }
        Ok((Channel(ours), Channel(theirs)))
    }

    /// Standard input, which the parent made a channel. Nothing else of this
    /// process reads from it afterwards.
    pub(crate) fn from_stdin() -> io::Result<Channel> {
        let channel = rustix::io::fcntl_dupfd_cloexec(io::stdin(), 3)?;
        rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
        Ok(Channel(channel))
    }

    /// # Errors
    /// `InvalidInput` for one that is too long, `TimedOut` at the deadline,
    /// `BrokenPipe` when nobody is at the other end.
    pub(crate) fn send(
        &self,
        message: &[u8],
        fd: Option<BorrowedFd<'_>>,
        deadline: Option<Instant>,
    ) -> io::Result<()> {
        let length = u16::try_from(message.len()).ok().filter(|_| message.len() <= MAX_MESSAGE);
        let length = length.ok_or(io::ErrorKind::InvalidInput)?;
        let mut frame = Zeroizing::new(Vec::with_capacity(2 + message.len()));
        frame.extend_from_slice(&length.to_be_bytes());
        frame.extend_from_slice(message);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fds: Vec<BorrowedFd<'_>> = fd.into_iter().collect();
        if !fds.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(&fds));
        }
        let mut rest = frame.as_slice();
        while !rest.is_empty() {
            match sendmsg(&self.0, &[IoSlice::new(rest)], &mut control, SendFlags::DONTWAIT) {
                Ok(sent) => {
                    rest = &rest[sent..];
                    control.clear();
                }
                Err(Errno::AGAIN) => self.wait(PollFlags::OUT, deadline)?,
                Err(Errno::INTR) => (),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The next message; `None` when the other end is closed.
    ///
    /// # Errors
    /// `TimedOut` at the deadline; `InvalidData` for one that is too long;
    /// `UnexpectedEof` for one that is cut off.
    pub(crate) fn receive(&self, deadline: Option<Instant>) -> io::Result<Option<Message>> {
        let mut fd = None;
        let mut header = [0; 2];
        if !self.fill(&mut header, &mut fd, deadline)? {
            return Ok(None);
        }
        let length = usize::from(u16::from_be_bytes(header));
        if length > MAX_MESSAGE {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut bytes = Zeroizing::new(vec![0; length]);
        if !self.fill(&mut bytes, &mut fd, deadline)? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Some(Message { bytes, fd }))
    }

    /// Whether the other end is there, and says nothing.
    pub(crate) fn is_quiet(&self) -> bool {
        let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
        matches!(poll(&mut fds, Some(&Timespec::default())), Ok(0))
    }

    /// Fills the buffer; `false` when the other end is closed before the first octet.
    fn fill(
        &self,
        mut rest: &mut [u8],
        fd: &mut Option<OwnedFd>,
        deadline: Option<Instant>,
    ) -> io::Result<bool> {
        let whole = rest.len();
        while !rest.is_empty() {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            match recvmsg(&self.0, &mut [IoSliceMut::new(rest)], &mut control, RECEIVE) {
                Ok(received) => {
                    for message in control.drain() {
                        if let RecvAncillaryMessage::ScmRights(fds) = message {
                            for new in fds {
                                // Where RECEIVE did not say so.
                                rustix::io::fcntl_setfd(&new, FdFlags::CLOEXEC)?;
                                *fd = Some(new);
                            }
                        }
                    }
                    match received.bytes {
                        0 if rest.len() == whole => return Ok(false),
                        0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                        count => rest = &mut rest[count..],
                    }
                }
                Err(Errno::AGAIN) => self.wait(PollFlags::IN, deadline)?,
                Err(Errno::INTR) => (),
                Err(Errno::CONNRESET) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    fn wait(&self, events: PollFlags, deadline: Option<Instant>) -> io::Result<()> {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let left = left.map(|left| Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        });
        match poll(&mut [PollFd::new(&self.0, events)], left.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<Channel> for OwnedFd {
    fn from(channel: Channel) -> OwnedFd {
        channel.0
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn messages_keep_their_bounds_and_carry_a_file() {
        let (one, other) = Channel::pair().unwrap();
        let (kept, passed) = Channel::pair().unwrap();
        one.send(b"first", None, None).unwrap();
        one.send(b"", None, None).unwrap();
        one.send(&[7; MAX_MESSAGE], Some(passed.as_fd()), None).unwrap();
        drop(passed);
        drop(one);
        let next = || other.receive(None).unwrap();
        assert_eq!(*next().unwrap().bytes, b"first");
        assert_eq!(*next().unwrap().bytes, b"");
        let last = next().unwrap();
        assert_eq!(*last.bytes, [7; MAX_MESSAGE]);
        assert!(next().is_none());
        assert!(kept.is_quiet());
        drop(last); // With it the file that came along.
        assert!(kept.receive(None).unwrap().is_none());
    }

    #[test]
    fn hostile_frames_are_errors() {
        let cut_off = |frame: &[u8]| {
            let (one, other) = Channel::pair().unwrap();
            File::from(OwnedFd::from(one)).write_all(frame).unwrap();
            other.receive(None).err().map(|error| error.kind())
        };
        assert_eq!(cut_off(b"\xff\xff"), Some(io::ErrorKind::InvalidData));
        assert_eq!(cut_off(b"\x00"), Some(io::ErrorKind::UnexpectedEof));
        assert_eq!(cut_off(b"\x00\x05abc"), Some(io::ErrorKind::UnexpectedEof));
        assert_eq!(cut_off(b"\x00\x05"), Some(io::ErrorKind::UnexpectedEof));
        assert_eq!(cut_off(b""), None);
    }

    #[test]
    fn a_wait_ends_at_its_deadline() {
        let (one, other) = Channel::pair().unwrap();
        let now = Some(Instant::now());
        assert_eq!(one.receive(now).err().map(|error| error.kind()), Some(io::ErrorKind::TimedOut));
        assert!(one.send(&[0; MAX_MESSAGE + 1], None, None).is_err());
        drop(other);
        assert!(!one.is_quiet());
        assert!(one.send(b"x", None, None).is_err());
    }
}
