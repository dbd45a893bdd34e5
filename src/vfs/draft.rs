//! Uploads that nobody sees before they are complete (`--atomic-uploads`).
//!
//! A draft is a file without a name in the directory of the file that it will be. On file systems
//! that have no such files it has a name that listings leave out. Publishing gives it its final
//! name in one step.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, OFlags};
use rustix::io::Errno;

use super::{FileError, OPEN_FLAGS, OpenFile, UNIQUE_NAMES, Vfs, mode_bits};
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

    /// Gives a draft the name of `path`. A file that has this name is replaced, or without
    /// `replace` the error is EEXIST.
    pub(crate) fn publish(
        &self,
        draft: &mut Draft,
        file: &File,
        path: &VirtualPath,
        replace: bool,
    ) -> io::Result<()> {
        self.permit(path)?;
        let name = CString::new(path.file_name().ok_or(Errno::BUSY)?).map_err(|_| Errno::INVAL)?;
        let dir = draft.dir.as_fd();
        if draft.name.is_none() {
            if !replace {
                return files::give_name(file.as_fd(), dir, &name);
            }
            match files::give_name(file.as_fd(), dir, &name) {
                Err(err) if err.kind() == io::ErrorKind::AlreadyExists => (),
                result => return result,
            }
            // To replace a name takes a rename, and only a file that has a name can be renamed.
            let (hidden, ()) = with_free_name(|name| files::give_name(file.as_fd(), dir, name))?;
            draft.name = Some(hidden);
        }
        let dir = draft.dir.as_fd();
        let hidden = draft.name.as_deref().ok_or(Errno::NOENT)?;
        match replace {
            true => rustix::fs::renameat(dir, hidden, dir, &name)?,
            false => files::rename_new(dir, hidden, dir, &name)?,
        }
        draft.name = None;
        Ok(())
    }

    /// The first of `name`, `name.1`, `name.2` and so on that is free.
    pub(crate) fn free_name(&self, path: &VirtualPath) -> Result<VirtualPath, FileError> {
        let name = path.file_name().ok_or(FileError::NotPlainFile)?;
        for number in 0..UNIQUE_NAMES {
            let suffix = if number == 0 { String::new() } else { format!(".{number}") };
            let unique =
                path.parent().join(&[name, suffix.as_bytes()].concat()).map_err(|_| Errno::NAMETOOLONG)?;
            match self.stat_link(&unique) {
                Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(unique),
                Err(err) => return Err(err.into()),
                Ok(_) => (),
            }
        }
        Err(Errno::EXIST.into())
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
            vfs.publish(&mut first, &file, &path, false).unwrap();
            assert_eq!((content().as_str(), names()), ("first", before + 1));
            let (mut second, file) = draft("second");
            let refused = vfs.publish(&mut second, &file, &path, false).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(content(), "first");
            vfs.publish(&mut second, &file, &path, true).unwrap();
            drop((first, second));
            assert_eq!((content().as_str(), names()), ("second", before + 1));
            fs::remove_file(scratch.join("f")).unwrap();
        }
    }
}
