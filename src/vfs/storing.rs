//! The rest of what uploads need: whether a file could be made, how many bytes a change sets free,
//! removing a file only if it is still the same, and bringing a file to the disk.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use rustix::fs::{Access, AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::turns::Turn;
use super::{Create, FileError, OpenFile, Stat, Vfs};
use crate::proto::path::VirtualPath;
use crate::sys::files::{self, FileId, SEARCH};

impl Vfs {
    /// Opens a plain file that exists, for writing. Anything else is not even opened: whoever reads a FIFO
    /// would see it end, and some devices act when they are opened.
    pub(crate) fn open_to_write(&self, path: &VirtualPath, how: Create) -> Result<OpenFile, FileError> {
        if !self.stat(path)?.is_file() {
            return Err(FileError::NotPlainFile);
        }
        self.open_plain(path, how.flags() - OFlags::EXCL, 0)
    }

    /// Whether `path` leads to this file now.
    pub(crate) fn is_at(&self, path: &VirtualPath, file: &File) -> io::Result<bool> {
        let own = files::stat(file.as_fd())?;
        Ok(own.links > 0 && self.stat(path).is_ok_and(|there| there.id() == own.id()))
    }

    /// Whether a file could be made at `path`, where there is none, as far as this can be found out
    /// without making it.
    pub(crate) fn may_create(&self, path: &VirtualPath) -> io::Result<()> {
        self.permit(path)?;
        let (dir, name) = self.root.parent(path.relative())?;
        match files::stat_at(dir.as_fd(), &name) {
            // The name is a link that leads nowhere. The file would be made where it leads to.
            Ok(_) => match self.resolved(path)? {
                real if real == *path => return Ok(()),
                real => return self.may_create(&real),
            },
            Err(err) if err.kind() == io::ErrorKind::NotFound => (),
            Err(err) => return Err(err),
        }
        if !files::may(dir.as_fd(), c".", Access::WRITE_OK | Access::EXEC_OK) {
            let read_only = files::is_read_only(dir.as_fd());
            return Err(if read_only { Errno::ROFS } else { Errno::ACCESS }.into());
        }
        Ok(())
    }

    /// Removes the file at `path` if it is still `file`, and not another that has taken its name.
    /// `false` if it is another.
    pub(crate) fn remove_own(&self, path: &VirtualPath, file: &File) -> io::Result<bool> {
        let (dir, name) = self.root.parent(path.relative())?;
        let _turn = Turn::in_dir(dir.as_fd())?;
        let (there, own) = (files::stat_at(dir.as_fd(), &name)?, files::stat(file.as_fd())?);
        if there.id() != own.id() {
            return Ok(false);
        }
        rustix::fs::unlinkat(&dir, &name, AtFlags::empty())?;
        Ok(true)
    }

    /// Lets `change` remove or replace the file at `path`. Returns the file that is gone then, and its
    /// bytes: none if the file has another name.
    pub(crate) fn releasing<T>(
        &self,
        path: &VirtualPath,
        change: impl FnOnce() -> io::Result<T>,
    ) -> (io::Result<T>, Option<(FileId, u64)>) {
        let flags = SEARCH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let held = self
            .root
            .parent(path.relative())
            .and_then(|(dir, name)| Ok(rustix::fs::openat(dir, name, flags, Mode::empty())?));
        let result = change();
        let stat = held.ok().filter(|_| result.is_ok()).and_then(|held| files::stat(held.as_fd()).ok());
        let gone = |stat: &Stat| stat.is_file() && stat.links == 0;
        (result, stat.filter(gone).map(|stat| (stat.id(), stat.size)))
    }

    /// Waits until the name of `file`, in the directory of `path`, is on the disk.
    pub(crate) fn sync_name(&self, path: &VirtualPath, file: &File) -> io::Result<()> {
        match self.open_dir(path.parent().relative(), OFlags::empty()) {
            Ok(dir) => files::sync(dir.as_fd()),
            // This account may write to the directory and not read it.
            Err(_) => files::sync_all(file.as_fd()),
        }
    }
}

impl Create {
    pub(super) fn flags(self) -> OFlags {
        match self {
            Create::Replace | Create::Update => OFlags::WRONLY,
            Create::UpdateText => OFlags::RDWR,
            Create::New => OFlags::WRONLY | OFlags::EXCL,
            Create::Append => OFlags::WRONLY | OFlags::APPEND,
        }
    }
}
