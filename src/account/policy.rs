//! The administrator's files: ftpusers, ftpchroot, /etc/shells.
//!
//! They are small and read at each login, with the server's rights. A file
//! that does not exist says nothing; one that cannot be read or understood
//! refuses the login, for what it was meant to say is not known.
//!
//! In ftpusers and ftpchroot a line names an account (`joe`), a group
//! (`@staff`) or everybody (`@`); what follows it is ftpchroot's directory. A
//! `#` in the first column makes a comment, elsewhere it is part of the line.
//! The first line that matches counts.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::{fmt, str};

use rustix::fs::{Mode, OFlags};

use super::{Refusal, Trail, UserOptions};
use crate::sys::accounts;

/// The most that is read of a file.
const MAX_FILE: u64 = 1 << 20;
/// The longest line that is understood.
const MAX_LINE: usize = 4096;

/// Whom a line may mean.
pub(super) struct Subject<'a> {
    /// The name the client gave, and the one the account database has for it:
    /// some databases do not mind the case, these files do.
    pub names: &'a [&'a [u8]],
    /// The account's groups, the primary one among them.
    pub groups: &'a [u32],
}

/// Why a file refuses a login; for the log.
#[derive(Debug)]
pub(super) struct Fault {
    pub file: PathBuf,
    /// Counted from 1; 0 when it is not one line's.
    pub line: usize,
    pub what: String,
}

/// A file of lines, read whole.
pub(super) struct AdminFile {
    path: PathBuf,
    contents: Option<Vec<u8>>,
}

/// Where a confined session is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Jail {
    pub root: PathBuf,
    /// The first working directory, in the tree beneath the root.
    pub start: Vec<u8>,
}

impl AdminFile {
    /// # Errors
    /// Any but "does not exist"; what is neither a plain file nor a device like /dev/null.
    pub(super) fn read(path: &Path) -> Result<AdminFile, Fault> {
        let contents = read_admin_file(path).map_err(|error| Fault {
            file: path.into(),
            line: 0,
            what: error.to_string(),
        })?;
        Ok(AdminFile { path: path.into(), contents })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// That it says nothing of somebody, in words.
    pub(super) fn silence(&self) -> String {
        let how = if self.exists() { "has no line for this account" } else { "does not exist" };
        format!("{}: {how}", self.path.display())
    }

    /// A line of the file, with its place.
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
    /// A line with a NUL, or one that is too long, wherever in the file.
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

    /// What follows the name on the first line that means `subject`, and its number.
    ///
    /// # Errors
    /// As for `lines`; a group that could not be looked up.
    pub(super) fn find(&self, subject: &Subject<'_>) -> Result<Option<(usize, &[u8])>, Fault> {
        for (number, line) in self.lines()? {
            let (name, rest) = name_and_rest(line);
            if self.means(number, name, subject)? {
                return Ok(Some((number, rest)));
            }
        }
        Ok(None)
    }

    /// Whether the name on a line is that of `subject`, of a group of its, or everybody's.
    pub(super) fn means(&self, number: usize, name: &[u8], subject: &Subject<'_>) -> Result<bool, Fault> {
        match name.split_first() {
            Some((b'@', b"")) => Ok(true),
            Some((b'@', group)) => self.is_member(number, group, subject),
            _ => Ok(subject.names.contains(&name)),
        }
    }

    fn is_member(&self, number: usize, group: &[u8], subject: &Subject<'_>) -> Result<bool, Fault> {
        let Some(name) = accounts::c_name(group) else { return Ok(false) };
        match accounts::group_by_name(&name) {
            Ok(gid) => Ok(gid.is_some_and(|gid| subject.groups.contains(&gid))),
            Err(error) => Err(self.fault(number, &format!("the group cannot be looked up: {error}"))),
        }
    }

    pub(super) fn fault(&self, line: usize, what: &str) -> Fault {
        Fault { file: self.path.clone(), line, what: what.into() }
    }
}

/// What the file ftpusers says of somebody whom it does not keep out.
pub(super) fn check_ftpusers(
    path: &Path,
    subject: &Subject<'_>,
    trail: &mut Trail,
) -> Result<UserOptions, Refusal> {
    let file = AdminFile::read(path).map_err(Refusal::unavailable)?;
    match listed(&file, subject).map_err(Refusal::unavailable)? {
        Listed::Denied(line) => {
            trail.say(|| format!("{}: keeps this account out", file.rule(line)));
            Err(Refusal::denied(format!("listed in {}:{line}", path.display())))
        }
        Listed::Not => {
            trail.say(|| file.silence());
            Ok(UserOptions::default())
        }
        Listed::Allowed(line, options) => {
            trail.say(|| format!("{}: allows this account", file.rule(line)));
            Ok(options)
        }
    }
}

/// The first word of a line, and what follows it.
pub(super) fn name_and_rest(line: &[u8]) -> (&[u8], &[u8]) {
    let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
    (&line[..end], line[end..].trim_ascii())
}

/// What ftpusers, read into a file, says of somebody.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Listed {
    Not,
    /// On that line.
    Denied(usize),
    /// The word `allow` follows the name, as in tnftpd's ftpusers.
    Allowed(usize, UserOptions),
}

/// # Errors
/// The file could not be understood.
pub(super) fn listed(file: &AdminFile, subject: &Subject<'_>) -> Result<Listed, Fault> {
    let Some((line, rest)) = file.find(subject)? else { return Ok(Listed::Not) };
    means_of_ftpusers(file, line, rest)
}

/// What follows the name on a line of ftpusers.
pub(super) fn means_of_ftpusers(file: &AdminFile, line: usize, rest: &[u8]) -> Result<Listed, Fault> {
    let end = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
    let (word, rest) = rest.split_at(end);
    // Whatever else follows the name, older ftpds take no notice of it: the line keeps out.
    if word != b"allow" {
        return Ok(Listed::Denied(line));
    }
    match UserOptions::split_off(rest) {
        Ok((b"", options)) => Ok(Listed::Allowed(line, options)),
        Ok(_) => {
            Err(file.fault(line, "only options may follow `allow`: ro, wo, rate=, umask=, quota=, hide="))
        }
        Err(reason) => Err(file.fault(line, &reason)),
    }
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

/// Whether a name can be an account's: letters and digits, and `.`, `_`, `-`,
/// `@`, `+`, `\` and `$` after the first. Anything else is refused before any
/// database, PAM module or log sees it.
pub(super) fn is_plausible_name(name: &[u8]) -> Option<&str> {
    const MAX_NAME: usize = 128;
    let name = str::from_utf8(name).ok().filter(|name| name.len() <= MAX_NAME)?;
    let first = name.chars().next()?;
    let fits = |letter: char| letter.is_alphanumeric() || "._-@+\\$".contains(letter);
    ((first.is_alphanumeric() || first == '_') && name.chars().all(fits)).then_some(name)
}

/// The contents of a file of the administrator's; `None` when it does not exist.
pub(crate) fn read_admin_file(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match read_bounded(path) {
        Ok(contents) => Ok(Some(contents)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    // A fifo in its place would have every login wait for ever.
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
mod tests {
    use super::*;

    fn file(contents: &[u8]) -> AdminFile {
        AdminFile { path: "test".into(), contents: Some(contents.to_vec()) }
    }

    fn found<'a>(file: &'a AdminFile, name: &str, groups: &[u32]) -> Option<(usize, &'a [u8])> {
        file.find(&Subject { names: &[name.as_bytes()], groups }).unwrap()
    }

    #[test]
    fn a_line_names_an_account_a_group_or_everybody() {
        let listed = file(b"# comment\nanne\n\t bert  residue of the line\r\n@root x\n");
        assert_eq!(found(&listed, "anne", &[7]), Some((2, b"".as_slice())));
        assert_eq!(found(&listed, "bert", &[7]), Some((3, b"residue of the line".as_slice())));
        assert_eq!(found(&listed, "carl", &[7, 0]), Some((4, b"x".as_slice())));
        for stranger in ["carl", "Anne", "ann", "annee", "residue", "comment", "#", "@root"] {
            assert_eq!(found(&listed, stranger, &[7]), None, "{stranger}");
        }
        assert_eq!(found(&file(b"@ dir\n"), "anybody", &[]), Some((1, b"dir".as_slice())));
        assert_eq!(found(&file(b"@no-such-group\n"), "anybody", &[0]), None);
    }

    #[test]
    fn only_the_first_column_makes_a_comment() {
        assert_eq!(found(&file(b" #anne\n#bert\n"), "bert", &[]), None);
        assert_eq!(found(&file(b" #anne\n"), "#anne", &[]), Some((1, b"".as_slice())));
        assert_eq!(found(&file(b"anne # comment\n"), "anne", &[]), Some((1, b"# comment".as_slice())));
    }

    #[test]
    fn the_first_match_counts() {
        let jails = file(b"anne /one\nanne /two\n@ /three\n");
        assert_eq!(found(&jails, "anne", &[]), Some((1, b"/one".as_slice())));
        assert_eq!(found(&jails, "bert", &[]), Some((3, b"/three".as_slice())));
    }

    #[test]
    fn either_name_of_an_account_is_enough() {
        let listed = file(b"joe\n");
        let subject = Subject { names: &[b"JOE", b"joe"], groups: &[] };
        assert!(listed.find(&subject).unwrap().is_some());
    }

    #[test]
    fn what_is_not_text_is_a_fault_with_its_line() {
        for (contents, line) in
            [(b"anne\nbert\0\n".to_vec(), 2), ([b"x".repeat(MAX_LINE + 1), b"\nanne\n".to_vec()].concat(), 1)]
        {
            let fault = file(&contents).find(&Subject { names: &[b"anne"], groups: &[] }).unwrap_err();
            assert_eq!(fault.line, line);
            assert_eq!(fault.to_string(), format!("test:{line}: not a line of text"));
        }
    }

    #[test]
    fn a_file_that_is_missing_says_nothing_and_one_that_cannot_be_read_refuses() {
        let dir = std::env::temp_dir().join(format!("ferryd-policy-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let missing = AdminFile::read(&dir.join("missing")).unwrap();
        assert!(missing.lines().unwrap().is_empty());
        assert_eq!(missing.shells(), [b"/bin/sh".to_vec(), b"/bin/csh".to_vec()]);
        assert!(AdminFile::read(&dir).is_err());
        assert!(AdminFile::read(&dir.join("missing/below")).is_ok());
        let fifo = dir.join("fifo");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, Mode::RUSR).unwrap();
        assert!(AdminFile::read(&fifo).is_err());
        let looping = dir.join("loop");
        std::os::unix::fs::symlink(&looping, &looping).unwrap();
        assert!(AdminFile::read(&looping).is_err());
        assert!(AdminFile::read(Path::new("/dev/zero")).is_err());
        assert!(AdminFile::read(Path::new("/dev/null")).unwrap().lines().unwrap().is_empty());
        std::fs::remove_dir_all(&dir).unwrap();
    }

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
    fn ftpusers_keeps_out_but_for_those_it_allows() {
        let users = file(
            b"anne\nbert allow ro rate=1k\ncarl denied for now\ndora allow for now\nemil allowed\n@ allow\n",
        );
        let listed = |name: &str| listed(&users, &Subject { names: &[name.as_bytes()], groups: &[] });
        assert_eq!(listed("anne").unwrap(), Listed::Denied(1));
        let options = UserOptions { read_only: true, rate: Some(1024), ..UserOptions::default() };
        assert_eq!(listed("bert").unwrap(), Listed::Allowed(2, options));
        assert_eq!(listed("carl").unwrap(), Listed::Denied(3));
        assert_eq!(listed("dora").unwrap_err().line, 4);
        assert_eq!(listed("emil").unwrap(), Listed::Denied(5));
        assert_eq!(listed("fred").unwrap(), Listed::Allowed(6, UserOptions::default()));
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

    #[test]
    fn strange_names_are_refused_before_anybody_sees_them() {
        for name in
            ["joe", "joe.doe", "_svc", "anne-marie", "HOST$", "DOM\\joe", "joe@example.org", "jörg", "1joe"]
        {
            assert_eq!(is_plausible_name(name.as_bytes()), Some(name));
        }
        let long = "x".repeat(129);
        for name in [
            "",
            " ",
            "joe ",
            "a b",
            "joe\n",
            "joe\r\nUSER x",
            "joe\"",
            "joe'",
            "joe`",
            "joe:x",
            "../joe",
            "/joe",
            "-joe",
            "@joe",
            "+",
            "~joe",
            "$joe",
            "joe;x",
            "joe=1",
            "joe\u{1b}[",
            "joe\u{a0}x",
            "#joe",
            "joe%s",
            "*",
            &long,
        ] {
            assert_eq!(is_plausible_name(name.as_bytes()), None, "{name:?}");
        }
        assert_eq!(is_plausible_name(b"joe\xff"), None);
        assert_eq!(is_plausible_name(b"joe\0"), None);
    }
}
