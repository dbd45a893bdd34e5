//! Uploads that nobody sees before they are complete (`--atomic-uploads`).
//!
//! A draft is a file without a name in the directory of the file that it will be. On file systems
//! that have no such files it has a name that listings leave out. Publishing gives it its final
//! name in one step.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, OFlags};
use rustix::io::Errno;

use super::{FileError, OPEN_FLAGS, OpenFile, Vfs, mode_bits};
use crate::proto::path::VirtualPath;
use crate::sys::files;

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
        if let Some(fd) = files::nameless(dir.as_fd(), mode_bits(mode))? {
            return Ok((Draft { dir, name: None }, OpenFile { file: File::from(fd), size: 0 }));
        }
        Ok(named_draft(dir, mode)?)
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
            let (hidden, ()) =
                with_free_name(|name| files::give_name(file.as_fd(), draft.dir.as_fd(), name))?;
            draft.name = Some(hidden);
        }
        let dir = draft.dir.as_fd();
        let hidden = draft.name.as_deref().ok_or(Errno::NOENT)?;
        match over {
            Over::Nothing => files::rename_new(dir, hidden, dir, &name)?,
            Over::Anything => rustix::fs::renameat(dir, hidden, dir, &name)?,
            Over::Only(old) => {
                // The old file, which may have the draft's name now, is removed with the draft.
                return replace_only(dir, hidden, &name, old);
            }
        }
        draft.name = None;
        Ok(())
    }
}

/// Gives the file `hidden` the name `name` if that is still the name of `old`. If not, nothing
/// changes and the error is ESTALE. Where the system can exchange names, the old file is `hidden`
/// afterwards.
fn replace_only(dir: BorrowedFd<'_>, hidden: &CStr, name: &CStr, old: &File) -> io::Result<()> {
    let old = files::stat(old.as_fd())?;
    let is_old = |name: &CStr| {
        files::stat_at(dir, name).is_ok_and(|there| (there.dev, there.ino) == (old.dev, old.ino))
    };
    match files::exchange(dir, hidden, name) {
        Ok(()) if is_old(hidden) => Ok(()),
        Ok(()) => {
            files::exchange(dir, hidden, name)?;
            Err(Errno::STALE.into())
        }
        Err(err) if err.kind() == io::ErrorKind::Unsupported && is_old(name) => {
            Ok(rustix::fs::renameat(dir, hidden, dir, name)?)
        }
        Err(err) if err.kind() == io::ErrorKind::Unsupported => Err(Errno::STALE.into()),
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
    Ok((Draft { dir, name: Some(name) }, OpenFile { file: File::from(fd), size: 0 }))
}

/// Calls `make` with names for drafts until one is free.
fn with_free_name<T>(mut make: impl FnMut(&CString) -> io::Result<T>) -> io::Result<(CString, T)> {
    const TRIES: usize = 100;
    static COUNT: AtomicU64 = AtomicU64::new(0);
    for _ in 0..TRIES {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}{:x}-{number:x}", DRAFTS.trim_end_matches('*'), std::process::id());
        let name = CString::new(name).map_err(|_| Errno::INVAL)?;
        match make(&name) {
            Err(err) if err.kind() == io::ErrorKind::AlreadyExists => (),
            result => return Ok((name, result?)),
        }
    }
    Err(Errno::EXIST.into())
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
