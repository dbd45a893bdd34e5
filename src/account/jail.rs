//! ftpchroot: users who are kept in a directory, and which directory that is.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::admin_file::{AdminFile, Fault};
use super::ftpusers::first_word;
use super::names::{Hit, Subject, unquoted};
use super::{Trail, UserOptions};

/// The directory that a confined session is kept in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Jail {
    pub root: PathBuf,
    /// The first working directory, as a path below the root.
    pub start: Vec<u8>,
}

/// What a line of ftpchroot says of a user.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Keeping {
    pub line: usize,
    /// `None`: this user is not kept in a directory, whatever later lines say.
    pub jail: Option<Jail>,
    pub options: UserOptions,
}

/// What ftpchroot, read into `file`, says of `subject`. `None`: nothing.
///
/// # Errors
/// A line cannot be understood, or it cannot be told about whom it is.
pub(super) fn jail_of(
    file: &AdminFile,
    subject: &Subject<'_>,
    home: &Path,
    trail: &mut Trail,
) -> Result<Option<Keeping>, Fault> {
    match file.find(subject, trail, |rest| matches!(directive(rest), Some((Directive::Free, _))))? {
        Some(Hit { line, unclear: Some(reason), .. }) => Err(file.fault(line, &reason)),
        Some(Hit { line, rest, unclear: None }) => jail_of_line(file, line, rest, home).map(Some),
        None => Ok(None),
    }
}

/// The meaning of `rest`, which follows the name on a line of ftpchroot.
pub(super) fn jail_of_line(
    file: &AdminFile,
    line: usize,
    rest: &[u8],
    home: &Path,
) -> Result<Keeping, Fault> {
    let (directive, rest) = directive(rest).map_or((None, rest), |(directive, rest)| (Some(directive), rest));
    let (dir, options) = UserOptions::split_off(rest).map_err(|reason| file.fault(line, &reason))?;
    let dir = match directive {
        None => unquoted(dir).ok_or_else(|| file.fault(line, "a quote has no end"))?,
        // tnftpd ignores the class here.
        Some(_) if !dir.iter().any(u8::is_ascii_whitespace) => Vec::new(),
        Some(_) => return Err(file.fault(line, "only options may follow `allow` or `deny`")),
    };
    if directive == Some(Directive::Free) {
        return Ok(Keeping { line, jail: None, options });
    }
    // An absolute directory stays as it is.
    let dir = if dir.is_empty() { home.to_owned() } else { home.join(OsStr::from_bytes(&dir)) };
    match Jail::in_dir(&dir) {
        Some(jail) => Ok(Keeping { line, jail: Some(jail), options }),
        None => Err(file.fault(line, "not a directory to be kept in")),
    }
}

/// The word after a name, as tnftpd has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Directive {
    /// `allow`: kept in the home directory.
    Kept,
    /// `deny`: not kept.
    Free,
}

fn directive(rest: &[u8]) -> Option<(Directive, &[u8])> {
    let (word, rest) = first_word(rest);
    match word.to_ascii_lowercase().as_slice() {
        b"allow" | b"yes" => Some((Directive::Kept, rest)),
        b"deny" | b"no" => Some((Directive::Free, rest)),
        _ => None,
    }
}

impl Jail {
    /// The jail that a directory means. If it has `/./` in it, the part before is the root, and the
    /// part after it the first working directory. `None`: it is not absolute, or has `..` in it.
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
            found(&jails, name).map(|found| {
                found.and_then(|found| found.jail).map(|jail| {
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

    fn found(file: &AdminFile, name: &str) -> Result<Option<Keeping>, Fault> {
        let subject = Subject { names: &[name.as_bytes()], groups: &[], peer: "10.1.2.3".parse().ok() };
        jail_of(file, &subject, Path::new("/home/x"), &mut Trail::default())
    }

    /// What one line says of `joe`: the root that it keeps him in, `free`, `fault` or `not`.
    fn says(line: &str) -> String {
        match found(&file(line.as_bytes()), "joe") {
            Ok(Some(Keeping { jail: Some(jail), .. })) => jail.root.display().to_string(),
            Ok(Some(Keeping { jail: None, .. })) => "free".to_owned(),
            Ok(None) => "not".to_owned(),
            Err(_) => "fault".to_owned(),
        }
    }

    #[test]
    fn lines_of_tnftpd_are_understood_and_what_is_not_lets_nobody_in() {
        for (line, expected) in [
            ("*", "/home/x"),
            ("* /srv ro", "/srv"),
            ("j*@10.* /srv", "/srv"),
            ("j*@11.* /srv", "not"),
            ("joe allow", "/home/x"),
            ("joe YES chroot ro", "/home/x"),
            ("joe deny", "free"),
            ("joe no real", "free"),
            ("joe allow/", "/home/x/allow/"),
            ("joe pub/./allow", "/home/x/pub"),
            ("joe allow this here", "fault"),
            ("joe \"/srv/a b\"", "/srv/a b"),
            ("joe /srv/a\\ b ro", "/srv/a b"),
            ("joe /srv/a b", "/srv/a b"),
            ("joe \"/srv", "fault"),
            ("@domain users", "fault"),
            ("*@*.example.org /srv", "fault"),
            ("joe@example.org /srv", "fault"),
            ("\"joe", "fault"),
            // It would free nobody, so it may be left out.
            ("@no-such-group deny", "not"),
        ] {
            assert_eq!(says(line), expected, "{line}");
        }
        let first = found(&file(b"joe deny\n* /srv\n"), "joe").unwrap().unwrap();
        assert_eq!((first.line, first.jail), (1, None));
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
