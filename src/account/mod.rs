//! Who may log in, and as whom: a name and a password become an `Account`, or
//! a reason why not.
//!
//! `policy` says who may, a process of `helpers` whether the password
//! is right. Whoever is refused is refused in the same way, after the same
//! work: a client does not learn which accounts exist, are locked or listed.

use std::ffi::CString;
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fmt, io};

use crate::config::{AuthMethod, Chroot, Config, LoginPolicy};
use crate::helpers::{Answer, Helpers, PamSession, Request, Secret};
use crate::proto::secret::Password;
use crate::sys::accounts::{self, Passwd, Verdict};
use crate::sys::identity::{Identity, is_root};

use anonymous::Anonymous;
pub(crate) use check::check_files;
pub(crate) use hosts::{Hosts, VirtualHost};
pub(crate) use options::UserOptions;
pub(crate) use policy::read_admin_file;
use policy::{AdminFile, Jail, Subject, is_plausible_name, jail_of};
pub(crate) use trail::Trail;

mod anonymous;
mod check;
mod hosts;
mod options;
mod policy;
mod trail;
mod user_file;

/// Who may log in to one server. Made while the server is still root's.
pub(crate) struct Authenticator {
    login: LoginPolicy,
    config_dir: PathBuf,
    anonymous: Option<Anonymous>,
    /// `None`: only anonymous logins are allowed.
    helpers: Option<Helpers>,
    method: Method,
    server_uid: u32,
}

/// Who is logged in, and with whose rights.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    /// The login name; `ftp` for anonymous.
    pub name: String,
    pub kind: AccountKind,
    /// `None`: the server is not root's, and its own rights are the session's.
    pub identity: Option<Identity>,
    /// The real directory that is the client's `/`.
    pub root: PathBuf,
    /// The root is a jail.
    pub confined: bool,
    /// The first working directory, as a path in the client's tree. It need not exist.
    pub start: Vec<u8>,
    /// What ftpusers and ftpchroot say of it besides.
    pub options: UserOptions,
    /// Held until the session ends, if `--pam-session` opened one.
    pub session: Option<PamSession>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AccountKind {
    /// Who the client says it is, as text; not to be believed.
    Anonymous {
        email: String,
    },
    Real,
}

/// Why a login fails. The reason is for the log alone.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Answered 530, whatever the cause.
    Denied { reason: String },
    /// The check itself failed: answered 421 or 451, and not counted as an attempt.
    Unavailable { reason: String },
}

/// How the passwords of system accounts are checked.
#[derive(Debug, PartialEq, Eq)]
enum Method {
    Pam {
        service: CString,
    },
    Shadow,
    /// There is neither libpam nor crypt_r.
    None,
}

/// Somebody who may log in, if the password is right.
struct Candidate {
    account: Account,
    proof: Proof,
}

/// What the password is checked against.
enum Proof {
    /// The system's knowledge of the account of this name.
    System(CString),
    /// A hash of the user file.
    Hash(Vec<u8>),
}

impl Authenticator {
    /// Starts the helper processes, and looks up what does not change while
    /// the server runs: the anonymous account and its directory.
    ///
    /// # Errors
    /// The anonymous account or directory does not exist; the helpers cannot
    /// be started.
    pub(crate) fn start(config: &Config) -> io::Result<Authenticator> {
        /// The slowest login there is: directory services that time out.
        const HELPER_DEADLINE: Duration = Duration::from_secs(30);
        let login = config.login.clone();
        let start = || Helpers::start(login.auth_helpers, HELPER_DEADLINE);
        let helpers = if login.anonymous_only { None } else { Some(start()?) };
        Authenticator::with(config, helpers)
    }

    fn with(config: &Config, helpers: Option<Helpers>) -> io::Result<Authenticator> {
        let login = config.login.clone();
        let method = match &helpers {
            Some(helpers) => Method::choose(&login, helpers)?,
            None => Method::None,
        };
        let anonymous = login.anonymous.as_ref().map(Anonymous::new).transpose()?;
        let server_uid = server_uid()?;
        if anonymous.as_ref().and_then(Anonymous::identity).is_some_and(|identity| identity.uid == server_uid)
        {
            log::warn!(
                "the anonymous account should be one of its own: other processes have this one's rights"
            );
        }
        Ok(Authenticator {
            anonymous,
            helpers,
            method,
            config_dir: config.config_dir.clone(),
            server_uid,
            login,
        })
    }

    /// One that asks no passwords, only who would be asked for one.
    pub(crate) fn without_passwords(config: &Config) -> io::Result<Authenticator> {
        Authenticator::with(config, None)
    }

    /// Whom `user` from `peer` would be, given the right password, and what decided that.
    pub(crate) fn check_access(
        &self,
        user: &[u8],
        peer: Option<IpAddr>,
        trail: &mut Trail,
    ) -> Result<Account, Refusal> {
        if let Some(anonymous) = self.anonymous.as_ref().filter(|_| Anonymous::is_meant_by(user)) {
            trail.say(|| "this name means the anonymous login".to_owned());
            return self.log_in_anonymously(anonymous, b"", peer, trail);
        }
        if self.login.anonymous_only {
            return Err(Refusal::denied("only anonymous logins are allowed (-A)"));
        }
        self.candidate(user, peer, trail).map(|candidate| candidate.account)
    }

    /// The uid that `become_user` gives a session beside the account's: the
    /// server's own unprivileged account.
    pub(crate) fn server_uid(&self) -> u32 {
        self.server_uid
    }

    /// Whether `user` means the anonymous login, and there is one.
    pub(crate) fn is_anonymous(&self, user: &[u8]) -> bool {
        self.anonymous.is_some() && Anonymous::is_meant_by(user)
    }

    /// Lets `user` in, or not. Blocks for as long as a helper may take (30 s).
    /// For a thread that is still root's, if the server is; the caller delays
    /// every refusal for the same time.
    ///
    /// `host` is the virtual host that the client connected to.
    pub(crate) fn log_in(
        &self,
        user: &[u8],
        password: &Password,
        peer: IpAddr,
        host: Option<&VirtualHost>,
    ) -> Result<Account, Refusal> {
        if let Some(anonymous) = self.anonymous.as_ref().filter(|_| Anonymous::is_meant_by(user)) {
            let anonymous = host.and_then(|host| host.anonymous.as_ref()).unwrap_or(anonymous);
            return self.log_in_anonymously(
                anonymous,
                password.as_bytes(),
                Some(peer),
                &mut Trail::default(),
            );
        }
        let Some(helpers) = &self.helpers else {
            return Err(Refusal::denied("only anonymous logins are allowed"));
        };
        let secret = Request::secret(password.as_bytes());
        match (self.candidate(user, Some(peer), &mut Trail::default()), secret) {
            (Ok(candidate), Some(secret)) => self.check(helpers, candidate, Some(secret), peer),
            (Ok(_), None) => self.pretend(helpers, None, Refusal::denied("wrong password")),
            (Err(refusal @ Refusal::Denied { .. }), secret) => self.pretend(helpers, secret, refusal),
            (Err(refusal @ Refusal::Unavailable { .. }), _) => Err(refusal),
        }
    }

    /// Lets `user` in, whom something better than a password has proved to be that, if
    /// everything else about the account allows it. Blocks as `log_in` does, and is for such a thread.
    pub(crate) fn log_in_certified(&self, user: &[u8], peer: IpAddr) -> Result<Account, Refusal> {
        if self.is_anonymous(user) {
            return Err(Refusal::denied("anonymous logins are nobody's"));
        }
        let Some(helpers) = &self.helpers else {
            return Err(Refusal::denied("only anonymous logins are allowed"));
        };
        let candidate = self.candidate(user, Some(peer), &mut Trail::default())?;
        self.check(helpers, candidate, None, peer)
    }

    /// Whether `name`, who is logged in, could log in now, were the password right again.
    pub(crate) fn may_stay(&self, name: &str, anonymous: bool) -> Result<(), Refusal> {
        match self.anonymous.as_ref().filter(|_| anonymous) {
            Some(anonymous) => anonymous.log_in(&self.ftpusers(), b"", &mut Trail::default()).map(drop),
            None => self.candidate(name.as_bytes(), None, &mut Trail::default()).map(drop),
        }
    }

    /// Without a password, only whether the account is valid.
    fn check(
        &self,
        helpers: &Helpers,
        Candidate { mut account, proof }: Candidate,
        password: Option<Secret>,
        peer: IpAddr,
    ) -> Result<Account, Refusal> {
        let request = match (proof, &self.method) {
            (Proof::Hash(hash), _) => match password {
                Some(password) => Request::Hash { hash, password },
                None if hash.starts_with(b"!") => return Err(Refusal::denied("account locked")),
                None => return Ok(account),
            },
            (Proof::System(user), Method::Pam { service }) => Request::Pam {
                service: service.clone(),
                user,
                remote_host: CString::new(peer.to_canonical().to_string()).expect("an address has no NUL"),
                password,
                session: self.login.pam_session,
            },
            (Proof::System(user), Method::Shadow) => Request::Shadow { user, password },
            (Proof::System(_), Method::None) => {
                return Err(Refusal::unavailable("this system has neither libpam nor crypt_r"));
            }
        };
        let (answer, session) = helpers.ask(&request).map_err(Refusal::unavailable)?;
        let reason = match answer {
            Answer::Verdict(Verdict::Right) => {
                account.session = session;
                return Ok(account);
            }
            Answer::Verdict(Verdict::Wrong) => "wrong password",
            Answer::Verdict(Verdict::Locked) => "account locked, or not allowed",
            Answer::Verdict(Verdict::AccountExpired) => "account expired",
            Answer::Verdict(Verdict::PasswordExpired) => "password expired",
            Answer::Verdict(Verdict::Unavailable) | Answer::Can { .. } => {
                return Err(Refusal::unavailable("the system could not check the password"));
            }
        };
        Err(Refusal::denied(reason))
    }

    /// Refuses, after the work of a check: also when no helper can do it, what
    /// the client sees is what it would see of an account.
    fn pretend(
        &self,
        helpers: &Helpers,
        password: Option<Secret>,
        refusal: Refusal,
    ) -> Result<Account, Refusal> {
        let password =
            password.or_else(|| Request::secret(b"*")).expect("this one is neither empty nor long");
        helpers.ask(&Request::Pretend { password }).map_err(Refusal::unavailable)?;
        Err(refusal)
    }

    fn log_in_anonymously(
        &self,
        anonymous: &Anonymous,
        email: &[u8],
        peer: Option<IpAddr>,
        trail: &mut Trail,
    ) -> Result<Account, Refusal> {
        self.check_address(&anonymous.subject(), peer, trail)?;
        anonymous.log_in(&self.ftpusers(), email, trail)
    }

    /// What ftphosts says of where somebody comes from.
    fn check_address(
        &self,
        subject: &Subject<'_>,
        peer: Option<IpAddr>,
        trail: &mut Trail,
    ) -> Result<(), Refusal> {
        peer.map_or(Ok(()), |peer| hosts::check_address(&self.config_dir, subject, peer, trail))
    }

    fn candidate(&self, user: &[u8], peer: Option<IpAddr>, trail: &mut Trail) -> Result<Candidate, Refusal> {
        let name = is_plausible_name(user).ok_or_else(|| Refusal::denied("not a user name"))?;
        let entry = self.login.user_file.as_deref().map(|path| user_file::find(path, name)).transpose();
        match entry.map_err(Refusal::unavailable)?.flatten() {
            Some(entry) => {
                trail.say(|| "the user file has an account of this name".to_owned());
                self.own_candidate(entry, peer, trail)
            }
            None => self.system_candidate(name, peer, trail),
        }
    }

    fn own_candidate(
        &self,
        entry: user_file::Entry,
        peer: Option<IpAddr>,
        trail: &mut Trail,
    ) -> Result<Candidate, Refusal> {
        let options = self.listed(&Subject { names: &[entry.name.as_bytes()], groups: &[] }, trail)?;
        self.check_address(&Subject { names: &[entry.name.as_bytes()], groups: &[] }, peer, trail)?;
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

    fn system_candidate(
        &self,
        name: &str,
        peer: Option<IpAddr>,
        trail: &mut Trail,
    ) -> Result<Candidate, Refusal> {
        let c_name = accounts::c_name(name.as_bytes()).ok_or_else(|| Refusal::denied("not a user name"))?;
        let passwd = accounts::by_name(&c_name).map_err(Refusal::unavailable)?;
        let Some(passwd) = passwd else {
            // A file that cannot be read refuses whoever asks alike, or it would tell who exists.
            let nobody = Subject { names: &[name.as_bytes()], groups: &[] };
            self.listed(&nobody, trail)?;
            self.jail(&nobody, Path::new("/"), trail)?;
            return Err(Refusal::denied("no such account"));
        };
        let known_as = is_plausible_name(&passwd.name).ok_or_else(|| Refusal::denied("not a user name"))?;
        let identity = identity_of(&passwd).map_err(Refusal::unavailable)?;
        let names = [name.as_bytes(), known_as.as_bytes()];
        let subject = Subject { names: &names, groups: &identity.groups };
        trail.say(|| format!("the system has an account {known_as}, uid {}", passwd.uid));

        let options = self.listed(&subject, trail)?;
        self.check_address(&subject, peer, trail)?;
        self.refuse_by_number(passwd.uid)?;
        self.refuse_shell(&passwd.shell, trail)?;
        let (jail, more) = self.jail(&subject, &passwd.home, trail)?;
        let options = options.and(more);
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

    /// What ftpusers says of somebody whom it does not keep out.
    fn listed(&self, subject: &Subject<'_>, trail: &mut Trail) -> Result<UserOptions, Refusal> {
        policy::check_ftpusers(&self.ftpusers(), subject, trail)
    }

    fn refuse_by_number(&self, uid: u32) -> Result<(), Refusal> {
        let server = rustix::process::geteuid().as_raw();
        match uid {
            0 => Err(Refusal::denied("root does not log in by FTP")),
            uid if uid < self.login.min_uid => Err(Refusal::denied("uid below --min-uid")),
            uid if server != 0 && uid != server => {
                Err(Refusal::denied("the server is not root's, and can be no other account than its own"))
            }
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

    /// Those of the configuration's directory, or the system's.
    fn shells(&self) -> Result<AdminFile, policy::Fault> {
        let own = AdminFile::read(&self.config_dir.join("shells"))?;
        if own.exists() { Ok(own) } else { AdminFile::read(Path::new("/etc/shells")) }
    }

    fn jail(
        &self,
        subject: &Subject<'_>,
        home: &Path,
        trail: &mut Trail,
    ) -> Result<(Option<Jail>, UserOptions), Refusal> {
        let path = self.config_dir.join("ftpchroot");
        let file = AdminFile::read(&path).map_err(Refusal::unavailable)?;
        let found = jail_of(&file, subject, home).map_err(Refusal::unavailable)?;
        trail.say(|| match &found {
            Some((line, ..)) if self.login.chroot == Chroot::File => {
                format!("{}: keeps this account in a directory", file.rule(*line))
            }
            Some((line, ..)) => format!("{}: only its options count (--chroot)", file.rule(*line)),
            None => file.silence(),
        });
        let (listed, options) = match found {
            Some((_, jail, options)) => (Some(jail), options),
            None => Default::default(),
        };
        // Whoever is kept where, what a line says besides is meant.
        let jail = match self.login.chroot {
            Chroot::File => listed,
            Chroot::None => {
                trail.say(|| "nobody is kept in a directory (--chroot=none)".to_owned());
                None
            }
            Chroot::All => {
                trail.say(|| "everybody is kept in the home directory (--chroot=all)".to_owned());
                let jail =
                    Jail::in_dir(home).ok_or_else(|| Refusal::denied("no home directory to be kept in"));
                Some(jail?)
            }
        };
        Ok((jail, options))
    }

    fn ftpusers(&self) -> PathBuf {
        self.config_dir.join("ftpusers")
    }
}

impl Method {
    /// What was asked for, or what this system has instead, which is logged.
    fn choose(login: &LoginPolicy, helpers: &Helpers) -> io::Result<Method> {
        let (answer, _) = helpers.ask(&Request::Probe).map_err(io::Error::other)?;
        let Answer::Can { pam, crypt } = answer else {
            return Err(io::Error::other("an auth helper does not say what it can"));
        };
        Ok(match login.auth {
            AuthMethod::Pam if pam => Method::Pam { service: pam_service(&login.pam_service)? },
            AuthMethod::Pam if crypt => {
                log::warn!("this system has no libpam: passwords are checked against the shadow file");
                Method::Shadow
            }
            AuthMethod::Shadow if crypt => Method::Shadow,
            _ => {
                log::warn!(
                    "this system has no library that checks passwords: only anonymous logins will work"
                );
                Method::None
            }
        })
    }
}

impl Refusal {
    fn denied(reason: impl Into<String>) -> Refusal {
        Refusal::Denied { reason: reason.into() }
    }

    fn unavailable(reason: impl fmt::Display) -> Refusal {
        Refusal::Unavailable { reason: reason.to_string() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Refusal::Denied { reason } | Refusal::Unavailable { reason }) = self;
        f.write_str(reason)
    }
}

/// The PAM service to ask for: `wanted`, or `ftp`. When the system has neither,
/// libpam itself takes `other`, which it would read twice if it were asked for
/// by name: two hashes for each login.
fn pam_service(wanted: &str) -> io::Result<CString> {
    // A part of a path: PAM must not be led out of its directory.
    if wanted.is_empty() || wanted.contains(['/', '\0']) || wanted.starts_with('.') {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("not a PAM service: {wanted:?}")));
    }
    let exists = |service: &str| PAM_DIRS.iter().any(|dir| Path::new(dir).join(service).exists());
    let uses_dirs = PAM_DIRS.iter().any(|dir| Path::new(dir).is_dir());
    let service = match [wanted, "ftp"].into_iter().find(|service| exists(service)) {
        Some(service) => service,
        None if uses_dirs => {
            log::warn!("there is no PAM service {wanted}: the system's `other` is asked instead");
            wanted
        }
        None => wanted, // Everything is in /etc/pam.conf.
    };
    if service != wanted {
        log::warn!("there is no PAM service {wanted}: {service} is asked instead");
    }
    Ok(CString::new(service)?)
}

/// Where PAM services are.
const PAM_DIRS: [&str; 4] = ["/etc/pam.d", "/usr/lib/pam.d", "/usr/share/pam.d", "/usr/local/etc/pam.d"];

/// Whether a service of this name, or `ftp`, is set up; where all are in one file, nobody knows.
fn pam_service_is_there(wanted: &str) -> bool {
    let dirs: Vec<&Path> = PAM_DIRS.iter().map(Path::new).filter(|dir| dir.is_dir()).collect();
    dirs.is_empty() || dirs.iter().any(|dir| [wanted, "ftp"].iter().any(|name| dir.join(name).exists()))
}

/// The server's own unprivileged account, which sessions of a server that is
/// root's have beside their own.
fn server_uid() -> io::Result<u32> {
    /// What most systems call nobody.
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

fn named(user: &str) -> io::Result<Passwd> {
    let found = match accounts::c_name(user.as_bytes()) {
        Some(name) => accounts::by_name(&name)?,
        None => None,
    };
    found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("there is no account {user:?}")))
}

fn identity_of(passwd: &Passwd) -> io::Result<Identity> {
    let name = accounts::c_name(&passwd.name).ok_or(io::ErrorKind::InvalidData)?;
    Ok(Identity { uid: passwd.uid, gid: passwd.gid, groups: accounts::groups_of(&name, passwd.gid)? })
}

/// Where a session that is not confined starts.
fn start_in(home: &Path) -> Vec<u8> {
    if home.is_absolute() { home.as_os_str().as_bytes().to_vec() } else { b"/".to_vec() }
}

/// Made absolute without a look at the file system: `/./` means something here.
fn absolute(path: &Path) -> io::Result<PathBuf> {
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

#[cfg(test)]
mod tests;
