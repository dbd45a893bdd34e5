//! What the files of a tree come to, for quotas.

use std::collections::HashSet;
use std::io::{self, ErrorKind};
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{Access, Mode, OFlags};
use rustix::io::Errno;

use super::{FileId, Vfs};
use crate::proto::path::VirtualPath;
use crate::sys::files::{self, DirBuffer, Kind, SEARCH, Stat};

/// The most files that are counted: more take too long.
const MOST: usize = 5_000_000;

/// What there is, as far as the account can see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// `u64::MAX`: more than can be counted, or the account keeps its own files from being counted.
    pub bytes: u64,
    /// There are directories of others that it may store in and not look into.
    pub has_blind_spots: bool,
}

impl Usage {
    const ALL: Usage = Usage { bytes: u64::MAX, has_blind_spots: false };
}

/// What becomes of a directory that cannot be looked into.
enum Closed {
    /// It is the account's own, which could hide anything there.
    Own,
    /// The account may store in it.
    DropBox,
    /// There is nothing in it for this account.
    Foreign,
}

impl Vfs {
    /// The bytes of all plain files beneath the root that the account can see, each file once,
    /// however many names it has.
    pub(crate) fn usage(&self) -> io::Result<Usage> {
        let (mut usage, mut count) = (Usage::default(), 0);
        let mut linked = HashSet::<FileId>::new();
        let mut buffer = DirBuffer::default();
        let mut pending = vec![VirtualPath::root()];
        while let Some(path) = pending.pop() {
            let dir = match self.open_dir(path.relative(), OFlags::NOFOLLOW) {
                Ok(dir) => dir,
                Err(error) => match self.why_closed(&path, error)? {
                    Some(Closed::Own) => return Ok(Usage::ALL),
                    Some(Closed::DropBox) => {
                        usage.has_blind_spots = true;
                        continue;
                    }
                    Some(Closed::Foreign) | None => continue,
                },
            };
            let mut unseen = false;
            let read = files::read_dir(dir.as_fd(), &mut buffer, |name, kind| {
                count += 1;
                if count > MOST {
                    return ControlFlow::Break(());
                }
                if matches!(kind, Kind::Directory) {
                    pending.extend(path.join(name.to_bytes()));
                    return ControlFlow::Continue(());
                }
                match files::stat_at(dir.as_fd(), name) {
                    Ok(_) if self.sweep(dir.as_fd(), name) => (),
                    Ok(stat) if stat.is_dir() => pending.extend(path.join(name.to_bytes())),
                    Ok(stat) if stat.is_file() && (stat.links == 1 || linked.insert(stat.id())) => {
                        usage.bytes = usage.bytes.saturating_add(stat.size);
                    }
                    Ok(_) => (),
                    Err(error) => unseen |= error.kind() == ErrorKind::PermissionDenied,
                }
                ControlFlow::Continue(())
            })?;
            // It may be read and not searched, so that nothing can be stored there either.
            let is_own = || Ok::<_, io::Error>(self.is_own(&files::stat(dir.as_fd())?));
            if read.is_break() || unseen && is_own()? {
                return Ok(Usage::ALL);
            }
        }
        Ok(usage)
    }

    /// `None`: the directory is gone, or a link has taken its place.
    fn why_closed(&self, path: &VirtualPath, error: io::Error) -> io::Result<Option<Closed>> {
        match Errno::from_io_error(&error) {
            Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::MLINK) => Ok(None),
            // By moving one deep tree into another.
            Some(Errno::NAMETOOLONG) => Ok(Some(Closed::Own)),
            Some(Errno::ACCESS | Errno::PERM) => {
                let flags = SEARCH | OFlags::DIRECTORY | OFlags::NOFOLLOW;
                match self.root.open_at(path.relative(), flags, Mode::empty()) {
                    Ok(dir) => Ok(Some(self.whose(dir.as_fd())?)),
                    // The one that it is in may be read and not searched.
                    Err(error) if !path.is_root() => self.why_closed(&path.parent(), error),
                    Err(error) => Err(error),
                }
            }
            _ => Err(error),
        }
    }

    fn whose(&self, dir: BorrowedFd<'_>) -> io::Result<Closed> {
        let may_store = || files::may(dir, c".", Access::WRITE_OK | Access::EXEC_OK);
        Ok(match self.is_own(&files::stat(dir)?) {
            true => Closed::Own,
            false if may_store() => Closed::DropBox,
            false => Closed::Foreign,
        })
    }

    fn is_own(&self, stat: &Stat) -> bool {
        stat.uid == self.viewer.uid
    }
}
