//! `Walk`: resolving a path component by component, where the kernel does not do it.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::{DIRECTORY, is_of_a_process};
use crate::sys::files;

/// The kernel's own limits: bytes of a path with its NUL, links on the way through one.
const PATH_MAX: usize = 4096;
const MAX_LINKS: u32 = 40;

/// One path being resolved, a component at a time and without the kernel following any
/// link. The directories entered stay open, so that `..` goes back where we came from
/// even when somebody moves them out of the root meanwhile. What Linux does beyond that
/// in sticky directories (the sysctl protected_symlinks) is not done here.
pub(super) struct Walk<'a> {
    root: BorrowedFd<'a>,
    /// The directories below the root that lead to where we are.
    entered: Vec<OwnedFd>,
    /// What remains, next component last. An empty component at the very end of the
    /// path (`a/`) stays, to say that a directory is wanted.
    todo: Vec<Vec<u8>>,
    links: u32,
    path_len: usize,
    /// Whose links are followed; `None`: everyone's.
    pub(super) owners: Option<[u32; 2]>,
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
    pub(super) fn new(root: BorrowedFd<'a>, path: &[u8]) -> Walk<'a> {
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

    pub(super) fn open(mut self, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
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

    pub(super) fn locate(mut self) -> io::Result<(OwnedFd, CString)> {
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
