//! `Root`: the tree that a session sees, and opening beneath it.
//!
//! A path is resolved as after chroot(2): a link to `/etc` means the root's own `etc`,
//! and `..` stops at the root. Nothing that other processes rename or replace meanwhile
//! leads out. Linux does it by itself (openat2 with RESOLVE_IN_ROOT); elsewhere, on old
//! kernels and in containers that forbid the call, `Walk` does it component by component.
//!
//! Links of /proc that are doors to open files rather than names ("magic links") are
//! refused by both: they would lead one session into what another one holds open.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::sys::files::{self, SEARCH, Stat};

#[cfg(target_os = "linux")]
use crate::sys::newer;

mod walk;

use walk::Walk;

/// A directory that is `/` to a session.
pub(crate) struct Root {
    fd: OwnedFd,
    /// The device it is on, unless that is /proc: nothing else on it is of a process either.
    device: Option<u64>,
    #[cfg(target_os = "linux")]
    has_openat2: bool,
}

/// Opens a directory to operate in, not to read it.
const DIRECTORY: OFlags = SEARCH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl Root {
    /// Opens `dir` with the rights of the calling thread. Every symlink on the way must
    /// belong to root or to the server's own account (the real uid), else EPERM: an
    /// account that could replace one would move its own jail.
    pub(crate) fn open(dir: &Path) -> io::Result<Root> {
        let path = dir.as_os_str().as_bytes();
        let start = if path.starts_with(b"/") { c"/" } else { c"." };
        let start = rustix::fs::openat(CWD, start, DIRECTORY, Mode::empty())?;
        let mut walk = Walk::new(start.as_fd(), path);
        walk.owners = Some([0, rustix::process::getuid().as_raw()]);
        let fd = walk.open(DIRECTORY, Mode::empty())?;
        let device = if files::is_of_procfs(fd.as_fd()) { None } else { Some(files::stat(fd.as_fd())?.dev) };
        Ok(Root {
            #[cfg(target_os = "linux")]
            has_openat2: openat2_works(fd.as_fd()),
            fd,
            device,
        })
    }

    /// Opens `path`, which is relative to the root (`.`, `a/b`), following links inside
    /// it. `mode` counts with O_CREAT only.
    pub(crate) fn open_at(&self, path: &[u8], flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC;
        let mode = if flags.contains(OFlags::CREATE) { mode } else { Mode::empty() };
        let fd = self.open_anything(path, flags, mode)?;
        // The process that looks is the server: what it has open is its own and all its clients'.
        if is_of_a_process(fd.as_fd()) { Err(Errno::ACCESS.into()) } else { Ok(fd) }
    }

    /// As `open_at`, with the state of what was opened.
    pub(crate) fn open_and_stat(
        &self,
        path: &[u8],
        flags: OFlags,
        mode: Mode,
    ) -> io::Result<(OwnedFd, Stat)> {
        let mode = if flags.contains(OFlags::CREATE) { mode } else { Mode::empty() };
        let fd = self.open_anything(path, flags | OFlags::CLOEXEC, mode)?;
        let stat = files::stat(fd.as_fd())?;
        // Small files come by the thousand: the state tells of nearly all that they are not /proc's.
        let is_known = self.device == Some(stat.dev);
        if !is_known && is_of_a_process(fd.as_fd()) { Err(Errno::ACCESS.into()) } else { Ok((fd, stat)) }
    }

    /// Makes and opens a file where nothing is. It is a plain one, and none of /proc's.
    pub(crate) fn create_new(&self, path: &[u8], flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        self.open_anything(path, flags | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC, mode)
    }

    fn open_anything(&self, path: &[u8], flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        #[cfg(target_os = "linux")]
        if self.has_openat2 {
            match open_in_root(self.fd.as_fd(), path, flags, mode) {
                // Somebody renames on and on while `..` is resolved: the walker does not mind.
                Err(Errno::AGAIN) => (),
                result => return Ok(result?),
            }
        }
        Walk::new(self.fd.as_fd(), path).open(flags, mode)
    }

    /// The directory that holds the last component, and that component, which is not
    /// looked up and may be missing. EBUSY for the root itself, which has no name.
    pub(crate) fn parent(&self, path: &[u8]) -> io::Result<(OwnedFd, CString)> {
        let (dir, name) = match path.iter().rposition(|&byte| byte == b'/') {
            Some(at) => (&path[..at], &path[at + 1..]),
            None => (&b"."[..], path),
        };
        if matches!(name, b"" | b"." | b"..") {
            return Err(Errno::BUSY.into());
        }
        let name = CString::new(name).map_err(|_| Errno::INVAL)?;
        let dir = if dir.is_empty() { b"." } else { dir };
        Ok((self.open_at(dir, DIRECTORY, Mode::empty())?, name))
    }

    /// As `parent`, but when the last component is a link, the place that it leads to
    /// in the end. The name is no link, unless it became one just now.
    pub(crate) fn locate(&self, path: &[u8]) -> io::Result<(OwnedFd, CString)> {
        let (dir, name) = Walk::new(self.fd.as_fd(), path).locate()?;
        if is_of_a_process(dir.as_fd()) { Err(Errno::ACCESS.into()) } else { Ok((dir, name)) }
    }

    /// The state of what `path` leads to, links followed.
    pub(crate) fn stat(&self, path: &[u8]) -> io::Result<Stat> {
        if cfg!(not(target_os = "linux")) {
            // Without O_PATH a file that may not be read could not be opened to be looked at.
            let (dir, name) = self.locate(path)?;
            return files::stat_at(dir.as_fd(), &name);
        }
        Ok(self.open_and_stat(path, SEARCH, Mode::empty())?.1)
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(target_os = "linux")]
fn open_in_root(root: BorrowedFd<'_>, path: &[u8], flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
    use rustix::fs::ResolveFlags;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    // The kernel says EAGAIN when a rename anywhere met our `..`: it could not be sure.
    for _ in 0..64 {
        match rustix::fs::openat2(root, path, flags, mode, resolve) {
            Err(Errno::AGAIN | Errno::INTR) => (),
            result => return result,
        }
    }
    Err(Errno::AGAIN)
}

/// Asked once for each root, about the root itself: later an EPERM may be a file's own.
#[cfg(target_os = "linux")]
fn openat2_works(root: BorrowedFd<'_>) -> bool {
    match open_in_root(root, b".", DIRECTORY, Mode::empty()) {
        // Linux before 5.6, a container, a kernel that lacks the flags.
        Err(err) if newer::is_absent(err) || matches!(err, Errno::INVAL | Errno::TOOBIG) => false,
        Ok(_) | Err(_) => true,
    }
}

/// Whether `fd` is of /proc, and below its topmost directory: the links there may be
/// magic, while those in the topmost (`self`, `mounts`) are names like any other.
fn is_of_a_process(fd: BorrowedFd<'_>) -> bool {
    const PROC_ROOT_INO: u64 = 1;
    files::is_of_procfs(fd) && files::stat(fd).map_or(true, |stat| stat.ino != PROC_ROOT_INO)
}

#[cfg(test)]
mod tests;
