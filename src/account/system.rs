//! Accounts of the operating system: who may log in, and what a session of the account gets.
//!
//! The password is not checked here.

use std::io;
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::admin_file::{AdminFile, Fault};
use super::authenticator::{Account, AccountKind, Authenticator, Candidate, Proof, Refusal};
use super::ftpusers::Class;
use super::jail::{Jail, Keeping, jail_of};
use super::names::{Subject, is_plausible_name};
use super::{Trail, UserOptions};
use crate::config::Chroot;
use crate::sys::accounts::{self, Passwd};
use crate::sys::identity::{Identity, is_root};

impl Authenticator {
    pub(super) fn system_candidate(
        &self,
        name: &str,
        peer: Option<IpAddr>,
        trail: &mut Trail,
    ) -> Result<Candidate, Refusal> {
        let c_name = accounts::c_name(name.as_bytes()).ok_or_else(|| Refusal::denied("not a user name"))?;
        let passwd = accounts::by_name(&c_name).map_err(Refusal::unavailable)?;
        self.refuse_broken_files().map_err(Refusal::unavailable)?;
        let Some(passwd) = passwd else {
            let nobody = Subject { names: &[name.as_bytes()], groups: &[], peer };
            let permit = self.listed(&nobody, trail)?;
            self.check_address(&nobody, trail)?;
            self.jail(&nobody, permit.class, Path::new("/"), trail)?;
            return Err(Refusal::denied("no such account"));
        };
        let known_as = is_plausible_name(&passwd.name).ok_or_else(|| Refusal::denied("not a user name"))?;
        let identity = identity_of(&passwd).map_err(Refusal::unavailable)?;
        let names = [name.as_bytes(), known_as.as_bytes()];
        let subject = Subject { names: &names, groups: &identity.groups, peer };
        trail.say(|| format!("the system has an account {known_as}, uid {}", passwd.uid));

        let permit = self.listed(&subject, trail)?;
        self.check_address(&subject, trail)?;
        self.refuse_by_number(passwd.uid)?;
        self.refuse_shell(&passwd.shell, trail)?;
        let (jail, options) = self.jail(&subject, permit.class, &passwd.home, trail)?;
        let options = permit.options.and(options);
        if options.quota.is_some() && jail.is_none() {
            return Err(Refusal::unavailable("quota= is for accounts that ftpchroot keeps in a directory"));
        }
        let account = Account {
            name: known_as.to_owned(),
            kind: AccountKind::Real,
            confined: jail.is_some(),
            start: jail.as_ref().map_or_else(|| start_in(&passwd.home), |jail| jail.start.clone()),
            root: jail.map_or_else(|| PathBuf::from("/"), |jail| jail.root),
            identity: is_root().then_some(identity),
            options,
            session: None,
        };
        let proof = Proof::System(accounts::c_name(known_as.as_bytes()).unwrap_or(c_name));
        Ok(Candidate { account, proof })
    }

    fn refuse_by_number(&self, uid: u32) -> Result<(), Refusal> {
        let server = rustix::process::geteuid().as_raw();
        match uid {
            0 => Err(Refusal::denied("root does not log in by FTP")),
            uid if uid < self.login.min_uid => Err(Refusal::denied("uid below --min-uid")),
            uid if server != 0 && uid != server => Err(Refusal::denied(
                "the server is not root's: it serves the account that runs it, and no other",
            )),
            _ => Ok(()),
        }
    }

    fn refuse_shell(&self, shell: &[u8], trail: &mut Trail) -> Result<(), Refusal> {
        if !self.login.shell_check {
            trail.say(|| "the login shell is not looked at (--no-shell-check)".to_owned());
            return Ok(());
        }
        let shell = if shell.is_empty() { b"/bin/sh" } else { shell };
        let file = self.shells().map_err(Refusal::unavailable)?;
        let shown = || crate::logging::text(shell).to_string();
        if !file.shells().iter().any(|allowed| allowed == shell) {
            return Err(Refusal::denied(format!("login shell {} not in {}", shown(), file.path().display())));
        }
        trail.say(|| format!("{}: has the login shell {}", file.path().display(), shown()));
        Ok(())
    }

    /// A file that cannot be read refuses every user, before anything else is checked. Otherwise it
    /// would tell which accounts exist, or are refused for another reason.
    fn refuse_broken_files(&self) -> Result<(), Fault> {
        for name in ["ftpusers", "ftphosts", "ftpchroot"] {
            AdminFile::read(&self.config_dir.join(name))?.lines()?;
        }
        if self.login.shell_check {
            self.shells()?;
        }
        Ok(())
    }

    /// The file `shells` of the configuration's directory, or else the system's.
    fn shells(&self) -> Result<AdminFile, Fault> {
        let own = AdminFile::read(&self.config_dir.join("shells"))?;
        if own.exists() { Ok(own) } else { AdminFile::read(Path::new("/etc/shells")) }
    }

    /// The directory in which ftpchroot, the class or `--chroot` keep the account; and ftpchroot's options.
    fn jail(
        &self,
        subject: &Subject<'_>,
        class: Class,
        home: &Path,
        trail: &mut Trail,
    ) -> Result<(Option<Jail>, UserOptions), Refusal> {
        let at_home = || Jail::in_dir(home).ok_or_else(|| Refusal::denied("no home directory to be kept in"));
        let path = self.config_dir.join("ftpchroot");
        let file = AdminFile::read(&path).map_err(Refusal::unavailable)?;
        let found = jail_of(&file, subject, home, trail).map_err(Refusal::unavailable)?;
        trail.say(|| match &found {
            Some(found) if self.login.chroot != Chroot::File => {
                format!("{}: only its options count (--chroot)", file.rule(found.line))
            }
            Some(Keeping { line, jail: Some(_), .. }) => {
                format!("{}: keeps this account in a directory", file.rule(*line))
            }
            Some(Keeping { line, jail: None, .. }) => {
                format!("{}: keeps this account in no directory", file.rule(*line))
            }
            None => file.silence(),
        });
        let (mut listed, options) = found.map_or_else(Default::default, |found| (found.jail, found.options));
        if listed.is_none() && class == Class::Chroot {
            trail.say(|| "the class `chroot` keeps this account in the home directory".to_owned());
            listed = Some(at_home()?);
        }
        // The options of the line count even if --chroot decides about the directory.
        let jail = match self.login.chroot {
            Chroot::File => listed,
            Chroot::None => {
                trail.say(|| "nobody is kept in a directory (--chroot=none)".to_owned());
                None
            }
            Chroot::All => {
                trail.say(|| "everybody is kept in the home directory (--chroot=all)".to_owned());
                Some(at_home()?)
            }
        };
        Ok((jail, options))
    }
}

/// The uid of the server's own unprivileged account. Sessions of a server that is root's have it
/// beside that of their account.
pub(super) fn server_uid() -> io::Result<u32> {
    /// The usual uid of nobody.
    const NOBODY: u32 = 65_534;
    if !is_root() {
        return Ok(rustix::process::geteuid().as_raw());
    }
    let uid_of =
        |name| accounts::by_name(name).map(|entry| entry.map(|entry| entry.uid).filter(|&uid| uid != 0));
    if let Some(uid) = uid_of(c"ferryd")? {
        return Ok(uid);
    }
    log::warn!("there is no account `ferryd`: processes of `nobody` could signal the sessions");
    Ok(uid_of(c"nobody")?.unwrap_or(NOBODY))
}

pub(super) fn named(user: &str) -> io::Result<Passwd> {
    let found = match accounts::c_name(user.as_bytes()) {
        Some(name) => accounts::by_name(&name)?,
        None => None,
    };
    found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("there is no account {user:?}")))
}

pub(super) fn identity_of(passwd: &Passwd) -> io::Result<Identity> {
    let name = accounts::c_name(&passwd.name).ok_or(io::ErrorKind::InvalidData)?;
    Ok(Identity { uid: passwd.uid, gid: passwd.gid, groups: accounts::groups_of(&name, passwd.gid)? })
}

/// The first working directory of a session that is not confined.
fn start_in(home: &Path) -> Vec<u8> {
    if home.is_absolute() { home.as_os_str().as_bytes().to_vec() } else { b"/".to_vec() }
}
