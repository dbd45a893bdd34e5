//! The administrator's files, as lines: ftpusers, ftpchroot, ftphosts, shells, the user file.
//!
//! They are small and read at each login, with the server's rights. A file that does not exist
//! says nothing. A file that cannot be read or understood refuses the login, because it is not
//! known what it was meant to say.
//!
//! A `#` in the first column makes a comment. Elsewhere it is part of the line.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use crate::sys::accounts;

/// The size of the largest file that is read.
const MAX_FILE: u64 = 1 << 20;
/// The longest line that is understood.
const MAX_LINE: usize = 4096;

/// What is wrong with a file, for the log. It refuses logins.
#[derive(Debug)]
pub(super) struct Fault {
    pub file: PathBuf,
    /// Counted from 1; 0: not a line, but the file.
    pub line: usize,
    pub what: String,
}

/// A file that has been read.
pub(super) struct AdminFile {
    path: PathBuf,
    contents: Option<Vec<u8>>,
}

impl AdminFile {
    /// # Errors
    /// All errors but "does not exist"; it is neither a plain file nor a device such as /dev/null.
    pub(super) fn read(path: &Path) -> Result<AdminFile, Fault> {
        let contents = read_admin_file(path).map_err(|error| Fault {
            file: path.into(),
            line: 0,
            what: error.to_string(),
        })?;
        Ok(AdminFile { path: path.into(), contents })
    }

    /// One that says `contents`, wherever it may be.
    pub(super) fn of(contents: &[u8]) -> AdminFile {
        AdminFile { path: PathBuf::new(), contents: Some(contents.to_vec()) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// For the trail: the file has no line about the user.
    pub(super) fn silence(&self) -> String {
        let how = if self.exists() { "has no line for this account" } else { "does not exist" };
        format!("{}: {how}", self.path.display())
    }

    /// For the trail: a line of the file, and where it is.
    pub(super) fn rule(&self, line: usize) -> String {
        let contents = self.contents.as_deref().unwrap_or_default();
        let text = contents.split(|&byte| byte == b'\n').nth(line.saturating_sub(1)).unwrap_or_default();
        format!("{}:{line}: `{}`", self.path.display(), crate::logging::text(text.trim_ascii()))
    }

    pub(super) fn exists(&self) -> bool {
        self.contents.is_some()
    }

    /// The login shells that the file allows.
    pub(super) fn shells(&self) -> Vec<Vec<u8>> {
        accounts::shells(self.contents.as_deref())
    }

    /// The lines that are not comments, with their numbers.
    ///
    /// # Errors
    /// Any line has a NUL in it or is too long.
    pub(super) fn lines(&self) -> Result<Vec<(usize, &[u8])>, Fault> {
        let mut lines = Vec::new();
        for (index, line) in
            self.contents.iter().flat_map(|contents| contents.split(|&b| b == b'\n')).enumerate()
        {
            if line.len() > MAX_LINE || line.contains(&0) {
                return Err(self.fault(index + 1, "not a line of text"));
            }
            if !line.starts_with(b"#") && !line.trim_ascii().is_empty() {
                lines.push((index + 1, line.trim_ascii()));
            }
        }
        Ok(lines)
    }

    pub(super) fn fault(&self, line: usize, what: &str) -> Fault {
        Fault { file: self.path.clone(), line, what: what.into() }
    }
}

/// The contents of a file of the administrator's. `None`: it does not exist.
pub(crate) fn read_admin_file(path: &Path) -> io::Result<Option<Vec<u8>>> {
    /// Some editors put it before a text in UTF-8.
    const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
    match read_bounded(path) {
        Ok(mut contents) => {
            if contents.starts_with(BYTE_ORDER_MARK) {
                contents.drain(..BYTE_ORDER_MARK.len());
            }
            Ok(Some(contents))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    // NONBLOCK: if it is a fifo, logins would wait for ever.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let kind = file.metadata()?.file_type();
    if !kind.is_file() && !kind.is_char_device() {
        return Err(io::Error::other("not a plain file"));
    }
    let mut contents = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut contents)?;
    if contents.len() as u64 > MAX_FILE { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(contents) }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file.display(), self.what),
            line => write!(f, "{}:{line}: {}", self.file.display(), self.what),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::test_support::Scratch;

    pub(in crate::account) fn file(contents: &[u8]) -> AdminFile {
        AdminFile { path: "test".into(), contents: Some(contents.to_vec()) }
    }

    #[test]
    fn what_is_not_text_is_a_fault_with_its_line() {
        for (contents, line) in
            [(b"anne\nbert\0\n".to_vec(), 2), ([b"x".repeat(MAX_LINE + 1), b"\nanne\n".to_vec()].concat(), 1)]
        {
            let fault = file(&contents).lines().unwrap_err();
            assert_eq!(fault.line, line);
            assert_eq!(fault.to_string(), format!("test:{line}: not a line of text"));
        }
    }

    #[test]
    fn a_byte_order_mark_is_not_part_of_the_first_name() {
        let scratch = crate::test_support::Scratch::new();
        let path = scratch.path().join("marked");
        std::fs::write(&path, "\u{feff}joe\n\u{feff}ann\n").unwrap();
        let file = AdminFile::read(&path).unwrap();
        let lines = file.lines().unwrap();
        assert_eq!(lines, [(1, &b"joe"[..]), (2, "\u{feff}ann".as_bytes())]);
    }

    #[test]
    fn a_file_that_is_missing_says_nothing_and_one_that_cannot_be_read_refuses() {
        let scratch = Scratch::new();
        let dir = scratch.path();
        let missing = AdminFile::read(&dir.join("missing")).unwrap();
        assert!(missing.lines().unwrap().is_empty());
        assert_eq!(missing.shells(), [b"/bin/sh".to_vec(), b"/bin/csh".to_vec()]);
        assert!(AdminFile::read(dir).is_err());
        assert!(AdminFile::read(&dir.join("missing/below")).is_ok());
        let fifo = dir.join("fifo");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, Mode::RUSR).unwrap();
        assert!(AdminFile::read(&fifo).is_err());
        let looping = dir.join("loop");
        std::os::unix::fs::symlink(&looping, &looping).unwrap();
        assert!(AdminFile::read(&looping).is_err());
        assert!(AdminFile::read(Path::new("/dev/zero")).is_err());
        assert!(AdminFile::read(Path::new("/dev/null")).unwrap().lines().unwrap().is_empty());
    }
}
