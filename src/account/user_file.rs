//! The user file: accounts of ferryd's own, whoever started the server.
//!
//! A line is `name:hash:home` or `name:hash:home:account`. The hash is one of crypt(3). The client
//! is confined to the home: an absolute path, in which `/./` means what it means in ftpchroot.
//! `account` is a system account: when the server is root's, the session has its rights, or
//! without it those of the anonymous login. A `#` in the first column makes a comment.

use std::ffi::OsStr;
use std::fs;
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::Trail;
use super::admin_file::{AdminFile, Fault};
use super::anonymous::Anonymous;
use super::authenticator::{Account, AccountKind, Authenticator, Candidate, Proof, Refusal};
use super::ftpusers::Permit;
use super::jail::Jail;
use super::names::{Subject, is_plausible_name};
use super::system::{identity_of, named};
use crate::sys::identity::is_root;

/// One line of the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub name: String,
    pub hash: Vec<u8>,
    pub jail: Jail,
    pub account: Option<String>,
}

/// The entry of that name, or `None`.
///
/// # Errors
/// The file does not exist, others may read or write it, or a line is not an entry. Then nobody
/// of this file can log in.
pub(super) fn find(path: &Path, name: &str) -> Result<Option<Entry>, Fault> {
    check_mode(path)?;
    let file = AdminFile::read(path)?;
    let mut found: Option<Entry> = None;
    for (number, line) in file.lines()? {
        let entry = parse(line).ok_or_else(|| file.fault(number, "not name:hash:home[:account]"))?;
        if entry.name == name && found.is_none() {
            found = Some(entry);
        }
    }
    Ok(found)
}

/// Who could read the file could guess passwords; who could write it could add users.
fn check_mode(path: &Path) -> Result<(), Fault> {
    let fault = |what: String| Fault { file: path.into(), line: 0, what };
    let metadata = fs::metadata(path).map_err(|error| fault(error.to_string()))?;
    if metadata.mode() & 0o026 != 0 {
        return Err(fault("its mode lets others read or write it".into()));
    }
    let server = rustix::process::geteuid().as_raw();
    if ![0, server].contains(&metadata.uid()) {
        return Err(fault("it belongs to somebody else".into()));
    }
    Ok(())
}

pub(super) fn parse(line: &[u8]) -> Option<Entry> {
    let mut fields = line.split(|&byte| byte == b':');
    let (name, hash, home) = (fields.next()?, fields.next()?, fields.next()?);
    let account = match (fields.next(), fields.next()) {
        (None | Some(b""), None) => None,
        (Some(account), None) => Some(plain_name(account)?.to_owned()),
        (_, Some(_)) => return None,
    };
    Some(Entry {
        name: plain_name(name)?.to_owned(),
        hash: hash.to_vec(),
        jail: Jail::in_dir(Path::new(OsStr::from_bytes(home)))?,
        account,
    })
}

/// A name of this file: letters and digits, and `.`, `_`, `-`, `@`, `+`, `\` and `$` after the first.
fn plain_name(name: &[u8]) -> Option<&str> {
    let name = is_plausible_name(name)?;
    let fits = |letter: char| letter.is_alphanumeric() || "._-@+\\$".contains(letter);
    let begins = |letter: char| letter.is_alphanumeric() || letter == '_';
    (name.starts_with(begins) && name.chars().all(fits)).then_some(name)
}

impl Authenticator {
    pub(super) fn own_candidate(
        &self,
        entry: Entry,
        peer: Option<IpAddr>,
        trail: &mut Trail,
    ) -> Result<Candidate, Refusal> {
        let names = [entry.name.as_bytes()];
        let subject = Subject { names: &names, groups: &[], peer };
        let Permit { options, .. } = self.listed(&subject, trail)?; // All of them are confined.
        self.check_address(&subject, trail)?;
        let identity = match entry.account {
            _ if !is_root() => None,
            Some(account) => {
                let passwd = named(&account).map_err(Refusal::unavailable)?;
                if passwd.uid == 0 {
                    return Err(Refusal::denied("its account is root"));
                }
                Some(identity_of(&passwd).map_err(Refusal::unavailable)?)
            }
            None => {
                let anonymous = self.anonymous.as_ref().and_then(Anonymous::identity);
                Some(
                    anonymous
                        .cloned()
                        .ok_or_else(|| Refusal::unavailable("the user file names no account"))?,
                )
            }
        };
        let account = Account {
            name: entry.name,
            kind: AccountKind::Real,
            identity,
            root: entry.jail.root,
            confined: true,
            start: entry.jail.start,
            options,
            session: None,
        };
        Ok(Candidate { account, proof: Proof::Hash(entry.hash) })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use super::*;
    use crate::test_support::Scratch;

    /// A user file, and the directory that it is in.
    fn user_file(contents: &str, mode: u32) -> (Scratch, PathBuf) {
        let scratch = Scratch::new();
        let path = scratch.write("users", contents);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (scratch, path)
    }

    #[test]
    fn an_entry_has_three_fields_or_four() {
        let (_scratch, file) =
            user_file("# users\nanne:$6$x:/srv/anne\n\nbert:$6$y:/srv/./bert:www-data\nbert:z:/\n", 0o600);
        let anne = find(&file, "anne").unwrap().unwrap();
        assert_eq!((anne.hash, anne.account), (b"$6$x".to_vec(), None));
        let bert = find(&file, "bert").unwrap().unwrap();
        assert_eq!(bert.account.as_deref(), Some("www-data"));
        assert_eq!(bert.jail, Jail { root: "/srv".into(), start: b"/bert".to_vec() });
        assert_eq!(find(&file, "carl").unwrap(), None);
    }

    #[test]
    fn one_bad_line_refuses_everybody() {
        for line in [
            "anne",
            "anne:x",
            "anne:x:relative",
            "anne:x:/a/../b",
            ":x:/a",
            "a b:x:/a",
            "anne:x:/a:b:c",
            "anne:x:/a:b c",
        ] {
            let (_scratch, file) = user_file(&format!("good:x:/a\n{line}\n"), 0o600);
            assert_eq!(find(&file, "good").unwrap_err().line, 2, "{line}");
        }
    }

    #[test]
    fn a_file_that_others_may_read_or_write_is_refused() {
        for (mode, accepted) in
            [(0o600, true), (0o640, true), (0o400, true), (0o644, false), (0o660, false), (0o602, false)]
        {
            let (_scratch, file) = user_file("anne:x:/a\n", mode);
            assert_eq!(find(&file, "anne").is_ok(), accepted, "{mode:o}");
        }
        assert!(find(Path::new("/no/such/file"), "anne").is_err());
    }
}
