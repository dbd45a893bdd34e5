//! Uploads that nobody sees before they are complete (`--atomic-uploads`).
//!
//! A draft is a file without a name in the directory of the file that it will be. On file systems
//! that have no such files it has a name that listings leave out. Publishing gives it its final
//! name in one step. A draft that has a name is held (`files::hold`) for as long as somebody works
//! on it: one that nobody holds was left by a server that was killed, and `sweep` removes it.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::turns::Turn;
use super::{FileError, OPEN_FLAGS, OpenFile, Stat, Vfs, mode_bits};
use crate::proto::path::VirtualPath;
use crate::sys::files::{self, DirBuffer};
use crate::sys::{clock, random};

/// The pattern of the names of drafts that must have one.
pub(crate) const DRAFTS: &str = ".ferryd-upload-*";

/// An upload that is not published yet. Dropping it removes the file.
pub(crate) struct Draft {
    dir: OwnedFd,
    /// `None`: it has no name.
    name: Option<CString>,
}

/// The file that a draft may replace.
pub(crate) enum Over<'a> {
    /// None: EEXIST if there is one.
    Nothing,
    /// Any, if there is one.
    Anything,
    /// This one: ESTALE if another file has taken its name.
    Only(&'a File),
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(name) = self.name.take() {
            // If it cannot be removed, it stays, and is not listed.
            let _ = rustix::fs::unlinkat(&self.dir, name, AtFlags::empty());
        }
    }
}

impl Vfs {
    /// An empty draft of the file `path`, in which no name is a link.
    pub(crate) fn draft(&self, path: &VirtualPath, mode: u32) -> Result<(Draft, OpenFile), FileError> {
        self.permit(path)?;
        if path.is_root() {
            return Err(FileError::NotPlainFile);
        }
        let (dir, _) = self.root.parent(path.relative())?;
        let mode = self.new_mode(dir.as_fd(), mode);
        if let Some(fd) = files::nameless(dir.as_fd(), mode_bits(mode))? {
            return Ok((Draft { dir, name: None }, OpenFile { file: File::from(fd), size: 0 }));
        }
        Ok(named_draft(dir, mode)?)
    }

    /// What a draft would take the place of as `path`, which is its name then.
    pub(crate) fn in_the_way(&self, draft: &Draft, path: &VirtualPath) -> Option<Stat> {
        let name = CString::new(path.file_name()?).ok()?;
        files::stat_at(draft.dir.as_fd(), &name).ok()
    }

    /// Removes `name` from `dir` if it is a draft that a server left there which was killed, and this
    /// login stores files. Whether it is gone.
    pub(super) fn sweep(&self, dir: BorrowedFd<'_>, name: &CStr) -> bool {
        // Where it cannot be removed it stays, and is not listed.
        is_draft(name) && !self.viewer.denied.contains(b'c') && sweep(dir, name).unwrap_or(false)
    }

    /// Sweeps the whole directory `path`. Whether that removed anything.
    pub(super) fn sweep_all(&self, path: &VirtualPath) -> io::Result<bool> {
        let Ok(dir) = self.open_dir(path.relative(), OFlags::NOFOLLOW) else { return Ok(false) };
        let mut gone = false;
        let read = files::read_dir(dir.as_fd(), &mut DirBuffer::default(), |name, _| {
            gone |= self.sweep(dir.as_fd(), name);
            ControlFlow::<()>::Continue(())
        });
        read.map(|_| gone)
    }

    /// Gives a draft the name of `path`.
    pub(crate) fn publish(
        &self,
        draft: &mut Draft,
        file: &File,
        path: &VirtualPath,
        over: &Over<'_>,
    ) -> io::Result<()> {
        self.permit(path)?;
        let name = CString::new(path.file_name().ok_or(Errno::BUSY)?).map_err(|_| Errno::INVAL)?;
        if draft.name.is_none() {
            if !matches!(over, Over::Only(_)) {
                match files::give_name(file.as_fd(), draft.dir.as_fd(), &name) {
                    Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {
                        if matches!(over, Over::Nothing) {
                            return Err(err);
                        }
                    }
                    result => return result,
                }
            }
            // To replace a name takes a rename, and only a file that has a name can be renamed.
            files::hold(file.as_fd())?;
            let (hidden, ()) =
                with_free_name(|name| files::give_name(file.as_fd(), draft.dir.as_fd(), name))?;
            draft.name = Some(hidden);
        }
        let dir = draft.dir.as_fd();
        let _turn = Turn::in_dir(dir)?;
        let hidden = draft.name.as_deref().ok_or(Errno::NOENT)?;
        match over {
            Over::Nothing => files::rename_new(dir, hidden, dir, &name)?,
            Over::Anything => rustix::fs::renameat(dir, hidden, dir, &name)?,
            Over::Only(old) => match replace_only(dir, hidden, &name, old)? {
                // The old file has the draft's name now, and is removed with the draft.
                Replaced::Exchanged => return Ok(()),
                Replaced::Gone => (),
                Replaced::Stuck => {
                    // It is another's, and all that there is of it.
                    draft.name = None;
                    return Err(Errno::STALE.into());
                }
            },
        }
        draft.name = None;
        Ok(())
    }
}

/// How a draft took the place of a file.
enum Replaced {
    /// The file has the draft's name.
    Exchanged,
    Gone,
    /// Another file has the draft's name, and could not be put back.
    Stuck,
}

/// Gives the file `hidden` the name `name` if that is still the name of `old`. If not, nothing
/// changes and the error is ESTALE.
fn replace_only(dir: BorrowedFd<'_>, hidden: &CStr, name: &CStr, old: &File) -> io::Result<Replaced> {
    let old = files::stat(old.as_fd())?;
    let is_old = |name: &CStr| files::stat_at(dir, name).is_ok_and(|there| there.id() == old.id());
    if !is_old(name) {
        return Err(Errno::STALE.into());
    }
    // Another process may be quicker than this look.
    match files::exchange(dir, hidden, name) {
        Ok(()) if is_old(hidden) => Ok(Replaced::Exchanged),
        Ok(()) => match files::exchange(dir, hidden, name) {
            Ok(()) => Err(Errno::STALE.into()),
            // The draft need not come back.
            Err(_) if rustix::fs::renameat(dir, hidden, dir, name).is_ok() => Err(Errno::STALE.into()),
            Err(_) => Ok(Replaced::Stuck),
        },
        Err(err) if err.kind() == io::ErrorKind::Unsupported => {
            rustix::fs::renameat(dir, hidden, dir, name)?;
            Ok(Replaced::Gone)
        }
        Err(err) if err.kind() == io::ErrorKind::NotFound => Err(Errno::STALE.into()),
        Err(err) => Err(err),
    }
}

/// A draft on a file system where every file has a name.
fn named_draft(dir: OwnedFd, mode: u32) -> io::Result<(Draft, OpenFile)> {
    let (name, fd) = with_free_name(|name| {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OPEN_FLAGS;
        Ok(rustix::fs::openat(&dir, name, flags, mode_bits(mode))?)
    })?;
    let (draft, file) = (Draft { dir, name: Some(name) }, File::from(fd));
    files::hold(file.as_fd())?;
    Ok((draft, OpenFile { file, size: 0 }))
}

/// Calls `make` with names for drafts until one is free.
fn with_free_name<T>(mut make: impl FnMut(&CString) -> io::Result<T>) -> io::Result<(CString, T)> {
    const TRIES: usize = 100;
    for _ in 0..TRIES {
        let name = format!("{}{:016x}", DRAFTS.trim_end_matches('*'), random::number());
        let name = CString::new(name).map_err(|_| Errno::INVAL)?;
        match make(&name) {
            Err(err) if err.kind() == io::ErrorKind::AlreadyExists => (),
            result => return Ok((name, result?)),
        }
    }
    Err(Errno::EXIST.into())
}

/// Whether only ferryd gives such names.
fn is_draft(name: &CStr) -> bool {
    let number = name.to_bytes().strip_prefix(DRAFTS.trim_end_matches('*').as_bytes());
    number.is_some_and(|number| number.len() == 16 && number.iter().all(u8::is_ascii_hexdigit))
}

/// Seconds after which a draft is held for sure, or abandoned.
const SETTLED: i64 = 2;

fn sweep(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<bool> {
    let stat = files::stat_at(dir, name)?;
    // One that is empty may be so new that it is not held yet.
    let is_new = stat.size == 0 && clock::now() - stat.modified < SETTLED;
    if !stat.is_file() || is_new {
        return Ok(false);
    }
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OPEN_FLAGS;
    let file = rustix::fs::openat(dir, name, flags, Mode::empty())?;
    let _turn = Turn::in_dir(dir)?;
    let same = files::stat(file.as_fd())?.id() == files::stat_at(dir, name)?.id();
    if !same || !files::is_abandoned(file.as_fd()) {
        return Ok(false);
    }
    rustix::fs::unlinkat(dir, name, AtFlags::empty())?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;
    use crate::proto::facts::Letters;
    use crate::sys::root::Root;
    use crate::test_support::Scratch;
    use crate::vfs::Viewer;

    #[test]
    fn a_draft_is_published_once_or_leaves_nothing() {
        let scratch = Scratch::new();
        let uid = rustix::process::geteuid().as_raw();
        let viewer = Viewer { uid, denied: Letters::default(), hide_ids: false };
        let vfs = Vfs::new(Root::open(scratch.path()).unwrap(), viewer);
        let path = VirtualPath::root().join(b"f").unwrap();
        let names = || fs::read_dir(scratch.path()).unwrap().count();
        let before = names();
        for named in [true, false] {
            let draft = |text: &str| {
                let (draft, mut open) = match named {
                    true => named_draft(vfs.root.parent(path.relative()).unwrap().0, 0o640).unwrap(),
                    false => vfs.draft(&path, 0o640).unwrap(),
                };
                open.file.write_all(text.as_bytes()).unwrap();
                (draft, open.file)
            };
            let content = || fs::read_to_string(scratch.join("f")).unwrap();
            drop(draft("dropped"));
            assert_eq!(names(), before);
            let (mut first, file) = draft("first");
            vfs.publish(&mut first, &file, &path, &Over::Nothing).unwrap();
            assert_eq!((content().as_str(), names()), ("first", before + 1));
            let (mut second, file) = draft("second");
            let refused = vfs.publish(&mut second, &file, &path, &Over::Nothing).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(content(), "first");
            vfs.publish(&mut second, &file, &path, &Over::Anything).unwrap();
            drop((first, second));
            assert_eq!((content().as_str(), names()), ("second", before + 1));
            fs::remove_file(scratch.join("f")).unwrap();
        }
    }
}
