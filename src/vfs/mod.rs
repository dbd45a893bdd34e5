//! The tree that a client sees, with the rights of its account: `Vfs`.
//!
//! Every path is a `VirtualPath`, and is looked up with descriptors beneath the session's root. A
//! call that changes a directory acts on the last name of the path in its parent and follows no
//! link there. Reply codes are the session's business.

use std::cell::{Cell, RefCell};
use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::proto::facts::Letters;
use crate::proto::path::VirtualPath;
use crate::sys::files::{self, SEARCH};
use crate::sys::root::Root;

mod draft;
mod facts;
mod filter;
mod glob;
mod listing;
mod owners;
mod storing;
mod turns;
mod usage;

pub(crate) use crate::sys::files::{FileId, Space, Stat};
pub(crate) use draft::{DRAFTS, Draft, Over};
pub(crate) use filter::Filter;
pub(crate) use listing::{ListKind, ListLimits, ListRequest, ListingError};
use turns::Turn;
pub(crate) use usage::Usage;

/// The files of one session.
pub(crate) struct Vfs {
    root: Root,
    viewer: Viewer,
    owners: RefCell<owners::Owners>,
    filter: Filter,
    /// Permission bits that new files lack, where the system takes them from nobody's.
    mask: Cell<u32>,
}

/// The client, as far as facts and listings depend on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Viewer {
    /// The effective uid of the session's thread.
    pub uid: u32,
    /// Letters of the fact `perm` for all that this login may not do, whatever the system allows.
    pub denied: Letters,
    /// Every owner and group is called `ftp`, and has no number.
    pub hide_ids: bool,
}

/// A plain file, opened for a transfer.
#[derive(Debug)]
pub(crate) struct OpenFile {
    pub file: File,
    /// In bytes, when it was opened.
    pub size: u64,
}

/// How an upload opens its file. None of these truncates it: the caller does so when there is a
/// data connection, so that an upload that never starts changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Create {
    /// STOR: a file that is there will be replaced.
    Replace,
    /// There must be no file of that name.
    New,
    /// APPE: every write goes to the end (O_APPEND).
    Append,
    /// STOR after REST: a file that is there keeps what is not written over.
    Update,
    /// The same in TYPE A: the file is read as well, to find the place where to go on.
    UpdateText,
}

/// Why a file cannot be opened or listed.
#[derive(Debug)]
pub(crate) enum FileError {
    /// A directory, a device, a FIFO, a socket, or a file of /proc.
    NotPlainFile,
    /// MLSD of a file that is no directory.
    NotDirectory,
    /// Wildcards match more files than may be listed, or more would have to be looked at.
    TooMany,
    Io(io::Error),
}

impl From<io::Error> for FileError {
    fn from(err: io::Error) -> FileError {
        FileError::Io(err)
    }
}

impl From<Errno> for FileError {
    fn from(err: Errno) -> FileError {
        FileError::Io(err.into())
    }
}

/// The names that STOU tries: `name`, `name.1` and so on.
const UNIQUE_NAMES: u32 = 10_000;

/// No open waits for the other end of a FIFO, or gives the server a controlling terminal.
const OPEN_FLAGS: OFlags = OFlags::NONBLOCK.union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

impl Vfs {
    pub(crate) fn new(root: Root, viewer: Viewer) -> Vfs {
        let owners = RefCell::new(owners::Owners::new(viewer.hide_ids));
        Vfs { root, viewer, owners, filter: Filter::default(), mask: Cell::new(0) }
    }

    /// New files lack these permission bits, which the umask of the thread does not take.
    pub(crate) fn mask_by_hand(&self, mask: u32) {
        self.mask.set(mask);
    }

    pub(crate) fn root(&self) -> &Root {
        &self.root
    }

    /// The state of a file, links followed.
    pub(crate) fn stat(&self, path: &VirtualPath) -> io::Result<Stat> {
        self.permit(path)?;
        self.root.stat(path.relative())
    }

    /// The state of a file; of a link, the link's own.
    pub(crate) fn stat_link(&self, path: &VirtualPath) -> io::Result<Stat> {
        self.permit(path)?;
        if path.is_root() {
            return files::stat(self.root.fd());
        }
        let (dir, name) = self.root.parent(path.relative())?;
        files::stat_at(dir.as_fd(), &name)
    }

    /// Whether this can be a working directory: it is a directory and may be searched.
    pub(crate) fn enter(&self, path: &VirtualPath) -> io::Result<()> {
        self.permit(path)?;
        // A directory opens without search permission for it; the `.` in it does not.
        let inside = [path.relative(), b"/."].concat();
        self.root.open_at(&inside, SEARCH | OFlags::DIRECTORY, Mode::empty()).map(drop)
    }

    /// Opens a plain file for reading.
    pub(crate) fn open(&self, path: &VirtualPath) -> Result<OpenFile, FileError> {
        self.open_plain(path, OFlags::RDONLY, 0)
    }

    /// Opens a plain file for writing. A new one gets the permission bits `mode`, less the umask. Links are followed inside the root, even to a file that does not
    /// exist yet; but `New` follows none.
    pub(crate) fn create(&self, path: &VirtualPath, how: Create, mode: u32) -> Result<OpenFile, FileError> {
        let mode = match self.mask.get() {
            0 => mode,
            // If there is no such directory, opening says so.
            _ => self.root.parent(path.relative()).map_or(0, |(dir, _)| self.new_mode(dir.as_fd(), mode)),
        };
        if how == Create::New {
            self.permit(path)?;
            let fd = self.root.create_new(path.relative(), how.flags() | OPEN_FLAGS, mode_bits(mode))?;
            return Ok(OpenFile { file: File::from(fd), size: 0 });
        }
        self.open_plain(path, OFlags::CREATE | how.flags(), mode)
    }

    /// Creates a file of this name, or of the first of `name.1`, `name.2` and so on that is free.
    pub(crate) fn create_unique(
        &self,
        path: &VirtualPath,
        mode: u32,
    ) -> Result<(VirtualPath, OpenFile), FileError> {
        let name = path.file_name().ok_or(FileError::NotPlainFile)?;
        for number in 0..UNIQUE_NAMES {
            let suffix = if number == 0 { String::new() } else { format!(".{number}") };
            let unique =
                path.parent().join(&[name, suffix.as_bytes()].concat()).map_err(|_| Errno::NAMETOOLONG)?;
            match self.create(&unique, Create::New, mode) {
                Ok(file) => return Ok((unique, file)),
                Err(FileError::Io(err)) if err.kind() == io::ErrorKind::AlreadyExists => (),
                Err(err) => return Err(err),
            }
        }
        Err(Errno::EXIST.into())
    }

    fn open_plain(&self, path: &VirtualPath, flags: OFlags, mode: u32) -> Result<OpenFile, FileError> {
        self.permit(path)?;
        let opened = self.root.open_and_stat(path.relative(), flags | OPEN_FLAGS, mode_bits(mode));
        let (fd, stat) = opened.map_err(|err| match Errno::from_io_error(&err) {
            // A directory; a socket, or a FIFO that nobody reads.
            Some(Errno::ISDIR | Errno::NXIO | Errno::OPNOTSUPP) => FileError::NotPlainFile,
            _ => FileError::Io(err),
        })?;
        if !stat.is_file() {
            return Err(FileError::NotPlainFile);
        }
        Ok(OpenFile { file: File::from(fd), size: stat.size })
    }

    /// Removes a file or a link. EISDIR for a directory.
    pub(crate) fn remove_file(&self, path: &VirtualPath) -> io::Result<()> {
        self.permit(path)?;
        let (dir, name) = self.root.parent(path.relative())?;
        let _turn = Turn::in_dir(dir.as_fd())?;
        match rustix::fs::unlinkat(&dir, &name, AtFlags::empty()) {
            // POSIX and macOS say EPERM of a directory, but of other files too.
            Err(Errno::PERM) if files::stat_at(dir.as_fd(), &name).is_ok_and(|stat| stat.is_dir()) => {
                Err(Errno::ISDIR.into())
            }
            result => Ok(result?),
        }
    }

    /// Removes an empty directory. ENOTDIR for anything else, a link to one included.
    pub(crate) fn remove_dir(&self, path: &VirtualPath) -> io::Result<()> {
        self.permit(path)?;
        let (dir, name) = self.root.parent(path.relative())?;
        match rustix::fs::unlinkat(&dir, &name, AtFlags::REMOVEDIR) {
            // Of what the client cannot see, nothing is to be in its way.
            Err(Errno::NOTEMPTY | Errno::EXIST) if self.sweep_all(path)? => {
                Ok(rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR)?)
            }
            result => Ok(result?),
        }
    }

    /// Makes a directory with the permission bits `mode`, less the umask.
    pub(crate) fn make_dir(&self, path: &VirtualPath, mode: u32) -> io::Result<()> {
        self.permit(path)?;
        if path.is_root() {
            return Err(Errno::EXIST.into());
        }
        let (dir, name) = self.root.parent(path.relative())?;
        Ok(rustix::fs::mkdirat(&dir, name, mode_bits(self.new_mode(dir.as_fd(), mode)))?)
    }

    /// What is left of `mode` for a new file in `dir`. The umask does not count where a list says what
    /// new files get, by hand as little as in the system.
    fn new_mode(&self, dir: BorrowedFd<'_>, mode: u32) -> u32 {
        let mask = self.mask.get();
        if mask == 0 || files::has_default(dir) { mode } else { mode & !mask }
    }

    /// Renames a file, a link or a directory. Without `replace` the new name must be free (EEXIST).
    pub(crate) fn rename(&self, from: &VirtualPath, to: &VirtualPath, replace: bool) -> io::Result<()> {
        self.permit(from)?;
        self.permit(to)?;
        let (from_dir, from) = self.root.parent(from.relative())?;
        let (to_dir, to) = self.root.parent(to.relative())?;
        let _turn = Turn::in_both(from_dir.as_fd(), to_dir.as_fd())?;
        if replace {
            rustix::fs::renameat(&from_dir, &from, &to_dir, &to)?;
            return remove_second_name(from_dir.as_fd(), &from, to_dir.as_fd(), &to);
        }
        files::rename_new(from_dir.as_fd(), &from, to_dir.as_fd(), &to)
    }

    /// Sets the permission bits (0 to 0o7777) of a file, links followed inside the root.
    pub(crate) fn chmod(&self, path: &VirtualPath, mode: u32) -> io::Result<()> {
        self.permit(path)?;
        let (dir, name) = self.root.locate(path.relative())?;
        files::chmod_at(dir.as_fd(), &name, mode & 0o7777)
    }

    /// Sets the times of a file, in Unix seconds, links followed inside the root;
    /// `None` leaves one as it is.
    pub(crate) fn set_times(
        &self,
        path: &VirtualPath,
        accessed: Option<i64>,
        modified: Option<i64>,
    ) -> io::Result<()> {
        self.permit(path)?;
        let (dir, name) = self.root.locate(path.relative())?;
        files::set_times_at(dir.as_fd(), &name, accessed, modified)
    }

    /// The space of the file system that `path` is on, or would be on.
    pub(crate) fn free_space(&self, path: &VirtualPath) -> io::Result<Space> {
        self.permit(path)?;
        let open = |path: &VirtualPath| {
            self.root.open_at(path.relative(), SEARCH | OFlags::DIRECTORY, Mode::empty())
        };
        let dir = open(path).or_else(|_| open(&path.parent()))?;
        files::space(dir.as_fd())
    }

    /// Opens a directory to be read.
    fn open_dir(&self, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OPEN_FLAGS | flags;
        self.root.open_at(path, flags, Mode::empty())
    }

    /// The target of the link `name` in `dir`.
    fn read_link(dir: BorrowedFd<'_>, name: &CStr) -> Option<Vec<u8>> {
        rustix::fs::readlinkat(dir, name, Vec::new()).ok().map(|target| target.into_bytes())
    }
}

/// rename(2) does nothing where both are names of one file already; mv(1) takes the first one away.
fn remove_second_name(
    from_dir: BorrowedFd<'_>,
    from: &CStr,
    to_dir: BorrowedFd<'_>,
    to: &CStr,
) -> io::Result<()> {
    let Ok(there) = files::stat_at(from_dir, from) else { return Ok(()) };
    let same_name = from == to && files::stat(from_dir)?.id() == files::stat(to_dir)?.id();
    if there.links > 1 && !there.is_dir() && !same_name && files::stat_at(to_dir, to)?.id() == there.id() {
        rustix::fs::unlinkat(from_dir, from, AtFlags::empty())?;
    }
    Ok(())
}

fn mode_bits(mode: u32) -> Mode {
    Mode::from_raw_mode((mode & 0o7777) as rustix::fs::RawMode)
}

#[cfg(test)]
mod tests;
