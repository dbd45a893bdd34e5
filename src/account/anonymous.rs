//! The anonymous login: for everybody, with an email address in place of a password.

use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::{env, io};

use super::Trail;
use super::authenticator::{Account, AccountKind, Refusal};
use super::ftpusers::{self, Permit};
use super::jail::Jail;
use super::names::Subject;
use super::system::{identity_of, named};
use crate::config::AnonymousPolicy;
use crate::sys::identity::{Identity, is_root};

/// The anonymous login of a server. It is looked up when the server starts.
pub(super) struct Anonymous {
    /// `None`: the server is not root's, and clients have the server's rights.
    identity: Option<Identity>,
    jail: Jail,
}

impl Anonymous {
    /// # Errors
    /// The account (of a server that is root's) or the directory does not
    /// exist; the account is root.
    pub(super) fn new(policy: &AnonymousPolicy) -> io::Result<Anonymous> {
        let account = match (&policy.root, is_root()) {
            (Some(_), false) => None,
            _ => Some(named(&policy.user)?),
        };
        let identity = match &account {
            Some(account) if is_root() => {
                if account.uid == 0 {
                    return Err(io::Error::other("the anonymous account must not be root"));
                }
                Some(identity_of(account)?)
            }
            _ => None,
        };
        let dir = policy.root.clone().or(account.map(|account| account.home)).unwrap_or_default();
        Ok(Anonymous { identity, jail: jail_in(&dir)? })
    }

    /// Whether the name `user` means this login.
    pub(super) fn is_meant_by(user: &[u8]) -> bool {
        user.eq_ignore_ascii_case(b"anonymous") || user.eq_ignore_ascii_case(b"ftp")
    }

    /// `email` is the password that the client gave, for the log.
    ///
    /// # Errors
    /// `Denied` when ftpusers lists `ftp` or `anonymous`; `Unavailable` when it cannot be read.
    pub(super) fn log_in(
        &self,
        ftpusers: &Path,
        email: &[u8],
        peer: Option<IpAddr>,
        trail: &mut Trail,
    ) -> Result<Account, Refusal> {
        // Whatever the class, this login has the restrictions of a guest.
        let Permit { options, .. } = ftpusers::check_ftpusers(ftpusers, &self.subject(peer), trail)?;
        Ok(Account {
            name: "ftp".into(),
            kind: AccountKind::Anonymous { email: shown(email) },
            identity: self.identity.clone(),
            root: self.jail.root.clone(),
            confined: true,
            start: self.jail.start.clone(),
            options,
            session: None,
        })
    }

    /// The names and groups by which the administrator's files may mean this login.
    pub(super) fn subject(&self, peer: Option<IpAddr>) -> Subject<'_> {
        Subject {
            names: &[b"ftp", b"anonymous"],
            groups: self.identity.as_ref().map_or(&[][..], |identity| &identity.groups),
            peer,
        }
    }

    /// The rights of this login. Accounts of the user file that name no account have them too.
    pub(super) fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }
}

fn jail_in(dir: &Path) -> io::Result<Jail> {
    let dir = absolute(dir)?;
    let not_there = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", dir.display()));
    // A path with `..` was completed by a shell. It is resolved once, here.
    let jail = Jail::in_dir(&dir).unwrap_or(Jail { root: dir.clone(), start: b"/".to_vec() });
    let root: PathBuf = jail.root.canonicalize().map_err(not_there)?;
    if !root.is_dir() {
        return Err(not_there(io::ErrorKind::NotADirectory.into()));
    }
    Ok(Jail { root, ..jail })
}

/// The path as an absolute one. It is not looked up, because `/./` must stay in it.
pub(super) fn absolute(path: &Path) -> io::Result<PathBuf> {
    match path.as_os_str().as_bytes() {
        [] => Err(io::Error::new(io::ErrorKind::InvalidInput, "an empty path")),
        [b'/', ..] => Ok(path.to_owned()),
        _ => {
            let mut whole = env::current_dir()?.into_os_string();
            if whole != "/" {
                whole.push("/");
            }
            whole.push(path);
            Ok(whole.into())
        }
    }
}

fn shown(email: &[u8]) -> String {
    const MAX_SHOWN: usize = 255;
    String::from_utf8_lossy(&email[..email.len().min(MAX_SHOWN)]).into_owned()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::test_support::Scratch;

    fn policy(root: &Path) -> AnonymousPolicy {
        AnonymousPolicy {
            user: "nobody".into(),
            root: Some(root.into()),
            write: true,
            mkdir: true,
            overwrite: false,
            write_only: false,
            statfile: false,
        }
    }

    #[test]
    fn both_names_mean_anonymous_in_any_case() {
        for name in ["ftp", "anonymous", "FTP", "Anonymous"] {
            assert!(Anonymous::is_meant_by(name.as_bytes()));
        }
        for name in ["ftpd", "anonymou", "", "anonymous "] {
            assert!(!Anonymous::is_meant_by(name.as_bytes()));
        }
    }

    #[test]
    fn the_root_is_fixed_at_the_start_and_ftpusers_asked_at_each_login() {
        let scratch = Scratch::new();
        let dir = scratch.path();
        fs::create_dir_all(dir.join("pub/in")).unwrap();
        std::os::unix::fs::symlink(dir.join("pub"), dir.join("link")).unwrap();
        let anonymous = Anonymous::new(&policy(&dir.join("link/./in"))).unwrap();
        let ftpusers = dir.join("ftpusers");
        let log_in = |email: &[u8]| anonymous.log_in(&ftpusers, email, None, &mut Trail::default());
        let account = log_in(b"joe@\xff").unwrap();
        assert_eq!((account.name.as_str(), account.confined), ("ftp", true));
        assert_eq!((account.root, account.start), (dir.join("pub"), b"/in".to_vec()));
        assert_eq!(account.kind, AccountKind::Anonymous { email: "joe@\u{fffd}".into() });
        assert_eq!(account.identity.is_some(), is_root());
        for listed in ["ftp\n", "anonymous\n", "@\n"] {
            fs::write(&ftpusers, listed).unwrap();
            assert!(matches!(log_in(b""), Err(Refusal::Denied { .. })), "{listed}");
        }
        fs::write(&ftpusers, "joe\n").unwrap();
        assert!(log_in(b"").is_ok());
        fs::write(&ftpusers, "joe\0\n").unwrap();
        assert!(matches!(log_in(b""), Err(Refusal::Unavailable { .. })));
        assert!(Anonymous::new(&policy(&dir.join("missing"))).is_err());
        assert!(Anonymous::new(&policy(&ftpusers)).is_err());
        if is_root() {
            assert!(Anonymous::new(&AnonymousPolicy { user: "root".into(), ..policy(dir) }).is_err());
            assert!(Anonymous::new(&AnonymousPolicy { user: "no-such".into(), ..policy(dir) }).is_err());
        }
    }
}
