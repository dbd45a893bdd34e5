//! `Root`: the tree that a session sees, and opening beneath it.
//!
//! A path is resolved as after chroot(2): a link to `/etc` means the root's own `etc`,
//! and `..` stops at the root. Nothing that other processes rename or replace meanwhile
//! leads out. Linux does it by itself (openat2 with RESOLVE_IN_ROOT); elsewhere, on old
//! kernels and in containers that forbid the call, `Walk` does it component by component.
//!
//! Links of /proc that are doors to open files rather than names ("magic links") are
//! refused by both: they would lead one session into what another one holds open.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::sys::files::{self, SEARCH, Stat};

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

/// The kernel's own limits: bytes of a path with its NUL, links on the way through one.
const PATH_MAX: usize = 4096;
const MAX_LINKS: u32 = 40;

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

/// Asked once for each root, of the root itself: later an EPERM may be meant.
#[cfg(target_os = "linux")]
fn openat2_works(root: BorrowedFd<'_>) -> bool {
    match open_in_root(root, b".", DIRECTORY, Mode::empty()) {
        // Linux before 5.6; seccomp; a kernel that lacks the flags.
        Err(Errno::NOSYS | Errno::PERM | Errno::INVAL | Errno::TOOBIG) => false,
        Ok(_) | Err(_) => true,
    }
}

/// One path being resolved, a component at a time and without the kernel following any
/// link. The directories entered stay open, so that `..` goes back where we came from
/// even when somebody moves them out of the root meanwhile. What Linux does beyond that
/// in sticky directories (the sysctl protected_symlinks) is not done here.
struct Walk<'a> {
    root: BorrowedFd<'a>,
    /// The directories below the root that lead to where we are.
    entered: Vec<OwnedFd>,
    /// What remains, next component last. An empty component at the very end of the
    /// path (`a/`) stays, to say that a directory is wanted.
    todo: Vec<Vec<u8>>,
    links: u32,
    path_len: usize,
    /// Whose links are followed; `None`: everyone's.
    owners: Option<[u32; 2]>,
}

/// The last component of a path, and how it is meant.
enum Last {
    /// The path ends in the directory where we are: it was `/`, `.` or `..`.
    Here,
    Name {
        name: CString,
        /// A slash followed.
        as_directory: bool,
    },
}

impl<'a> Walk<'a> {
    fn new(root: BorrowedFd<'a>, path: &[u8]) -> Walk<'a> {
        let mut walk = Walk {
            root,
            entered: Vec::new(),
            todo: Vec::new(),
            links: 0,
            path_len: path.len(),
            owners: None,
        };
        walk.push(path);
        walk
    }

    /// Puts the components of `path` in front of what remains.
    fn push(&mut self, path: &[u8]) {
        self.todo.extend(path.split(|&byte| byte == b'/').rev().map(<[u8]>::to_vec));
    }

    fn here(&self) -> BorrowedFd<'_> {
        self.entered.last().map_or(self.root, |fd| fd.as_fd())
    }

    fn open(mut self, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        loop {
            match self.advance(flags.contains(OFlags::CREATE))? {
                Last::Here => return Ok(rustix::fs::openat(self.here(), c".", flags, mode)?),
                Last::Name { name, as_directory } => {
                    if let Some(fd) = self.open_last(&name, as_directory, flags, mode)? {
                        return Ok(fd);
                    }
                }
            }
        }
    }

    /// Opens the last component; `None` when it was a link, and the walk goes on.
    fn open_last(
        &mut self,
        name: &CStr,
        as_directory: bool,
        flags: OFlags,
        mode: Mode,
    ) -> io::Result<Option<OwnedFd>> {
        let exclusive = flags.contains(OFlags::CREATE | OFlags::EXCL);
        let follow = as_directory || !(flags.contains(OFlags::NOFOLLOW) || exclusive);
        let wanted = flags | if as_directory { OFlags::DIRECTORY } else { OFlags::empty() };
        let err = match rustix::fs::openat(self.here(), name, wanted | OFlags::NOFOLLOW, mode) {
            // With O_PATH a link is opened itself.
            Ok(fd) if follow && is_path(wanted) && files::stat(fd.as_fd())?.is_symlink() => Errno::LOOP,
            Ok(fd) => return Ok(Some(fd)),
            Err(err) => err,
        };
        if !follow || !means_link(err) {
            return Err(err.into());
        }
        match self.follow(name)? {
            true => {
                if as_directory {
                    // The slash that followed the link follows what it stands for.
                    self.todo.insert(0, Vec::new());
                }
                Ok(None)
            }
            false => Err(err.into()),
        }
    }

    fn locate(mut self) -> io::Result<(OwnedFd, CString)> {
        loop {
            let (name, as_directory) = match self.advance(false)? {
                Last::Here => return Ok((self.into_here()?, c".".to_owned())),
                Last::Name { name, as_directory } => (name, as_directory),
            };
            let stat = files::stat_at(self.here(), &name)?;
            if !stat.is_symlink() {
                return match as_directory && !stat.is_dir() {
                    true => Err(Errno::NOTDIR.into()),
                    false => Ok((self.into_here()?, name)),
                };
            }
            if self.follow(&name)? && as_directory {
                self.todo.insert(0, Vec::new());
            }
        }
    }

    fn into_here(mut self) -> io::Result<OwnedFd> {
        match self.entered.pop() {
            Some(fd) => Ok(fd),
            None => Ok(rustix::fs::openat(self.root, c".", DIRECTORY, Mode::empty())?),
        }
    }

    /// Goes through all components but the last.
    fn advance(&mut self, creating: bool) -> io::Result<Last> {
        if self.path_len == 0 {
            return Err(Errno::NOENT.into());
        }
        if self.path_len >= PATH_MAX {
            return Err(Errno::NAMETOOLONG.into());
        }
        while let Some(component) = self.todo.pop() {
            match &component[..] {
                b"" | b"." => (),
                b".." => self.leave()?,
                _ => {
                    let name = CString::new(component).map_err(|_| Errno::INVAL)?;
                    if self.todo.iter().all(Vec::is_empty) {
                        let as_directory = !self.todo.is_empty();
                        self.todo.clear();
                        if as_directory && creating {
                            self.may_search()?;
                            return Err(Errno::ISDIR.into()); // As Linux has it, whatever is there.
                        }
                        return Ok(Last::Name { name, as_directory });
                    }
                    self.enter(&name)?;
                }
            }
        }
        Ok(Last::Here)
    }

    /// Enters a directory; a link there is put in place of its name.
    fn enter(&mut self, name: &CStr) -> io::Result<()> {
        match rustix::fs::openat(self.here(), name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(fd) => {
                self.entered.push(fd);
                Ok(())
            }
            Err(err) if means_link(err) => match self.follow(name)? {
                true => Ok(()),
                false => Err(Errno::NOTDIR.into()),
            },
            Err(err) => Err(err.into()),
        }
    }

    /// Goes back; at the root, nowhere. Takes search permission, as in the kernel.
    fn leave(&mut self) -> io::Result<()> {
        self.may_search()?;
        self.entered.pop();
        Ok(())
    }

    fn may_search(&self) -> io::Result<()> {
        rustix::fs::openat(self.here(), c".", DIRECTORY, Mode::empty())?;
        Ok(())
    }

    /// Puts what the link `name` says in front of what remains; `false` if it is no link.
    fn follow(&mut self, name: &CStr) -> io::Result<bool> {
        let target = match rustix::fs::readlinkat(self.here(), name, Vec::new()) {
            Ok(target) => target.into_bytes(),
            Err(Errno::INVAL) => return Ok(false),
            Err(err) => return Err(err.into()),
        };
        self.links += 1;
        if self.links > MAX_LINKS || is_of_a_process(self.here()) {
            return Err(Errno::LOOP.into());
        }
        if let Some(owners) = self.owners
            && !owners.contains(&files::stat_at(self.here(), name)?.uid)
        {
            return Err(Errno::PERM.into());
        }
        if target.is_empty() {
            return Err(Errno::NOENT.into());
        }
        if target.starts_with(b"/") {
            self.entered.clear();
        }
        self.push(&target);
        Ok(true)
    }
}

/// What systems say when O_NOFOLLOW meets a link: ELOOP in POSIX and with O_PATH not at
/// all, ENOTDIR together with O_DIRECTORY, EMLINK in FreeBSD.
fn means_link(err: Errno) -> bool {
    matches!(err, Errno::LOOP | Errno::NOTDIR | Errno::MLINK)
}

#[cfg(target_os = "linux")]
fn is_path(flags: OFlags) -> bool {
    flags.contains(OFlags::PATH)
}

#[cfg(not(target_os = "linux"))]
fn is_path(_flags: OFlags) -> bool {
    false
}

/// Whether `fd` is of /proc, and below its topmost directory: the links there may be
/// magic, while those in the topmost (`self`, `mounts`) are names like any other.
fn is_of_a_process(fd: BorrowedFd<'_>) -> bool {
    const PROC_ROOT_INO: u64 = 1;
    files::is_of_procfs(fd) && files::stat(fd).map_or(true, |stat| stat.ino != PROC_ROOT_INO)
}

#[cfg(test)]
pub(crate) mod tests;
