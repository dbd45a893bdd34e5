//! What uploads ask of the tree besides files: whether one could be made, holding one against
//! other sessions, and removing one's own again.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use rustix::fs::{Access, AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::{Create, FileError, OpenFile, Vfs};
use crate::proto::path::VirtualPath;
use crate::sys::files::{self, SEARCH};

impl Vfs {
    /// Opens a plain file that is there, to be written to.
    pub(crate) fn open_to_write(&self, path: &VirtualPath, how: Create) -> Result<OpenFile, FileError> {
        self.open_plain(path, how.flags() - OFlags::EXCL, 0)
    }

    /// Whether a file could be made at `path`, where nothing is, as far as that can be told
    /// without making it.
    pub(crate) fn may_create(&self, path: &VirtualPath) -> io::Result<()> {
        self.permit(path)?;
        let (dir, name) = self.root.parent(path.relative())?;
        match files::stat_at(dir.as_fd(), &name) {
            // A link that leads nowhere: the file is made where it leads to.
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

    /// Removes the file at `path` if it is `file` still, and not another that has its name by now.
    /// Whether it is gone.
    pub(crate) fn remove_own(&self, path: &VirtualPath, file: &File) -> io::Result<bool> {
        let (dir, name) = self.root.parent(path.relative())?;
        let (there, own) = (files::stat_at(dir.as_fd(), &name)?, files::stat(file.as_fd())?);
        if (there.dev, there.ino) != (own.dev, own.ino) {
            return Ok(false);
        }
        rustix::fs::unlinkat(&dir, &name, AtFlags::empty())?;
        Ok(true)
    }

    /// Lets `change` remove or replace the file at `path`, and says how many bytes are no more for it:
    /// none, as long as the file has another name.
    pub(crate) fn releasing<T>(
        &self,
        path: &VirtualPath,
        change: impl FnOnce() -> io::Result<T>,
    ) -> (io::Result<T>, u64) {
        let flags = SEARCH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let held = self
            .root
            .parent(path.relative())
            .and_then(|(dir, name)| Ok(rustix::fs::openat(dir, name, flags, Mode::empty())?));
        let result = change();
        let stat = held.ok().filter(|_| result.is_ok()).and_then(|held| files::stat(held.as_fd()).ok());
        let released = stat.filter(|stat| stat.is_file() && stat.links == 0);
        (result, released.map_or(0, |stat| stat.size))
    }

    /// Has the disk keep `file`, and its name in the directory of `path`.
    pub(crate) fn sync(&self, path: &VirtualPath, file: &File) -> io::Result<()> {
        files::sync(file.as_fd())?;
        match self.open_dir(path.parent().relative(), OFlags::empty()) {
            Ok(dir) => files::sync(dir.as_fd()),
            // A directory that may be written to and not be read.
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
