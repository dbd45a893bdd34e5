//! Opening a log file by a path of the administrator's. No other account can make the server append to
//! another file, and opening never waits.
//!
//! An account may put a link, or another file, into a directory of its own. So the path is walked with a
//! descriptor for each directory, and below such a directory neither links nor files of others are taken.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat, statat};
use rustix::io::Errno;

use super::SEARCH;

/// As many links as Linux follows in one path.
const MOST_LINKS: usize = 40;

/// Opens the file at `path` to append to; with `create`, makes it with mode 0640 if it is not there.
///
/// A FIFO is opened for reading too, so that neither opening it nor writing to it waits for a reader.
/// Records stay in it until somebody reads them, as long as there is room.
///
/// # Errors
/// `PermissionDenied` if the file may be one that another account has put there. The text begins with
/// the path.
pub(crate) fn open_to_append(path: &Path, create: bool) -> io::Result<File> {
    open(path, create).map_err(|err| io::Error::new(err.kind(), format!("{}: {err}", path.display())))
}

fn open(path: &Path, create: bool) -> io::Result<File> {
    let located = Located::find(path)?;
    match located.open(OFlags::WRONLY, create) {
        Ok(file) if FileType::from_raw_mode(fstat(&file)?.st_mode).is_fifo() => {
            located.open(OFlags::RDWR, false)
        }
        Err(err) if Errno::from_io_error(&err) == Some(Errno::NXIO) => {
            log::warn!("{}: nobody reads from this FIFO yet", path.display());
            located.open(OFlags::RDWR, false)
        }
        other => other,
    }
}

/// The end of a path: a directory, and a name in it.
struct Located {
    directory: Directory,
    name: OsString,
    /// The name is a link in /proc to an open file, such as the one behind /dev/stdout.
    is_descriptor: bool,
}

/// A directory on the path.
struct Directory {
    fd: OwnedFd,
    whose: Whose,
}

#[derive(Clone, Copy)]
enum Whose {
    /// It belongs to root or to us, as do all directories before it.
    Ours,
    /// Everybody may put files there, but move and remove only their own, as in /tmp.
    Shared,
    /// Another account may put there, or move there, any file.
    Others { uid: u32 },
}

impl Located {
    fn find(path: &Path) -> io::Result<Located> {
        let mut left: VecDeque<OsString> = names(path).collect();
        let mut directory = Directory::root()?;
        let (mut links, mut by_kernel) = (0, path.starts_with("/proc"));
        while let Some(name) = left.pop_front() {
            if by_kernel && left.is_empty() {
                return Ok(Located { directory, name, is_descriptor: true });
            }
            let meta = match directory.look_at(&name) {
                Err(Errno::NOENT) if left.is_empty() => None,
                found => Some(found?),
            };
            match meta.map(|meta| FileType::from_raw_mode(meta.st_mode)) {
                Some(FileType::Symlink) => {
                    links += 1;
                    if links > MOST_LINKS {
                        return Err(Errno::LOOP.into());
                    }
                    let target = directory.read_link(&name)?;
                    if target.is_absolute() {
                        directory = Directory::root()?;
                        // The text of a link in /proc is not always a path.
                        by_kernel = target.starts_with("/proc");
                    }
                    names(&target).rev().for_each(|name| left.push_front(name));
                }
                Some(FileType::Directory) => directory = directory.enter(&name)?,
                Some(_) if !left.is_empty() => return Err(Errno::NOTDIR.into()),
                _ => return Ok(Located { directory, name, is_descriptor: false }),
            }
        }
        Err(io::ErrorKind::IsADirectory.into())
    }

    fn open(&self, how: OFlags, create: bool) -> io::Result<File> {
        let mut flags = how | OFlags::APPEND | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        flags.set(OFlags::CREATE, create);
        flags.set(OFlags::NOFOLLOW, !self.is_descriptor);
        let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP;
        let file = openat(&self.directory.fd, &self.name, flags, mode)?;
        self.directory.check(&fstat(&file)?)?;
        Ok(File::from(file))
    }
}

impl Directory {
    fn root() -> io::Result<Directory> {
        let fd = openat(CWD, "/", SEARCH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let whose = Whose::from(&fstat(&fd)?);
        Ok(Directory { fd, whose })
    }

    fn look_at(&self, name: &OsStr) -> rustix::io::Result<Stat> {
        statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)
    }

    fn enter(&self, name: &OsStr) -> io::Result<Directory> {
        let flags = SEARCH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = openat(&self.fd, name, flags, Mode::empty())?;
        let whose = match self.whose {
            Whose::Others { .. } => self.whose,
            Whose::Ours | Whose::Shared => Whose::from(&fstat(&fd)?),
        };
        Ok(Directory { fd, whose })
    }

    fn read_link(&self, name: &OsStr) -> io::Result<PathBuf> {
        match self.whose {
            Whose::Ours => (),
            Whose::Shared if is_ours(&self.look_at(name)?) => (),
            _ => return Err(self.denied("is a link")),
        }
        let target = readlinkat(&self.fd, name, Vec::new())?;
        Ok(OsString::from_vec(target.into_bytes()).into())
    }

    /// Checks that nobody is harmed by what we append to `file`. The owner of the directory may have its
    /// own file there; a file with a second name may be somebody else's.
    fn check(&self, file: &Stat) -> io::Result<()> {
        let allowed = match self.whose {
            Whose::Ours => return Ok(()),
            Whose::Shared => is_ours(file),
            Whose::Others { uid } => is_ours(file) || file.st_uid == uid,
        };
        if allowed && file.st_nlink <= 1 { Ok(()) } else { Err(self.denied("may be somebody else's file")) }
    }

    fn denied(&self, what: &str) -> io::Error {
        let directory = match self.whose {
            Whose::Ours => "in a directory of ours".to_owned(),
            Whose::Shared => "in a directory for everybody".to_owned(),
            Whose::Others { uid } => format!("below a directory of another account (uid {uid})"),
        };
        io::Error::new(io::ErrorKind::PermissionDenied, format!("{what} {directory}"))
    }
}

impl From<&Stat> for Whose {
    fn from(meta: &Stat) -> Whose {
        let mode = Mode::from_raw_mode(meta.st_mode);
        match (is_ours(meta), mode.contains(Mode::WOTH), mode.contains(Mode::SVTX)) {
            (true, false, _) => Whose::Ours,
            (true, true, true) => Whose::Shared,
            _ => Whose::Others { uid: meta.st_uid },
        }
    }
}

fn is_ours(meta: &Stat) -> bool {
    [0, rustix::process::geteuid().as_raw()].contains(&meta.st_uid)
}

fn names(path: &Path) -> impl DoubleEndedIterator<Item = OsString> + '_ {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::io::{Read, Write};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
    use std::process::Command;

    use super::*;
    use crate::test_support::Scratch;

    fn refusal(path: &Path) -> String {
        let err = open_to_append(path, true).expect_err("it is refused");
        assert_eq!(err.kind(), io::ErrorKind::PermissionDenied, "{err}");
        assert!(err.to_string().starts_with(path.to_str().unwrap()), "{err}");
        err.to_string()
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_file_is_made_and_appended_to() {
        let scratch = Scratch::new();
        let path = scratch.join("log");
        assert_eq!(open_to_append(&path, false).unwrap_err().kind(), io::ErrorKind::NotFound);
        for line in ["one\n", "two\n"] {
            open_to_append(&path, true).unwrap().write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\n");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        assert_eq!(open_to_append(scratch.path(), true).unwrap_err().kind(), io::ErrorKind::IsADirectory);
    }

    #[test]
    fn links_of_the_administrators_are_followed() {
        let scratch = Scratch::new();
        fs::create_dir_all(scratch.join("a/b")).unwrap();
        symlink("../a/b", scratch.join("a/link")).unwrap();
        symlink(scratch.join("a/link/../b/log"), scratch.join("a/log")).unwrap();
        open_to_append(&scratch.join("a/log"), true).unwrap().write_all(b"x").unwrap();
        assert_eq!(fs::read_to_string(scratch.join("a/b/log")).unwrap(), "x");
        symlink("loop", scratch.join("loop")).unwrap();
        assert!(open_to_append(&scratch.join("loop"), true).is_err());
    }

    #[test]
    fn where_everybody_may_write_only_our_own_file_counts() {
        let scratch = Scratch::new();
        let (dir, secret) = (scratch.join("dir"), scratch.write("secret", ""));
        fs::create_dir(&dir).unwrap();
        symlink(&secret, dir.join("link")).unwrap();
        set_mode(&dir, 0o777);
        assert!(refusal(&dir.join("link")).contains("is a link"));
        open_to_append(&dir.join("log"), true).unwrap();
        fs::hard_link(dir.join("log"), dir.join("other")).unwrap();
        for mode in [0o777, 0o1777] {
            set_mode(&dir, mode);
            assert!(refusal(&dir.join("log")).contains("may be somebody else's file"));
        }
        // The link is ours, and nobody else can take it away.
        open_to_append(&dir.join("link"), true).unwrap();
        set_mode(&dir, 0o755);
        open_to_append(&dir.join("log"), true).unwrap();
    }

    #[test]
    fn another_account_can_lead_us_nowhere() {
        let scratch = Scratch::new();
        let (home, secret) = (scratch.join("home"), scratch.write("secret", ""));
        fs::create_dir_all(home.join("logs")).unwrap();
        if chown(&home, Some(12_345), None).is_err() {
            return; // Only root can give files away for the test.
        }
        open_to_append(&home.join("logs/log"), true).unwrap();
        symlink(&secret, home.join("logs/link")).unwrap();
        symlink(scratch.path(), home.join("up")).unwrap();
        symlink(home.join("up"), scratch.join("by-way")).unwrap();
        for path in ["home/logs/link", "home/up/secret", "home/up/new", "by-way/secret"] {
            let text = refusal(&scratch.join(path));
            assert!(text.contains("is a link below a directory of another account (uid 12345)"), "{text}");
        }
        for (name, uid) in [("its-own", 12_345), ("theirs", 12_346)] {
            fs::write(home.join(name), "").unwrap();
            chown(home.join(name), Some(uid), None).unwrap();
        }
        open_to_append(&home.join("its-own"), true).unwrap();
        fs::hard_link(&secret, home.join("second")).unwrap();
        for name in ["theirs", "second"] {
            assert!(refusal(&home.join(name)).contains("may be somebody else's file"));
        }
        // In a directory for everybody a link of another account's counts as little as its file.
        let shared = scratch.join("shared");
        fs::create_dir(&shared).unwrap();
        set_mode(&shared, 0o1777);
        symlink(&secret, shared.join("link")).unwrap();
        std::os::unix::fs::lchown(shared.join("link"), Some(12_345), None).unwrap();
        refusal(&shared.join("link"));
        assert!(!scratch.join("new").exists());
        assert_eq!(fs::read_to_string(&secret).unwrap(), "");
    }

    #[test]
    fn an_open_file_may_be_named_by_its_descriptor() {
        use std::os::fd::AsRawFd;
        let scratch = Scratch::new();
        let file = File::create(scratch.join("log")).unwrap();
        let (reader, writer) = io::pipe().unwrap();
        for fd in [file.as_raw_fd(), writer.as_raw_fd()] {
            open_to_append(Path::new(&format!("/dev/fd/{fd}")), true).unwrap().write_all(b"x").unwrap();
        }
        drop((writer, reader));
        assert_eq!(fs::read_to_string(scratch.join("log")).unwrap(), "x");
    }

    #[test]
    fn a_fifo_keeps_what_it_gets_until_somebody_reads() {
        let scratch = Scratch::new();
        let path = scratch.join("fifo");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        let mut file = open_to_append(&path, true).unwrap();
        file.write_all(b"one ").unwrap();
        let mut reader = File::open(&path).unwrap();
        let mut bytes = [0; 4];
        reader.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"one ");
        drop(reader);
        file.write_all(b"two ").unwrap();
        File::open(&path).unwrap().read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"two ");
        // One that is full holds nobody up.
        let err = (0..100).find_map(|_| file.write_all(&[b'x'; 4096]).err()).expect("it is full");
        assert_eq!(err.kind(), io::ErrorKind::WouldBlock);
    }
}
