//! A name and a password become an `Account`, or a `Refusal`.
//!
//! `system`, `user_file` and `anonymous` say who may log in, a process of `helpers` says whether
//! the password is right. All refusals are alike, after the same work and time: a client does
//! not learn which accounts exist, are locked or listed.

use std::ffi::CString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{fmt, io};

use super::anonymous::Anonymous;
use super::ftpusers::{Class, Permit};
use super::names::{Subject, is_plausible_name};
use super::pace::{Pace, Paced};
use super::pam_service::pam_service;
use super::system::server_uid;
use super::{Trail, UserOptions, VirtualHost, ftpusers, hosts, user_file};
use crate::config::{AuthMethod, Config, LoginPolicy};
use crate::helpers::{Answer, Asker, Helpers, PamSession, Request, Secret};
use crate::logging;
use crate::proto::secret::Password;
use crate::sys::accounts::Finding;
use crate::sys::identity::Identity;
use crate::sys::pam::Outcome;

/// Who may log in to one server. Made while the server is still root's.
pub(crate) struct Authenticator {
    pub(super) login: LoginPolicy,
    pub(super) config_dir: PathBuf,
    pub(super) anonymous: Option<Anonymous>,
    /// `None`: only anonymous logins are allowed.
    helpers: Option<Helpers>,
    method: Method,
    pace: Pace,
    server_uid: u32,
    /// The level of what `-l` is for.
    log_level: log::Level,
}

/// A login that is tried.
#[derive(Clone, Copy)]
pub(crate) struct Attempt<'a> {
    pub user: &'a [u8],
    pub peer: IpAddr,
    /// The virtual host that the client chose or connected to.
    pub host: Option<&'a VirtualHost>,
    /// How long to wait for a free helper. A check that has begun has its own time,
    /// `--auth-timeout`.
    pub until: Instant,
}

/// A user who is logged in, and the rights of the session.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    /// The login name; `ftp` for anonymous.
    pub name: String,
    pub kind: AccountKind,
    /// `None`: the server is not root's, and the session has the server's rights.
    pub identity: Option<Identity>,
    /// The real directory that is the client's `/`.
    pub root: PathBuf,
    /// The root is a jail.
    pub confined: bool,
    /// The first working directory, as a path in the client's tree. It need not exist.
    pub start: Vec<u8>,
    /// The options of ftpusers and ftpchroot.
    pub options: UserOptions,
    /// The PAM session of `--pam-session`, held until the FTP session ends.
    pub session: Option<PamSession>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AccountKind {
    /// The address that the client gave; it need not be true.
    Anonymous {
        email: String,
    },
    Real,
}

/// Why a login fails. The reason goes to the log and not to the client.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The user may not log in, for any reason: 530.
    Denied { reason: String },
    /// The check could not be made: 421. It does not count as a failed login.
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

/// A user who may log in if the password is right.
pub(super) struct Candidate {
    pub account: Account,
    pub proof: Proof,
}

/// What the password is checked against.
pub(super) enum Proof {
    /// The password that the system has for the account of this name.
    System(CString),
    /// A hash of the user file.
    Hash(Vec<u8>),
}

impl Authenticator {
    /// Starts the helper processes, and looks up the anonymous account and its directory: these do
    /// not change while the server runs.
    ///
    /// # Errors
    /// The anonymous account or directory does not exist; the helpers cannot
    /// be started.
    pub(crate) fn start(config: &Config) -> io::Result<Authenticator> {
        let login = &config.login;
        let start = || Helpers::start(login.auth_helpers, login.auth_timeout);
        let helpers = if login.anonymous_only { None } else { Some(start()?) };
        Authenticator::with(config, helpers)
    }

    pub(super) fn with(config: &Config, helpers: Option<Helpers>) -> io::Result<Authenticator> {
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
                "anonymous clients have the rights of the server's own account: give them another (--anonymous-user)"
            );
        }
        Ok(Authenticator {
            anonymous,
            helpers,
            pace: Pace::new(method.guessed_hashes()),
            method,
            config_dir: config.config_dir.clone(),
            server_uid,
            log_level: if config.logging.transfers >= 1 { log::Level::Info } else { log::Level::Debug },
            login,
        })
    }

    /// For `-C`: nobody can log in, but `check_access` tells who could.
    pub(crate) fn without_passwords(config: &Config) -> io::Result<Authenticator> {
        Authenticator::with(config, None)
    }

    /// The account that `user` from `peer` would get with the right password.
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

    /// The uid of the server's own unprivileged account. `become_user` gives it to a session, beside
    /// the account's.
    pub(crate) fn server_uid(&self) -> u32 {
        self.server_uid
    }

    /// Whether `user` means the anonymous login, and the server has one.
    pub(crate) fn is_anonymous(&self, user: &[u8]) -> bool {
        self.anonymous.is_some() && Anonymous::is_meant_by(user)
    }

    /// Lets a user in, or not. Blocks until the password has been checked. For a thread that is
    /// still root's, if the server is.
    pub(crate) fn log_in(&self, attempt: &Attempt<'_>, password: &Password) -> Result<Account, Refusal> {
        let Attempt { user, peer, host, .. } = *attempt;
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
        let paced = self.pace.begin();
        let secret = Request::secret(password.as_bytes());
        match (self.candidate(user, Some(peer), &mut Trail::default()), secret) {
            (Ok(candidate), Some(secret)) => self.check(helpers, attempt, candidate, Some(secret), &paced),
            (Ok(_), None) => self.pretend(helpers, attempt, None, &paced, Refusal::denied("wrong password")),
            (Err(refusal @ Refusal::Denied { .. }), secret) => {
                self.pretend(helpers, attempt, secret, &paced, refusal)
            }
            (Err(refusal @ Refusal::Unavailable { .. }), _) => Err(refusal),
        }
    }

    /// Lets in a user proved by something stronger than a password, if nothing else is against the
    /// account. It blocks as `log_in` does, and is for the same threads.
    pub(crate) fn log_in_certified(&self, attempt: &Attempt<'_>) -> Result<Account, Refusal> {
        if self.is_anonymous(attempt.user) {
            return Err(Refusal::denied("the anonymous login has no certificate"));
        }
        let Some(helpers) = &self.helpers else {
            return Err(Refusal::denied("only anonymous logins are allowed"));
        };
        let paced = self.pace.begin();
        let candidate = self.candidate(attempt.user, Some(attempt.peer), &mut Trail::default())?;
        self.check(helpers, attempt, candidate, None, &paced)
    }

    /// Whether a user who is logged in could log in again now, with the right password.
    pub(crate) fn may_stay(&self, name: &str, anonymous: bool) -> Result<(), Refusal> {
        match self.anonymous.as_ref().filter(|_| anonymous) {
            Some(anonymous) => anonymous.log_in(&self.ftpusers(), b"", None, &mut Trail::default()).map(drop),
            None => self.candidate(name.as_bytes(), None, &mut Trail::default()).map(drop),
        }
    }

    /// Checks the password of a candidate; without one, only whether the account is valid.
    fn check(
        &self,
        helpers: &Helpers,
        attempt: &Attempt<'_>,
        Candidate { mut account, proof }: Candidate,
        password: Option<Secret>,
        paced: &Paced,
    ) -> Result<Account, Refusal> {
        let instead = paced.hashes();
        let request = match (proof, &self.method) {
            (Proof::Hash(hash), _) => match password {
                Some(password) => Request::Hash { hash, password, instead },
                None if hash.starts_with(b"!") => return Err(Refusal::denied("account locked")),
                None => return Ok(account),
            },
            (Proof::System(user), Method::Pam { service }) => {
                let remote_host = attempt.peer.to_canonical().to_string();
                let remote_host = CString::new(remote_host).expect("an address has no NUL");
                let (service, session) = (service.clone(), self.login.pam_session);
                Request::Pam { service, user, remote_host, password, session, instead }
            }
            (Proof::System(user), Method::Shadow) => Request::Shadow { user, password, instead },
            (Proof::System(_), Method::None) => {
                return Err(Refusal::unavailable("this system has neither libpam nor crypt_r"));
            }
        };
        let answered = helpers.ask(&request, attempt.asker()).map_err(Refusal::unavailable)?;
        let Answer::Checked { finding, outcomes } = answered.answer else {
            return Err(Refusal::unavailable("an auth helper answered another question"));
        };
        self.log_outcomes(attempt, &outcomes);
        let reason = match finding {
            Finding::Right => {
                account.session = answered.session;
                return Ok(account);
            }
            Finding::Wrong => {
                self.pace.note_real(paced, answered.waited);
                return Err(Refusal::denied("wrong password"));
            }
            Finding::Locked => "account locked, or not allowed",
            Finding::AccountExpired => "account expired",
            Finding::PasswordExpired => "password expired",
            Finding::Unavailable => {
                return Err(Refusal::unavailable("the system could not check the password"));
            }
        };
        paced.wait_out(answered.waited);
        Err(Refusal::denied(reason))
    }

    /// Refuses, after the work of a check. Without a free helper, the client gets the answer that it
    /// would get for an account that exists.
    fn pretend(
        &self,
        helpers: &Helpers,
        attempt: &Attempt<'_>,
        password: Option<Secret>,
        paced: &Paced,
        refusal: Refusal,
    ) -> Result<Account, Refusal> {
        let password =
            password.or_else(|| Request::secret(b"*")).expect("this one is neither empty nor long");
        let request = Request::Pretend { password, hashes: paced.hashes() };
        let answered = helpers.ask(&request, attempt.asker()).map_err(Refusal::unavailable)?;
        self.pace.wait_out_pretended(paced, answered.waited);
        Err(refusal)
    }

    fn log_outcomes(&self, attempt: &Attempt<'_>, outcomes: &[Outcome]) {
        let (host, user) = (attempt.peer.to_canonical(), logging::word(attempt.user).to_string());
        for outcome in outcomes {
            let (stage, name, code) = (outcome.stage.to_string(), outcome.name(), outcome.code);
            log::log!(
                self.log_level,
                event = "pam", host:% = host, user = user.as_str(), stage = stage.as_str(), code = code;
                "PAM {stage} FROM {host}, {user}: {name} ({code})"
            );
        }
    }

    fn log_in_anonymously(
        &self,
        anonymous: &Anonymous,
        email: &[u8],
        peer: Option<IpAddr>,
        trail: &mut Trail,
    ) -> Result<Account, Refusal> {
        self.check_address(&anonymous.subject(peer), trail)?;
        anonymous.log_in(&self.ftpusers(), email, peer, trail)
    }

    /// Refuses a user whom ftphosts does not let in from this address.
    pub(super) fn check_address(&self, subject: &Subject<'_>, trail: &mut Trail) -> Result<(), Refusal> {
        hosts::check_address(&self.config_dir, subject, trail)
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

    /// Refuses a user whom ftpusers keeps out; else what it says of this one.
    pub(super) fn listed(&self, subject: &Subject<'_>, trail: &mut Trail) -> Result<Permit, Refusal> {
        let permit = ftpusers::check_ftpusers(&self.ftpusers(), subject, trail)?;
        match permit.class {
            Class::Guest => {
                Err(Refusal::unavailable("the class `guest` of ftpusers is for the anonymous login alone"))
            }
            Class::Real | Class::Chroot => Ok(permit),
        }
    }

    fn ftpusers(&self) -> PathBuf {
        self.config_dir.join("ftpusers")
    }
}

impl Attempt<'_> {
    fn asker(&self) -> Asker {
        Asker { address: Some(self.peer), until: self.until }
    }
}

impl Method {
    /// The method of the command line; if the system does not have it, another one, with a warning.
    fn choose(login: &LoginPolicy, helpers: &Helpers) -> io::Result<Method> {
        /// Much longer than a helper needs to start.
        const PATIENCE: Duration = Duration::from_secs(30);
        let asker = Asker { address: None, until: Instant::now() + PATIENCE };
        let answered = helpers.ask(&Request::Probe, asker).map_err(io::Error::other)?;
        let Answer::Can { pam, crypt } = answered.answer else {
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

    /// How many hashes a check computes. This is used until real checks have shown how long they
    /// take. pam_unix of Linux-PAM 1.5 computes one for the empty password first.
    fn guessed_hashes(&self) -> u32 {
        match self {
            Method::Pam { .. } => 2,
            Method::Shadow | Method::None => 1,
        }
    }
}

impl Refusal {
    pub(super) fn denied(reason: impl Into<String>) -> Refusal {
        Refusal::Denied { reason: reason.into() }
    }

    pub(super) fn unavailable(reason: impl fmt::Display) -> Refusal {
        Refusal::Unavailable { reason: reason.to_string() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Refusal::Denied { reason } | Refusal::Unavailable { reason }) = self;
        f.write_str(reason)
    }
}
