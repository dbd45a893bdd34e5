//! A log file that may be opened anew while others write to it.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;

use crate::sys::files::open_to_append;

/// A file of records, one to a line.
pub(super) struct LogFile {
    path: PathBuf,
    create: bool,
    file: RwLock<Arc<File>>,
}

impl LogFile {
    /// Opens the file, which is made if it is not there and `create` says so.
    ///
    /// # Errors
    /// They begin with the path. Another account could lead the records elsewhere.
    pub(super) fn open(path: &Path, create: bool) -> io::Result<LogFile> {
        let file = RwLock::new(Arc::new(open_to_append(path, create)?));
        Ok(LogFile { path: path.to_owned(), create, file })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// One write for each record, so that records of two sessions do not mix.
    pub(super) fn append(&self, record: &[u8]) {
        let file = Arc::clone(&self.file.read());
        let why = match (&*file).write(record) {
            Ok(length) if length == record.len() => return,
            Ok(_) => "no space for a record".to_owned(),
            Err(err) if err.kind() == io::ErrorKind::WouldBlock => {
                "a record is lost, because nobody reads this FIFO".to_owned()
            }
            Err(err) => err.to_string(),
        };
        log::error!("{}: {why}", self.path.display());
    }

    /// Opens the file again by its name, after it was rotated.
    ///
    /// # Errors
    /// They begin with the path; records go on to the file that was open before.
    pub(super) fn reopen(&self) -> io::Result<()> {
        let file = Arc::new(open_to_append(&self.path, self.create)?);
        *self.file.write() = file;
        Ok(())
    }
}
