//! ftpchroot: who is kept in a directory, and in which.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::UserOptions;
use super::admin_file::{AdminFile, Fault};
use super::names::Subject;

/// Where a confined session is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Jail {
    pub root: PathBuf,
    /// The first working directory, in the tree beneath the root.
    pub start: Vec<u8>,
}

/// Where ftpchroot, read into `file`, keeps `subject`, and by which line; `None` if it does not.
///
/// # Errors
/// The file could not be understood.
pub(super) fn jail_of(
    file: &AdminFile,
    subject: &Subject<'_>,
    home: &Path,
) -> Result<Option<(usize, Jail, UserOptions)>, Fault> {
    let Some((line, rest)) = file.find(subject)? else { return Ok(None) };
    let (jail, options) = jail_of_line(file, line, rest, home)?;
    Ok(Some((line, jail, options)))
}

/// What follows the name on a line of ftpchroot.
pub(super) fn jail_of_line(
    file: &AdminFile,
    line: usize,
    rest: &[u8],
    home: &Path,
) -> Result<(Jail, UserOptions), Fault> {
    let (dir, options) = UserOptions::split_off(rest).map_err(|reason| file.fault(line, &reason))?;
    let dir = match dir {
        b"" => home.to_owned(),
        dir => home.join(OsStr::from_bytes(dir)), // An absolute one stays as it is.
    };
    match Jail::in_dir(&dir) {
        Some(jail) => Ok((jail, options)),
        None => Err(file.fault(line, "not a directory to be kept in")),
    }
}

impl Jail {
    /// The jail that a directory means: with `/./` in it, what is before that
    /// is the root, and what is behind it the first working directory.
    /// `None` for one that is not absolute, or has `..` in it.
    pub(super) fn in_dir(dir: &Path) -> Option<Jail> {
        let bytes = dir.as_os_str().as_bytes();
        if !bytes.starts_with(b"/") || bytes.split(|&byte| byte == b'/').any(|name| name == b"..") {
            return None;
        }
        let (root, start) = match bytes.windows(3).position(|three| three == b"/./") {
            Some(at) => (&bytes[..at], &bytes[at + 2..]),
            None => (bytes, b"/".as_slice()),
        };
        let root = if root.is_empty() { b"/".as_slice() } else { root };
        Some(Jail { root: PathBuf::from(OsStr::from_bytes(root)), start: start.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::admin_file::tests::file;

    #[test]
    fn a_jail_is_the_home_or_the_directory_named() {
        let jails = file(b"anne\nbert /srv/bert\ncarl pub/./in\ndora /srv/./dora/x\nemil ../up\nfred a b\n");
        let jail = |name: &str| {
            let subject = Subject { names: &[name.as_bytes()], groups: &[] };
            jail_of(&jails, &subject, Path::new("/home/x")).map(|jail| {
                jail.map(|(_, jail, _)| {
                    (jail.root.to_str().unwrap().to_owned(), String::from_utf8(jail.start).unwrap())
                })
            })
        };
        let kept = |root: &str, start: &str| Some((root.to_owned(), start.to_owned()));
        assert_eq!(jail("anne").unwrap(), kept("/home/x", "/"));
        assert_eq!(jail("bert").unwrap(), kept("/srv/bert", "/"));
        assert_eq!(jail("carl").unwrap(), kept("/home/x/pub", "/in"));
        assert_eq!(jail("dora").unwrap(), kept("/srv", "/dora/x"));
        assert_eq!(jail("emil").unwrap_err().line, 5);
        assert_eq!(jail("fred").unwrap(), kept("/home/x/a b", "/"));
        assert_eq!(jail("gert").unwrap(), None);
    }

    #[test]
    fn a_home_may_be_split_too() {
        let jail = |dir: &str| Jail::in_dir(Path::new(dir)).map(|jail| (jail.root, jail.start));
        assert_eq!(jail("/srv/ftp/./pub"), Some(("/srv/ftp".into(), b"/pub".to_vec())));
        assert_eq!(jail("/./pub"), Some(("/".into(), b"/pub".to_vec())));
        assert_eq!(jail("/srv/ftp/./"), Some(("/srv/ftp".into(), b"/".to_vec())));
        assert_eq!(jail("/srv/ftp/."), Some(("/srv/ftp/.".into(), b"/".to_vec())));
        assert_eq!((jail(""), jail("relative"), jail("/a/../b")), (None, None, None));
    }
}
