//! The pid file: says which process serves, and keeps a second one from starting.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process;

use rustix::fs::FlockOperation;
use rustix::io::Errno;

/// Whoever may open the file may lock it too, and so keep the server from starting.
const MODE: u32 = 0o600;

/// The pid file, locked for as long as the server runs and removed at its end.
pub(crate) struct PidFile {
    path: PathBuf,
    _file: File,
}

impl PidFile {
    /// Writes the process id to `path`. A file left behind by a server that was
    /// killed has no lock and is taken over.
    ///
    /// # Errors
    /// `AlreadyExists` when another process holds it; `PermissionDenied` when it belongs to an
    /// account that could hold it and is neither root nor ours.
    pub(crate) fn create(path: &Path) -> io::Result<PidFile> {
        loop {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(MODE)
                // Neither through a link nor waiting for the other end of a FIFO.
                .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
                .open(path)?;
            check_owner(&file)?;
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Err(held_by(&file)),
                Err(err) => return Err(err.into()),
            }
            // The holder before us may have removed it between our open and our lock.
            if !is_still_at(&file, path) {
                continue;
            }
            file.set_permissions(Permissions::from_mode(MODE))?; // An older server's may be read by all.
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

fn check_owner(file: &File) -> io::Result<()> {
    let (meta, us) = (file.metadata()?, rustix::process::geteuid().as_raw());
    if !meta.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "is not a regular file"));
    }
    if ![0, us].contains(&meta.uid()) {
        let text = format!("belongs to the account with uid {}", meta.uid());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    Ok(())
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
    use crate::test_support::Scratch;

    #[test]
    fn a_second_server_is_refused_and_told_who_is_first() {
        let scratch = Scratch::new();
        let path = scratch.join("pid");
        let first = PidFile::create(&path).unwrap();
        let err = PidFile::create(&path).err().expect("the file is locked");
        assert_eq!(err.kind(), io::ErrorKind::AlreadyExists);
        assert!(err.to_string().contains(&process::id().to_string()));
        drop(first);
        assert!(!path.exists());
    }

    #[test]
    fn a_stale_pid_file_is_taken_over() {
        let scratch = Scratch::new();
        let path = scratch.write("pid", "99999999 and more than the new one is long\n");
        let file = PidFile::create(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", process::id()));
        drop(file);
    }

    #[test]
    fn nobody_else_may_open_a_pid_file_and_hold_its_lock() {
        let scratch = Scratch::new();
        let path = scratch.join("pid");
        let mode = || fs::metadata(&path).unwrap().mode() & 0o777;
        let file = PidFile::create(&path).unwrap();
        assert_eq!(mode(), 0o600);
        drop(file);
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let _file = PidFile::create(&path).unwrap();
        assert_eq!(mode(), 0o600);
    }

    #[test]
    fn a_pid_file_of_another_account_is_refused() {
        let scratch = Scratch::new();
        let path = scratch.join("pid");
        fs::write(&path, "1\n").unwrap();
        // Only root can make one for the test.
        if std::os::unix::fs::chown(&path, Some(12_345), None).is_ok() {
            let err = PidFile::create(&path).err().expect("it is not ours");
            assert!(err.to_string().contains("uid 12345"), "{err}");
            assert_eq!(fs::read_to_string(&path).unwrap(), "1\n");
        }
    }

    #[test]
    fn a_fifo_in_the_place_of_a_pid_file_holds_nobody_up() {
        let scratch = Scratch::new();
        let path = scratch.join("pid");
        assert!(process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        assert!(PidFile::create(&path).is_err());
    }

    #[test]
    fn a_pid_file_is_not_written_through_a_link() {
        let scratch = Scratch::new();
        let (path, target) = (scratch.join("pid"), scratch.join("target"));
        std::os::unix::fs::symlink(&target, &path).unwrap();
        assert!(PidFile::create(&path).is_err());
        assert!(!target.exists());
    }
}
