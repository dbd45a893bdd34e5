//! The accounts of the operating system: the passwd and group databases, /etc/shells.
//!
//! A name service that fails is an error here and not an unknown account, so that
//! nobody is let in, or told that there is no such account, by mistake.

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::database::{bytes_of, look_up};

/// An entry of the passwd database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Passwd {
    /// As the database writes it, which need not be how it was asked for.
    pub name: Vec<u8>,
    pub uid: u32,
    pub gid: u32,
    pub home: PathBuf,
    /// Empty means /bin/sh.
    pub shell: Vec<u8>,
}

/// What the system says of an account and a password for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    Right,
    Wrong,
    /// The account is locked, or may not log in here and now.
    Locked,
    AccountExpired,
    PasswordExpired,
    /// The system could not say.
    Unavailable,
}

/// The account of that name, or `None`.
///
/// # Errors
/// Those of getpwnam_r(3): the database could not be asked.
pub(crate) fn by_name(name: &CStr) -> io::Result<Option<Passwd>> {
    // SAFETY: getpwnam_r gets the arguments that it takes, and a name that ends in NUL.
    let ask = |entry, buffer: &mut [u8], result| unsafe {
        libc::getpwnam_r(name.as_ptr(), entry, buffer.as_mut_ptr().cast(), buffer.len(), result)
    };
    // SAFETY: `ask` passes on what it is given.
    unsafe { look_up_passwd(ask) }
}

/// The account of that number, or `None`.
///
/// # Errors
/// Those of getpwuid_r(3): the database could not be asked.
#[cfg(test)]
pub(crate) fn by_uid(uid: u32) -> io::Result<Option<Passwd>> {
    // SAFETY: getpwuid_r gets the arguments that it takes.
    let ask = |entry, buffer: &mut [u8], result| unsafe {
        libc::getpwuid_r(uid, entry, buffer.as_mut_ptr().cast(), buffer.len(), result)
    };
    // SAFETY: `ask` passes on what it is given.
    unsafe { look_up_passwd(ask) }
}

/// The number of the group of that name, or `None`.
///
/// # Errors
/// Those of getgrnam_r(3): the database could not be asked.
pub(crate) fn group_by_name(name: &CStr) -> io::Result<Option<u32>> {
    // SAFETY: getgrnam_r gets the arguments that it takes, and a name that ends in NUL.
    let ask = |entry, buffer: &mut [u8], result| unsafe {
        libc::getgrnam_r(name.as_ptr(), entry, buffer.as_mut_ptr().cast(), buffer.len(), result)
    };
    // SAFETY: `ask` passes on what it is given.
    unsafe { look_up(ask, |entry: &libc::group| entry.gr_gid) }
}

/// The name of the group of that number, or `None`.
///
/// # Errors
/// Those of getgrgid_r(3): the database could not be asked.
pub(crate) fn group_name(gid: u32) -> io::Result<Option<Vec<u8>>> {
    // SAFETY: getgrgid_r gets the arguments that it takes.
    let ask = |entry, buffer: &mut [u8], result| unsafe {
        libc::getgrgid_r(gid, entry, buffer.as_mut_ptr().cast(), buffer.len(), result)
    };
    // SAFETY: the strings of an entry end in NUL, and the buffer that they are in is alive.
    let name = |entry: &libc::group| unsafe { bytes_of(entry.gr_name) };
    // SAFETY: `ask` passes on what it is given.
    unsafe { look_up(ask, name) }
}

/// All the groups of an account, `gid`, the primary one, among them; also
/// those that have a number but no name.
///
/// # Errors
/// More groups than the kernel lets a process have.
pub(crate) fn groups_of(name: &CStr, gid: u32) -> io::Result<Vec<u32>> {
    /// What Linux calls NGROUPS_MAX; other systems have fewer.
    const MOST: usize = 65_536;
    let mut size = 64;
    while size <= MOST {
        let mut groups = vec![0; size];
        let mut count = size as libc::c_int;
        // SAFETY: `count` is the length of the live array; the name ends in NUL.
        let found =
            unsafe { libc::getgrouplist(name.as_ptr(), gid as _, groups.as_mut_ptr(), &raw mut count) };
        if found >= 0 {
            groups.truncate(usize::try_from(count).unwrap_or(0));
            #[allow(
                clippy::unnecessary_cast,
                reason = "the element is a c_int on macOS and a gid_t elsewhere"
            )]
            return Ok(groups.into_iter().map(|gid| gid as u32).collect());
        }
        // Linux says how many there are; macOS leaves the number as it was.
        size = (size * 2).max(usize::try_from(count).unwrap_or(0));
    }
    Err(io::Error::from_raw_os_error(libc::E2BIG))
}

/// The login shells that /etc/shells, read into `contents`, allows; `None`,
/// a file that does not exist, allows /bin/sh and /bin/csh. See getusershell(3):
/// of each line, what is between the first `/` and the next blank or `#`.
pub(crate) fn shells(contents: Option<&[u8]>) -> Vec<Vec<u8>> {
    let Some(contents) = contents else { return vec![b"/bin/sh".to_vec(), b"/bin/csh".to_vec()] };
    let shell_of = |line: &[u8]| {
        let start = line.iter().position(|byte| b"/#".contains(byte))?;
        let rest = &line[start..];
        let end = rest.iter().position(|byte| byte.is_ascii_whitespace() || *byte == b'#');
        let shell = &rest[..end.unwrap_or(rest.len())];
        (!shell.is_empty()).then(|| shell.to_vec())
    };
    contents.split(|&byte| byte == b'\n').filter_map(shell_of).collect()
}

/// # Safety
/// That of `look_up`.
unsafe fn look_up_passwd(
    ask: impl FnMut(*mut libc::passwd, &mut [u8], *mut *mut libc::passwd) -> libc::c_int,
) -> io::Result<Option<Passwd>> {
    let convert = |entry: &libc::passwd| {
        // SAFETY: the strings of an entry end in NUL, and the buffer that they are in is alive.
        let text = |string| unsafe { bytes_of(string) };
        Passwd {
            name: text(entry.pw_name),
            uid: entry.pw_uid,
            gid: entry.pw_gid,
            home: PathBuf::from(OsStr::from_bytes(&text(entry.pw_dir))),
            shell: text(entry.pw_shell),
        }
    };
    // SAFETY: the caller promises the same.
    unsafe { look_up(ask, convert) }
}

/// The name as a C string; `None` when it has a NUL in it, as no name in a database has.
pub(crate) fn c_name(name: &[u8]) -> Option<CString> {
    CString::new(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_in_the_database_and_a_strange_name_is_not() {
        let root = by_name(c"root").unwrap().expect("every system has root");
        assert_eq!((root.uid, root.name.as_slice()), (0, b"root".as_slice()));
        assert_eq!(by_uid(0).unwrap().map(|entry| entry.uid), Some(0));
        assert_eq!(by_name(c"no such account: \xff").unwrap(), None);
        assert_eq!(group_by_name(c"no such group").unwrap(), None);
        let first = group_name(0).unwrap().expect("every system has a group for root");
        assert_eq!(group_by_name(&c_name(&first).unwrap()).unwrap(), Some(0));
        assert_eq!(group_name(3_999_999_999).unwrap(), None);
        assert_eq!(by_uid(3_999_999_999).unwrap(), None);
    }

    #[test]
    fn the_primary_group_is_among_the_groups() {
        assert!(groups_of(c"root", 4242).unwrap().contains(&4242));
        assert_eq!(groups_of(c"no such account", 77).unwrap(), [77]);
    }

    #[test]
    fn shells_are_read_as_getusershell_reads_them() {
        let read = |contents: &[u8]| {
            let shells = shells(Some(contents));
            shells.into_iter().map(|shell| String::from_utf8(shell).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(
            read(b"# comment\n/bin/sh\n\n  /bin/ksh  # the other\n/bin/x#y\nno slash\n"),
            ["/bin/sh", "/bin/ksh", "/bin/x"]
        );
        assert!(read(b"").is_empty());
        assert!(read(b"#/bin/sh\n").is_empty());
        assert_eq!(shells(None), [b"/bin/sh".to_vec(), b"/bin/csh".to_vec()]);
    }
}
