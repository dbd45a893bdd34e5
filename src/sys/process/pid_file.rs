//! The pid file: says which process serves, and keeps a second one from starting.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process;

use rustix::fs::FlockOperation;
use rustix::io::Errno;

/// The pid file, locked for as long as the server runs and removed at its end.
pub(crate) struct PidFile {
    path: PathBuf,
    _file: File,
}

impl PidFile {
    /// Writes the process id to `path`. A file left behind by a server that was
    /// killed has no lock and is taken over.
    ///
    /// Fails with `AlreadyExists` when another process holds it.
    pub(crate) fn create(path: &Path) -> io::Result<PidFile> {
        loop {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o644)
                .custom_flags(libc::O_NOFOLLOW)
                .open(path)?;
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Err(held_by(&file)),
                Err(err) => return Err(err.into()),
            }
            // The holder before us may have removed it between our open and our lock.
            if !is_still_at(&file, path) {
                continue;
            }
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            file.write_all(format!("{}\n", process::id()).as_bytes())?;
            return Ok(PidFile { path: path.to_owned(), _file: file });
        }
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path); // Stale at worst, and then without a lock.
    }
}

fn held_by(file: &File) -> io::Error {
    let mut pid = String::new();
    let _ = file.take(32).read_to_string(&mut pid); // The number only adorns the message.
    let whose = match pid.trim().parse::<u32>() {
        Ok(pid) => format!("already running as process {pid}"),
        Err(_) => "already running".to_owned(),
    };
    io::Error::new(io::ErrorKind::AlreadyExists, whose)
}

fn is_still_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pid_file_path(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("ferryd-{name}-{}.pid", process::id()))
    }

    #[test]
    fn a_second_server_is_refused_and_told_who_is_first() {
        let path = pid_file_path("second");
        let first = PidFile::create(&path).unwrap();
        let err = PidFile::create(&path).err().expect("the file is locked");
        assert_eq!(err.kind(), io::ErrorKind::AlreadyExists);
        assert!(err.to_string().contains(&process::id().to_string()));
        drop(first);
        assert!(!path.exists());
    }

    #[test]
    fn a_stale_pid_file_is_taken_over() {
        let path = pid_file_path("stale");
        fs::write(&path, "99999999 and more than the new one is long\n").unwrap();
        let file = PidFile::create(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", process::id()));
        drop(file);
    }

    #[test]
    fn a_pid_file_is_not_written_through_a_link() {
        let (path, target) = (pid_file_path("link"), pid_file_path("target"));
        std::os::unix::fs::symlink(&target, &path).unwrap();
        assert!(PidFile::create(&path).is_err());
        assert!(!target.exists());
        fs::remove_file(&path).unwrap();
    }
}
