//! Files that the server appends to for years, by a path of the administrator's: the way to them is
//! one that no other account can turn elsewhere, and opening them waits for nobody.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use rustix::io::Errno;

/// As many links as Linux follows in one path.
const MOST_LINKS: usize = 40;

/// Opens the file at `path` to append to; with `create`, makes it with mode 0640 if it is not there.
///
/// Of a FIFO the server is a reader too, so that neither opening it nor writing waits for one, and
/// what is written meanwhile is kept, as much as the system has room for.
///
/// # Errors
/// `PermissionDenied` when an account other than root and ours could put another file in its place.
/// The text begins with the path.
pub(crate) fn open_to_append(path: &Path, create: bool) -> io::Result<File> {
    open(path, create).map_err(|err| io::Error::new(err.kind(), format!("{}: {err}", path.display())))
}

fn open(path: &Path, create: bool) -> io::Result<File> {
    let way = Way::to(path)?;
    let open = |read| {
        let links = if way.by_descriptor { 0 } else { libc::O_NOFOLLOW };
        let flags = links | libc::O_NONBLOCK | libc::O_NOCTTY;
        let mut options = OpenOptions::new();
        options.append(true).read(read).create(create).mode(0o640).custom_flags(flags).open(&way.end)
    };
    let file = match open(false) {
        Ok(file) if file.metadata()?.file_type().is_fifo() => open(true)?,
        Err(err) if Errno::from_io_error(&err) == Some(Errno::NXIO) => {
            log::warn!("{}: nobody reads from this FIFO yet", path.display());
            open(true)?
        }
        other => other?,
    };
    if way.is_shared {
        check_file(&file.metadata()?)?;
    }
    Ok(file)
}

/// The way to a file, its links followed.
struct Way {
    end: PathBuf,
    /// The directory is one where everybody may put files, such as /tmp.
    is_shared: bool,
    /// The end is the link of an open file in /proc, such as the one behind /dev/stdout.
    by_descriptor: bool,
}

impl Way {
    fn to(path: &Path) -> io::Result<Way> {
        let mut left: VecDeque<OsString> = names(path).collect();
        let mut place = PathBuf::from("/");
        let mut is_shared = check_directory(&place, &fs::metadata(&place)?)?;
        let mut links = 0;
        while let Some(name) = left.pop_front() {
            let next = place.join(&name);
            let meta = match fs::symlink_metadata(&next) {
                Err(err) if err.kind() == io::ErrorKind::NotFound && left.is_empty() => None,
                found => Some(found?),
            };
            match meta {
                // The kernel's own; what they say is no path.
                Some(meta) if meta.is_symlink() && place.starts_with("/proc") => {
                    let end = left.iter().fold(next, |end, name| end.join(name));
                    return Ok(Way { end, is_shared: false, by_descriptor: true });
                }
                Some(meta) if meta.is_symlink() => {
                    links += 1;
                    if links > MOST_LINKS {
                        return Err(Errno::LOOP.into());
                    }
                    if is_shared {
                        check_owner(&next, &meta)?;
                    }
                    let target = fs::read_link(&next)?;
                    if target.is_absolute() {
                        place = PathBuf::from("/");
                    }
                    names(&target).rev().for_each(|name| left.push_front(name));
                }
                Some(meta) if meta.is_dir() => {
                    // What `..` leads to has been looked at on the way down.
                    is_shared = check_directory(&next, &meta)?;
                    if name == ".." {
                        place.pop();
                    } else {
                        place = next;
                    }
                }
                Some(_) if !left.is_empty() => return Err(io::ErrorKind::NotADirectory.into()),
                _ => return Ok(Way { end: next, is_shared, by_descriptor: false }),
            }
        }
        Err(io::ErrorKind::IsADirectory.into())
    }
}

fn names(path: &Path) -> impl DoubleEndedIterator<Item = OsString> + '_ {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

/// Whether everybody may put files there, and remove none but their own.
fn check_directory(path: &Path, meta: &Metadata) -> io::Result<bool> {
    check_owner(path, meta)?;
    let (open_to_all, sticky) = (meta.mode() & 0o002 != 0, meta.mode() & 0o1000 != 0);
    if open_to_all && !sticky {
        return Err(denied(format!("everybody may write to {}", path.display())));
    }
    Ok(open_to_all)
}

fn check_owner(path: &Path, meta: &Metadata) -> io::Result<()> {
    if is_trusted(meta) {
        return Ok(());
    }
    Err(denied(format!("{} belongs to another account (uid {})", path.display(), meta.uid())))
}

/// A file of another account's in a directory for everybody, or one that has a second name elsewhere.
fn check_file(meta: &Metadata) -> io::Result<()> {
    if is_trusted(meta) && meta.nlink() == 1 {
        return Ok(());
    }
    Err(denied("another account may have put it there".to_owned()))
}

fn is_trusted(meta: &Metadata) -> bool {
    [0, rustix::process::geteuid().as_raw()].contains(&meta.uid())
}

fn denied(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, text)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::io::{Read, Write};
    use std::os::unix::fs::{PermissionsExt, chown, symlink};
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
    fn where_everybody_may_write_nothing_is_trusted_but_our_own() {
        let scratch = Scratch::new();
        let dir = scratch.join("dir");
        fs::create_dir(&dir).unwrap();
        set_mode(&dir, 0o777);
        assert!(refusal(&dir.join("log")).contains("everybody may write to "));
        set_mode(&dir, 0o1777);
        open_to_append(&dir.join("log"), true).unwrap();
        fs::hard_link(dir.join("log"), dir.join("other")).unwrap();
        assert!(refusal(&dir.join("log")).contains("may have put it there"));
        set_mode(&dir, 0o755);
        open_to_append(&dir.join("log"), true).unwrap();
    }

    #[test]
    fn another_account_can_lead_us_nowhere() {
        let scratch = Scratch::new();
        let (home, secret) = (scratch.join("home"), scratch.write("secret", ""));
        fs::create_dir_all(home.join("logs")).unwrap();
        symlink(&secret, home.join("logs/log")).unwrap();
        if chown(&home, Some(12_345), None).is_err() {
            return; // Only root can give files away for the test.
        }
        assert!(refusal(&home.join("logs/log")).contains("another account (uid 12345)"));
        symlink(home.join("logs"), scratch.join("logs")).unwrap();
        refusal(&scratch.join("logs/new"));
        // In a directory for everybody a link of another account's counts as little as its file.
        let shared = scratch.join("shared");
        fs::create_dir(&shared).unwrap();
        set_mode(&shared, 0o1777);
        symlink(&secret, shared.join("link")).unwrap();
        std::os::unix::fs::lchown(shared.join("link"), Some(12_345), None).unwrap();
        fs::write(shared.join("file"), "").unwrap();
        chown(shared.join("file"), Some(12_345), None).unwrap();
        for name in ["link", "file"] {
            refusal(&shared.join(name));
        }
        assert_eq!(fs::read_to_string(&secret).unwrap(), "");
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
